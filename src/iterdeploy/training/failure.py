"""What went wrong in a training process, as a line of text, for the process that started the training."""

import os
import traceback
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from iterdeploy.sections import UserError
from iterdeploy.training.phase import TrainingError

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Failure:
    kind: str
    """Name of the exception's class; all that a user can fix are "UserError"."""
    message: str
    errno: int | None
    """The number and the file of an error of the operating system."""
    file: str | None
    trace: str
    cause: "Failure | None"
    """The exception that it came from."""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        cause = error.__cause__ or error.__context__
        return cls(
            kind="UserError" if isinstance(error, UserError) else type(error).__name__,
            message=str(error),
            errno=error.errno if isinstance(error, OSError) else None,
            file=error.filename if isinstance(error, OSError) else None,
            trace="".join(traceback.format_exception(error, chain=False)),
            cause=Failure.of(cause) if cause else None,
        )

    def exception(self) -> Exception:
        """An exception that means the same in this process."""
        error: Exception
        match self:
            case Failure(kind="UserError"):
                error = TrainingError(self.message)
            case Failure(kind="MemoryError"):
                error = MemoryError(self.message)
            case Failure(errno=int(number)):
                error = OSError(number, os.strerror(number), self.file)
            case _:
                error = RuntimeError(f"{self.kind}: {self.message}")
        error.__cause__ = self.cause.exception() if self.cause else None
        error.add_note(self.trace)
        return error

    def line(self) -> str:
        return _adapter().dump_json(self).decode()

    @classmethod
    def read(cls, line: str) -> "Failure":
        return _adapter().validate_json(line)


@cache
def _adapter() -> "TypeAdapter[Failure]":
    from pydantic import TypeAdapter

    return TypeAdapter(Failure)
