"""Demonstrations of any PDDL domain: its problem files, and a plan for each by a planner or from a file.

A few hundred problems are few for a model that starts from nothing, so each is shown in many ways: its objects take
names that other problems give to objects of their type, its facts stand in another order half of the time, and half of
the time the plan is shown from a state that it passes through. What is shown is a task with a valid plan each time, in
the form in which a run asks for it.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from iterdeploy.pddl import Domain, PddlError, Problem, format_plan, parse_plan, states, validate_steps
from iterdeploy.pddl.conditions import And, conjuncts
from iterdeploy.pddl.reader import TOKEN, normalise
from iterdeploy.planning import prompts
from iterdeploy.planning.domain import Step
from iterdeploy.planning.downward import DownwardError, find_downward, reference_plan
from iterdeploy.planning.make import compact_prompt
from iterdeploy.planning.obfuscate import RESERVED
from iterdeploy.planning.parsed import content, domain_of, problem_of, problem_paths, read_domain, read_problem
from iterdeploy.planning.rng import Rng
from iterdeploy.pretraining.config import DemonstrationConfig
from iterdeploy.pretraining.demonstrations import Demonstration
from iterdeploy.pretraining.tokenizer import words_in
from iterdeploy.sections import ConfigError
from iterdeploy.types import content_hash
from iterdeploy.wording import say

Plan = tuple[Step, ...]


@dataclass(frozen=True)
class Planned:
    """Problems of one domain with valid plans, shown in turn and in many ways."""

    domain_text: str
    plans: tuple[tuple[str, Plan], ...]
    """(Problem's text, its plan)."""
    count: int

    @classmethod
    def read(cls, config: DemonstrationConfig, kept: Path) -> "Planned":
        """`kept`: the folder with Fast Downward's plans, so that it is asked for each once. ConfigError, naming the
        file, for what cannot be used."""
        domain_text = read_domain(Path(config.domain_file), "demonstrations.domain_file")
        key = "demonstrations.problem_files"
        paths = problem_paths(config.problem_files, config.domain_file, key)
        texts = {path: read_problem(path, domain_text, key) for path in paths}
        if config.plans == "files":
            plans = {path: _plan_file(path, text, domain_text) for path, text in texts.items()}
        else:
            plans = _planned(texts, domain_text, kept)
        return cls(domain_text, tuple([(texts[path], plan) for path, plan in plans.items()]), config.count)

    @property
    def key(self) -> str:
        return content_hash("planned", self.domain_text, self.plans, self.count)

    @property
    def sizes(self) -> Mapping[str, Sequence[int]]:
        return {self._domain.name: sorted({len(problem.objects) for problem in self._problems})}

    @property
    def contents(self) -> Sequence[str]:
        return [content(problem) for problem in self._problems]

    def words(self) -> list[str]:
        """Those of the tasks and plans, and every object's name wherever it may stand."""
        shown = [
            compact_prompt(self._domain, problem) + prompts.plan(list(plan))
            for problem, (_, plan) in zip(self._problems, self.plans, strict=True)
        ]
        names = dict.fromkeys(name for problem in self._problems for name in problem.objects)
        actions = [f"({name}" for name in self._domain.actions]
        return [*words_in(shown), *actions, *(space + name for name in names for space in (" ", ""))]

    def domain(self, index: int) -> str:
        return self._domain.name

    def demonstration(self, seed: int, index: int) -> Demonstration:
        rng = Rng("planned", self._domain.name, seed, index)
        text, plan = self.plans[index % len(self.plans)]
        names = self._other_names(problem_of(text, self.domain_text), rng)
        steps = [(action, *(names.get(name, name) for name in objects)) for action, *objects in plan]
        renamed = TOKEN.sub(lambda match: names.get(match[0], match[0]), normalise(text))
        problem = Problem.parse(renamed, self._domain)
        if not self._numeric and rng.chance(0.5):
            start = rng.below(len(steps))
            problem = _at(self._domain, problem, steps[:start])
            steps = steps[start:]
        if rng.chance(0.5):
            problem = _shuffled(problem, rng)
        return Demonstration(compact_prompt(self._domain, problem), prompts.plan(steps), len(problem.objects), False)

    @property
    def _domain(self) -> Domain:
        return domain_of(self.domain_text)

    @property
    def _numeric(self) -> bool:
        """Whether states have values, which `states` does not give."""
        return bool(self._domain.functions.keys() - {"total-cost"})

    @property
    def _problems(self) -> list[Problem]:
        return [problem_of(text, self.domain_text) for text, _ in self.plans]

    @cached_property
    def _pools(self) -> dict[str, dict[str, None]]:
        """Type -> the names of its objects in all problems; none that stands for something else as well."""
        domain = self._domain
        meant = {domain.name, *RESERVED, *domain.types, *domain.predicates, *domain.functions, *domain.actions}
        meant |= domain.constants.keys() | {problem.name for problem in self._problems}
        pools: dict[str, dict[str, None]] = {}
        for problem in self._problems:
            for name, kind in problem.objects.items():
                if name not in meant:
                    pools.setdefault(kind, {})[name] = None
        return pools

    def _other_names(self, problem: Problem, rng: Rng) -> dict[str, str]:
        """Object -> another name of its type; nothing where the names of two types would meet."""
        names: dict[str, str] = {}
        for kind, pool in self._pools.items():
            own = [name for name, other in problem.objects.items() if other == kind and name in pool]
            names |= zip(own, rng.sample(list(pool), len(own)), strict=True)
        return names if len({names.get(name, name) for name in problem.objects}) == len(problem.objects) else {}


def _at(domain: Domain, problem: Problem, steps: Iterable[Step]) -> Problem:
    """The problem from the state after the steps: facts that hold still in their order, new ones after them."""
    (*_, reached) = states(domain, problem, steps)
    still = [fact for fact in problem.init_list if fact in reached]
    return replace(problem, init_list=(*still, *sorted(reached - problem.init)), init=reached)


def _shuffled(problem: Problem, rng: Rng) -> Problem:
    """The same problem with its facts, and those of its goal, in another order."""
    goal = And(tuple(rng.shuffled(list(conjuncts(problem.goal)))))
    return replace(problem, init_list=tuple(rng.shuffled(problem.init_list)), goal=goal)


def _plan_file(path: Path, text: str, domain_text: str) -> Plan:
    """The plan next to the problem file."""
    file = path.with_suffix(".plan")
    where = f"demonstrations.plans: {file}"
    try:
        plan = tuple(parse_plan(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(
            f'{where}: no such file; every problem needs its plan, or plans = "downward" makes them'
        ) from None
    except (OSError, UnicodeDecodeError, PddlError) as error:
        raise ConfigError(f"{where}: {error}") from None
    verdict = validate_steps(domain_of(domain_text), problem_of(text, domain_text), plan)
    if not verdict.valid or not plan:
        raise ConfigError(f"{where}: the plan is not valid: {verdict.reason or 'it has no steps'}")
    return plan


def _planned(texts: Mapping[Path, str], domain_text: str, kept: Path) -> dict[Path, Plan]:
    """Fast Downward's plans, as files in `kept`; problems for which it has none are left out and named."""
    try:
        find_downward()
    except DownwardError as error:
        raise ConfigError(
            f'demonstrations.plans: {error}; or put plan files next to the problems and set plans = "files"'
        ) from None
    kept.mkdir(exist_ok=True)
    began = time.perf_counter()
    say(f"asking Fast Downward for plans of {len(texts)} problems", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        found = workers.map(lambda text: _plan_of(text, domain_text, kept), texts.values())
        answers = dict(zip(texts, found, strict=True))
    without = [f"{path}: {answer}" for path, answer in answers.items() if isinstance(answer, str)]
    plans = {path: answer for path, answer in answers.items() if not isinstance(answer, str)}
    for line in islice(without, 10):
        say(f"left out: {line}", flush=True)
    if not plans:
        raise ConfigError(f"demonstrations.problem_files: none has a plan; the first: {without[0]}")
    say(f"{len(plans)} plans in {time.perf_counter() - began:.0f} s, {len(without)} problems left out", flush=True)
    return plans


def _plan_of(text: str, domain_text: str, kept: Path) -> Plan | str:
    """The plan, or why there is none; either is kept."""
    name = content_hash(domain_text, text)
    plan_file, failure = kept / f"{name}.plan", kept / f"{name}.none"
    if failure.exists():
        return failure.read_text(encoding="utf-8")
    if plan_file.exists():
        return tuple(parse_plan(plan_file.read_text(encoding="utf-8")))
    try:
        plan = tuple(reference_plan(domain_text, text))
        verdict = validate_steps(domain_of(domain_text), problem_of(text, domain_text), plan)
        why = "the goal holds at the start" if not plan else f"the plan is not valid: {verdict.reason}"
        why = "" if plan and verdict.valid else why
    except DownwardError as error:
        plan, why = (), str(error)
    unfinished = kept / f"{name}.writing"
    unfinished.write_text(why or format_plan(plan), encoding="utf-8")
    unfinished.rename(failure if why else plan_file)
    return why or plan
