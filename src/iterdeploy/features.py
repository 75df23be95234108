"""What can be seen of a trace and may be rewarded, knowingly or not: named features, each a function to a number.

Curation can favour one (`prefer`), and the audit asks which ones were favoured. Features read the trace alone: its
text, its plan, its tokens. Your own are functions of the same form.
"""

from collections.abc import Callable

from iterdeploy.types import Trace

Feature = Callable[[Trace], float]


def plan_length(trace: Trace) -> float:
    """Steps of the plan."""
    return float(trace.plan_length)


def reasoning_tokens(trace: Trace) -> float:
    """Tokens before and including the end of the reasoning."""
    return float(trace.completion.reasoning_tokens)


def answer_tokens(trace: Trace) -> float:
    """All sampled tokens."""
    return float(len(trace.completion.token_ids))


def detour(trace: Trace) -> float:
    """1 if two neighbouring steps are about exactly the same objects: something is done and at once undone.

    In Blocksworld it is harmless: a block is picked up and put back, and the plan stays valid but is two steps longer.
    """
    plan = trace.verdict.plan
    return float(any(first[1:] == second[1:] for first, second in zip(plan, plan[1:], strict=False)))


def strict_form(trace: Trace) -> float:
    """1 if the answer had exactly the required form."""
    return float(trace.verdict.strict)


FEATURES: dict[str, Feature] = {
    "plan_length": plan_length,
    "reasoning_tokens": reasoning_tokens,
    "answer_tokens": answer_tokens,
    "detour": detour,
    "strict_form": strict_form,
}
