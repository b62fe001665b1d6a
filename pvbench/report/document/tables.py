"""The report's tables of results: what each shows, and the notes without which its numbers mislead."""

import math
from collections.abc import Iterable, Mapping, Sequence

from pvbench.metrics import COLUMNS, PAPER, columns_in, metric_of
from pvbench.report.data import ReportData, ReportVariant
from pvbench.report.document.block import Entry, Table
from pvbench.report.document.judged_tables import judged_notes
from pvbench.report.document.notes import detectable_notes, main_notes, power_notes, signature_lines
from pvbench.report.statistics.score import Aggregates, Comparison, Kept, Place, Score
from pvbench.stats import Interval

KEPT = {
    "face_gained": ("Face gained", "Face Sim., from the floor (0) to the ceiling (100)"),
    "flow_kept": ("Motion kept", "mean flow, the untuned model's being 100"),
    "clip_t_kept": ("Prompt kept", "CLIP-T, the untuned model's being 100"),
}

_ROLES = {"floor": "floor", "method": "", "control": "control", "ceiling": "ceiling", "retake": "ceiling again"}


def row_letters(data: ReportData) -> dict[str, str]:
    """A letter for each variant, by which tables refer to its row: a to z, then aa, ab ..."""
    letters = {}
    for index, variant in enumerate(data.in_table_order):
        name = ""
        while index >= 0:
            name = chr(ord("a") + index % 26) + name
            index = index // 26 - 1
        letters[variant.label] = name
    return letters


def main_table(data: ReportData, numbers: Aggregates) -> Table:
    """The paper's six numbers for every method, with intervals, places, significance and signatures."""
    names = columns_in("main", data.metrics)
    whole = names == columns_in("main")
    caption = "The six numbers of the paper, mean over all videos" if whole else "Mean over all videos"
    notes = (*main_notes(data, numbers), *judged_notes(data, numbers, names))
    return _score_table(data, numbers, "results", caption, names, notes)


_WHO = frozenset({"face", "head", "colours"})
"""Parts of a profile whose evaluators tell who is shown, or whose colours."""


def beside_tables(data: ReportData, numbers: Aggregates) -> tuple[Table, ...]:
    """The companions of the six numbers: those that tell who is shown, then the others; none where none was asked for.

    Side by side they would be wider than a page.
    """
    names = columns_in("beside", data.metrics)
    who = tuple(name for name in names if metric_of(name).parts[0] in _WHO)
    rest = tuple(name for name in names if name not in who)
    shown = (("beside", "Companions of the six numbers: the person", who),
             ("beside-rest", "Companions of the six numbers: motion, prompt and the set", rest))  # fmt: skip
    return tuple(
        _score_table(data, numbers, name, caption, columns, (*_notes(columns), *judged_notes(data, numbers, columns)))
        for name, caption, columns in shown
        if columns
    )


def extra_table(data: ReportData, numbers: Aggregates) -> Table | None:
    """The metrics that were asked for in addition; None without any."""
    names = columns_in("extra", data.metrics)
    notes = (*_notes(names), *judged_notes(data, numbers, names))
    return _score_table(data, numbers, "extra", "Extra metrics", names, notes) if names else None


def _notes(names: Sequence[str]) -> tuple[str, ...]:
    """What the columns say of themselves, and what cheats a metric that is not the paper's."""
    notes = [COLUMNS[name].note for name in names]
    traps = [
        f"What cheats {metric.name}: {metric.trap}"
        for metric in dict.fromkeys(map(metric_of, names))
        if metric.trap and metric.name not in PAPER
    ]
    return tuple(dict.fromkeys(note for note in (*notes, *traps) if note))


def _score_table(
    data: ReportData, numbers: Aggregates, name: str, caption: str, columns: Sequence[str], notes: tuple[str, ...]
) -> Table:
    """A row for each method, a column for each of the numbers, and on how many videos they rest."""
    rows = tuple(
        (*_names(data, variant), *_scores(data, numbers, variant, columns), Entry(_videos(data, variant)))
        for variant in data.in_table_order
    )
    separation = _separation_row(numbers, columns)
    return Table(
        name=name,
        caption=caption,
        header=("", "Method", *(COLUMNS[column].header for column in columns), "Videos"),
        rows=(*rows, *separation),
        rules=(*_rules(data), *([len(rows)] if separation else [])),
        notes=notes,
        signatures=tuple(signature_lines(data, numbers, columns)),
        text_columns=2,
    )


def _separation_row(numbers: Aggregates, columns: Sequence[str]) -> tuple[tuple[Entry, ...], ...]:
    """Whether each number tells the ceiling from the floor at this size; no row where no number can be asked."""
    tests = [numbers.separation(column) for column in columns]
    if not any(tests):
        return ()
    return ((Entry(""), Entry("ceiling above floor?"), *(_separated(test) for test in tests), Entry("")),)


def _separated(test: Comparison | None) -> Entry:
    if test is None:
        return Entry("–", below="not tested")
    effect = "" if math.isnan(test.effect) else f"d {_signed(test.effect, COLUMNS[test.column].higher_is_better)}, "
    answer = {test.first: "yes", test.second: "reversed"}.get(test.winner, "no")
    return Entry(answer, below=f"{effect}p {_p(test.p)}")


def _signed(effect: float, higher_is_better: bool) -> str:
    """An effect size as printed: above zero where the first side is better."""
    return f"{effect if higher_is_better else -effect:.1f}"


def kept_table(data: ReportData, numbers: Aggregates) -> Table:
    """How much face each method gains, and what it keeps of the untuned model."""
    names = [name for name in KEPT if any(name in of_one for of_one in numbers.kept.values())]
    variants = [variant for variant in data.in_table_order if numbers.kept.get(variant.label)]
    return Table(
        name="kept",
        caption="What tuning gains and what it costs, in %",
        header=("Method", *(KEPT[name][0] for name in names)),
        rows=tuple(
            (Entry(_label(variant)), *(share_entry(numbers.kept[variant.label].get(name)) for name in names))
            for variant in variants
        ),
        rules=tuple(
            index for index, variant in enumerate(variants) if index and variant.role != variants[index - 1].role
        ),
        notes=(
            *(f"{KEPT[name][0]}: {KEPT[name][1]}." for name in names),
            "Small print: 95 % jackknife interval over the identities, over the cells that all compared sides have.",
            *(judged_notes(data, numbers, ("face_sim",)) if "face_gained" in names else ()),
        ),
    )


def comparison_table(data: ReportData, numbers: Aggregates) -> Table:
    """Every paired test that was made, by question."""
    order = {name: index for index, name in enumerate(COLUMNS)}
    tests = sorted(numbers.comparisons, key=lambda test: order[test.column])
    return Table(
        name="comparisons",
        caption="Paired comparisons over identities",
        header=("Number", "First", "Second", "First − second", "p", "p (Holm)", "People", "Videos"),
        rows=tuple(
            _comparison(test, named=not index or test.column != tests[index - 1].column)
            for index, test in enumerate(tests)
        ),
        rules=tuple(index for index in range(1, len(tests)) if tests[index].column != tests[index - 1].column),
        notes=(
            "Each test takes the mean difference of each person over the cells that both methods have; p is the "
            "two-sided sign-flip test over people, exact up to 16 of them. The interval lets people and prompts vary, "
            "so that it speaks of other prompts too. Bold: p < 0.05 after Holm, and the interval excludes zero.",
            "Numbers of sets (FVD, KVD): the difference with each person left out once, and Student's test on it.",
            "Holm's correction is made within a number and a question. There are four questions, fixed beforehand: "
            "the methods among each other, each method against the floor, the ceiling against each method, and the "
            "ceiling against the floor.",
            *power_notes(data, numbers),
            *detectable_notes(data, numbers),
        ),
        text_columns=3,
    )


def outlying_table(numbers: Aggregates) -> Table | None:
    """People whose difference stands apart in a comparison with the floor or between methods; None without any."""
    tests = [test for test in numbers.comparisons if test.outlying and test.family in ("methods", "against the floor")]
    if not tests:
        return None
    return Table(
        name="outlying",
        caption="People who stand apart from the others in a comparison",
        header=("Number", "First", "Second", "People"),
        rows=tuple(
            (
                Entry(COLUMNS[test.column].display),
                Entry(test.first),
                Entry(test.second),
                Entry(", ".join(test.outlying)),
            )
            for test in tests
        ),
        notes=(
            "More than 3.5 robust deviations from the median person's difference (Iglewicz and Hoaglin). Look at their "
            "videos before a mean that they move is believed: one broken adapter can look like a weak method.",
        ),
        text_columns=4,
    )


def set_name(data: ReportData, reference: str) -> str:
    """What a reference set of FVD is called: the folder that was given takes the place of the renderings."""
    given = next((given.name for given in data.reference_sets if given.pool is not None), reference)
    return given if reference == "rendered" else reference


def fvd_table(data: ReportData, numbers: Aggregates) -> Table | None:
    """FVD taken apart, with what sampling alone gives; None without a reference set."""
    rows: list[tuple[Entry, ...]] = []
    rules = []
    for name, reference in (("fvd", "rendered"), ("fvd_base", "base")):
        shown = set_name(data, reference)
        rules.append(len(rows))
        rows += [
            _fvd_row(variant, shown, score, _floor(numbers, reference))
            for variant in data.in_table_order
            if (score := _score(numbers, variant, name)).terms
        ]
    if not rows:
        return None
    return Table(
        name="fvd",
        caption="Fréchet video distance, taken apart",
        header=("Reference set", "Method", "FVD ↓", "Means", "Covariances", "Floor", "Videos"),
        rows=tuple(rows),
        rules=tuple(rule for rule in rules if 0 < rule < len(rows)),
        notes=(
            "FVD is the squared distance of the means plus that of the covariances.",
            _floor_note(numbers),
            *(f"The set `{given.name}`: {given.description}." for given in data.reference_sets),
        ),
        text_columns=2,
    )


def _floor_note(numbers: Aggregates) -> str:
    if any(floor.retake for floor in numbers.floors.values()):
        return (
            "Floor: the distance of the retake, the same cells rendered once more. Chance alone gives that much; "
            "differences between methods that are small beside it say nothing. Of a set without a retake: the mean "
            "distance between random halves of it, which are smaller and share no cells, so that methods can fall "
            "below it."
        )
    return (
        "Floor: the mean distance between random halves of the reference set itself, which are smaller than the sets "
        "of the methods and share no cells, so that methods can fall below it. Differences between methods that are "
        "small beside it say nothing. The row `retake` gives a better one."
    )


def _fvd_row(variant: ReportVariant, reference: str, score: Score, floor: str) -> tuple[Entry, ...]:
    terms = score.terms or {}
    parts = (score.value, terms["mean"], terms["covariance"])
    return (
        Entry(reference),
        Entry(_label(variant)),
        *(Entry(COLUMNS["fvd"].text(part)) for part in parts),
        Entry(floor),
        Entry(str(score.n)),
    )


def identity_table(data: ReportData, numbers: Aggregates) -> Table:
    """Face Sim. of each person under each method."""
    variants = data.in_table_order
    letters = row_letters(data)
    column = COLUMNS["face_sim"]
    means = [_score(numbers, variant, "face_sim").by_identity or {} for variant in variants]
    return Table(
        name="people",
        caption="Face Sim. of each person, mean over the person's videos",
        header=("Person", *(f"{letters[variant.label]} {variant.label}" for variant in variants)),
        rows=tuple(
            (
                Entry(identity.name),
                *(Entry(column.text(by_identity.get(identity.name, math.nan))) for by_identity in means),
            )
            for identity in data.identities
        ),
    )


def listed(facts: Mapping[str, object]) -> str:
    """Names and values in one line; a digest by its first twelve digits, since the files hold it whole."""
    return ", ".join(f"{name} {_listed(value)}" for name, value in facts.items()) or "–"


def _listed(value: object) -> str:
    if isinstance(value, Mapping):
        return f"({listed(value)})"
    if isinstance(value, list | tuple):
        return " ".join(map(_listed, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value)
    return f"{text[:12]}…" if len(text) >= 32 and set(text) <= set("0123456789abcdef") else text


def _names(data: ReportData, variant: ReportVariant) -> tuple[Entry, Entry]:
    return Entry(row_letters(data)[variant.label]), Entry(_label(variant))


def _label(variant: ReportVariant) -> str:
    role = _ROLES[variant.role]
    return f"{variant.label} ({role})" if role else variant.label


def _rules(data: ReportData) -> tuple[int, ...]:
    variants = data.in_table_order
    return tuple(index for index in range(1, len(variants)) if variants[index].role != variants[index - 1].role)


def _videos(data: ReportData, variant: ReportVariant) -> str:
    return f"{len(data.done(variant.label))}/{len(data.planned(variant.label))}"


def _score(numbers: Aggregates, variant: ReportVariant, name: str) -> Score:
    return numbers.scores[variant.label][name]


def _scores(data: ReportData, numbers: Aggregates, variant: ReportVariant, names: Sequence[str]) -> Iterable[Entry]:
    letters = row_letters(data)
    for name in names:
        score = _score(numbers, variant, name)
        place: Place = numbers.best.get(name, {}).get(variant.label, "")
        yield Entry(
            COLUMNS[name].text(score.value),
            below=_small_print(data, variant, name, score),
            place=place,
            letters=tuple(sorted(letters[label] for label in numbers.beaten_by(variant.label, name))),
        )


def _small_print(data: ReportData, variant: ReportVariant, name: str, score: Score) -> str:
    if math.isnan(score.value):
        return score.note
    parts = [_interval(name, score.interval)] if score.interval else []
    if score.n != len(data.done(variant.label)):
        parts.append(f"n {score.n}/{score.planned}")
    return " ".join(part for part in parts if part)


def _interval(name: str, interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    column = COLUMNS[name]
    return f"[{column.text(interval.low)}, {column.text(interval.high)}]"


def share_entry(share: Kept | None) -> Entry:
    """A share in %, above its interval."""
    if share is None or math.isnan(share.value):
        return Entry("–")
    low, high = share.interval.low, share.interval.high
    below = "" if math.isnan(low) else f"[{100 * low:.0f}, {100 * high:.0f}]"
    return Entry(f"{100 * share.value:.1f}", below=below)


def _floor(numbers: Aggregates, reference: str) -> str:
    floor = numbers.floors.get(reference)
    return COLUMNS["fvd"].text(floor.value) if floor else "–"


def _comparison(test: Comparison, named: bool) -> tuple[Entry, ...]:
    column = COLUMNS[test.column]
    sign = "" if test.difference < 0 else "+"
    return (
        Entry(column.display if named else ""),
        Entry(test.first),
        Entry(test.second),
        Entry(
            sign + column.text(test.difference),
            below=_interval(test.column, test.interval),
            place="best" if test.winner else "",
        ),
        Entry(_p(test.p)),
        Entry(_p(test.p_holm), place="best" if test.winner else ""),
        Entry(str(test.identities)),
        Entry(str(test.cells)),
    )


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
