"""Environments of the package `gymnasium` for a model that reads and writes text.

What a model reads and how its words become an action are your own functions, so the task set is made in a file of
one's own, which `tasks.kind` names:

    # lake.py; tasks.kind = "lake.py:lake"
    from iterdeploy.tasks.gymnasium import GymnasiumTasks

    MOVES = ["left", "down", "right", "up"]

    def lake(options, seed):
        return GymnasiumTasks(
            "FrozenLake-v1", seed=seed, deployed=50, held_out=20, prompt="Cross the lake: left, down, right or up.\\n",
            render=lambda observation: f"row {observation // 4}, column {observation % 4}\\n",
            parse=lambda said: MOVES.index(said.strip()),
            is_slippery=False,
        )

A task is a seed of the environment. An episode that the environment ends or truncates is done; it is valid if its
rewards come to `threshold` or more. Where `parse` raises ValueError, nothing happens and the model reads why.
"""

from collections.abc import Callable, Sequence
from typing import Any

from iterdeploy.sections import ConfigError
from iterdeploy.types import Observation, Task, content_hash

Render = Callable[[Any], str]
"""An observation of the environment -> what the model reads."""
Parse = Callable[[str], Any]
"""What the model wrote -> an action of the environment; ValueError where it is none."""


class GymnasiumTasks:
    def __init__(
        self,
        environment_id: str,
        *,
        seed: int,
        deployed: int,
        held_out: int,
        prompt: str,
        render: Render,
        parse: Parse,
        threshold: float = 1.0,
        size: int = 1,
        **options: Any,
    ) -> None:
        """`prompt`: what the model reads before the first observation. `options`: of `gymnasium.make`. ConfigError
        where the package is not installed."""
        try:
            import gymnasium
        except ImportError:
            raise ConfigError(
                "tasks.kind: the package gymnasium is not installed: pip install 'iterdeploy[gymnasium]'"
            ) from None
        self.threshold = threshold
        make: Callable[..., Any] = gymnasium.make
        self._make: Callable[[], GymnasiumEpisode] = lambda: GymnasiumEpisode(
            make(environment_id, **options), render, parse
        )
        self._deployed = [self._task(environment_id, size, "deployed", i, seed, prompt) for i in range(deployed)]
        self.held_out = [self._task(environment_id, size, "held_out", i, seed, prompt) for i in range(held_out)]

    def deployed(self, generation: int) -> Sequence[Task]:
        return self._deployed

    def environment(self) -> "GymnasiumEpisode":
        return self._make()

    def _task(self, name: str, size: int, split: str, index: int, seed: int, prompt: str) -> Task:
        number = int(content_hash("gymnasium", seed, split, index)[:7], 16)
        return Task.make(domain=name, size=size, split=split, prompt=prompt, payload={"seed": str(number)})


class GymnasiumEpisode:
    def __init__(self, environment: Any, render: Render, parse: Parse) -> None:
        self._environment = environment
        self._render = render
        self._parse = parse

    def reset(self, task: Task) -> Observation:
        observation, _ = self._environment.reset(seed=int(task.payload["seed"]))
        return Observation(self._render(observation))

    def step(self, action: str) -> Observation:
        try:
            chosen = self._parse(action)
        except ValueError as error:
            return Observation(f"{error}\n")
        observation, reward, terminated, truncated, _ = self._environment.step(chosen)
        return Observation(self._render(observation), float(reward), bool(terminated or truncated))
