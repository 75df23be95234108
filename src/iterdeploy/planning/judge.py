"""From an answer to its verdict: the plan is extracted, put under its true names, and given to the validator."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence

from iterdeploy.config import ValidationConfig
from iterdeploy.pddl import PddlError, validate_steps
from iterdeploy.pddl import Status as PlanStatus
from iterdeploy.pddl import Verdict as PlanVerdict
from iterdeploy.pddl.val import find_val, validate_with_both, validate_with_val
from iterdeploy.planning.domain import Step
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.obfuscate import uncover
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.sections import ConfigError
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

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        """Never raises: what the validator cannot judge is ERROR, for whatever reason, and never INVALID.

        The plan is in the last completion.
        """
        last = completions[-1]
        if last.finish_reason == "length":
            return Verdict.truncated(validator=self._name)
        true_names: dict[str, str] = json.loads(task.payload.get("true_names", "{}"))
        extraction = extract_plan(last.text, action_names(task.payload["domain"], true_names))
        if extraction.steps is None:
            return Verdict.unparseable(extraction.problem, validator=self._name)
        return self.judge_plan(task, uncover(extraction.steps, true_names), extraction.strict)

    def judge_plan(self, task: Task, plan: tuple[Step, ...], strict: bool = True) -> Verdict:
        """The verdict on a plan under its true names."""
        try:
            judged = self._validate(task.payload["domain"], task.payload["problem"], plan)
        except Exception as error:
            judged = PlanVerdict(PlanStatus.ERROR, f"the validator failed: {error!r}")
        return Verdict(
            status=Status(judged.status.value),
            reason=judged.reason,
            reward=float(judged.valid),
            answer=[list(step) for step in plan],
            facts=_facts(judged, len(plan), strict, task.payload.get("reference_cost")),
            validator=self._name,
        )


def _facts(judged: PlanVerdict, length: int, strict: bool, reference_cost: str | None) -> dict[str, float]:
    facts = {"plan_length": float(length), "strict": float(strict)}
    if judged.failed_step is not None:
        facts["failed_step"] = float(judged.failed_step)
    if judged.valid and judged.cost is not None:
        facts["cost"] = float(judged.cost)
        if reference_cost and float(reference_cost):
            facts["cost_ratio"] = float(judged.cost) / float(reference_cost)
    return facts


def shorter_plan(verdict: Verdict) -> tuple[float, ...]:
    """The order of valid plans for one task."""
    return (verdict.facts["plan_length"],)


def action_names(domain_text: str, true_names: Mapping[str, str]) -> Collection[str] | None:
    """The names of the actions as the model sees them; None for a domain that only VAL can read."""
    try:
        actions = domain_of(domain_text).actions
    except PddlError:
        return None
    return {name for name, true_name in true_names.items() if true_name in actions} if true_names else actions.keys()


def _with_ours(domain_text: str, problem_text: str, plan: tuple[Step, ...]) -> PlanVerdict:
    return validate_steps(domain_of(domain_text), problem_of(problem_text, domain_text), plan)


def _with_val(config: ValidationConfig) -> Validator:
    """VAL alone or besides iterdeploy, after one trial: a VAL without its library would make every verdict an ERROR."""
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
