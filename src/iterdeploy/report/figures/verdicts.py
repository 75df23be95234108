"""What became of all answers, and why they were refused."""

from collections import Counter

from iterdeploy.record.counts import Failure
from iterdeploy.report.drawing import figure, tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.painting import Bar, Colour, Part
from iterdeploy.report.drawing.tables import traces_where
from iterdeploy.report.facts.contents import Contents
from iterdeploy.tables import Cell, Link, Table, grouped
from iterdeploy.types import JUDGED, Status

COLOURS = {
    Status.VALID: Colour("green"),
    Status.INVALID: Colour("orange"),
    Status.UNPARSEABLE: Colour("pink"),
    Status.TRUNCATED: Colour("sky"),
    Status.ERROR: Colour("vermillion"),
}

KINDS = 10
"""Kinds of failure that have a row of their own."""


def verdicts(contents: Contents) -> Figure:
    metrics = contents.metrics
    occurring = [status for status in JUDGED if any(one.verdicts[status] for one in metrics)]
    bars, rows = [], []
    for one in metrics:
        generation, found = one.generation, one.verdicts
        total = max(1, sum(found.values()))
        targets = {status: traces_where(generation=generation, verdict=status) for status in JUDGED}
        parts = [Part(status, found[status] / total, COLOURS[status], targets[status]) for status in occurring]
        bars.append(Bar(f"gen {generation}", parts))
        cells: list[Cell] = [Link(tables.counted(found[status], total), targets[status]) for status in JUDGED]
        rows.append([str(generation), *cells])
    return figure.bars(
        "verdicts",
        "Verdicts",
        "Of all answers, to held-out and deployed tasks together.",
        "Stacked bars: the shares of the verdicts, one bar per generation.",
        bars,
        "{:.0%}".format,
        Table("", ["generation", *JUDGED], rows),
    )


def reasons(contents: Contents) -> Table | None:
    """The commonest kinds of failure as shares of a generation's answers; None where every answer was valid."""
    failures = contents.counts.failures
    total: Counter[Failure] = Counter()
    for found in failures.values():
        total.update(found)
    if not total:
        return None
    generations = [one.generation for one in contents.metrics]
    answers = {one.generation: sum(one.verdicts.values()) for one in contents.metrics}
    common = [one for one, _ in total.most_common(KINDS)]
    groups: dict[str, list[list[Cell]]] = {}
    for status in JUDGED:
        groups[status.capitalize()] = [
            [kind.reason, *(_cell(failures.get(g, {}).get(kind, 0), answers[g], g, status) for g in generations)]
            for kind in common
            if kind.status == status
        ]
    rest = [sum(n for kind, n in failures.get(g, {}).items() if kind not in common) for g in generations]
    if any(rest):
        count = len(total) - len(common)
        shares = [tables.share(left / answers[g]) for left, g in zip(rest, generations, strict=True)]
        groups["All else"] = [[f"{count} rarer kind{'s' * (count > 1)}", *shares]]
    return grouped(["gen", *(str(g) for g in generations)], groups)


def _cell(times: int, answers: int, generation: int, status: Status) -> Link:
    return Link(tables.share(times / answers), traces_where(generation=generation, verdict=status))
