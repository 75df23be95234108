"""The figures of a comparison: the same measures as a run's, one curve or row for each arm."""

from collections.abc import Callable, Sequence

from iterdeploy.metrics.records import Coverage, Diversity, Metrics, Nats, Point
from iterdeploy.report.comparison.runs import Arm, Comparison, Wanted, never_seen, seen
from iterdeploy.report.drawing import figure, tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.painting import Bar, Field, Height, Part
from iterdeploy.report.drawing.tables import NOTHING, SPLITS
from iterdeploy.report.drawing.trend import HUNDREDTHS, SHARE, TENTHS, THOUSANDTHS, WHOLE, Series, trend
from iterdeploy.report.facts import contents
from iterdeploy.report.figures.verdicts import COLOURS
from iterdeploy.tables import Table
from iterdeploy.types import JUDGED

Read = Callable[[Metrics], float | None]


def coverages(comparison: Comparison) -> list[Figure]:
    """The coverage that is compared first."""
    splits = [comparison.split, *(split for split in SPLITS if split != comparison.split)]
    made = [_coverage(comparison.arms, split) for split in splits]
    return [one for one in made if one is not None]


def _coverage(arms: Sequence[Arm], split: str) -> Figure | None:
    words = SPLITS[split]
    return trend(
        f"coverage-{words}",
        f"{words.capitalize()} coverage by generation",
        f"The share of {words} tasks that one answer is expected to solve. Bands are 95% intervals.",
        SHARE,
        {arm.title: arm.coverage(split) for arm in arms},
    )


def kept_apart(comparison: Comparison) -> list[Figure]:
    """Reliability and generalisation; nothing where nobody says which sizes the base models knew."""

    def made(name: str, title: str, caption: str, wanted: Wanted) -> Figure | None:
        series = {arm.title: arm.coverage(comparison.split, wanted) for arm in comparison.arms}
        return trend(name, title, caption, SHARE, series)

    found = [
        made("reliability", "Reliability", "Coverage of tasks of sizes that pretraining showed.", seen),
        made(
            "generalisation", "Generalisation", "Coverage of tasks of sizes that pretraining never showed.", never_seen
        ),
    ]
    return [one for one in found if one is not None]


def frontiers(comparison: Comparison) -> list[Figure]:
    """One figure per domain, because each has its own unit of size; one curve per arm."""
    found = {arm.title: arm.frontiers(comparison.split) for arm in comparison.arms}
    domains = sorted({domain for by_generation in found.values() for one in by_generation.values() for domain in one})
    made = []
    for domain in domains:
        series = {
            title: {
                generation: Point(one.size, one.low, one.high)
                for generation, by_domain in by_generation.items()
                if (one := by_domain.get(domain)) is not None and one.size is not None
            }
            for title, by_generation in found.items()
        }
        several = len(domains) > 1
        made.append(
            trend(
                f"frontier-{domain}" if several else "frontier",
                f"Frontier by generation: {domain}" if several else "Frontier by generation",
                f"The largest size of which a tenth of the {SPLITS[comparison.split]} tasks is solved, with the sizes "
                "that it may be (95%).",
                WHOLE,
                series,
            )
        )
    return [one for one in made if one is not None]


def by_size(comparison: Comparison) -> list[Figure]:
    """The last generation's coverage by task size, one heat map per domain."""
    domains = sorted({domain for arm in comparison.arms for run in arm.runs for domain in run.counts.domains})
    return [_sizes_of(domain, len(domains) > 1, comparison) for domain in domains]


def _sizes_of(domain: str, several: bool, comparison: Comparison) -> Figure:
    runs = [run for arm in comparison.arms for run in arm.runs]
    rows = (task for run in runs for task in run.tasks(0, comparison.split) if task.domain == domain)
    sizes = sorted({task.size for task in rows})
    new = {size for size in sizes if all(contents.never_seen(run.seen_sizes, domain, size) for run in runs)}
    columns = [f"{size}*" if size in new else str(size) for size in sizes]
    found = [[_last(arm, comparison.split, domain, size) for size in sizes] for arm in comparison.arms]
    table = [
        [arm.title, *(_point_cell(point) for point in points)]
        for arm, points in zip(comparison.arms, found, strict=True)
    ]
    return figure.heat(
        f"by-size-{domain}" if several else "by-size",
        f"Coverage by task size: {domain}" if several else "Coverage by task size",
        f"Per cent of the {SPLITS[comparison.split]} tasks of each size that the last generation solves; the intervals "
        "are in the table." + (" Sizes with an asterisk were in no base model's pretraining." if new else ""),
        "Heat map of the last generation's coverage by run and task size.",
        [[_field(point) for point in points] for points in found],
        [arm.title for arm in comparison.arms],
        columns,
        Table("", ["", *(f"size {column}" for column in columns)], table),
        "task size",
    )


def _last(arm: Arm, split: str, domain: str, size: int | None) -> Point | None:
    return arm.coverage_at(arm.last, split, lambda _, task: task.domain == domain and size in (None, task.size))


def _field(point: Point | None) -> Field:
    return Field(None, NOTHING) if point is None else Field(point.value, f"{100 * point.value:.0f}")


def _point_cell(point: Point | None) -> str:
    if point is None:
        return NOTHING
    return f"{tables.share(point.value)} ({tables.ends(point.low, point.high, SHARE.form)})"


def by_domain(comparison: Comparison) -> Figure | None:
    domains = sorted({domain for arm in comparison.arms for run in arm.runs for domain in run.counts.domains})
    if len(domains) < 2:
        return None
    found = [[_last(arm, comparison.split, domain, None) for domain in domains] for arm in comparison.arms]
    rows = [[domain, *(_point_cell(points[place]) for points in found)] for place, domain in enumerate(domains)]
    titles = [arm.title for arm in comparison.arms]
    return figure.heat(
        "by-domain",
        "Coverage by domain",
        f"Per cent of each domain's {SPLITS[comparison.split]} tasks that the last generation solves; the intervals "
        "are in the table.",
        "Heat map of the last generation's coverage by domain and run.",
        [[_field(points[place]) for points in found] for place in range(len(domains))],
        domains,
        [title.replace(" (", "\n(") for title in titles],
        Table("", ["domain", *titles], rows),
        "",
    )


def trends(comparison: Comparison) -> list[Figure]:
    split, words = comparison.split, SPLITS[comparison.split]

    def made(name: str, title: str, caption: str, height: Height, read: Read) -> Figure | None:
        series: dict[str, Series] = {arm.title: arm.mean(read) for arm in comparison.arms}
        return trend(name, title, caption, height, series)

    def solved(read: Callable[[Coverage], float | None]) -> Read:
        return lambda one: None if (found := one.coverage(split)) is None else read(found)

    def varied(of: str, read: Callable[[Diversity], float | None]) -> Read:
        return lambda one: None if (found := one.diversity.get(of)) is None else read(found)

    found = [
        made("longest-plan", "Longest valid plan", f"In steps, on {words} tasks.", TENTHS,
             solved(lambda found: found.longest_plan)),
        made("cost-ratio", "Cost against reference plans", f"Mean over the valid plans for {words} tasks, as a "
             "multiple of the reference plan's.", HUNDREDTHS, solved(lambda found: found.cost_ratio)),
        made("reasoning-tokens", "Reasoning tokens", f"Mean over all answers to {words} tasks.", TENTHS,
             solved(lambda found: found.reasoning_tokens)),
        made("entropy", "Entropy per token", f"In nats, of the answers to {words} tasks.", THOUSANDTHS,
             varied(split, lambda found: _per_token(found.entropy))),
        made("distinct-answers", "Distinct answers per valid sample", "Of the answers to deployed tasks; from near 0, "
             "always the same answer, to 1. Compare only arms with equally many samples a task.", HUNDREDTHS,
             varied("deployed", lambda found: found.distinct_per_valid)),
        made("drift", "Distance from the base model", "KL(generation 0 || this one) per token, in nats.", THOUSANDTHS,
             lambda one: None if one.drift is None else _per_token(one.drift.kl)),
    ]  # fmt: skip
    return [one for one in found if one is not None]


def _per_token(nats: Nats | None) -> float | None:
    return None if nats is None else nats.per_token.value


def verdicts(comparison: Comparison) -> Figure:
    """The shares of the last generation's verdicts, all seeds of an arm together."""
    counts = {
        arm.title: {status: sum(run.metrics[arm.last].verdicts[status] for run in arm.runs)
                    for status in JUDGED}
        for arm in comparison.arms
    }  # fmt: skip
    occurring = [status for status in JUDGED if any(found[status] for found in counts.values())]
    bars = [
        Bar(title, [Part(status, found[status] / sum(found.values()), COLOURS[status]) for status in occurring])
        for title, found in counts.items()
    ]
    rows = [
        [title, *(tables.counted(found[status], sum(found.values())) for status in JUDGED)]
        for title, found in counts.items()
    ]
    return figure.bars(
        "verdicts",
        "Verdicts",
        "Of all answers of the last generation, to held-out and deployed tasks together.",
        "Stacked bars: the shares of the last generation's verdicts, one bar per run.",
        bars,
        "{:.0%}".format,
        Table("", ["", *JUDGED], rows),
    )
