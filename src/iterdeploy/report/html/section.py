"""The parts of a page after its first screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from iterdeploy.report.drawing.figure import Figure
from iterdeploy.tables import Table


@dataclass(frozen=True, slots=True)
class Shown:
    """A table that stands for itself."""

    title: str
    note: str
    table: Table | None
    broad: bool = False
    """It has the whole width to itself."""
    points: Sequence[str] = ()
    """Remarks below it, or in its place."""


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    """Of the section, and of its link in the navigation."""
    introduction: str
    items: Sequence[Figure | Shown]


def section(identifier: str, title: str, introduction: str, *items: Figure | Shown | None) -> Section:
    return Section(identifier, title, introduction, [item for item in items if item is not None])


def shown(title: str, note: str, table: Table | None, *, broad: bool = False) -> Shown | None:
    return None if table is None else Shown(title, note, table, broad)
