"""What an audit found, as tables of text."""

from collections.abc import Iterator, Mapping

from iterdeploy.audit.further_tables import further
from iterdeploy.audit.questions import PICKED, PUBLISHED
from iterdeploy.audit.records import Amount, Audit, Change, Coefficient, Comparison, Decision, Kept, Reward, Rewarded
from iterdeploy.audit.words import between, effect, points, ratio
from iterdeploy.tables import NOTHING, Table

QUESTIONS = {
    PUBLISHED: "which valid answers are published, compared with others to like tasks",
    PICKED: "which of two valid answers to one task is picked",
}
ASKED = {1: "more", -1: "less"}


def tables(audit: Audit) -> Iterator[Table]:
    """Validity, two for each question with something to tell, the changes, and what else was asked for."""
    yield _validity(audit)
    for reward in audit.rewards:
        if reward.features:
            yield _shares(audit, reward)
            yield _odds(audit, reward)
    yield _changes(audit.changes)
    yield from further(audit)
    if audit.against is not None:
        yield from _comparison(audit.against)


def _validity(audit: Audit) -> Table:
    return Table(
        "How much validity is rewarded: answers kept after their own generation",
        ("after generation", "valid [95% interval]", "not valid [95% interval]", "later taken out", "brought back"),
        tuple(_decision(row) for row in audit.decisions),
    )


def _decision(row: Decision) -> tuple[str, ...]:
    revised = ("", "") if row.generation is None else (str(row.taken_out), str(row.brought_back))
    return ("all" if row.generation is None else str(row.generation), _kept(row.valid), _kept(row.not_valid), *revised)


def _kept(share: Kept | None) -> str:
    if share is None:
        return NOTHING
    return f"{share.kept} of {share.answers}: {share.share:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _title(reward: Reward) -> str:
    return f"{QUESTIONS[reward.question]}; {reward.decisions} decisions{'' if reward.decides else ' (a check)'}"


def _shares(audit: Audit, reward: Reward) -> Table:
    """Differences of shares: what the findings are put in."""
    generations = sorted({number for one in reward.features.values() for number in one.by_generation})
    constant = [name for name, one in reward.features.items() if one.alone is None]
    notes = [f"{' and '.join(constant)} {'do' if len(constant) > 1 else 'does'} not vary."] if constant else []
    notes += [f"{name} is left out: {one.coefficient.note}." for name, one in reward.features.items() if _untold(one)]
    notes += [
        f"Cannot be told apart: {' and '.join(group.features)} ({_p(group.p_corrected)})." for group in reward.groups
    ]
    if audit.rare_actions:
        notes.append(f"{audit.rare_actions} action names occur in too few plans to be features.")
    return Table(
        f"Points of share: {_title(reward)}",
        (
            "feature",
            "asked for",
            "alone [95% interval]",
            "p, corrected",
            "at equal others [95% interval]",
            *(f"gen {number}" for number in generations),
            "drift a generation",
        ),
        tuple(
            (
                _what(name, one),
                ASKED.get(audit.asked_for.get(name, 0), ""),
                _alone(one),
                _p(one.alone_p),
                NOTHING if one.shares is None else between(one.shares.difference),
                *(_difference(one, number) for number in generations),
                NOTHING if one.drift is None else between(one.drift.difference),
            )
            for name, one in reward.features.items()
            if one.alone is not None
        ),
        tuple(notes),
    )


def _untold(one: Rewarded) -> bool:
    return one.alone is not None and bool(one.coefficient.note)


def _what(name: str, one: Rewarded) -> str:
    return name if one.marker else f"{name} (by {one.spread:.3g})"


def _alone(one: Rewarded) -> str:
    """For a standard deviation, like the effects at equal others."""
    assert one.alone is not None
    by = 1.0 if one.marker else one.spread
    return between(
        Amount(by * one.alone.value, by * one.alone.low, by * one.alone.high, by * one.alone.error, one.alone.p)
    )


def _difference(one: Rewarded, generation: int) -> str:
    of = one.by_generation.get(generation)
    return NOTHING if of is None or of.shares is None else points(of.shares.difference.value).removesuffix(" points")


def _odds(audit: Audit, reward: Reward) -> Table:
    generations = sorted({number for one in reward.features.values() for number in one.by_generation})
    return Table(
        f"Ratios of odds, at equal others: {_title(reward)}",
        (
            "feature",
            "each unit [95% interval]",
            "each s.d.",
            "p, corrected",
            *(f"gen {number}" for number in generations),
            "drift a generation",
        ),
        tuple(
            (
                name,
                effect(one.coefficient),
                NOTHING if one.coefficient.value is None else ratio(one.coefficient.value * one.spread),
                _p(one.coefficient_p),
                *(_short(one.by_generation[number].coefficient) if number in one.by_generation else NOTHING
                  for number in generations),
                NOTHING if one.drift is None else _ratio(one.drift.odds),
            )
            for name, one in reward.features.items()
            if not _untold(one) and one.alone is not None
        ),
        ("A preference that no feature measures shrinks ratios of odds, and its changes change them; not so shares.",),
    )  # fmt: skip


def _p(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}"


def _ratio(one: Amount) -> str:
    return f"{ratio(one.value)} ({ratio(one.low)} to {ratio(one.high)})"


def _short(one: Coefficient) -> str:
    """One generation's coefficient without its interval."""
    if one.always:
        return f"{'+' if one.always > 0 else '-'}always {one.decided}"
    return NOTHING if one.value is None else ratio(one.value)


def _changes(changes: Mapping[str, Change]) -> Table:
    generations = sorted({number for one in changes.values() for number in one.means})
    return Table(
        "The model's own valid answers: means, and the change like for like",
        ("feature", *(f"gen {number}" for number in generations), "change a generation, same tasks [95% interval]"),
        tuple(
            (
                name,
                *(f"{one.means[number].value:.4g}" if number in one.means else NOTHING for number in generations),
                NOTHING if one.trend is None else _signed(one.trend),
            )
            for name, one in changes.items()
        ),
    )


def _signed(one: Amount) -> str:
    return f"{one.value:+.3g} [{one.low:+.3g}, {one.high:+.3g}]"


def _comparison(found: Comparison) -> Iterator[Table]:
    """The effects of curation in two runs, and the changes of their answers."""
    first, second = found.runs
    if found.rewards:
        yield Table(
            f"Points of share, at equal others: {first} against {second}",
            ("feature", "question", first, second, "difference [95% interval]", "ratio of odds ratios", "p, corrected"),
            tuple(
                (one.feature, one.question, between(one.first), between(one.second), between(one.contrast.difference),
                 _ratio(one.contrast.odds), _p(one.p_corrected))
                for one in found.rewards
            ),
        )  # fmt: skip
    yield Table(
        f"Change a generation, same tasks: {first} against {second}",
        ("feature", first, second, "difference [95% interval]", "p, corrected"),
        tuple(
            (
                one.feature,
                _signed(one.first),
                _signed(one.second),
                _signed(one.contrast.difference),
                _p(one.p_corrected),
            )
            for one in found.changes
        ),
    )
