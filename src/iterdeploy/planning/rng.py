"""A seeded source of choices that gives the same text on every platform and Python version.

Only `random.Random.random()` is promised to stay the same between Python versions; `choice`, `shuffle` and `sample`
are not. Generators draw from this class alone.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Rng:
    """Choices derived from `random()` only.

    >>> Rng("blocksworld", 7).below(1000) == Rng("blocksworld", 7).below(1000)
    True
    """

    def __init__(self, *seed: str | int) -> None:
        self._random = random.Random("/".join(str(part) for part in seed)).random

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self._random() * n)

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        out = list(items)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items, in random order."""
        return self.shuffled(items)[:count]
