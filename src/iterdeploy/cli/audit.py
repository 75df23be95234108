"""`iterdeploy audit`: what a run's curation rewards, and whether the model comes to do it."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.api.find import find_run
from iterdeploy.audit import Audit, audit_observed, keep_matrix, need_statistics, observe_run
from iterdeploy.audit.compare import compare, left_out
from iterdeploy.audit.curators import Judgement, curators, of_feedback, read_judgements
from iterdeploy.audit.decisions import decisions
from iterdeploy.audit.discovery import discover
from iterdeploy.audit.findings import tests
from iterdeploy.audit.observe import Observations, text
from iterdeploy.audit.power import power
from iterdeploy.audit.questions import picked, published
from iterdeploy.audit.records import AUDIT, Comparison, Discovery
from iterdeploy.audit.tables import tables
from iterdeploy.cli.common import console, run_path, saving, show
from iterdeploy.curation.features import Feature, load_features
from iterdeploy.record.run_dir import RunDir, RunDirError
from iterdeploy.wording import say, tell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Seen = tuple[Observations, "NDArray[np.bool_]", Sequence[str], int, Mapping[str, float]]


def audit(arguments: argparse.Namespace) -> int:
    need_statistics()
    own = load_features(arguments.features) if arguments.features else {}
    path = run_path(arguments)
    other = find_run(arguments.against, arguments.runs_dir) if arguments.against else None
    judgements = read_judgements(arguments.curators) if arguments.curators else _feedback(path)
    seen = _read(path, own)
    found = audit_observed(*seen)
    if arguments.power:
        found = replace(found, power=power(found.rewards, len(tests(found.rewards))))
    if arguments.discover:
        found = replace(found, discoveries=_discoveries(path, seen[0], seen[1], found))
    if judgements:
        found = replace(found, curators=curators(seen[0], judgements))
    if other is not None:
        found = replace(found, against=_against(path.name, found, seen, other.name, _read(other, own)))
    run_dir = RunDir.read(path)
    with saving(path / "audit.json"):
        run_dir.files.write("audit.json", AUDIT.values(found))
    run_dir.close()
    if arguments.json:
        say(AUDIT.text(found), end="")
    else:
        _print(found)
    return 0


def _discoveries(path: Path, seen: Observations, kept: "NDArray[np.bool_]", found: Audit) -> list[Discovery]:
    """For each question that decides and has something to compare."""
    first = decisions(seen, kept, found.rivals_allowed)
    questions = [question(seen, first) for question in (published, picked)]
    decide = {reward.question for reward in found.rewards if reward.decides and reward.decisions}
    return [discover(seen, question, lambda: _texts(path)) for question in questions if question.name in decide]


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    run_dir = RunDir.read(path)
    try:
        yield from ((trace.id, text(trace)) for trace in run_dir.store.traces() if trace.valid)
    finally:
        run_dir.close()


def _feedback(path: Path) -> list[Judgement]:
    run_dir = RunDir.read(path)
    try:
        return of_feedback(run_dir.store.feedback())
    finally:
        run_dir.close()


def _read(path: Path, own: Mapping[str, Feature]) -> "Seen":
    run_dir = RunDir.read(path)
    try:
        policies = run_dir.config.curation.policies
        pools: list[set[str]] = []
        while (pool := run_dir.pool(len(pools))) is not None:
            pools.append({identifier for identifier, weight in pool.weights.items() if weight > 0})
        if not pools:
            raise RunDirError(f"{path}: nothing has been curated yet; run `iterdeploy resume` first")
        recorded = run_dir.calls[-1].facts.asks_for
        seen = observe_run(run_dir.store.traces(), policies, own, recorded)
    finally:
        run_dir.close()
    return seen, keep_matrix(seen, pools), policies, run_dir.config.generations, recorded


def _against(name: str, found: Audit, seen: "Seen", other_name: str, other: "Seen") -> Comparison:
    """The comparison, with the same features in both: a coefficient's meaning depends on those entered with it."""
    pair = [found, audit_observed(*other)]
    if left_out(pair[0]) != left_out(pair[1]):
        dropped = left_out(pair[0]) | left_out(pair[1])
        pair = [audit_observed(one[0].without(dropped), *one[1:]) for one in (seen, other)]
    return compare(pair[0], pair[1], (name, other_name))


def _print(found: Audit) -> None:
    out = console()
    for table in tables(found):
        show(table, out)
    for reward in found.rewards:
        if reward.note:
            tell(f"{reward.question}: {reward.note}.")
    for sentence in found.against.sentences if found.against else ():
        tell(sentence)
    for look in [look for look in found.looks if look.alarm][:1]:
        tell(f"ALARM after generation {look.generation}: {' and '.join(look.features)} ({look.question}).")
    sentences = [finding.sentence for finding in found.findings if finding.kind != "warning"]
    for sentence in sentences or ["No feature measured here is rewarded beyond chance."]:
        tell(sentence)
    for warning in found.warnings:
        tell(f"WARNING: {warning.sentence}.")
