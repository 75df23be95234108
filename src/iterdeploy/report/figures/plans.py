"""What the plans are like: lengths, the longest, their cost against reference plans."""

from collections.abc import Callable, Sequence

from iterdeploy.metrics.records import Coverage, Metrics, Point
from iterdeploy.record.counts import mean_length
from iterdeploy.report.drawing import figure, tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.tables import NOTHING, SPLITS
from iterdeploy.report.drawing.trend import HUNDREDTHS, WHOLE, Series, trend
from iterdeploy.report.facts.contents import Contents
from iterdeploy.tables import Table, grouped


def lengths(contents: Contents) -> list[Figure]:
    """Histograms per domain: plans of different domains have nothing to do with each other."""
    return [one for domain in contents.counts.domains if (one := _lengths_of(domain, contents)) is not None]


def _lengths_of(domain: str, contents: Contents) -> Figure | None:
    counts = contents.counts
    split = counts.measured_split
    generations = [one.generation for one in contents.metrics]
    rows = [dict(counts.lengths.get((generation, split, domain), {})) for generation in generations]
    steps = sorted({length for row in rows for length in row})
    if not steps:
        return None
    several = len(counts.domains) > 1
    longest = [f"{max(row, default=0)} steps in generation {place}" for place, row in enumerate(rows)]
    table = [[str(length), *(tables.number(row.get(length, 0)) for row in rows)] for length in steps]
    return figure.histograms(
        f"plan-lengths-{domain}" if several else "plan-lengths",
        f"Lengths of valid plans: {domain}" if several else "Lengths of valid plans",
        f"On {SPLITS[split]} tasks, all rows on one scale. The triangle marks the longest plan.",
        f"Histograms of plan lengths, one per generation; longest plan: {', '.join(longest)}.",
        rows,
        [f"gen {generation}" for generation in generations],
        Table("", ["steps", *(f"generation {generation}" for generation in generations)], table),
        "steps of the plan",
    )


def trends(metrics: Sequence[Metrics]) -> list[Figure]:
    """Numbers of all domains together that may rise or fall, one figure each; without those that nothing measured."""
    made = [
        trend(
            "longest-plan", "Longest valid plan",
            "Steps of the longest plan that the validator accepted. More answers give longer extremes, so compare only "
            "within one split.",
            WHOLE, _by_split(metrics, lambda found: found.longest_plan),
        ),
        trend(
            "cost-ratio", "Cost against reference plans",
            "Mean cost of the valid plans, as a multiple of the reference plan's. Later generations also solve harder "
            "tasks, so a level curve can hide improvement.",
            HUNDREDTHS, _by_split(metrics, lambda found: found.cost_ratio),
        ),
    ]  # fmt: skip
    return [one for one in made if one is not None]


def _by_split(metrics: Sequence[Metrics], read: Callable[[Coverage], float | None]) -> dict[str, Series]:
    return {
        f"{words} tasks": {
            one.generation: Point(value)
            for one in metrics
            if (found := one.coverage(split)) and (value := read(found)) is not None
        }
        for split, words in SPLITS.items()
    }


def domain_table(contents: Contents) -> Table | None:
    """What the figures above would mix, by domain; None for a run of one domain or without plans."""
    counts = contents.counts
    if len(counts.domains) < 2 or not counts.lengths:
        return None
    groups = {}
    for domain in counts.domains:
        place = (counts.measured_split, domain)
        found = [one for one in counts.answers if (one.split, one.domain) == place]
        lengths = [counts.lengths.get((one.generation, *place), {}) for one in found]
        rows = [
            ["mean valid plan, steps", *(tables.mean(mean_length(of)) for of in lengths)],
            ["longest valid plan, steps", *(tables.number(max(of, default=None)) for of in lengths)],
            ["cost, times the reference plan's", *(tables.ratio(one.cost_ratio) for one in found)],
        ]
        groups[domain] = [row for row in rows if set(row[1:]) != {NOTHING}]
    return grouped(["generation", *(str(one.generation) for one in contents.metrics)], groups)
