"""Guess the number: an environment in which a model acts, reads what comes of it, and acts again."""

import random
from collections.abc import Sequence

from iterdeploy import Observation, Task

NUMBERS = 16


class Guess:
    """The tasks. One is solved by finding its number within `sampling.max_turns` turns."""

    def __init__(self, options: object, seed: int) -> None:
        self._seed = seed
        self.held_out = [self._task("held_out", i) for i in range(100)]

    def _task(self, split: str, index: int) -> Task:
        number = random.Random(f"{self._seed} {split} {index}").randint(1, NUMBERS)
        payload = {"number": str(number), "name": f"{split} {index}"}
        return Task.make(domain="guess", size=NUMBERS, split=split, prompt=f"1 to {NUMBERS}\n", payload=payload)

    def deployed(self, generation: int) -> Sequence[Task]:
        return [self._task("deployed", i) for i in range(200)]

    def environment(self) -> "Game":
        return Game()


class Game:
    def reset(self, task: Task) -> Observation:
        self._number = int(task.payload["number"])
        return Observation()  # the prompt says it all

    def step(self, action: str) -> Observation:
        if not action.strip().isdecimal():
            return Observation("a number\n")
        said = int(action)
        return Observation("higher\n" if said < self._number else "lower\n", said == self._number, said == self._number)
