"""What audit and theory found, where they were asked: their own tables, in a page."""

from collections.abc import Iterable

from iterdeploy.audit.records import Audit
from iterdeploy.audit.tables import tables as audit_tables
from iterdeploy.report.html.section import Shown
from iterdeploy.tables import Table
from iterdeploy.theory.records import Theory
from iterdeploy.theory.tables import tables as theory_tables

AUDIT = (
    "What curation rewards besides validity, whether the model picks it up, and warnings of what nobody asked for. "
    "From `iterdeploy audit`."
)
THEORY = "How much of the fine-tuning is REINFORCE, measured on the run's own traces. From `iterdeploy theory`."


def audit(found: Audit | None, of: str = "") -> list[Shown]:
    """`of` names the run where there are several."""
    if found is None:
        return []
    points = [f"Warning: {one.sentence}." for one in found.warnings]
    points += [one.sentence for one in found.findings if one.kind != "warning"]
    sentences = [Shown(f"{of}Findings", "", None, broad=True, points=points)] if points else []
    return sentences + _shown(audit_tables(found), of)


def theory(found: Theory | None, of: str = "") -> list[Shown]:
    return [] if found is None else _shown(theory_tables(found), of)


def table(one: Table, of: str = "") -> Shown:
    """A table as it stands on a terminal."""
    return Shown(f"{of}{one.title}", "", one, broad=True, points=one.notes)


def _shown(some: Iterable[Table], of: str) -> list[Shown]:
    return [table(one, of) for one in some]
