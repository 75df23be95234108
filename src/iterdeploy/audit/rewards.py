"""What raises the odds, and the share, of being kept: the answers to the two questions.

Of each feature: its association alone; its coefficient and its effect on the share kept at equal other features, in
all and by generation; and whether that effect changes. Features that cannot be told apart are tested together.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from iterdeploy.audit import effects
from iterdeploy.audit.association import associations
from iterdeploy.audit.design import Design, LeftOut, choose
from iterdeploy.audit.effects import Joint
from iterdeploy.audit.logit import HOPELESS_INFLATION, estimate, hopeless
from iterdeploy.audit.observe import ACTION, Observations
from iterdeploy.audit.questions import Question
from iterdeploy.audit.records import Coefficient, Contrast, Group, OfGeneration, Reward, Rewarded, Shares
from iterdeploy.audit.shares import drift

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACTION_INFLATION = 2.0
"""The most that an action's share may inflate a variance: a marker made of actions would drown in their shares."""


def is_marker(seen: Observations) -> "NDArray[np.bool_]":
    """Of each feature, whether it is only ever 0 or 1 among the valid answers, (F,)."""
    import numpy as np

    values = seen.values[seen.valid]
    binary: NDArray[np.bool_] = ((values == 0) | (values == 1)).all(axis=0)
    markers: NDArray[np.bool_] = binary & np.array([not name.startswith(ACTION) for name in seen.names], dtype=bool)
    return markers


def reward(seen: Observations, question: Question, *, decides: bool, by_generation: bool = True) -> Reward:
    """Without corrections for the number of features."""
    design = question.design
    markers = dict(zip(seen.names, is_marker(seen).tolist(), strict=True))
    if not len(design.kept):
        return Reward(question.name, decides, 0, 0, {}, (), question.note)
    spread = dict(zip(seen.names, question.strata.centred(question.features).std(axis=0).tolist(), strict=True))
    names, left_out = _entered(design)
    alone = dict(zip(seen.names, associations(question.features, question.strata), strict=True))
    chosen = design.pick(names)
    notes = {name: Coefficient(note=one.why) for name, one in left_out.items()}
    overall = {**notes, **estimate(chosen)}
    joint = _joint(chosen)
    shares = effects.shares(joint, joint.design, markers, spread) if joint else {}
    generations = _by_generation(chosen, question.generation, markers, spread) if by_generation else {}
    features = {
        name: Rewarded(
            marker=markers[name],
            spread=spread[name],
            alone=alone[name],
            alone_p=None,
            coefficient=overall[name],
            coefficient_p=None,
            shares=shares.get(name) if overall[name].value is not None else None,
            by_generation={number: of[name] for number, of in generations.items() if name in of},
            drift=_drift(name, generations, question.generation),
        )
        for name in seen.names
    }
    kept = int(design.kept.sum())
    return Reward(question.name, decides, len(design.kept), kept, features, _groups(design, left_out), "")


def _entered(design: Design) -> tuple[tuple[str, ...], Mapping[str, LeftOut]]:
    return choose(design, {name: ACTION_INFLATION for name in design.names if name.startswith(ACTION)})


def _joint(design: Design) -> Joint | None:
    """The features of the design that can be told apart at all, fitted together; None with too few decisions."""
    told_apart = design.pick(choose(design, dict.fromkeys(design.names, HOPELESS_INFLATION))[0])
    return effects.together(told_apart) if told_apart.names and not hopeless(told_apart) else None


def _by_generation(
    design: Design, generation: "NDArray[np.int64]", markers: Mapping[str, bool], spread: Mapping[str, float]
) -> dict[int, dict[str, OfGeneration]]:
    """Shares are those among the answers of all generations, so that only the effect can differ between them."""
    import numpy as np

    out = {}
    for number in np.unique(generation):
        now = generation == number
        new = design.only(now)
        joint = _joint(new)
        shares: Mapping[str, Shares] = {}
        if joint is not None:
            population = design.pick(joint.design.names).at_the_time_of(new)
            shares = effects.shares(joint, population, markers, spread)
        out[int(number)] = {
            name: OfGeneration(one, shares.get(name) if one.value is not None else None)
            for name, one in estimate(new).items()
        }
    return out


def _drift(
    name: str, generations: Mapping[int, Mapping[str, OfGeneration]], generation: "NDArray[np.int64]"
) -> Contrast | None:
    found = {number: one.shares for number, of in generations.items() if (one := of.get(name)) and one.shares}
    return drift(found, {number: int((generation == number).sum()) for number in found})


def _groups(design: Design, left_out: Mapping[str, LeftOut]) -> list[Group]:
    """Features of which some could have been entered in the place of others; shares of actions aside."""
    merged: list[set[str]] = []
    for name, one in left_out.items():
        if one.like and not name.startswith(ACTION):
            touching = [group for group in merged if group & {name, *one.like}]
            merged = [group for group in merged if group not in touching]
            merged.append({name, *one.like}.union(*touching))
    entered = [name for name in design.names if name not in left_out]
    out = []
    for group in merged:
        members = tuple(name for name in design.names if name in group)
        joint = _joint(design.pick([name for name in design.names if name in group or name in entered]))
        tested = [name for name in joint.design.names if name in group] if joint else []
        why = "; ".join(f"{name}: {left_out[name].why}" for name in members if name in left_out)
        out.append(Group(members, effects.joint_p(joint, tested) if joint and tested else None, None, why))
    return out
