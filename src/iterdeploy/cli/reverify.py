"""`iterdeploy reverify`: a run's stored answers judged again, and what follows, next to what the run has."""

import argparse
from collections import Counter
from collections.abc import Iterator

from iterdeploy.cli.common import console, quiet, run_path, saving, show
from iterdeploy.config import RunConfig
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.steps.reverify import REVERIFICATION, Before, Reverification, write_reverification
from iterdeploy.steps.reverify import reverify as judge_again
from iterdeploy.tables import Table
from iterdeploy.wording import say

SHOWN = 20
"""Changes that are listed one by one."""


def reverify(arguments: argparse.Namespace) -> int:
    quiet()
    path = run_path(arguments)
    config = _with_validator(trusted_config(path, arguments.trust), arguments.validator)
    run_dir = RunDir.read(path)
    name = ""
    try:
        found = judge_again(run_dir, config)
        with saving(path / "reverified-1.json"):
            name = write_reverification(run_dir, found)
    finally:
        run_dir.close()
    if arguments.json:
        say(REVERIFICATION.text(found), end="")
        return 0
    out = console()
    for table in tables(found):
        show(table, out)
    if name:
        out.print(f"  written to {path / name}; the run itself is as it was", markup=False)
    return 0


def _with_validator(config: RunConfig, validator: str | None) -> RunConfig:
    values = config.model_dump()
    values["validation"]["validator"] = validator or config.validation.validator
    return RunConfig.model_validate(values)


def tables(found: Reverification) -> Iterator[Table]:
    yield Table(
        f"Judged again by {found.validator}",
        ("generation", "answers", "changed", "held-out coverage", "now", "deployed coverage", "now", "pool", "now"),
        tuple(
            (
                str(restated.generation),
                str(restated.answers),
                str(restated.changed),
                *_pair(restated.coverage.get("held_out"), "{:.1%}"),
                *_pair(restated.coverage.get("deployed"), "{:.1%}"),
                *_pair(restated.pool.traces if restated.pool else None, "{:.0f}"),
            )
            for restated in found.generations
        ),
        tuple(
            f"pool after generation {restated.generation}: {len(restated.pool.entered)} traces more, "
            f"{len(restated.pool.left)} of it no longer"
            for restated in found.generations
            if restated.pool and (restated.pool.entered or restated.pool.left)
        ),
    )
    if not found.changes:
        return
    ways = Counter((change.before.status, change.after.status) for change in found.changes)
    yield Table(
        "Verdicts that are others now",
        ("was", "is", "answers"),
        tuple((was, now, str(number)) for (was, now), number in sorted(ways.items())),
        ("the same status: another reading, reason, cost or length",),
    )
    yield Table(
        f"The first {min(SHOWN, len(found.changes))} of them",
        ("trace", "generation", "was", "is", "now because"),
        tuple(
            (change.trace_id, str(change.generation), change.before.status, change.after.status, change.after.reason)
            for change in found.changes[:SHOWN]
        ),
    )


def _pair(values: Before | None, form: str) -> tuple[str, str]:
    return ("-", "-") if values is None else (form.format(values.before), form.format(values.after))
