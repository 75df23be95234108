"""Tables of what an audit says besides what is rewarded: what arrives, when it shows, what could be found, and who."""

from collections.abc import Iterator, Mapping, Sequence

from iterdeploy.audit.records import Amount, Audit, Curators, Discovery, Heritability, Look, Power, Taste
from iterdeploy.audit.words import between, points, ratio
from iterdeploy.tables import NOTHING, Table

MOST_CURATORS = 20
"""Rows of the table of curators."""


def further(audit: Audit) -> Iterator[Table]:
    if audit.heritability:
        yield _heritability(audit.heritability)
    if audit.looks:
        yield _looks(audit.looks)
    yield from map(_power, audit.power)
    yield from map(_discovery, audit.discoveries)
    if audit.curators is not None:
        yield _curators(audit.curators)


def _heritability(found: Mapping[str, Heritability]) -> Table:
    return Table(
        "How much of what was selected arrives, over all generations, on the same tasks",
        ("feature", "selected [95% interval]", "arrived [95% interval]", "share that arrived [95% interval]"),
        tuple(
            (
                name,
                _signed(one.selected),
                _signed(one.arrived),
                NOTHING
                if one.realised is None
                else f"{one.realised.value:.2f} ({one.realised.low:.2f} to {one.realised.high:.2f})",
            )
            for name, one in found.items()
        ),
        (
            "Selected: the pool's answers less those of the generation that it is made after. Arrived: the next "
            "generation's answers less those of this one. A dash: nothing was selected beyond chance.",
        ),
    )


def _signed(one: Amount) -> str:
    return f"{one.value:+.3g} [{one.low:+.3g}, {one.high:+.3g}]"


def _looks(looks: Sequence[Look]) -> Table:
    alarms = [look for look in looks if look.alarm]
    note = (
        f"Alarm after generation {alarms[0].generation}: {' and '.join(alarms[0].features)} ({alarms[0].question})."
        if alarms
        else "No alarm."
    )
    return Table(
        "Looking after every generation, with one rate of false alarms for all looks: at most 5%",
        ("after generation", "decisions so far", "smallest p, corrected", "of", "alarm below"),
        tuple(
            (
                str(look.generation),
                str(look.decisions),
                f"{look.p:.2g}",
                " and ".join(look.features) or NOTHING,
                f"{look.level:.2g}",
            )
            for look in looks
        ),
        (note, "What the configuration asks for raises no alarm."),
    )


def _power(power: Power) -> Table:
    return Table(
        f"What could have been found ({power.question}): the chance to see a taste in {power.decisions} decisions",
        ("ratio of odds", *(f"{share:.0%} of answers have it" for share in power.prevalences)),
        tuple(
            (ratio(strength), *(f"{chance:.0%}" for chance in row))
            for strength, row in zip(power.strengths, power.found, strict=True)
        ),
        (f"A taste for a marker; by its test alone, at p < {power.level:.2g} (5% for all tests of this audit).",),
    )


def _discovery(found: Discovery) -> Table:
    return Table(
        f"Phrases that nobody thought of ({found.question})",
        ("phrase", "answers with it", "share kept, with less without [95% interval]", "q", "goes most with"),
        tuple(
            (
                one.text,
                f"{one.share:.1%}",
                between(one.difference),
                f"{one.q:.2g}",
                f"{one.like} ({one.correlation:+.2f})" if one.like else NOTHING,
            )
            for one in found.phrases
        ),
        (
            f"{found.tried} phrases were tried on the answers to one half of the tasks; {found.tested} candidates were "
            f"tested on the {found.answers} answers to the other half. "
            + ("At most 5% of those shown are expected to be false." if found.phrases else "None stands out."),
        ),
    )


def _curators(found: Curators) -> Table:
    named = [one for one in found.curators if any(taste.named for taste in one.tastes.values())]
    shown = sorted(found.curators, key=lambda one: (one not in named, -one.kept))[:MOST_CURATORS]
    differing = [f"{name} (p = {p:.2g})" for name, p in found.differ.items() if p < 0.05]
    return Table(
        f"Curators: {len(found.curators)} with {found.judgements} judgements on valid answers",
        ("curator", "judged", "kept", "of all kept", "taste [95% interval]", "q", "moves what is kept by"),
        tuple(
            (
                one.name,
                str(one.judged),
                str(one.kept),
                f"{one.share:.1%}",
                *_taste(one.tastes, one.influence),
            )
            for one in shown
        ),
        (
            f"{len(named)} are named for a taste; at most 5% of these are expected to be named falsely."
            + (f" {len(found.curators) - len(shown)} more are not shown." if len(shown) < len(found.curators) else ""),
            f"Curators differ in {', '.join(differing)}." if differing else "That curators differ cannot be shown.",
        ),
    )


def _taste(tastes: Mapping[str, Taste], influence: Mapping[str, float]) -> tuple[str, str, str]:
    """The taste of which one is surest."""
    if not tastes:
        return NOTHING, NOTHING, NOTHING
    name, taste = min(tastes.items(), key=lambda item: item[1].q)
    if not taste.named:
        return NOTHING, f"{taste.q:.2g}", NOTHING
    return f"{name}: {between(taste.difference)}", f"{taste.q:.2g}", f"{name}: {points(influence[name])}"
