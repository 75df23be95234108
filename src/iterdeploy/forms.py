"""Frozen records as JSON, and back. Imports nothing of this package."""

import json
import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)

Record = TypeVar("Record")


class Form(Generic[Record]):
    """The form of a file that a command writes into a run's folder."""

    def __init__(self, record: type[Record], file: str, command: str) -> None:
        self._record = record
        self._file = file
        self._command = command

    @cached_property
    def _adapter(self) -> TypeAdapter[Record]:
        return TypeAdapter(self._record)

    def text(self, record: Record) -> str:
        return self._adapter.dump_json(record, indent=1).decode() + "\n"

    def values(self, record: Record) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.text(record))
        return values

    def read(self, values: Mapping[str, Any] | None) -> Record | None:
        """None where there is nothing, or what a version of iterdeploy wrote that had another form, which is logged."""
        if values is None:
            return None
        try:
            return self._adapter.validate_json(json.dumps(values))
        except ValidationError:
            log.warning(
                "%s was written by another version of iterdeploy and is left out; run `%s` again",
                self._file,
                self._command,
            )
            return None
