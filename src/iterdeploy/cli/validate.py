"""`iterdeploy validate`: apart from the other commands, so that it answers without importing anything but `pddl`."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from iterdeploy.pddl import (
    Domain,
    PddlError,
    PlanSyntaxError,
    Problem,
    Status,
    Verdict,
    format_step,
    parse_plan,
    validate_steps,
)
from iterdeploy.wording import say

Parsed = TypeVar("Parsed")

EXIT_STATUS = {Status.VALID: 0, Status.INVALID: 1, Status.UNPARSEABLE: 1, Status.ERROR: 2}


def validate(arguments: argparse.Namespace) -> int:
    """0: valid, 1: invalid (or not readable as a plan), 2: it could not be judged."""
    try:
        verdict = _judge(arguments)
    except (PddlError, OSError) as error:
        verdict = Verdict(Status.ERROR, _words(error))
    if arguments.json:
        say(json.dumps(_as_json(verdict)))
    else:
        cost = f", cost {verdict.cost}" if verdict.status is Status.VALID else ""
        say(f"{verdict.status.value}{cost}" + (f": {verdict.reason}" if verdict.reason else ""))
    return EXIT_STATUS[verdict.status]


def _judge(arguments: argparse.Namespace) -> Verdict:
    domain_text = _read(arguments.domain)
    problem_text = _read(arguments.problem)
    plan_text = _read(arguments.plan)
    domain = _parsed(arguments.domain, lambda: Domain.parse(domain_text))
    problem = _parsed(arguments.problem, lambda: Problem.parse(problem_text, domain))
    try:
        steps = parse_plan(plan_text)
    except PlanSyntaxError as error:
        return Verdict(Status.UNPARSEABLE, f"{arguments.plan}: {error}")
    if arguments.oracle is None:
        return validate_steps(domain, problem, steps)
    from iterdeploy.pddl import val

    oracle = {"val": val.validate_with_val, "both": val.validate_with_both}[arguments.oracle]
    try:
        return oracle(domain_text, problem_text, steps)
    except ValueError as error:  # VAL is not installed
        return Verdict(Status.ERROR, str(error))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PddlError(f"{path}: not a text file in UTF-8: {error}") from None


def _parsed(path: Path, parse: Callable[[], Parsed]) -> Parsed:
    try:
        return parse()
    except PddlError as error:
        raise PddlError(f"{path}: {error}") from None


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status.value,
        "reason": verdict.reason,
        "failed_step": verdict.failed_step,
        "unmet": list(verdict.unmet),
        "plan": [format_step(step) for step in verdict.plan],
        "cost": verdict.cost,
    }
