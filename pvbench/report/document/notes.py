"""The small print of the tables: marks, intervals, what could not have been significant, signatures."""

import math
import statistics
from collections.abc import Iterable, Sequence

from pvbench.metrics import COLUMNS, columns_in
from pvbench.report.data import ReportData
from pvbench.report.statistics.score import SIGNIFICANT, Aggregates
from pvbench.stats import FEWEST_PROMPTS, smallest_sign_flip_p


def main_notes(data: ReportData, numbers: Aggregates) -> Iterable[str]:
    """What a reader of the main table must know."""
    roles = {variant.role: variant.label for variant in data.variants}
    apart = [
        text
        for role, text in (
            ("floor", f"`{roles.get('floor')}` is the untuned model (floor)"),
            ("ceiling", f"`{roles.get('ceiling')}` the true person as the renderer draws it (ceiling)"),
            ("retake", f"`{roles.get('retake')}` the same once more, by other chance"),
            ("control", "controls do what a metric can be cheated by"),
        )
        if role in roles
    ]
    ranked = sum(variant.role == "method" for variant in data.variants)
    if ranked > 1:
        second = ", underlined: than every other but the best" if ranked > 2 else ""
        rivals = f"; {'; '.join(apart)}: they do not compete" if apart else ""
        yield f"Bold: significantly better than every other method{second}{rivals}."
    elif apart:
        yield f"{'; '.join(apart)}."
    if len(data.people) > 1:
        yield (
            f"Small print: 95 % interval (Student's t) over the {_crossed(data)}. FVD has none: "
            "resampling repeats videos and moves the number."
        )
    if data.people != data.identities:
        yield (
            "It is not known of every video whom it shows: numbers over such videos have no interval, since any two "
            "may show one person, and tests leave these videos out."
        )
    if numbers.comparisons:
        yield (
            "Raised letters: significantly better than those rows (paired sign-flip test over people, Holm's "
            f"correction, p < {SIGNIFICANT:g}, and the interval excludes zero; the report lists every test)."
        )
    yield from separation_notes(data, numbers)
    yield from power_notes(data, numbers)
    if any(len(data.done(variant.label)) < len(data.planned(variant.label)) for variant in data.variants):
        yield "Videos: measured/planned. Where cells are missing, places and tests use the cells that all have."
    yield from data.remarks
    yield from (COLUMNS[name].note for name in columns_in("main", data.metrics) if COLUMNS[name].note)


def _crossed(data: ReportData) -> str:
    people, prompts = f"{len(data.people)} people", len(data.prompts)
    if prompts >= FEWEST_PROMPTS:
        return f"{people} and the {prompts} prompts"
    return f"{people}, under these prompts: {prompts} say nothing of others" if prompts > 1 else people


def separation_notes(data: ReportData, numbers: Aggregates) -> Iterable[str]:
    """What the line under a column says, where there are a floor and a ceiling."""
    blind = [COLUMNS[name].display for name in columns_in("main", data.metrics) if numbers.separates(name) is False]
    if any(test.family == "ceiling and floor" for test in numbers.comparisons):
        yield (
            "Ceiling above floor: whether the number tells the true person's videos from the untuned model's at this "
            "size, with the effect in standard deviations over people (d) and the test's p. A no beside a small p: it "
            "does on these prompts, but other prompts could turn it round. In a number that does not, no row is best"
            + (f": {', '.join(blind)} here." if blind else ".")
        )


def power_notes(data: ReportData, numbers: Aggregates) -> Iterable[str]:
    """What no outcome could have made significant, given the number of identities and of tests."""
    people = len(data.people)
    smallest = smallest_sign_flip_p(people)
    by_family: dict[str, int] = {}
    for test in numbers.comparisons:
        if test.column == "face_sim":
            by_family[test.family] = by_family.get(test.family, 0) + 1
    hopeless = {family: tests for family, tests in by_family.items() if tests * smallest >= SIGNIFICANT}
    if not hopeless:
        return
    if smallest >= SIGNIFICANT:
        yield (
            f"With {people} {'person' if people == 1 else 'people'} the smallest p of the sign-flip test is "
            f"{smallest:.3g}: no difference can be significant. It takes six, and more with several methods."
        )
        return
    for family, tests in hopeless.items():
        yield (
            f"With {people} people and {tests} tests ({family}) the smallest p after Holm is {tests * smallest:.3g} "
            "for the clearest difference: compare fewer methods or more people to mark any."
        )


def detectable_notes(data: ReportData, numbers: Aggregates) -> Iterable[str]:
    """Which difference between two methods this size would find, by number; nothing where none could be significant."""
    if smallest_sign_flip_p(len(data.people)) >= SIGNIFICANT:
        return
    said = []
    for name in columns_in("main", data.metrics):
        of_pairs = [t.detectable for t in numbers.comparisons if t.column == name and t.family == "methods"]
        if of_pairs and math.isfinite(middle := statistics.median(of_pairs)) and middle > 0:
            said.append(f"{COLUMNS[name].display} {COLUMNS[name].text(middle)}")
    if said:
        yield (
            f"With these {len(data.people)} people a difference of so much between two methods comes out with p < "
            f"{SIGNIFICANT:g}, before Holm, in four of five such runs (the median over the pairs of methods, by the "
            f"spread of their differences over people): {', '.join(said)}. Smaller ones are left undecided here, which "
            "does not make methods equal."
        )


def signature_lines(data: ReportData, numbers: Aggregates, names: Sequence[str]) -> Iterable[str]:
    """One line a signature; n differs between the rows and stands in the table."""
    lines: dict[str, None] = {}
    for name in names:
        for variant in data.variants:
            lines.setdefault(numbers.scores[variant.label][name].signature.without("n").short)
    return lines
