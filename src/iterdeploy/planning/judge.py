"""From an answer to its verdict: the plan is extracted, put under its true names, and given to the validator."""

import json
from collections.abc import Callable, Collection, Mapping

from iterdeploy.config import ConfigError, ValidationConfig
from iterdeploy.pddl import PddlError, validate_steps
from iterdeploy.pddl import Status as PlanStatus
from iterdeploy.pddl import Verdict as PlanVerdict
from iterdeploy.pddl.val import find_val, validate_with_both, validate_with_val
from iterdeploy.planning.domain import Step
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.obfuscate import uncover
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.types import Completion, Status, Task, Verdict

Validator = Callable[[str, str, tuple[Step, ...]], PlanVerdict]
"""(domain text, problem text, plan) -> verdict."""

NAMES = {"iterdeploy": "iterdeploy.pddl", "val": "VAL", "both": "iterdeploy.pddl and VAL"}
"""Setting -> what a verdict says of who judged."""

BUILT_IN = ValidationConfig()
"""Our own validator."""

TRIAL_DOMAIN = """(define (domain trial) (:predicates (lit) (wired))
  (:action switch-on :parameters () :precondition (wired) :effect (lit)))"""
TRIAL_PROBLEM = "(define (problem trial) (:domain trial) (:init (wired)) (:goal (lit)))"


class Judge:
    """The configured validator. ConfigError, when it is made, if that validator is not there or does not work."""

    def __init__(self, config: ValidationConfig) -> None:
        self._name = NAMES[config.validator]
        self._validate = _with_ours if config.validator == "iterdeploy" else _with_val(config)

    def judge(self, task: Task, completion: Completion) -> Verdict:
        """Never raises: what the validator cannot judge is ERROR, for whatever reason, and never INVALID."""
        if completion.finish_reason == "length":
            return self._no_plan(Status.TRUNCATED, "the answer ran into the token limit before it ended")
        true_names: dict[str, str] = json.loads(task.payload.get("true_names", "{}"))
        extraction = extract_plan(completion.text, _actions(task.payload["domain"], true_names))
        if extraction.steps is None:
            return self._no_plan(Status.UNPARSEABLE, extraction.problem)
        plan = uncover(extraction.steps, true_names)
        try:
            judged = self._validate(task.payload["domain"], task.payload["problem"], plan)
        except Exception as error:
            judged = PlanVerdict(PlanStatus.ERROR, f"the validator failed: {error!r}")
        return Verdict(
            status=Status(judged.status.value),
            reason=judged.reason,
            failed_step=judged.failed_step,
            plan=plan,
            cost=judged.cost if judged.valid else None,
            strict=extraction.strict,
            validator=self._name,
        )

    def _no_plan(self, status: Status, reason: str) -> Verdict:
        return Verdict(status, reason, None, (), None, False, self._name)


def _actions(domain_text: str, true_names: Mapping[str, str]) -> Collection[str] | None:
    """The names of the actions as the model sees them; None for a domain that only VAL can read."""
    try:
        actions = domain_of(domain_text).actions
    except PddlError:
        return None
    return {name for name, true_name in true_names.items() if true_name in actions} if true_names else actions.keys()


def _with_ours(domain_text: str, problem_text: str, plan: tuple[Step, ...]) -> PlanVerdict:
    return validate_steps(domain_of(domain_text), problem_of(problem_text, domain_text), plan)


def _with_val(config: ValidationConfig) -> Validator:
    """VAL alone or beside ours, after one trial: a VAL without its library would make every verdict an ERROR."""
    try:
        program = find_val(config.val_path or None)
        trial = validate_with_val(TRIAL_DOMAIN, TRIAL_PROBLEM, [("switch-on",)], program, config.timeout)
    except ValueError as error:
        raise ConfigError(f"validation.validator = {config.validator!r}: {error}, or validation.val_path") from None
    except OSError as error:
        raise ConfigError(f"validation.val_path: {config.val_path or 'VAL'} cannot be run: {error.strerror}") from None
    if not trial.valid:
        raise ConfigError(f"validation.val_path: {program} fails on a plan that is valid: {trial.reason}")
    oracle = validate_with_val if config.validator == "val" else validate_with_both
    return lambda domain_text, problem_text, plan: oracle(domain_text, problem_text, plan, program, config.timeout)
