"""Two audits side by side: which effects of curation differ, and whose answers change more.

A difference is the first run's number less the second's, with a 95% interval for independent runs. Where two runs share
traces and decisions (generation 0 of one seed) that is too wide, never too narrow. An effect of curation only counts as
different where all four scales of `shares` agree, like a drift.
"""

from collections.abc import Sequence
from dataclasses import replace

from iterdeploy.audit.records import Audit, Compared, Comparison, Contrast
from iterdeploy.audit.shares import amount, different
from iterdeploy.audit.words import between, ratio
from iterdeploy.metrics.correction import holm


def left_out(audit: Audit) -> set[str]:
    """Features that have no coefficient at equal others in some question that the audit decides by."""
    return {
        name
        for reward in audit.rewards
        if reward.decides
        for name, one in reward.features.items()
        if one.coefficient.note
    }


def compare(first: Audit, second: Audit, runs: tuple[str, str]) -> Comparison:
    rewards = []
    for ours, theirs in zip(first.rewards, second.rewards, strict=True):
        for name in ours.features if ours.decides or theirs.decides else ():
            mine, other = ours.features[name].shares, theirs.features.get(name)
            if mine is not None and other is not None and other.shares is not None:
                contrast = different(mine, other.shares)
                rewards.append(Compared(name, ours.question, mine.difference, other.shares.difference, contrast))
    changes = []
    for name, change in first.changes.items():
        against = second.changes.get(name)
        if against and change.trend and against.trend:
            gap = amount(change.trend.value - against.trend.value, change.trend.error**2 + against.trend.error**2)
            changes.append(Compared(name, "", change.trend, against.trend, Contrast(gap, gap, gap.p)))
    rewards, changes = _corrected(rewards), _corrected(changes)
    return Comparison(runs, rewards, changes, _sentences(first, second, runs, rewards, changes))


def _corrected(rows: Sequence[Compared]) -> list[Compared]:
    """With the p-values corrected for their number."""
    p = holm([row.contrast.p for row in rows])
    return [replace(row, p_corrected=one) for row, one in zip(rows, p, strict=True)]


def _sentences(
    first: Audit, second: Audit, runs: tuple[str, str], rewards: Sequence[Compared], changes: Sequence[Compared]
) -> list[str]:
    out = [
        f"{name}, {reward.question}: {reward.note}."
        for name, audit in zip(runs, (first, second), strict=True)
        for reward in audit.rewards
        if reward.decides and reward.note
    ]
    out += [
        f"{row.feature} ({row.question}): its effect on the share kept is {between(row.first)} in {runs[0]} and "
        f"{between(row.second)} in {runs[1]}; the ratio of odds in the first is {ratio(row.contrast.odds.value)} times "
        f"({ratio(row.contrast.odds.low)} to {ratio(row.contrast.odds.high)}) that in the second."
        for row in rewards
        if row.differs
    ]
    out += [
        f"{row.feature} changes by {row.first.value:+.3g} a generation in {runs[0]} and by {row.second.value:+.3g} in "
        f"{runs[1]}: a difference of {row.contrast.difference.value:+.3g} ({row.contrast.difference.low:+.3g} to "
        f"{row.contrast.difference.high:+.3g})."
        for row in changes
        if row.differs
    ]
    return out or ["Nothing differs beyond chance."]
