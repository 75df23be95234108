"""VAL, the established validator in C++, as a second opinion for those who have it installed.

The program is found by argument, in `ITERDEPLOY_VAL`, or on PATH as `Validate`, `validate` or `VAL`; its `libVAL.so`
may lie next to it. What is odd about it is dealt with here: its exit code says nothing, so its output is read; it
wants the parts of a domain and of an action in one order and none missing, so they are put in that order and filled in;
a wrong number of objects can crash it or slip through, so plans whose steps do not fit the domain's actions never reach
it. Types, preconditions, effects and the goal are its own judgement.

    verdict = validate_with_val(domain_text, problem_text, [("unstack", "b1", "b2")])
    verdict = validate_with_both(domain_text, problem_text, [("unstack", "b1", "b2")])     # ERROR where they disagree
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from iterdeploy.pddl.expressions import UPDATES
from iterdeploy.pddl.model import Domain, Problem
from iterdeploy.pddl.plan import Step, format_plan, format_step
from iterdeploy.pddl.reader import Node, PddlError, read, short
from iterdeploy.pddl.validator import Status, Verdict, validate_steps

_NAMES = ("Validate", "validate", "VAL")
_MOST_STEPS = 9_000
"""VAL fails, rather than judges, from about 10,000 steps on."""
_REFUSALS = ("Plan failed to execute", "Goal not satisfied", "Plan invalid", "Bad plan description")
_SECTIONS = (":domain", ":requirements", ":types", ":constants", ":predicates", ":functions")
"""What comes first; the rest follows as it stands."""
_NOTHING = {":parameters": "()", ":precondition": "()", ":effect": "(and)"}
"""The parts of an action, in VAL's order, as VAL wants them written where there is nothing to write."""
_VALUE = re.compile(r"^Final value: (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s", re.MULTILINE)


def find_val(val_path: str | Path | None = None) -> str:
    """Path of the program; `ValueError` where there is none."""
    wanted = val_path or os.environ.get("ITERDEPLOY_VAL")
    for name in [str(wanted)] if wanted else _NAMES:
        if found := shutil.which(name):
            return found
    where = f"{wanted} is not a program" if wanted else f"none of {', '.join(_NAMES)} is on PATH"
    raise ValueError(f"VAL not found: {where}. Install it and set ITERDEPLOY_VAL to the path of its Validate")


def validate_with_val(
    domain_text: str,
    problem_text: str,
    steps: Sequence[Step],
    val_path: str | Path | None = None,
    timeout: float = 60.0,
) -> Verdict:
    """VAL's verdict; ERROR where it gives none. `timeout` is in seconds."""
    program = find_val(val_path)
    plan = tuple(steps)
    if misfit := _misfit(domain_text, problem_text, plan):
        return Verdict(Status.INVALID, misfit[1], misfit[0], plan=plan)
    if len(plan) > _MOST_STEPS:
        return Verdict(Status.ERROR, f"VAL is not asked about plans of more than {_MOST_STEPS} steps", plan=plan)
    try:
        files = {"domain.pddl": _clean(domain_text), "problem.pddl": _clean(problem_text), "plan": format_plan(plan)}
        result = _run(program, files, timeout)
    except PddlError as error:
        return Verdict(Status.ERROR, f"VAL was not run: {error}", plan=plan)
    except subprocess.TimeoutExpired:
        return Verdict(Status.ERROR, f"VAL gave no verdict within {timeout:g} seconds", plan=plan)
    return _verdict(result, plan)


def validate_with_both(
    domain_text: str,
    problem_text: str,
    steps: Sequence[Step],
    val_path: str | Path | None = None,
    timeout: float = 60.0,
) -> Verdict:
    """Our verdict where VAL agrees that the plan is valid or not; ERROR where it does not, or where either has none."""
    plan = tuple(steps)
    try:
        domain = Domain.parse(domain_text)
        ours = validate_steps(domain, Problem.parse(problem_text, domain), plan)
    except PddlError as error:
        return Verdict(Status.ERROR, str(error), plan=plan)
    theirs = validate_with_val(domain_text, problem_text, plan, val_path, timeout)
    if theirs.status is ours.status:
        return ours
    said = f"ours: {' '.join([ours.status, ours.reason]).strip()}"
    if theirs.status is Status.ERROR:
        return Verdict(Status.ERROR, f"{theirs.reason} ({said})", ours.failed_step, ours.unmet, plan)
    said += f"; VAL: {' '.join([theirs.status, theirs.reason]).strip()}"
    return Verdict(Status.ERROR, f"the validators disagree. {said}", ours.failed_step, ours.unmet, plan)


def _misfit(domain_text: str, problem_text: str, plan: tuple[Step, ...]) -> tuple[int, str] | None:
    """Number and fault of the first step that VAL must not see. Texts that only VAL can read are left to it."""
    try:
        domain = Domain.parse(domain_text)
        objects = Problem.parse(problem_text, domain).objects
    except PddlError:
        return None
    for number, step in enumerate(plan, 1):
        action = domain.actions.get(step[0]) if step else None
        fault = ""
        if action is None:
            fault = "there is no such action"
        elif len(step) - 1 != len(action.parameters):
            fault = f"{action.name} takes {len(action.parameters)} objects, not {len(step) - 1}"
        elif unknown := [name for name in step[1:] if name not in objects]:
            fault = f"{unknown[0]} is not an object of this problem"
        if fault:
            return number, f"step {number} {short(format_step(step))}: {fault}"
    return None


def _clean(text: str) -> str:
    """The text without comments and capitals, its sections and the parts of its actions as VAL wants them."""
    root = read(text)
    for define in root:
        if isinstance(define, Node):
            define[2:] = sorted(define[2:], key=_place)
            for section in define:
                if isinstance(section, Node) and section.head == ":action":
                    _complete(section)
    return "\n".join(map(str, root)) + "\n"


def _place(section: str | Node) -> int:
    head = section.head if isinstance(section, Node) else section
    return _SECTIONS.index(head) if head in _SECTIONS else len(_SECTIONS)


def _complete(action: Node) -> None:
    """Puts the parts of an action into VAL's order, with those that are missing or empty; not those of a faulty one."""
    keys, values = ([str(item) for item in action[start::2]] for start in (2, 3))
    if len(keys) == len(values) == len(set(keys)):
        parts = {key: value for key, value in zip(keys, values, strict=True) if value not in ("()", "(and)")}
        if ":effect" in parts:
            parts[":effect"] = str(_braced(read(parts[":effect"])[0]))
        action[2:] = [text for part in (_NOTHING | parts).items() for text in part]


def _braced(effect: str | Node) -> str | Node:
    """The effect with `(and ...)` around each update that stands in none: VAL does not read it alone."""
    if not isinstance(effect, Node):
        return effect
    match effect.head:
        case "and":
            parts = [part if isinstance(part, Node) and part.head in UPDATES else _braced(part) for part in effect]
        case "forall" | "when":
            parts = [*effect[:-1], _braced(effect[-1])]
        case head if head in UPDATES:
            parts = ["and", effect]
        case _:
            return effect
    return Node.of(parts, effect.line)


def _run(program: str, files: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    libraries = os.pathsep.join(filter(None, [str(Path(program).resolve().parent), os.environ.get("LD_LIBRARY_PATH")]))
    with tempfile.TemporaryDirectory(prefix="val-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        return subprocess.run(
            [str(Path(program).absolute()), *files],
            cwd=folder,
            env={**os.environ, "LD_LIBRARY_PATH": libraries},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )


def _verdict(result: subprocess.CompletedProcess[str], plan: tuple[Step, ...]) -> Verdict:
    lines = [line.strip() for line in result.stdout.splitlines()]
    if result.returncode < 0:
        return Verdict(Status.ERROR, f"VAL crashed with signal {-result.returncode}", plan=plan)
    if "Plan valid" in lines:
        return Verdict(Status.VALID, "", plan=plan, cost=_cost(result.stdout))
    for line in lines:
        if line.startswith(_REFUSALS):
            return Verdict(Status.INVALID, f"VAL: {line}", plan=plan)
    said = " ".join((result.stdout + result.stderr).split())
    return Verdict(Status.ERROR, f"VAL gave no verdict: {short(said, 200) or 'it said nothing'}", plan=plan)


def _cost(output: str) -> int | float | None:
    found = _VALUE.search(output)
    if found is None:
        return None
    value = float(found[1])
    return int(value) if value.is_integer() else value
