"""Did the loop work, and where: coverage by generation, by task size, by domain, on known sizes and on new ones."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from iterdeploy.metrics.records import Metrics, Point
from iterdeploy.metrics.results import TaskResult, solved
from iterdeploy.metrics.words import share
from iterdeploy.report.drawing import figure, tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.painting import LOOKS, Curve, Field
from iterdeploy.report.drawing.tables import NOTHING, SPLITS, traces_where
from iterdeploy.report.drawing.trend import SHARE, trend
from iterdeploy.report.facts.contents import Contents, never_seen
from iterdeploy.tables import Cell, Link, Table


def coverage(metrics: Sequence[Metrics]) -> Figure:
    """The figure that answers whether the loop worked; some generation must be measured."""
    lines, spoken = [], []
    for look, (split, title) in zip(LOOKS, SPLITS.items(), strict=False):
        shown = {one.generation: found for one in metrics if (found := one.coverage(split))}
        if not shown:
            continue
        lines.append(
            Curve(
                f"{title} tasks",
                list(shown),
                [found.coverage for found in shown.values()],
                look,
                [found.interval.low for found in shown.values()],
                [found.interval.high for found in shown.values()],
            )
        )
        last = list(shown.values())[-1]
        spoken.append(f"{title} {share(Point(last.coverage, last.interval.low, last.interval.high))}")
    return figure.curves(
        "coverage",
        "Coverage by generation",
        "The share of tasks that one answer is expected to solve, with 95% intervals. Held-out tasks only measure; "
        "answers to deployed tasks may train later generations.",
        f"Line chart of coverage by generation. Generation {metrics[-1].generation}: {', '.join(spoken)}.",
        lines,
        SHARE,
        _coverage_table(metrics),
        down=370,
    )


def _coverage_table(metrics: Sequence[Metrics]) -> Table:
    head = ["generation"]
    for split in SPLITS.values():
        head += [f"{split} coverage", "95% interval", "tasks"]
    rows = []
    for one in metrics:
        row: list[Cell] = [Link(str(one.generation), traces_where(generation=one.generation))]
        for split in SPLITS:
            found = one.coverage(split)
            if found is None:
                row += [NOTHING] * 3
                continue
            target = traces_where(generation=one.generation, split=split, verdict="valid")
            row.append(Link(tables.share(found.coverage), target))
            row += [tables.interval(found.interval), tables.number(found.tasks)]
        rows.append(row)
    return Table("", head, rows)


def kept_apart(contents: Contents) -> Figure | None:
    """Reliability and generalisation as two curves; None where nobody says which sizes the base model knew."""
    seen = contents.seen_sizes
    if not seen:
        return None
    split = contents.counts.measured_split
    known = _solved(contents, split, lambda one: not never_seen(seen, one.domain, one.size))
    new = _solved(contents, split, lambda one: never_seen(seen, one.domain, one.size))
    if not known or not new:
        return None
    rows = contents.counts.tasks[max(known), split]
    unseen = sum(never_seen(seen, row.domain, row.size) for row in rows)
    tasks = f"{len(rows) - unseen:,} {SPLITS[split]} tasks of sizes seen, {unseen:,} of sizes never seen"
    return trend(
        "reliability-generalisation",
        "Reliability and generalisation",
        "Two effects kept apart: doing more reliably what pretraining already taught, and solving tasks of sizes that "
        f"pretraining never showed ({tasks}; 95% intervals).",
        SHARE,
        {"sizes seen in pretraining": known, "sizes never seen": new},
    )


def _solved(contents: Contents, split: str, wanted: Callable[[TaskResult], bool]) -> dict[int, Point]:
    """Generation -> coverage on the wanted tasks."""
    found = {
        one.generation: solved(filter(wanted, contents.counts.tasks.get((one.generation, split), ())))
        for one in contents.metrics
    }
    return {generation: one for generation, one in found.items() if one is not None}


def by_size(contents: Contents) -> list[Figure]:
    """A heat map per domain, because each domain has its own unit of size."""
    return [_sizes_of(domain, contents) for domain in contents.counts.domains]


def _sizes_of(domain: str, contents: Contents) -> Figure:
    split = contents.counts.measured_split
    generations = [one.generation for one in contents.metrics]
    groups: dict[int, dict[int, list[TaskResult]]] = defaultdict(lambda: defaultdict(list))
    for generation in generations:
        for row in contents.counts.tasks.get((generation, split), ()):
            if row.domain == domain:
                groups[row.size][generation].append(row)
    sizes = sorted(groups)
    found = {size: [solved(groups[size][generation]) for generation in generations] for size in sizes}
    asked = {size: max(map(len, groups[size].values())) for size in sizes}
    unseen = {size for size in sizes if never_seen(contents.seen_sizes, domain, size)}
    names = {size: f"{size} new" if size in unseen else str(size) for size in sizes}

    def target(size: int, generation: int) -> str:
        return traces_where(generation=generation, split=split, domain=domain, size=size)

    fields = [
        [
            Field(None, NOTHING) if cell is None else Field(cell.value, f"{100 * cell.value:.0f}", target(size, g))
            for g, cell in zip(generations, found[size], strict=True)
        ]
        for size in sizes
    ]
    table: list[list[Cell]] = [
        [
            names[size],
            tables.number(asked[size]),
            *(_size_cell(cell, target(size, g)) for g, cell in zip(generations, found[size], strict=True)),
        ]
        for size in sizes
    ]
    several = len(contents.counts.domains) > 1
    counted = sorted(asked.values())
    tasks = f"{counted[0]:,}" if counted[0] == counted[-1] else f"{counted[0]:,} to {counted[-1]:,}"
    return figure.heat(
        f"by-size-{domain}" if several else "by-size",
        f"Coverage by task size: {domain}" if several else "Coverage by task size",
        f"Per cent of the {SPLITS[split]} tasks of each size that one answer solves, {tasks} tasks a size."
        + (" Sizes marked new were not in the base model's pretraining." if unseen else ""),
        f"Heat map of {SPLITS[split]} coverage by task size, {sizes[0]} to {sizes[-1]}, and generation.",
        fields,
        [names[size] for size in sizes],
        [str(generation) for generation in generations],
        Table("", ["size", "tasks", *(f"generation {g}" for g in generations)], table),
    )


def _size_cell(cell: Point | None, target: str) -> Cell:
    if cell is None:
        return NOTHING
    return Link(f"{tables.share(cell.value)} ({tables.ends(cell.low, cell.high, tables.share)})", target)


def by_domain(contents: Contents) -> Figure | None:
    """Coverage of each domain; None for a run of one domain."""
    counts = contents.counts
    if len(counts.domains) < 2:
        return None
    split = counts.measured_split
    found = {
        domain: _solved(contents, split, lambda one, domain=domain: one.domain == domain)  # type: ignore[misc]
        for domain in counts.domains
    }
    generations = [one.generation for one in contents.metrics]
    fields, rows = [], []
    for domain, points in found.items():
        targets = {g: traces_where(generation=g, split=split, domain=domain) for g in generations}
        fields.append([Field(points[g].value, f"{100 * points[g].value:.0f}", targets[g]) for g in generations])
        rows.append([domain, *(_size_cell(points[g], targets[g]) for g in generations)])
    return figure.heat(
        "by-domain",
        "Coverage by domain",
        f"Per cent of the {SPLITS[split]} tasks of each domain that one answer solves; the intervals are in the table.",
        f"Heat map of {SPLITS[split]} coverage by domain and generation.",
        fields,
        list(found),
        [str(generation) for generation in generations],
        Table("", ["domain", *(f"generation {g}" for g in generations)], rows),
    )
