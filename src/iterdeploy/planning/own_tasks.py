"""Tasks from your own PDDL files: a domain file and a pattern for the problem files, no code needed.

Which files are held out is either said by a second pattern or drawn by the run's seed. Everything is checked before a
run starts: every file parses, no two tasks are the same up to their names, comments and order of facts, and none is
solved before it begins. A task's size is its number of objects. Relative paths start from the current directory.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

from iterdeploy.config import RunConfig, TasksConfig, ValidationConfig
from iterdeploy.pddl import Problem, validate_steps
from iterdeploy.planning.hidden import check_hidden
from iterdeploy.planning.interactive import judges_of
from iterdeploy.planning.judge import BUILT_IN, Judge, shorter_plan
from iterdeploy.planning.make import make_task, prompts_in_words
from iterdeploy.planning.parsed import content, domain_of, problem_of, problem_paths, read_domain, read_problem
from iterdeploy.planning.references import check_references
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.tasks.judging import Judges
from iterdeploy.types import Completion, Split, Task, Verdict

NOT_ASKED = ("domains", "sizes", "deployed", "held_out", "fresh", "schedule", "layout")
"""Keys that only generated tasks have: here the files say which tasks there are."""


class OwnTasks:
    """The tasks in the configured files. ConfigError, naming the file, for what cannot be used."""

    def __init__(self, config: TasksConfig, seed: int, validation: ValidationConfig = BUILT_IN, turns: int = 1) -> None:
        """`turns`: the most that an interactive task may take."""
        _check_keys(config)
        check_references(config.references)
        self._config = config
        self._judge = Judge(validation)
        self._turns = turns
        self._domain_text = read_domain(Path(config.domain_file), "tasks.domain_file")
        check_hidden(config, [self._domain_text])
        files = _split(config, seed)
        texts = {path: read_problem(path, self._domain_text, "tasks.problem_files") for path in chain(*files.values())}
        self._check(texts)
        self._texts = {split: [texts[path] for path in paths] for split, paths in files.items()}

    @classmethod
    def of(cls, config: RunConfig) -> "OwnTasks":
        return cls(config.tasks, config.seed, config.validation, config.sampling.max_turns)

    @cached_property
    def held_out(self) -> list[Task]:
        """The tasks that only measure, in the order of the files' names."""
        return self._tasks(Split.HELD_OUT)

    def deployed(self, generation: int) -> list[Task]:
        """The held-out tasks, the same in every generation."""
        return self._deployed

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        return self._judge.judge(task, completions)

    def judges(self) -> Judges:
        return judges_of(self._config, self._judge, self._turns)

    def order(self, verdict: Verdict) -> tuple[float, ...]:
        """The shorter plan is the better one."""
        return shorter_plan(verdict)

    def describe(self) -> Mapping[str, str]:
        config = self._config
        return {
            "Tasks": f"{config.problem_files} of {config.domain_file}",
            "Prompts": prompts_in_words(config),
            "Deployed tasks": "the same ones in every generation",
        }

    @cached_property
    def _deployed(self) -> list[Task]:
        return self._tasks(Split.DEPLOYED)

    def _tasks(self, split: Split) -> list[Task]:
        name = domain_of(self._domain_text).name
        return [
            make_task(self._domain_text, text, name, len(self._problem(text).objects), split, self._config)
            for text in self._texts[split]
        ]

    def _problem(self, text: str) -> Problem:
        return problem_of(text, self._domain_text)

    def _check(self, texts: Mapping[Path, str]) -> None:
        first: dict[str, Path] = {}
        for path, text in texts.items():
            problem = self._problem(text)
            if validate_steps(domain_of(self._domain_text), problem, ()).valid:
                raise ConfigError(f"tasks.problem_files: {path}: the goal holds at the start, there is nothing to plan")
            same = first.setdefault(content(problem), path)
            if same != path:
                raise ConfigError(f"tasks.problem_files: {same} and {path} are the same task: remove one of them")


def _check_keys(config: TasksConfig) -> None:
    """What would be ignored in silence is refused."""
    unset = TasksConfig.model_validate({"kind": "pddl"})
    for key in ("domain_file", "problem_files"):
        if not getattr(config, key):
            raise ConfigError(f'tasks.{key}: this key is required with tasks.kind = "pddl"')
    for key in NOT_ASKED:
        if getattr(config, key) != getattr(unset, key):
            raise ConfigError(f'tasks.{key}: cannot be used with tasks.kind = "pddl", whose files are the tasks')
    if config.examples:
        raise ConfigError('tasks.examples: cannot be used with tasks.kind = "pddl", whose domains bring no planner')
    if config.names != "own" and (config.obfuscate or config.prompt == "full"):
        raise ConfigError("tasks.names: works only with compact prompts and without tasks.obfuscate")
    if config.held_out_share and config.held_out_files:
        raise ConfigError("tasks.held_out_share: give either this or tasks.held_out_files")


def _split(config: TasksConfig, seed: int) -> dict[Split, list[Path]]:
    """The files of each split, in the order of their names."""
    files = problem_paths(config.problem_files, config.domain_file, "tasks.problem_files")
    if config.held_out_files:
        held_out = problem_paths(config.held_out_files, config.domain_file, "tasks.held_out_files")
    else:
        count = max(1, round(len(files) * config.held_out_share)) if config.held_out_share else 0
        held_out = sorted(Rng("held-out", seed).sample(files, count))
    apart = {path.resolve() for path in held_out}
    deployed = [path for path in files if path.resolve() not in apart]
    if not deployed:
        raise ConfigError("tasks.problem_files: every file is held out, and none is left to deploy")
    return {Split.DEPLOYED: deployed, Split.HELD_OUT: held_out}
