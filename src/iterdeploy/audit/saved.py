"""audit.json: an `Audit` as text, and back."""

import json
import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from iterdeploy.audit.records import Audit


@cache
def _form() -> TypeAdapter[Audit]:
    return TypeAdapter(Audit)


def as_json(audit: Audit) -> str:
    return _form().dump_json(audit, indent=1).decode() + "\n"


def as_values(audit: Audit) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(as_json(audit))
    return values


def read_audit(values: Mapping[str, Any] | None) -> Audit | None:
    """None where the run was not audited, or by a version of iterdeploy that wrote another form, which is said."""
    if values is None:
        return None
    try:
        return _form().validate_json(json.dumps(values))
    except ValidationError:
        logging.getLogger(__name__).warning(
            "audit.json was written by another version of iterdeploy and is left out; run `iterdeploy audit` again"
        )
        return None
