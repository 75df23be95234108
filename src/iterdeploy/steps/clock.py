"""Where a run's wall time goes, by generation and activity."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Activity(StrEnum):
    SAMPLING = "sampling"
    VALIDATION = "validation"
    TRAINING = "training"
    OTHER = "other"
    """What no one claims."""


class Clock:
    """Attributes every moment to one activity; what no one claims is `OTHER`.

    Time spent inside `activity` counts for the innermost one. `take` hands over what has gathered since it was last
    called, so that it can be stored together with the work it was spent on.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._activities = [Activity.OTHER]
        self._since = time.perf_counter()
        self._spent: dict[tuple[int, str], float] = defaultdict(float)

    @contextmanager
    def activity(self, name: Activity) -> Iterator[None]:
        self._settle()
        self._activities.append(name)
        try:
            yield
        finally:
            self._settle()
            self._activities.pop()

    def take(self) -> dict[tuple[int, str], float]:
        """(generation, activity) -> seconds since the last call."""
        self._settle()
        spent = dict(self._spent)
        self._spent.clear()
        return spent

    def _settle(self) -> None:
        now = time.perf_counter()
        self._spent[self.generation, self._activities[-1]] += now - self._since
        self._since = now
