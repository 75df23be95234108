"""A table as data, for the terminal, the report and the documentation alike. Imports nothing of this package."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Link:
    """A cell of a page that leads to what it counts; elsewhere its text alone is shown."""

    text: str
    target: str

    def __str__(self) -> str:
        return self.text


Cell = str | Link
Row = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    """Empty where the table belongs to something that has a title."""
    columns: Sequence[str]
    rows: Sequence[Row]
    """The first cell of each names it."""
    notes: Sequence[str] = ()
    headings: Mapping[int, str] = field(default_factory=dict)
    """Number of a row -> the heading above it, where rows stand in groups."""

    def groups(self) -> Iterator[tuple[str, Sequence[Row]]]:
        """(heading, rows) of each group; without headings, one group whose heading is empty."""
        for start, end in pairwise([*sorted({0, *self.headings}), len(self.rows)]):
            yield self.headings.get(start, ""), self.rows[start:end]


def grouped(columns: Sequence[str], groups: Mapping[str, Sequence[Row]]) -> Table:
    """A table of groups of rows, by their headings.

    >>> table = grouped(["", "tasks"], {"blocks": [["a", "1"], ["b", "2"]], "none": [], "cars": [["c", "3"]]})
    >>> dict(table.headings), list(table.groups())[1]
    ({0: 'blocks', 2: 'cars'}, ('cars', [['c', '3']]))
    """
    rows: list[Row] = []
    headings = {}
    for heading, those in groups.items():
        if those:
            headings[len(rows)] = heading
            rows += those
    return Table("", columns, rows, headings=headings)


def markdown(table: Table) -> str:
    """As documentation shows it."""
    lines: Sequence[Row] = [table.columns, ["---"] * len(table.columns), *table.rows]
    body = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    return f"**{table.title}**\n\n{body}\n\n" + "".join(f"- {note}\n" for note in table.notes)
