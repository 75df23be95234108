"""A number, with or without its interval, that may rise or fall over the generations: as curves and as their table."""

from collections.abc import Callable, Mapping

from iterdeploy.metrics.records import Point
from iterdeploy.report.drawing import figure, tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.painting import LOOKS, Curve, Height
from iterdeploy.report.drawing.tables import NOTHING
from iterdeploy.tables import Table

Series = Mapping[int, Point]
"""Generation -> point."""

SHARE = Height("{:.1%}".format, lambda value: f"{100 * value:g}%", most=1.0)
WHOLE = Height("{:,.0f}".format)
TENTHS = Height("{:,.1f}".format)
HUNDREDTHS = Height("{:,.2f}".format)
THOUSANDTHS = Height("{:,.3f}".format)


def trend(name: str, title: str, caption: str, height: Height, series: Mapping[str, Series]) -> Figure | None:
    """One curve for each series, by its title; None where there is no point at all."""
    found = {words: points for words, points in series.items() if points}
    if not found:
        return None
    generations = sorted({generation for points in found.values() for generation in points})
    lines = [curve(words, points, place) for place, (words, points) in enumerate(found.items())]
    with_interval = {words: any(point.low is not None for point in points.values()) for words, points in found.items()}
    head = ["generation"]
    for words in found:
        head += [words, "95% interval"] if with_interval[words] else [words]
    rows = []
    for generation in generations:
        row = [str(generation)]
        for words, points in found.items():
            row += _cells(points.get(generation), height.form, with_interval[words])
        rows.append(row)
    last = [f"{line.title} {height.form(line.y[-1])}" for line in lines]
    label = f"Line chart of {title[0].lower()}{title[1:]} by generation; last: {', '.join(last)}."
    return figure.curves(name, title, caption, label, lines, height, Table("", head, rows))


def curve(title: str, points: Series, place: int) -> Curve:
    """The series as the curve in this place among others; a band only where every point has an interval."""
    low = [point.low for point in points.values() if point.low is not None]
    high = [point.high for point in points.values() if point.high is not None]
    banded = len(low) == len(high) == len(points)
    values = [point.value for point in points.values()]
    look = LOOKS[place % len(LOOKS)]
    return Curve(title, list(points), values, look, low if banded else (), high if banded else ())


def _cells(point: Point | None, form: Callable[[float], str], with_interval: bool) -> list[str]:
    if point is None:
        return [NOTHING] * (1 + with_interval)
    if not with_interval:
        return [form(point.value)]
    return [form(point.value), tables.ends(point.low, point.high, form)]
