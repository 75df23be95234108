"""What can be seen of a trace and may be rewarded, knowingly or not: named features, each a function to a number.

Curation can favour one (`prefer`), and the audit asks which ones were favoured. Features read the trace alone: its
text, its plan, its tokens. Your own are functions of the same form, in a file of yours:

    def says_however(trace):
        return float("however" in trace.text.lower())
"""

import inspect
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from iterdeploy import registry
from iterdeploy.planning.plans import plan_of
from iterdeploy.sections import ConfigError
from iterdeploy.types import Trace

Feature = Callable[[Trace], float]


def plan_length(trace: Trace) -> float:
    """Steps of the plan."""
    return trace.verdict.facts.get("plan_length", 0.0)


def reasoning_tokens(trace: Trace) -> float:
    """Tokens before and including the end of the reasoning."""
    return float(trace.totals.reasoning_tokens)


def answer_tokens(trace: Trace) -> float:
    """All sampled tokens."""
    return float(trace.totals.tokens)


def detour(trace: Trace) -> float:
    """1 if two neighbouring steps are about exactly the same objects: something is done and at once undone.

    In Blocksworld it is harmless: a block is picked up and put back, and the plan stays valid but is two steps longer.
    """
    plan = plan_of(trace.verdict)
    return float(any(first[1:] == second[1:] for first, second in pairwise(plan)))


def strict_form(trace: Trace) -> float:
    """1 if the answer had exactly the required form."""
    return trace.verdict.facts.get("strict", 0.0)


FEATURES: dict[str, Feature] = {
    "plan_length": plan_length,
    "reasoning_tokens": reasoning_tokens,
    "answer_tokens": answer_tokens,
    "detour": detour,
    "strict_form": strict_form,
}


def load_features(path: Path) -> dict[str, Feature]:
    """Every public function with one parameter that the Python file defines, by name, in the file's order; of a path
    such as "sums.py:digits,words" those that it names.

    The file is executed. ConfigError if it cannot be, if it defines none, or one with the name of a built-in feature.
    """
    file, _, names = str(path).rpartition(":")
    wanted = names.split(",") if file.endswith(".py") else None
    path = Path(file) if wanted else path
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(f"--features: {path} is not a Python file (its name must end in .py)")
    module = registry.file_module(path, "--features")
    found: dict[str, Feature] = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and inspect.isfunction(value)
        and value.__module__ == module.__name__
        and len(inspect.signature(value).parameters) == 1
    }
    if wanted and (missing := [name for name in wanted if name not in found]):
        there = ", ".join(found) or "none"
        raise ConfigError(
            f"--features: {path} has no function {missing[0]!r} that takes a trace; "
            f"its functions of one parameter are {there}"
        )
    if wanted:
        found = {name: found[name] for name in wanted}
    if not found:
        raise ConfigError(f"--features: {path} defines no public function with one parameter, the trace")
    if taken := sorted(found.keys() & FEATURES.keys()):
        raise ConfigError(f"--features: {path} defines {taken[0]}, which is a feature already; give it another name")
    return found
