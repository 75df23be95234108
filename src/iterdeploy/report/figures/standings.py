"""How far the model gets, and what several answers to a task are worth."""

from collections.abc import Sequence

from iterdeploy.metrics.records import Point
from iterdeploy.metrics.standing import Standing
from iterdeploy.metrics.words import share
from iterdeploy.report.drawing import figure
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.tables import NOTHING
from iterdeploy.report.drawing.trend import SHARE, WHOLE, Series, curve, trend
from iterdeploy.tables import Table


def frontier(standings: Sequence[Standing]) -> Figure | None:
    """One curve for each temperature and domain; without generations that solve a tenth of no size."""
    temperatures = sorted({one.temperature for one in standings})
    domains = sorted({domain for one in standings for domain in one.frontiers})
    series: dict[str, Series] = {}
    for temperature in temperatures:
        for domain in domains:
            words = [f"temperature {temperature:g}"] if len(temperatures) > 1 or len(domains) == 1 else []
            title = ", ".join([*([domain] if len(domains) > 1 else []), *words])
            series[title] = {
                one.generation: Point(found.size, found.low, found.high)
                for one in standings
                if one.temperature == temperature and (found := one.frontiers.get(domain)) and found.size is not None
            }
    return trend(
        "frontier",
        "Frontier by generation",
        "The largest size of which a tenth of the held-out tasks is solved, with the sizes that it may be (95%). Where "
        "that reaches the largest size asked, the frontier may lie beyond.",
        WHOLE,
        series,
    )


def pass_at_k(standings: Sequence[Standing]) -> Figure | None:
    """At the temperature with most answers to a task; None where there is one answer to each."""
    if not standings or max(one.samples for one in standings) < 2:
        return None
    temperature = max(standings, key=lambda one: (one.samples, one.temperature)).temperature
    shown = [one for one in standings if one.temperature == temperature and len(one.pass_at_k) > 1]
    counts = sorted({k for one in shown for k in one.pass_at_k})
    rows = [[str(k), *(share(one.pass_at_k[k]) if k in one.pass_at_k else NOTHING for one in shown)] for k in counts]
    titles = [f"generation {one.generation}" for one in shown]
    return figure.curves(
        "pass-at-k",
        "Tasks that some of k answers solve",
        f"At temperature {temperature:g}, for k up to as many answers as each task has; 95% intervals over tasks. "
        "Where a later generation's curve starts higher but ends no higher, it is surer of what an earlier one could "
        "do.",
        f"Line chart of pass@k by k; last: {', '.join(share(list(one.pass_at_k.values())[-1]) for one in shown)}.",
        [curve(title, one.pass_at_k, place) for place, (title, one) in enumerate(zip(titles, shown, strict=True))],
        SHARE,
        Table("", ["k", *titles], rows),
        x_label="answers to each task (k)",
    )
