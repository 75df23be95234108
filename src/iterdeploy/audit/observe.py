"""The answers of a run as arrays: what was measured of each valid one, and which pools kept it.

R: answers. F: features. G: pools, one for each curated generation.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from iterdeploy.curation.features import Feature
from iterdeploy.planning.plans import plan_of
from iterdeploy.sections import UserError
from iterdeploy.types import Split, Status, Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RAREST_ACTION = 0.01
"""An action is a feature if it occurs in this share of the valid plans; obfuscated names occur in one task each."""

ACTION = "action:"


@dataclass(frozen=True, slots=True)
class Observations:
    """One row for each answer that the validator could judge, in the order of the traces."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    """The features' names, (F,)."""
    values: "NDArray[np.float64]"
    """(R, F); not a number where the answer is not valid."""
    task: "NDArray[np.int64]"
    """Number of the task, (R,); so below."""
    domain: "NDArray[np.int64]"
    size: "NDArray[np.float64]"
    generation: "NDArray[np.int64]"
    deployed: "NDArray[np.bool_]"
    valid: "NDArray[np.bool_]"
    rare_actions: int
    """Names of actions that occur too rarely to be features."""

    def without(self, names: Collection[str]) -> "Observations":
        left = [place for place, name in enumerate(self.names) if name not in names]
        return replace(self, names=tuple(self.names[place] for place in left), values=self.values[:, left])


def observe(traces: Iterable[Trace], features: Mapping[str, Feature]) -> Observations:
    """Measures the features of every valid answer; "action:NAME" is the percentage of a plan's steps with that name."""
    import numpy as np

    ids, places, valid, rows = [], [], [], []
    shares: list[dict[str, float]] = []
    tasks: dict[str, int] = {}
    domains: dict[str, int] = {}
    for trace in traces:
        if trace.verdict.status is Status.ERROR:
            continue
        ids.append(trace.id)
        task = tasks.setdefault(trace.task_id, len(tasks))
        domain = domains.setdefault(trace.domain, len(domains))
        places.append((task, domain, trace.size, trace.generation, trace.split is Split.DEPLOYED))
        valid.append(trace.valid)
        if trace.valid:
            rows.append([_value(name, feature, trace) for name, feature in features.items()])
            steps = Counter(step[0] for step in plan_of(trace.verdict))
            shares.append({name: 100 * count / steps.total() for name, count in steps.items()})
    plans_with = Counter(name for plan in shares for name in plan)
    actions = sorted(name for name, plans in plans_with.items() if plans >= RAREST_ACTION * len(shares))
    names = (*features, *(ACTION + name for name in actions))
    is_valid = np.array(valid, dtype=bool)
    values = np.full((len(ids), len(names)), np.nan)
    if rows:
        values[is_valid] = [
            [*row, *(plan.get(name, 0.0) for name in actions)] for row, plan in zip(rows, shares, strict=True)
        ]
    task_, domain_, size, generation, deployed = np.array(places, dtype=np.int64).reshape(-1, 5).T
    return Observations(
        ids=tuple(ids),
        names=names,
        values=values,
        task=task_,
        domain=domain_,
        size=size.astype(float),
        generation=generation,
        deployed=deployed.astype(bool),
        valid=is_valid,
        rare_actions=len(plans_with) - len(actions),
    )


def text(trace: Trace) -> str:
    """What the answer says."""
    return trace.text


def keep_matrix(seen: Observations, pools: Sequence[Collection[str]]) -> "NDArray[np.bool_]":
    """(G, R): which pool holds which answer."""
    import numpy as np

    return np.array([[one in pool for one in seen.ids] for pool in map(set, pools)], dtype=bool)


def _value(name: str, feature: Feature, trace: Trace) -> float:
    try:
        value = float(feature(trace))
    except Exception as error:
        raise UserError(
            f"the feature {name} failed on the valid trace {trace.id}: {type(error).__name__}: {error}; "
            "it must return a number for every valid answer"
        ) from error
    if not math.isfinite(value):
        raise UserError(f"the feature {name} is {value} on the valid trace {trace.id}; it must be a finite number")
    return value
