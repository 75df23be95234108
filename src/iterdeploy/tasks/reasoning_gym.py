"""Tasks of the package `reasoning-gym`: more than a hundred generators, each with a scorer of its own.

    [tasks]
    kind = "reasoning_gym"

    [tasks.options]
    deployed = 200
    held_out = 100
    sizes = "1-3"

    [tasks.options.generators.chain_sum]     # a generator by name, with its own keys, if any
    allow_negation = true

A task's size is the level of the generator's own curriculum, from 1; the few without one have size 1 alone. An answer
is what stands between <answer> and </answer>, or else all that follows the reasoning. It is valid if the generator's
scorer gives it `threshold` or more; the score is its reward. A task follows from the seed, the generator, its keys, the
size and a number, so its payload holds these and the question is made anew to score an answer.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, Field, field_validator

from iterdeploy.sections import ConfigError, parse_sizes
from iterdeploy.types import Completion, Demonstration, Split, Task, Verdict, content_hash

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
QUESTIONS = 20_000
"""Of one generator, size and seed, from which those that are different are taken."""


class ReasoningGym:
    class Options(BaseModel, extra="forbid", frozen=True):
        """The keys of [tasks.options]."""

        generators: dict[str, dict[str, Any]] = Field(min_length=1)
        """Name -> its own keys."""
        sizes: str = "1"
        deployed: int = Field(gt=0, le=QUESTIONS)
        """Per generation and generator."""
        held_out: int = Field(ge=0, le=QUESTIONS)
        """Per generator."""
        fresh: bool = False
        """New deployed tasks in every generation."""
        threshold: float = 1.0
        """The score from which on an answer is valid."""
        instruction: str = "Write the final answer between <answer> and </answer>."
        """What follows each question in the prompt."""

        @field_validator("sizes")
        @classmethod
        def _sizes_parse(cls, value: str) -> str:
            if min(parse_sizes(value)) < 1:
                raise ValueError("the smallest size is 1")
            return value

    def __init__(self, options: Options, seed: int) -> None:
        self._options = options
        self._seed = seed
        for name, keys in options.generators.items():
            for size in parse_sizes(options.sizes):
                _checked(name, size, keys)
        self.held_out = self._tasks(Split.HELD_OUT, "held-out", options.held_out, set())

    def deployed(self, generation: int) -> Sequence[Task]:
        known = {task.prompt for task in self.held_out}
        stream = f"deployed-{generation if self._options.fresh else 0}"
        return self._tasks(Split.DEPLOYED, stream, self._options.deployed, known)

    def demonstrations(self, domain: str, count: int) -> list[Demonstration]:
        sizes = parse_sizes(self._options.sizes)
        known = {task.prompt for task in self.held_out}
        drawn = [self._drawn(domain, size, Split.DEPLOYED, "examples", known) for size in sizes]
        tasks = [next(drawn[number % len(sizes)]) for number in range(count)]
        return [
            Demonstration(task.prompt, f"<answer>{_question(task.payload)[1]['answer']}</answer>") for task in tasks
        ]

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        said = answer_in(completions[-1].text)
        dataset, entry = _question(task.payload)
        score = float(dataset.score_answer(answer=said, entry=entry))
        facts = {"score": score}
        if score >= self._options.threshold:
            return Verdict.valid(answer=said, reward=score, facts=facts)
        return Verdict.invalid(f"{said[:200]!r} scores {score:g}", answer=said, reward=score, facts=facts)

    def describe(self) -> Mapping[str, str]:
        return {"Tasks": f"{', '.join(self._options.generators)} of reasoning-gym, sizes {self._options.sizes}"}

    def _tasks(self, split: Split, stream: str, count: int, known: set[str]) -> list[Task]:
        """As many different tasks of each generator, whose sizes take turns."""
        tasks: list[Task] = []
        sizes = parse_sizes(self._options.sizes)
        for name in self._options.generators:
            drawn = [self._drawn(name, size, split, stream, known) for size in sizes]
            for number in range(count):
                turn = number % len(sizes)
                task = next(drawn[turn], None)
                if task is None:
                    raise ConfigError(
                        f"tasks.options: {name} has fewer different questions of size {sizes[turn]} than are asked "
                        "for; lower deployed or held_out, or take larger sizes"
                    )
                tasks.append(task)
        return tasks

    def _drawn(self, name: str, size: int, split: Split, stream: str, known: set[str]) -> Iterator[Task]:
        seed = int(content_hash("reasoning-gym", self._seed, stream, name, size)[:7], 16)
        keys = json.dumps(self._options.generators[name], sort_keys=True)
        for index in range(QUESTIONS):
            payload = {"generator": name, "size": str(size), "keys": keys, "seed": str(seed), "index": str(index)}
            _, entry = _question(payload)
            prompt = f"{entry['question']}\n{self._options.instruction}\n".replace("\n\n", "\n")
            if prompt not in known:
                known.add(prompt)
                yield Task.make(domain=name, size=size, split=split, prompt=prompt, payload=payload)


def answer_in(text: str) -> str:
    """
    >>> answer_in("<think>1 + 1</think>so <answer> 2 </answer>."), answer_in("2")
    ('2', '2')
    """
    rest = text.rpartition("</think>")[2]
    marked = ANSWER.findall(rest)
    return str(marked[-1] if marked else rest).strip()


def _question(payload: Mapping[str, str]) -> tuple[Any, Any]:
    """(The generator, the entry) of a task."""
    dataset = _dataset(payload["generator"], int(payload["size"]), payload["keys"], int(payload["seed"]))
    return dataset, dataset[int(payload["index"])]


@lru_cache(maxsize=1000)
def _dataset(name: str, size: int, keys: str, seed: int) -> Any:
    from reasoning_gym.factory import CURRICULA, DATASETS, create_curriculum

    kind, config_kind = DATASETS[name]
    given = json.loads(keys)
    if name in CURRICULA:
        curriculum = create_curriculum(name)
        for attribute, values in curriculum.attributes.items():
            curriculum.set_attr_level(attribute, min(size, len(values.levels)) - 1)
        config = replace(curriculum.generate_configuration({"seed": seed}), **given)
    else:
        config = config_kind(seed=seed, **given)
    config = replace(config, size=QUESTIONS)  # most are only made when they are asked for
    config.validate()
    return kind(config=config)


def _checked(name: str, size: int, keys: Mapping[str, Any]) -> None:
    """ConfigError for what the package cannot make."""
    try:
        from reasoning_gym.factory import CURRICULA, DATASETS, create_curriculum
    except ImportError:
        raise ConfigError(
            "tasks.kind: the package reasoning-gym is not installed: pip install 'iterdeploy[reasoning_gym]'"
        ) from None
    if name not in DATASETS:
        raise ConfigError(f"tasks.options.generators: {name!r} is not one of {', '.join(sorted(DATASETS))}")
    levels = 1
    if name in CURRICULA:
        levels = max((len(values.levels) for values in create_curriculum(name).attributes.values()), default=1)
    if size > levels:
        raise ConfigError(f"tasks.options.sizes: the largest size of {name} is {levels}, not {size}")
    try:
        _dataset(name, size, json.dumps(keys, sort_keys=True), 0)
    except Exception as error:  # assertions and type errors of the generators' own checks
        raise ConfigError(f"tasks.options.generators.{name}: {type(error).__name__}: {error}") from None
