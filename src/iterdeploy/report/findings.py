"""What audit and theory found, where they were asked: their own tables, in a page."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from iterdeploy.audit import tables as audit_tables
from iterdeploy.report.drawing.tables import Group, Table
from iterdeploy.report.html.section import Shown
from iterdeploy.theory import tables as theory_tables

AUDIT = (
    "What curation rewards beside validity, whether the model comes to do it, and warnings of what nobody asked for. "
    "From `iterdeploy audit`."
)
THEORY = "How much of the fine-tuning is REINFORCE, measured on the run's own traces. From `iterdeploy theory`."


def audit(found: Mapping[str, Any] | None, of: str = "") -> list[Shown]:
    """The content of audit.json; `of` names the run where there are several."""
    if found is None:
        return []
    told = [f"Warning: {one}" for one in found["warnings"]] + list(found["findings"])
    sentences = [Shown(f"{of}Findings", "", None, broad=True, points=told)] if told else []
    return sentences + [
        Shown(f"{of}{table.title}", "", _plain(table), broad=True) for table in audit_tables.tables(found)
    ]


def theory(found: Mapping[str, Any] | None, of: str = "") -> list[Shown]:
    """The content of theory.json: an entry for each generation that was asked about."""
    return [
        Shown(f"{of}{table.title}", "", Table(table.columns, [Group(table.rows)]), broad=True, points=table.notes)
        for entry in (found or {}).values()
        for table in theory_tables.tables(entry)
    ]


def _plain(table: RichTable) -> Table:
    columns = [[Text.from_markup(str(cell)).plain for cell in column.cells] for column in table.columns]
    head = [Text.from_markup(str(column.header)).plain for column in table.columns]
    return Table(head, [Group(list(zip(*columns, strict=True)))])
