"""A table as data, for the terminal, the report and the documentation alike. Imports nothing of this package."""

from collections.abc import Sequence
from dataclasses import dataclass

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first cell of each names it."""
    notes: tuple[str, ...] = ()


def markdown(table: Table) -> str:
    """As documentation shows it."""
    lines: Sequence[Sequence[str]] = [table.columns, ["---"] * len(table.columns), *table.rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{table.title}**\n\n{body}\n\n" + "".join(f"- {note}\n" for note in table.notes)
