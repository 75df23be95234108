"""Environments: tasks that are solved in several turns, by a model that acts and reads what comes of it.

A task set whose class has a method `environment()` is one. It makes an object for one episode, with these methods:

    def reset(self, task): ...      # -> Observation: what the model reads after the task's prompt; often nothing
    def step(self, action): ...     # -> Observation(text, reward, done); `action` is all that the model wrote in a turn
    def verdict(self): ...          # optional: what there is to say of an episode that is over

An episode is valid if it is done with rewards of `threshold` or more in all, an attribute of the class, 1 if it has
none; `verdict` may say otherwise. An environment follows from the task and the actions alone: randomness comes from a
seed in the task's payload. So nothing of an episode in progress has to be kept. It is judged, resumed and judged again
from the model's turns; the environment that is under way is only remembered to save that time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from iterdeploy.types import JSON, Completion, Observation, Task, Verdict

Reply = Verdict | Observation
"""What is said to the model's last turn: an observation, or the verdict where the episode is over."""

REMEMBERED = 4096
"""Environments under way that a process holds."""


class Environment(Protocol):
    def reset(self, task: Task) -> Observation: ...

    def step(self, action: str) -> Observation: ...


@dataclass
class Episode:
    environment: Environment
    observed: list[Observation] = field(default_factory=list)
    """One more than actions were taken."""

    @property
    def reward(self) -> float:
        return sum(observation.reward for observation in self.observed)


class Episodes:
    """Says what an environment says to the model's turns so far."""

    def __init__(
        self, make: Callable[[], Environment], turns: int, threshold: float, alive: Callable[[], None] = lambda: None
    ) -> None:
        """`turns`: the most that an episode may have. `alive` is called before every call of the environment."""
        self._make = make
        self._turns = turns
        self._threshold = threshold
        self._alive = alive
        self._under_way: dict[tuple[str, ...], Episode] = {}

    def reply(self, task: Task, calls: Sequence[Completion]) -> Reply:
        """To the last of the calls; without one, what the model reads at the start. Raises what the environment does,
        and TypeError where it does not return an observation."""
        actions = [call.text for call in calls]
        if not actions:
            return self._remember(self._replay(task, ()), task, ())
        episode = self._under_way.pop((task.id, *actions[:-1]), None) or self._replay(task, actions[:-1])
        if calls[-1].finish_reason == "length":
            return told(Verdict.truncated(), episode.observed)
        self._act(episode, actions[-1])
        if episode.observed[-1].done or len(actions) >= self._turns:
            return told(self._verdict(episode), episode.observed)
        return self._remember(episode, task, actions)

    def _replay(self, task: Task, actions: Sequence[str]) -> Episode:
        episode = Episode(self._make())
        self._alive()
        episode.observed.append(_checked(episode.environment.reset(task)))
        for action in actions:
            self._act(episode, action)
        return episode

    def _act(self, episode: Episode, action: str) -> None:
        self._alive()
        episode.observed.append(_checked(episode.environment.step(action)))

    def _verdict(self, episode: Episode) -> Verdict:
        if hasattr(episode.environment, "verdict"):
            verdict = episode.environment.verdict()
            if not isinstance(verdict, Verdict):
                raise TypeError(f"verdict returned {verdict!r:.200}, not a Verdict")
            return verdict
        last, reward = episode.observed[-1], episode.reward
        facts = {"turns": float(len(episode.observed) - 1)}
        if last.done and reward >= self._threshold:
            return Verdict.valid(reward=reward, facts=facts)
        return Verdict.invalid(last.text if last.done else out_of_turns(self._turns), reward=reward, facts=facts)

    def _remember(self, episode: Episode, task: Task, actions: Sequence[str]) -> Observation:
        while len(self._under_way) >= REMEMBERED:
            del self._under_way[next(iter(self._under_way))]
        self._under_way[task.id, *actions] = episode
        return episode.observed[-1]


def out_of_turns(turns: int) -> str:
    return f"not done after {turns} turns"


def told(verdict: Verdict, observed: Sequence[Observation]) -> Verdict:
    """The verdict on an episode, with what the model read: in `answer`, under "observations", the first one being that
    of the start. Whatever else was read from the episode stands next to it."""
    answer: Mapping[str, JSON] = verdict.answer if isinstance(verdict.answer, Mapping) else {"answer": verdict.answer}
    return replace(verdict, answer={**answer, "observations": [observation.text for observation in observed]})


def observations_of(verdict: Verdict) -> list[str]:
    """What the model read in an episode; nothing where the answer was not one."""
    answer = verdict.answer
    observed = answer.get("observations") if isinstance(answer, Mapping) else None
    return [str(text) for text in observed] if isinstance(observed, list | tuple) else []


def _checked(observation: object) -> Observation:
    if not isinstance(observation, Observation) or not isinstance(observation.text, str):
        raise TypeError(f"an environment returns an Observation, not {observation!r:.200}")
    return observation
