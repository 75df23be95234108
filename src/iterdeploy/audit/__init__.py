"""The implicit reward of curation: what a run's pools favour, and whether the model comes to do it.

`audit` is a pure function from the traces, the pools and the curation policies to an `Audit`, the content of
audit.json; docs/audit.md explains the model, what it assumes and what it cannot say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from iterdeploy.audit.changes import changes
from iterdeploy.audit.decisions import decisions, rivals_allowed, validity
from iterdeploy.audit.findings import asked_for, corrected, findings
from iterdeploy.audit.heritability import heritability
from iterdeploy.audit.looks import looks
from iterdeploy.audit.observe import Observations, keep_matrix, observe
from iterdeploy.audit.questions import picked, published
from iterdeploy.audit.records import Audit, Reward
from iterdeploy.audit.rewards import reward
from iterdeploy.curation.features import FEATURES, Feature
from iterdeploy.sections import UserError
from iterdeploy.types import NOTHING, Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Audit", "audit", "audit_observed", "keep_matrix", "need_statistics", "observe_run"]


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
    recorded: Mapping[str, float] = NOTHING,
) -> Audit:
    """The whole audit.

    `traces`: every answer, kept or not. `pools`: the ids kept after generation 0, 1, ... `policies`: as the
    configuration names them. `own`: features besides those that come with the package. `recorded`: feature -> how
    much more or less of it the run's own record says that its policies ask for.
    """
    seen = observe_run(traces, policies, own or {}, recorded)
    return audit_observed(seen, keep_matrix(seen, pools), policies, recorded=recorded)


def observe_run(
    traces: Iterable[Trace],
    policies: Sequence[str],
    own: Mapping[str, Feature],
    recorded: Mapping[str, float] = NOTHING,
) -> Observations:
    """The traces with all features: first those that the policies ask for, then the user's own.

    Of features that say the same, the earlier one gets the coefficient.
    """
    features = {**FEATURES, **own}
    first = dict.fromkeys(name for name in (*asked_for(policies, recorded), *own) if name in features)
    return observe(traces, {name: features[name] for name in {**first, **features}})


def audit_observed(
    seen: Observations,
    kept: "NDArray[np.bool_]",
    policies: Sequence[str],
    planned: int | None = None,
    recorded: Mapping[str, float] = NOTHING,
) -> Audit:
    """The audit, from what was measured of the traces, and from which pools kept them, (G, R).

    `planned`: how many pools the run will make, of which each is looked at; None: as many as there are.
    """
    asked = asked_for(policies, recorded)
    allowed = rivals_allowed(seen, kept)
    rewards = rewarded(seen, kept, allowed)
    grown = changes(seen)
    return Audit(
        policies=policies,
        asked_for=asked,
        rivals_allowed=allowed,
        rare_actions=seen.rare_actions,
        decisions=validity(seen, kept),
        rewards=rewards,
        changes=grown,
        findings=findings(rewards, grown, asked),
        heritability=heritability(seen, kept, allowed),
        looks=looks(seen, kept, asked, planned),
    )


def rewarded(seen: Observations, kept: "NDArray[np.bool_]", allowed: int | None) -> list[Reward]:
    """The answers to both questions, with corrected p-values. `picked` decides only where curation picks."""
    first = decisions(seen, kept, allowed)
    answers = [
        reward(seen, published(seen, first), decides=True),
        reward(seen, picked(seen, first), decides=allowed is not None),
    ]
    return corrected(answers)
