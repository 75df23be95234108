"""Fast Downward as a reference planner, and what references are for. The real one is asked where it is installed."""

import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.support import TINY, config_with, trace
from iterdeploy.config import TasksConfig
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.pddl import Domain, Problem, Status, validate_steps
from iterdeploy.planning import downward
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.downward import DownwardError, find_downward, reference_plan
from iterdeploy.planning.references import recognise, reference_cost
from iterdeploy.planning.rng import Rng
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.types import Status as Judged
from iterdeploy.types import Trace

FERRY = DOMAINS["ferry"]
TEXT = FERRY.generate(2, Rng("downward"), "p")

FAKE = """#!{python}
import os, sys, time
assert sys.argv[1:] == ["--alias", "lama-first", "--plan-file", "plan", "domain.pddl", "problem.pddl"], sys.argv
from iterdeploy.pddl import Domain, Problem, format_plan
from iterdeploy.planning.domains import DOMAINS
mood = {mood!r}
open({pid!r}, "w").write(str(os.getpid()))
if mood == "hang":
    if os.fork() == 0:
        open({pid!r} + ".child", "w").write(str(os.getpid()))
    time.sleep(60)
if mood == "unsolvable":
    sys.exit(11)
if mood == "broken":
    print("translate exit code: 31")
    sys.exit(31)
problem = Problem.parse(open("problem.pddl").read(), Domain.parse(open("domain.pddl").read()))
steps = DOMAINS["ferry"].solve(problem)
open("plan", "w").write(format_plan(steps[:-1] if mood == "wrong" else steps) + "; cost = 9 (unit cost)\\n")
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a program on PATH that takes Fast Downward's arguments and plans with our scripted planner."""

    def install(mood: str = "sane") -> Path:
        path = tmp_path / "fast-downward"
        path.write_text(FAKE.format(python=sys.executable, mood=mood, pid=str(tmp_path / "pid")))
        path.chmod(0o755)
        monkeypatch.setattr(downward, "find_spec", lambda name: None)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    return install


def installed() -> bool:
    try:
        return bool(find_downward())
    except DownwardError:
        return False


def cost_of(steps: list[tuple[str, ...]]) -> float | None:
    domain = Domain.parse(FERRY.pddl)
    verdict = validate_steps(domain, Problem.parse(TEXT, domain), steps)
    return verdict.cost if verdict.status is Status.VALID else None


@pytest.mark.skipif(not installed(), reason="Fast Downward is not installed")
@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_the_real_one_plans_for_every_domain(name: str) -> None:
    ours = DOMAINS[name]
    text = ours.generate(ours.ramps["easy"].low, Rng("real", name), "p")
    domain = Domain.parse(ours.pddl)
    problem = Problem.parse(text, domain)
    verdict = validate_steps(domain, problem, reference_plan(ours.pddl, text))
    assert verdict.status is Status.VALID
    assert reference_cost(ours.pddl, text, "downward") == verdict.cost


def test_its_plan_comes_back(fake: Any) -> None:
    fake()
    assert cost_of(reference_plan(FERRY.pddl, TEXT)) == cost_of(
        FERRY.solve(Problem.parse(TEXT, Domain.parse(FERRY.pddl)))
    )


@pytest.mark.parametrize(("mood", "words"), [("unsolvable", "unsolvable"), ("broken", "exit status 31.*translate")])
def test_no_plan_is_an_error_that_says_why(fake: Any, mood: str, words: str) -> None:
    fake(mood)
    with pytest.raises(DownwardError, match=words):
        reference_plan(FERRY.pddl, TEXT)
    assert reference_cost(FERRY.pddl, TEXT, "downward") is None


@pytest.mark.slow
def test_a_search_that_takes_too_long_is_ended_with_all_its_children(fake: Any) -> None:
    folder = fake("hang")
    with pytest.raises(DownwardError, match="within 3 seconds"):
        reference_plan(FERRY.pddl, TEXT, timeout=3)
    for name in ("pid", "pid.child"):
        assert gone(int((folder / name).read_text()))


def gone(pid: int) -> bool:
    """Within a few seconds; a zombie that waits for its parent counts."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and ") Z " in state.read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def test_a_plan_that_is_not_valid_is_not_a_reference(fake: Any) -> None:
    fake("wrong")
    assert reference_plan(FERRY.pddl, TEXT) and reference_cost(FERRY.pddl, TEXT, "downward") is None


def test_without_it_the_error_says_what_to_install(fake: Any) -> None:
    (fake() / "fast-downward").unlink()
    with pytest.raises(DownwardError, match=r"pip install 'iterdeploy\[downward\]'"):
        reference_plan(FERRY.pddl, TEXT)
    with pytest.raises(ConfigError, match=r"tasks\.references: Fast Downward is not installed"):
        task_set(config_with({"tasks.references": "downward"}))


def test_the_configured_planner_gives_the_reference(fake: Any) -> None:
    fake()
    values = {**TINY["tasks"], "domains": ("ferry",), "sizes": "1", "deployed": 2, "held_out": 0}
    made = PlanningTasks(TasksConfig(**values, references="downward"), 5)
    for task in made.deployed(0):
        assert task.payload["reference_cost"] == str(reference_cost(FERRY.pddl, task.payload["problem"], "scripted"))
    assert "reference_cost" not in PlanningTasks(TasksConfig(**values, references="none"), 5).deployed(0)[0].payload


def test_a_domain_is_known_by_its_actions_and_predicates() -> None:
    for ours in DOMAINS.values():
        assert recognise(Domain.parse(ours.pddl)) is ours
    assert recognise(Domain.parse(FERRY.pddl.replace("(domain ferry)", "(domain boats)"))) is FERRY
    assert recognise(Domain.parse(FERRY.pddl.replace("sail", "go"))) is None


def test_a_task_that_the_scripted_planner_does_not_understand_has_no_reference() -> None:
    assert reference_cost(FERRY.pddl, TEXT, "scripted") is not None
    odd_goal = TEXT.replace("(:goal (and", "(:goal (or (empty-ferry)")
    assert reference_cost(FERRY.pddl, odd_goal, "scripted") is None
    no_ferry = re.sub(r"\(at-ferry \w+\)", "", TEXT)
    assert reference_cost(FERRY.pddl, no_ferry, "scripted") is None


def with_facts(one: Trace, **facts: float) -> Trace:
    return replace(one, verdict=replace(one.verdict, facts={**one.verdict.facts, **facts}))


def test_the_cost_ratio_is_over_the_valid_plans_that_have_a_reference() -> None:
    traces = [trace("a", length=4), trace("a", index=1, length=6), trace("b"), trace("c", status=Judged.INVALID)]
    rated = [with_facts(traces[0], cost_ratio=1.0), with_facts(traces[1], cost_ratio=1.5), *traces[2:]]
    measured = coverage_of_splits(rated).deployed
    assert measured is not None and measured.cost_ratio == (1.0 + 1.5) / 2
    without = coverage_of_splits(traces).deployed
    assert without is not None and without.cost_ratio is None


def test_strict_and_lenient_readings_stand_side_by_side() -> None:
    traces = [
        trace("a"), trace("a", index=1, strict=False),
        trace("b", strict=False), trace("b", index=1, status=Judged.INVALID),
        trace("c", status=Judged.UNPARSEABLE), trace("c", index=1, status=Judged.ERROR, strict=False),
    ]  # fmt: skip
    measured = coverage_of_splits(traces).deployed
    assert measured is not None
    assert measured.readings == {"strict": 2, "lenient": 3, "none": 1}
    assert measured.coverage == pytest.approx(0.5) and measured.strict_coverage == pytest.approx(1 / 6)
    assert measured.strict_share == pytest.approx(2 / 5)
