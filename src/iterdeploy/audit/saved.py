"""audit.json: an `Audit` as text, and back."""

import logging
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from iterdeploy.audit.records import Audit


@cache
def _form() -> TypeAdapter[Audit]:
    return TypeAdapter(Audit)


def as_json(audit: Audit) -> str:
    return _form().dump_json(audit, indent=1).decode() + "\n"


def read_audit(path: Path) -> Audit | None:
    """None where the run was not audited, or by a version of iterdeploy that wrote another form, which is said."""
    if not path.exists():
        return None
    try:
        return _form().validate_json(path.read_text(encoding="utf-8"))
    except ValidationError:
        logging.getLogger(__name__).warning(
            "%s was written by another version of iterdeploy and is left out; run `iterdeploy audit` again", path
        )
        return None
