"""Agreement with the verdict cases and the plans of the IPC 2023 learning track, where these are at hand.

They are looked for in the folder that ITERDEPLOY_SHARED names, else in `shared` beside the repository.
"""

import json

import pytest

from helpers.support import shared
from iterdeploy.pddl import Domain, NotSupported, Problem, Status, validate
from iterdeploy.planning.extract import extract_plan

SHARED = shared()
CASES = SHARED / "validator-cases"
TRACK = SHARED / "ipc2023"
ODD = SHARED / "pddl-cases"

needs_cases = pytest.mark.skipif(
    not (CASES / "index.jsonl").is_file(), reason=f"no verdict cases in {CASES}: set ITERDEPLOY_SHARED"
)
needs_track = pytest.mark.skipif(
    not (TRACK / "testing-easy").is_dir(), reason=f"no IPC 2023 tasks in {TRACK}: set ITERDEPLOY_SHARED"
)
needs_odd = pytest.mark.skipif(not ODD.is_dir(), reason=f"no odd files in {ODD}: set ITERDEPLOY_SHARED")


@needs_cases
def test_every_verdict_case_gets_its_verdict():
    wrong = []
    cases = [json.loads(line) for line in (CASES / "index.jsonl").read_text("utf-8").splitlines()]
    for case in cases:
        base = SHARED if case["domain_file"].startswith("ipc2023/") else CASES
        domain_text = (base / case["domain_file"]).read_text("utf-8")
        problem_text = (CASES / case["problem_file"]).read_text("utf-8")
        plan_text = (CASES / case["plan_file"]).read_bytes().decode("utf-8")
        try:
            domain = Domain.parse(domain_text)
            verdict = validate(domain, Problem.parse(problem_text, domain), plan_text)
        except NotSupported:
            wrong.append(case["id"])
            continue
        expected = Status.VALID if case["expected"] == "valid" else Status.INVALID
        if verdict.status is not expected:
            wrong.append(case["id"])
    assert len(cases) >= 273
    assert wrong == []


@needs_track
def test_every_reference_plan_of_the_track_is_valid():
    plans = sorted((TRACK / "testing-easy").glob("*/*.plan"))
    assert len(plans) == 300
    domains = {path.stem: Domain.parse(path.read_text("utf-8")) for path in (TRACK / "domains").glob("*.pddl")}
    wrong = []
    for path in plans:
        domain = domains[path.parent.name]
        problem = Problem.parse(path.with_suffix(".pddl").read_text("utf-8"), domain)
        text = path.read_text("utf-8")
        if not validate(domain, problem, text).valid or validate(domain, problem, text[: len(text) // 2] + ")").valid:
            wrong.append(str(path))
    assert wrong == []


def odd(name: str) -> str:
    return (ODD / name).read_text("utf-8")


def answers(name: str) -> list[str]:
    return odd(name).split("=====\n")[1:]


@needs_odd
@pytest.mark.parametrize("case", [1, 3, 5])
def test_oddly_written_tasks_get_the_verdict_that_val_gives(case):
    domain = Domain.parse(odd(f"case-{case}-domain.pddl"))
    problem = Problem.parse(odd(f"case-{case}-problem.pddl"), domain)
    plan = odd("case-1-plan.txt") if case == 3 else odd(f"case-{case}-plan.txt")
    assert validate(domain, problem, plan).valid
    assert not validate(domain, problem, "").valid


@needs_odd
def test_other_kinds_of_planning_are_named():
    with pytest.raises(NotSupported, match="non-deterministic"):
        Domain.parse(odd("case-8-domain.pddl"))


@needs_odd
def test_answers_whose_plan_is_only_partly_readable_have_none():
    actions = Domain.parse(odd("case-6-domain.pddl")).actions
    for text in answers("case-6-answers.txt"):
        for asked in (text, f"<plan>\n{text}</plan>", f"```\n{text}```\n"):
            assert extract_plan(asked).steps is None
            assert extract_plan(asked, actions).steps is None


@needs_odd
def test_a_plan_in_parentheses_is_read_alike_with_a_fence_and_without():
    plain, fenced = map(extract_plan, answers("case-7-answers.txt"))
    assert plain.steps == fenced.steps == (("lift", "a", "b"), ("drop", "a"))


@needs_odd
def test_facts_that_follow_a_plan_are_not_taken_for_it():
    for text in answers("case-10-answers.txt"):
        assert extract_plan(text).steps in (None, (("lift", "a", "b"),))
