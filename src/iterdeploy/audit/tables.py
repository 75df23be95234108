"""The audit's plain data as tables for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from iterdeploy.audit.logit import Coefficient
from iterdeploy.audit.rewards import PICKED, PUBLISHED
from iterdeploy.audit.words import effect, ratio

QUESTIONS = {
    PUBLISHED: "which valid answers are published, compared with others to like tasks",
    PICKED: "which of two valid answers to one task is picked",
}
ASKED = {1: "more", -1: "less"}


def tables(audit: Mapping[str, Any]) -> Iterator[Table]:
    """Validity, one for each question with something to tell, and the changes."""
    yield _validity(audit["validity"])
    for question in audit["rewards"]:
        if audit["rewards"][question]["features"]:
            yield _reward(audit, question)
    yield _changes(audit["changes"])


def _validity(validity: Mapping[str, Any]) -> Table:
    out = Table(title="How much validity is rewarded: answers kept after their own generation", title_justify="left")
    for name in ("after gen", "valid", "not valid [95% interval]", "later taken out", "brought back"):
        out.add_column(name, justify="right")
    for row in [*validity["by_generation"], {"generation": "all", "taken_out": "", "brought_back": "", **validity}]:
        out.add_row(
            str(row["generation"]),
            _share(row["valid"]),
            _share(row["not_valid"]),
            str(row["taken_out"]),
            str(row["brought_back"]),
        )
    return out


def _share(share: Mapping[str, Any] | None) -> str:
    if share is None:
        return "-"
    interval = f"[{share['low']:.1%}, {share['high']:.1%}]"
    return f"{share['kept']} of {share['answers']}: {share['share']:.1%} {interval}"


def _reward(audit: Mapping[str, Any], question: str) -> Table:
    reward = audit["rewards"][question]
    role = "" if question in audit["judged"] else " (a check; the table above decides)"
    out = Table(
        title=f"Ratios of odds: {QUESTIONS[question]}; {reward['decisions']} decisions{role}", title_justify="left"
    )
    generations = sorted({number for one in reward["features"].values() for number in one["by_generation"]}, key=int)
    out.add_column("feature")
    out.add_column("asked for")
    for name in ("each unit [95% interval]", "each s.d.", "p, corrected", *(f"gen {number}" for number in generations)):
        out.add_column(name, justify="right")
    out.add_column("drift a generation", justify="right")
    for name, one in reward["features"].items():
        value, drift, p = one["value"], one["drift"], one["p_corrected"]
        out.add_row(
            name,
            ASKED.get(audit["asked_for"].get(name, 0), ""),
            effect(_coefficient(one)),
            "" if value is None else ratio(value * one["spread"]),
            "" if p is None else f"{p:.2g}",
            *(_short(one["by_generation"].get(number)) for number in generations),
            "" if drift is None else f"{ratio(drift['slope'])} ({ratio(drift['low'])} to {ratio(drift['high'])})",
        )
    return out


def _coefficient(one: Mapping[str, Any]) -> Coefficient:
    return Coefficient(**{name: one[name] for name in Coefficient.__slots__})


def _short(one: Mapping[str, Any] | None) -> str:
    """One generation's coefficient without its interval; a coefficient that has none is a dash."""
    if one is None or (one["value"] is None and not one["always"]):
        return "-"
    return ratio(one["value"]) if not one["always"] else f"{'+' if one['always'] > 0 else '-'}always {one['decided']}"


def _changes(changes: Mapping[str, Any]) -> Table:
    out = Table(title="The model's own valid answers: means, and the change like for like", title_justify="left")
    out.add_column("feature")
    generations = sorted({number for one in changes.values() for number in one["means"]}, key=int)
    for name in (*(f"gen {number}" for number in generations), "change a generation, same tasks [95% interval]"):
        out.add_column(name, justify="right")
    for name, one in changes.items():
        trend = one["trend"]
        out.add_row(
            name,
            *(f"{one['means'][number]['value']:.4g}" if number in one["means"] else "-" for number in generations),
            "-" if trend is None else f"{trend['value']:+.3g} [{trend['low']:+.3g}, {trend['high']:+.3g}]",
        )
    return out


def comparison(compared: Mapping[str, Any], first: str, second: str) -> Iterator[Table]:
    """The coefficients of two runs, and the changes of their answers."""
    if compared["rewards"]:
        out = Table(title=f"Ratios of odds: {first} against {second}", title_justify="left")
        for name in ("feature", "question", first, second, "ratio of the two [95% interval]", "p, corrected"):
            out.add_column(name)
        for row in compared["rewards"]:
            told = row["difference"] is not None
            out.add_row(
                row["feature"],
                row["question"],
                effect(Coefficient(**row["first"])),
                effect(Coefficient(**row["second"])),
                f"{ratio(row['difference'])} ({ratio(row['low'])} to {ratio(row['high'])})" if told else "-",
                f"{row['p_corrected']:.2g}" if told else "differs" if row["differs"] else "no difference shown",
            )
        yield out
    out = Table(title=f"Change a generation, same tasks: {first} against {second}", title_justify="left")
    for name in ("feature", first, second, "difference [95% interval]", "p, corrected"):
        out.add_column(name)
    for row in compared["changes"]:
        told = row["difference"] is not None
        out.add_row(
            row["feature"],
            f"{row['first']['value']:+.3g}",
            f"{row['second']['value']:+.3g}",
            f"{row['difference']:+.3g} [{row['low']:+.3g}, {row['high']:+.3g}]" if told else "-",
            f"{row['p_corrected']:.2g}" if told else "-",
        )
    yield out
