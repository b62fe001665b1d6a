"""The gallery in headless Chromium: it loads, plays, filters, and asks for nothing from elsewhere."""

import dataclasses
import shutil
import time

import numpy as np
import pytest

from pvbench.report.gallery.page import write_gallery

selenium = pytest.importorskip("selenium")
CHROMIUM, DRIVER = shutil.which("chromium") or "", shutil.which("chromedriver") or ""
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

WILD = "</script><b>bold</b> Somebody waves & smiles"


@pytest.fixture(scope="module")
def data(make_run):
    made = make_run(people=5, prompts=4, failed=(("personalvideo", "boris", "p02"),), pictures=True)
    traces = {
        label: {cell: np.linspace(0, values["face_sim"], 8) for cell, values in of_label.items()}
        for label, of_label in made.scores.items()
    }
    prompts = (dataclasses.replace(made.prompts[0], text=WILD), *made.prompts[1:])
    return dataclasses.replace(made, traces=traces, prompts=prompts)


@pytest.fixture(scope="module")
def address(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    write_gallery(folder, data)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    quiet = (
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-quic",
        "no-first-run",
    )
    for argument in ("headless=new", "no-sandbox", "disable-gpu", *quiet):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium, address):
    """The gallery, freshly opened in a window of a desktop's size."""
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.set_window_size(1300, 900)
    chromium.get(address)
    return chromium


def until(browser, script):
    return WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(f"return {script}"))


def count(browser):
    return browser.find_element(By.ID, "count").text


def heads(browser):
    """Person, prompt and seed of every row on the page."""
    return [
        (row.find_element(By.TAG_NAME, "h2").text, row.find_element(By.CLASS_NAME, "seed").text.partition(",")[0])
        for row in browser.find_elements(By.CLASS_NAME, "cell")
    ]


def choose(browser, name, value):
    Select(browser.find_element(By.ID, name)).select_by_value(value)


def eventually(look, expected):
    """The page answers a little later; what is seen at the end is compared."""
    deadline = time.monotonic() + 10
    while look() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert look() == expected


def press(browser, *keys):
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def test_it_loads_without_an_error_and_without_a_request_to_elsewhere(browser):
    until(browser, "document.querySelector('video').readyState > 1")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    asked = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert asked
    assert not [one for one in asked if '"url":"http' in one]


def test_films_play_together_and_again(browser):
    until(browser, "document.querySelector('video').currentTime > .3")
    times = browser.execute_script(
        "return [...document.querySelector('.films').querySelectorAll('video')].map(video => video.currentTime)"
    )
    assert len(times) == 4
    assert max(times) - min(times) < 0.3
    browser.execute_script("document.querySelector('video').addEventListener('ended', () => window.ended = true)")
    until(browser, "window.ended")
    until(browser, "document.querySelector('video').currentTime < .3")
    assert until(browser, "document.querySelector('.face').textContent.startsWith('face ')")


def test_every_row_appears_when_one_scrolls(browser):
    assert count(browser) == "20 rows"
    for _ in range(3):
        browser.execute_script("scrollTo(0, document.body.scrollHeight)")
        time.sleep(0.2)
    assert len(browser.find_elements(By.CLASS_NAME, "cell")) == 20


def test_rows_are_chosen_by_person_and_by_words(browser):
    choose(browser, "person", "chen")
    eventually(lambda: count(browser), "4 of 20 rows")
    assert {person for person, _ in heads(browser)} == {"chen"}
    browser.find_element(By.ID, "text").send_keys("kitchen SMILES")
    eventually(lambda: heads(browser), [("chen", "p02")])
    browser.find_element(By.ID, "text").send_keys(" nowhere")
    eventually(lambda: count(browser), "0 of 20 rows")


def test_the_worst_come_first(browser, data):
    choose(browser, "metric", "clip_t")
    choose(browser, "method", "dreambooth_lora")
    choose(browser, "order", "worst")
    scores = data.scores["dreambooth_lora"]
    expected = sorted(data.cells, key=lambda cell: scores[cell]["clip_t"])
    eventually(lambda: heads(browser)[:12], [(cell.identity, cell.prompt) for cell in expected[:12]])
    choose(browser, "order", "best")
    eventually(lambda: heads(browser)[0], (expected[-1].identity, expected[-1].prompt))


def test_any_method_means_the_methods_and_not_floor_or_ceiling(browser, data):
    choose(browser, "order", "worst")
    methods = ("dreambooth_lora", "personalvideo")
    worst = min(
        data.cells,
        key=lambda cell: min(data.scores[label][cell]["face_sim"] for label in methods if cell in data.scores[label]),
    )
    eventually(lambda: heads(browser)[0], (worst.identity, worst.prompt))


def test_a_row_without_the_number_is_last_either_way(browser):
    choose(browser, "method", "personalvideo")
    for order in ("worst", "best"):
        choose(browser, "order", order)
        browser.find_element(By.ID, "text").clear()
        browser.find_element(By.ID, "text").send_keys("kitchen")
        eventually(lambda: len(heads(browser)), 5)
        assert heads(browser)[-1] == ("boris", "p02")


def test_the_number_below_a_film_is_the_chosen_one(browser, data):
    choose(browser, "metric", "flow_magnitude")
    expected = round(data.scores["base"][data.cells[0]]["flow_magnitude"], 2)
    eventually(lambda: float(browser.find_element(By.CSS_SELECTOR, ".cell output").text), expected)


def test_a_failed_cell_says_why_in_its_place(browser):
    choose(browser, "person", "boris")
    eventually(
        lambda: [one.text for one in browser.find_elements(By.CLASS_NAME, "why")],
        ["GenerationError: the sampler gave NaN at step 7"],
    )


def test_a_text_is_shown_as_it_is(browser):
    assert browser.find_element(By.CSS_SELECTOR, ".about p").text == WILD
    assert not browser.find_elements(By.CSS_SELECTOR, ".about b")


def test_keys_pause_step_and_move(browser):
    until(browser, "document.querySelector('video').currentTime > 0")
    press(browser, " ")
    assert until(browser, "[...document.querySelectorAll('video')].every(video => video.paused)")
    assert browser.find_element(By.ID, "play").text == "Play"
    press(browser, "j")
    press(browser, Keys.ARROW_LEFT * 10)
    until(browser, "document.querySelector('.cell.current video').currentTime < .13")
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    # In the middle of the third of eight frames.
    until(browser, "Math.abs(document.querySelector('.cell.current video').currentTime - 2.5 / 8) < .01")
    assert until(browser, "document.querySelector('.cell.current .face').textContent.startsWith('face 3 of 8')")
    press(browser, "j")
    assert browser.execute_script("return [...document.querySelectorAll('.cell')].indexOf(document.activeElement)") == 1
    press(browser, "w")
    assert browser.find_element(By.ID, "order").get_attribute("value") == "worst"
    press(browser, "/")
    press(browser, "j w")
    assert browser.find_element(By.ID, "text").get_attribute("value") == "j w"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_dark(browser, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for name in ("body", ".seed", "figcaption", ".why", "button"):
        ink, paper = browser.execute_script(
            """
            const element = document.querySelector(arguments[0]) ?? document.body;
            let behind = element;
            const seen = one => getComputedStyle(one).backgroundColor;
            while (behind && seen(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
            return [getComputedStyle(element).color, seen(behind ?? document.body)];
            """,
            name,
        )
        assert contrast(ink, paper) >= 4.5, (name, ink, paper)
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(background) < 0.2) == (scheme == "dark")


def luminance(colour):
    values = [float(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    """The ratio of WCAG 2."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_nothing_is_wider_than_a_phone(browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.refresh()
    until(browser, "document.querySelector('video') !== null")
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= 375
    sides = browser.execute_script(
        "return [...document.querySelector('.films').children].map(film => film.getBoundingClientRect().left)"
    )
    # Two films side by side.
    assert len(set(sides)) == 2
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
