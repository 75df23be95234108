"""`iterdeploy audit`: what a run's curation rewards, and whether the model comes to do it."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.audit import Audit, audit_observed, keep_matrix, need_statistics, observe_run
from iterdeploy.audit.compare import compare, left_out
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.records import Comparison
from iterdeploy.audit.saved import as_json
from iterdeploy.audit.tables import tables
from iterdeploy.cli.common import console, run_path, show
from iterdeploy.curation.features import Feature, load_features
from iterdeploy.record.files import write_text
from iterdeploy.record.run_dir import RunDir, RunDirError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Seen = tuple[Observations, "NDArray[np.bool_]", Sequence[str]]


def audit(arguments: argparse.Namespace) -> int:
    need_statistics()
    own = load_features(arguments.features) if arguments.features else {}
    path = run_path(arguments)
    other = (
        run_path(argparse.Namespace(run=arguments.against, runs_dir=arguments.runs_dir)) if arguments.against else None
    )
    seen = _read(path, own)
    found = audit_observed(*seen)
    if other is not None:
        found = replace(found, against=_against(path.name, found, seen, other.name, _read(other, own)))
    write_text(path / "audit.json", as_json(found))
    if arguments.json:
        print(as_json(found), end="")
    else:
        _print(found)
    return 0


def _read(path: Path, own: Mapping[str, Feature]) -> "Seen":
    run_dir = RunDir.read(path)
    try:
        policies = run_dir.config.curation.policies
        pools: list[set[str]] = []
        while (pool := run_dir.pool(len(pools))) is not None:
            pools.append({identifier for identifier, weight in pool["weights"].items() if weight > 0})
        if not pools:
            raise RunDirError(f"{path}: nothing has been curated yet; run `iterdeploy resume` first")
        seen = observe_run(run_dir.store.traces(), policies, own)
    finally:
        run_dir.close()
    return seen, keep_matrix(seen, pools), policies


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
            out.print(f"{reward.question}: {reward.note}.")
    for sentence in found.against.sentences if found.against else ():
        out.print(sentence)
    told = [finding.sentence for finding in found.findings if finding.kind != "warning"]
    for sentence in told or ["No feature measured here is rewarded beyond chance."]:
        out.print(sentence)
    for warning in found.warnings:
        out.print(f"WARNING: {warning.sentence}.")
