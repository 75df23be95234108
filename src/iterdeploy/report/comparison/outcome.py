"""Which arm is best, by how much, and what differs in the configurations: paired by task wherever tasks are shared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from iterdeploy.config import RunConfig
from iterdeploy.metrics import seeds
from iterdeploy.metrics.correction import holm
from iterdeploy.metrics.paired import CHANCE, Paired, equivalent
from iterdeploy.metrics.records import Interval, Point
from iterdeploy.metrics.results import TaskResult
from iterdeploy.metrics.unpaired import unpaired
from iterdeploy.metrics.words import chance, exchanged, listed, points, share, sizes
from iterdeploy.report.comparison.runs import Arm, Comparison, differences, never_seen, seen
from iterdeploy.report.drawing.tables import SPLITS
from iterdeploy.tables import NOTHING, Table

Couple = tuple[Sequence[TaskResult], Sequence[TaskResult]]


@dataclass(frozen=True, slots=True)
class Contrast:
    """How far two arms are apart in the last generation that all arms have."""

    better: Arm
    other: Arm
    difference: float
    """Coverage of the better one less that of the other."""
    interval: Interval
    p: float
    """Corrected for all pairs of arms (Holm)."""
    paired: Paired | None
    """None: they did not answer the same tasks."""


def contrasts(comparison: Comparison) -> list[Contrast]:
    """Of all pairs of arms."""
    found = [_contrast(one, other, comparison) for one, other in combinations(comparison.arms, 2)]
    corrected = holm([one.p for one in found])
    return [replace(one, p=p) for one, p in zip(found, corrected, strict=True)]


def _contrast(one: Arm, other: Arm, comparison: Comparison) -> Contrast:
    split, last = comparison.split, comparison.last
    levels = [arm.coverage(split)[last] for arm in (one, other)]
    if levels[0].value < levels[1].value:
        one, other, levels = other, one, levels[::-1]
    couples = _couples(one, other, last, split)
    change = seeds.difference([theirs for _, theirs in couples], [ours for ours, _ in couples])
    if change is None:
        apart = unpaired(levels[1], levels[0])
        return Contrast(one, other, apart.value, apart.interval, apart.p, None)
    return Contrast(one, other, change.difference, change.interval, change.p, change)


def _couples(one: Arm, other: Arm, generation: int, split: str) -> list[Couple]:
    """How the tasks of runs went that have one seed, or are the only ones of their arms; none if the tasks differ."""
    ours, theirs = ({run.config.seed: run.tasks(generation, split) for run in arm.runs} for arm in (one, other))
    couples = [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]
    if not couples and len(ours) == len(theirs) == 1:
        couples = list(zip(ours.values(), theirs.values(), strict=True))
    same = all({row.task for row in mine} == {row.task for row in others} for mine, others in couples)
    return couples if same else []


def sentence(comparison: Comparison) -> str:
    """Which arm is best in the last generation that all have, and how far the others are from it."""
    last, what = comparison.last, f"{SPLITS[comparison.split]} coverage"
    levels = {arm.title: arm.coverage(comparison.split)[last] for arm in comparison.arms}
    best = max(comparison.arms, key=lambda arm: levels[arm.title].value)
    if len(comparison.arms) == 1:
        return (
            f"In generation {last}, {best.title} has a {what} of {share(levels[best.title])}{_since(best, comparison)}."
        )
    found = contrasts(comparison)
    said = [f"In generation {last}, {best.title} has the highest {what}, {share(levels[best.title])}."]
    said += [_said(one, comparison.margin) for one in found if one.better is best]
    if len(found) > 1:
        said.append(f"All p-values are corrected for {len(found)} comparisons.")
    return " ".join(said)


def _said(one: Contrast, margin: float | None) -> str:
    by = points(one.difference, one.interval)
    on = "on other tasks"
    if one.paired is not None:
        on = f"with {exchanged(one.paired)} of the same {one.paired.tasks:,}"
    keys = f"; they differ in {listed(differences(one.better.runs[0], one.other.runs[0]))}."
    if one.p < CHANCE:
        return f"It is ahead of {one.other.title} by {by}, {on} ({chance(one.p)}){keys}"
    says = f"No difference from {one.other.title} can be claimed: {by}, {on} ({chance(one.p)})"
    if margin is not None:
        within = "are equivalent" if equivalent(one.interval, margin) else "are not shown to be equivalent"
        says += f"; within {100 * margin:g} points the two {within}"
    return says + keys


def _since(arm: Arm, comparison: Comparison) -> str:
    """What changed since generation 0, where the same tasks were asked."""
    change, frontiers = arm.change(comparison.split), arm.frontiers(comparison.split)
    if change is None or not arm.last:
        return ""
    by = f"{points(change.difference, change.interval)}, with {exchanged(change)} ({chance(change.p)})"
    return f", since generation 0 by {by}; the frontier went from {sizes(frontiers[0])} to {sizes(frontiers[arm.last])}"


def contrast_table(comparison: Comparison) -> Table | None:
    """All pairs of arms; None for one arm."""
    rows = [
        (
            f"{one.better.title} less {one.other.title}",
            points(one.difference, one.interval),
            *(("other tasks", NOTHING, NOTHING) if one.paired is None else (
                f"the same {one.paired.tasks:,}", f"{one.paired.gained:,}", f"{one.paired.lost:,}")),
            chance(one.p),
            ", ".join(differences(one.better.runs[0], one.other.runs[0])),
        )
        for one in contrasts(comparison)
    ]  # fmt: skip
    if not rows:
        return None
    columns = (
        "",
        f"{SPLITS[comparison.split]} coverage",
        "tasks",
        "gained",
        "lost",
        "chance",
        "configurations differ in",
    )
    note = (
        "Chance: p-values, corrected for all rows (Holm). Arms that answered the same tasks are compared task by task."
    )
    return Table(f"Differences in generation {comparison.last}", columns, tuple(rows), (note,))


def configurations(comparison: Comparison) -> Table | None:
    """The keys in which some arm differs from the first, with the value of each; None where there are none."""
    first, *others = (arm.runs[0] for arm in comparison.arms)
    keys = list(dict.fromkeys(key for other in others for key in differences(first, other)))
    rows = [(key, *(json.dumps(_value(arm.runs[0].config, key)) for arm in comparison.arms)) for key in keys]
    columns = ("key", *(arm.title for arm in comparison.arms))
    return Table("What differs in the configurations", columns, tuple(rows)) if rows else None


def _value(config: RunConfig, key: str) -> Any:
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "split": comparison.split,
        "sentence": sentence(comparison),
        "differences": [_difference(one) for one in contrasts(comparison)],
        "arms": [_arm(arm, comparison.split) for arm in comparison.arms],
    }


def _difference(one: Contrast) -> dict[str, Any]:
    counts = {} if one.paired is None else {name: getattr(one.paired, name) for name in ("tasks", "gained", "lost")}
    return {
        "better": one.better.title,
        "other": one.other.title,
        "difference": one.difference,
        "interval": [one.interval.low, one.interval.high],
        "p": one.p,
        "paired": one.paired is not None,
        **counts,
        "keys": differences(one.better.runs[0], one.other.runs[0]),
    }


def _arm(arm: Arm, split: str) -> dict[str, Any]:
    ratio, change = arm.ratio(split), arm.change(split)
    return {
        "title": arm.title,
        "runs": [{"name": run.name, "seed": run.config.seed} for run in arm.runs],
        "coverage": _plain(arm.coverage(split)),
        "reliability": _plain(arm.coverage(split, seen)),
        "generalisation": _plain(arm.coverage(split, never_seen)),
        "frontiers": [
            {"generation": generation, **{domain: asdict(one) for domain, one in found.items()}}
            for generation, found in arm.frontiers(split).items()
        ],
        "longest_plan": _plain(
            arm.mean(lambda one: None if (found := one.coverage(split)) is None else found.longest_plan)
        ),
        "ratio": ratio and asdict(ratio),
        "change": change and asdict(change),
    }


def _plain(found: Mapping[int, Point]) -> list[dict[str, Any]]:
    return [{"generation": generation, **asdict(point)} for generation, point in found.items()]
