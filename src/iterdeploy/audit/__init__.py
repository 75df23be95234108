"""The implicit reward of curation: what a run's pools favour, and whether the model comes to do it.

`audit` is a pure function from the traces, the pools and the curation policies to plain data, the content of
audit.json; docs/audit.md explains the model, what it assumes and what it cannot say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from iterdeploy.audit.changes import Change, changes
from iterdeploy.audit.findings import asked_for, corrected, sentences, warned
from iterdeploy.audit.observe import ACTION, Observations, keep_matrix, observe
from iterdeploy.audit.rewards import Reward, decisions, picked, published, rivals_allowed
from iterdeploy.audit.validity import validity
from iterdeploy.config import UserError
from iterdeploy.curation.features import FEATURES, Feature
from iterdeploy.types import Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["audit", "audit_observed", "keep_matrix", "need_statistics", "observe_run"]


def need_statistics() -> None:
    """UserError without the extra's libraries."""
    from importlib.util import find_spec

    if missing := [name for name in ("scipy", "statsmodels") if find_spec(name) is None]:
        raise UserError(f"the audit needs {' and '.join(missing)}: pip install 'iterdeploy[audit]'")


def audit(
    traces: Iterable[Trace],
    pools: Sequence[Collection[str]],
    policies: Sequence[str],
    own: Mapping[str, Feature] | None = None,
) -> dict[str, Any]:
    """The whole audit as plain data.

    `traces`: every answer, kept or not. `pools`: the ids kept after generation 0, 1, ... `policies`: as the
    configuration names them. `own`: features beside those that come with the package.
    """
    seen = observe_run(traces, policies, own or {})
    return audit_observed(seen, keep_matrix(seen, pools), policies)


def observe_run(traces: Iterable[Trace], policies: Sequence[str], own: Mapping[str, Feature]) -> Observations:
    """The traces with all features: first those that the policies ask for, then the user's own.

    Of features that say the same, the earlier one gets the coefficient.
    """
    features = {**FEATURES, **own}
    first = dict.fromkeys(name for name in (*asked_for(policies), *own) if name in features)
    return observe(traces, {name: features[name] for name in {**first, **features}})


def audit_observed(seen: Observations, kept: "NDArray[np.bool_]", policies: Sequence[str]) -> dict[str, Any]:
    """The same from what was measured of the traces, and from which pools kept them, (G, R)."""
    asked = asked_for(policies)
    allowed = rivals_allowed(seen, kept)
    decided = decisions(seen, kept, allowed)
    rewards = [published(seen, decided), picked(seen, decided)]
    judged = rewards if allowed is not None else rewards[:1]
    corrections = corrected(judged)
    grown = changes(seen)
    markers = [name for place, name in enumerate(seen.names) if _is_marker(seen, place)]
    return {
        "policies": list(policies),
        "asked_for": asked,
        "rivals_allowed": allowed,
        "judged": [reward.question for reward in judged],
        "validity": validity(seen, kept),
        "rewards": {reward.question: _reward_data(reward, corrections) for reward in rewards},
        "changes": {name: _change_data(one) for name, one in grown.items()},
        "markers": markers,
        "rare_actions": seen.rare_actions,
        "warnings": [asdict(one) for one in warned(judged, grown, asked)],
        "findings": sentences(judged, corrections, markers),
    }


def _is_marker(seen: Observations, place: int) -> bool:
    """Whether the feature is only ever 0 or 1."""
    column = seen.values[seen.valid, place]
    return not seen.names[place].startswith(ACTION) and bool(((column == 0) | (column == 1)).all())


def _reward_data(reward: Reward, corrections: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    """Plain data: text keys, and each feature's numbers in one place."""
    return {
        "decisions": reward.decisions,
        "kept": reward.kept,
        "note": reward.note,
        "features": {
            name: {
                **asdict(one),
                "p_corrected": corrections.get((reward.question, name)),
                "spread": reward.spread[name],
                "by_generation": {str(number): asdict(them[name]) for number, them in reward.by_generation.items()},
                "drift": asdict(reward.drift[name]) if name in reward.drift else None,
            }
            for name, one in reward.overall.items()
        },
        "left_out": dict(reward.left_out),
    }


def _change_data(change: Change) -> dict[str, Any]:
    return {
        "means": {str(number): asdict(one) for number, one in change.means.items()},
        "since_first": {str(number): asdict(one) for number, one in change.since_first.items()},
        "trend": asdict(change.trend) if change.trend else None,
    }
