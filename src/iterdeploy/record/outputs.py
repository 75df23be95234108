"""What a run's folder says, as records: how the run stands, and what a training reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from iterdeploy.record.files import RunDirError

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class State:
    """How a run stands."""

    name: str
    """running, complete, interrupted, or why the run stopped by itself, such as no_traces_to_train_on."""
    reason: str = ""
    """Why a run stopped by itself, and what to change."""
    process: int | None = None
    """The id of the process that works on it."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Domain -> verdict -> answers of the generation that stopped it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an optimiser."""

    loss: float
    """Per token, in nats."""
    gradient_norm: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """training.json. A trainer of somebody else's leaves out what it does not know."""

    examples: int | None = None
    validation_examples: int | None = None
    steps: int | None = None
    tokens: int | None = None
    first_loss: float | None = None
    last_loss: float | None = None
    validation_loss: Sequence[float | None] = ()
    """Before training and after every epoch, on the examples that were kept out of it."""
    importance: Sequence[Mapping[str, float]] = ()
    """What was measured of the importance ratios at the beginning of each epoch."""
    seconds: float | None = None
    log: Sequence[Step] = ()


def parsed(kind: type[Record], values: Mapping[str, Any], path: Path) -> Record:
    """The record that the file in `path` holds. RunDirError where it has another form."""
    try:
        record: Record = _adapter(kind).validate_python(values)
        return record
    except ValidationError as error:
        raise RunDirError(
            f"{path}: another version of iterdeploy wrote this file in another form ({error.error_count()} values do "
            "not fit); use that version"
        ) from None


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made once for each kind, which takes milliseconds."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
