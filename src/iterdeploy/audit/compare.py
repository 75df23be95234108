"""Two audits side by side: which coefficients differ, and whose answers change more.

A difference is the first run's number less the second's, with a 95% interval for independent runs. Where two runs share
traces and decisions (generation 0 of one seed) that is too wide, never too narrow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from iterdeploy.audit.findings import CHANCE, holm
from iterdeploy.audit.logit import CONFIDENCE
from iterdeploy.audit.words import ratio


def left_out(audit: Mapping[str, Any]) -> set[str]:
    """Features that have no coefficient beside the others in some question that the audit judges by."""
    return {name for question in audit["judged"] for name in audit["rewards"][question]["left_out"]}


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """`rewards`: for each question and feature that both have a coefficient for. `changes`: for each feature of both.

    An unbounded coefficient has no difference: it differs if the other one's interval lies beyond its bound.
    """
    rewards = []
    for question in dict.fromkeys([*first["judged"], *second["judged"]]):
        ours, theirs = (one["rewards"][question]["features"] for one in (first, second))
        for name in ours:
            if name in theirs and _told(ours[name]) and _told(theirs[name]):
                rewards.append({"feature": name, "question": question, **_difference(ours[name], theirs[name])})
    changes = []
    for name, ours in first["changes"].items():
        theirs = second["changes"].get(name)
        if theirs and ours["trend"] and theirs["trend"]:
            changes.append({"feature": name, **_difference(ours["trend"], theirs["trend"])})
    return {"rewards": _judged(rewards), "changes": _judged(changes)}


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    from scipy.stats import norm

    row: dict[str, Any] = {"first": _brief(ours), "second": _brief(theirs)}
    if not (ours["error"] and theirs["error"]):
        apart = _before(ours, theirs) or _before(theirs, ours)
        return {**row, "difference": None, "low": None, "high": None, "p": None, "differs": apart}
    error = float((ours["error"] ** 2 + theirs["error"] ** 2) ** 0.5)
    value = float(ours["value"] - theirs["value"])
    reach = float(norm.ppf((1 + CONFIDENCE) / 2)) * error
    p = float(2 * norm.sf(abs(value) / error))
    return {**row, "difference": value, "low": value - reach, "high": value + reach, "p": p}


def _judged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the p-values corrected for their number."""
    tested = [row for row in rows if row["p"] is not None]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row |= {"p_corrected": p, "differs": p < CHANCE}
    return rows


def sentences(
    compared: Mapping[str, Sequence[Mapping[str, Any]]],
    first: tuple[str, Mapping[str, Any]],
    second: tuple[str, Mapping[str, Any]],
) -> list[str]:
    """What differs between two runs, each given by its name and its audit; and where one has nothing to compare."""
    out = []
    for name, audit in (first, second):
        for question in audit["judged"]:
            if note := audit["rewards"][question]["note"]:
                out.append(f"{name}, {question}: {note}.")
    for row in compared["rewards"]:
        if row["differs"] and row["difference"] is None:
            out.append(f"{row['feature']} ({row['question']}) is rewarded differently, in one run without exception.")
        elif row["differs"]:
            out.append(
                f"{row['feature']} ({row['question']}): its odds ratio in {first[0]} is "
                f"{ratio(row['difference'])} times ({ratio(row['low'])} to {ratio(row['high'])}) that in {second[0]}."
            )
    for row in compared["changes"]:
        if row["differs"] and row["difference"] is not None:
            out.append(
                f"{row['feature']} changes by {row['first']['value']:+.3g} a generation in {first[0]} and by "
                f"{row['second']['value']:+.3g} in {second[0]}: a difference of {row['difference']:+.3g} "
                f"({row['low']:+.3g} to {row['high']:+.3g})."
            )
    return out or ["Nothing differs beyond chance."]


def _told(one: Mapping[str, Any]) -> bool:
    return bool(one["always"]) or one["value"] is not None


def _brief(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one[key] for key in ("value", "low", "high", "always", "decided") if key in one}


def _before(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the first interval ends before the second begins; an end that is None is infinite."""
    return one["high"] is not None and other["low"] is not None and bool(one["high"] < other["low"])
