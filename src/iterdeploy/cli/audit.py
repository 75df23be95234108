"""`iterdeploy audit`: what a run's curation rewards, and whether the model comes to do it."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.audit import audit_observed, keep_matrix, need_statistics, observe_run
from iterdeploy.audit.compare import compare, left_out, sentences
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.tables import comparison, tables
from iterdeploy.cli.common import console, run_path
from iterdeploy.curation.features import Feature, load_features
from iterdeploy.record.files import write_json
from iterdeploy.record.run_dir import RunDir, RunDirError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Seen = tuple[Observations, "NDArray[np.bool_]", tuple[str, ...]]


def audit(arguments: argparse.Namespace) -> int:
    need_statistics()
    own = load_features(arguments.features) if arguments.features else {}
    path = run_path(arguments)
    other = (
        run_path(argparse.Namespace(run=arguments.against, runs_dir=arguments.runs_dir)) if arguments.against else None
    )
    seen = _read(path, own)
    found = {"run": path.name, **audit_observed(*seen)}
    if other is not None:
        found["against"] = _against(path.name, found, seen, other.name, _read(other, own))
    write_json(path / "audit.json", found)
    if arguments.json:
        print(json.dumps(found, indent=1))
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


def _against(name: str, found: Mapping[str, Any], seen: "Seen", other_name: str, other: "Seen") -> dict[str, Any]:
    """The comparison, with the same features in both: a coefficient's meaning depends on those beside it."""
    pair = [dict(found), audit_observed(*other)]
    if left_out(pair[0]) != left_out(pair[1]):
        dropped = left_out(pair[0]) | left_out(pair[1])
        pair = [audit_observed(one[0].without(dropped), *one[1:]) for one in (seen, other)]
    compared = compare(*pair)
    return {"run": other_name, **compared, "findings": sentences(compared, (name, pair[0]), (other_name, pair[1]))}


def _print(found: Mapping[str, Any]) -> None:
    out = console()
    for table in tables(found):
        out.print(table)
    for question, reward in found["rewards"].items():
        if reward["note"]:
            out.print(f"{question}: {reward['note']}.")
        for name, why in reward["left_out"].items():
            out.print(f"{question}: {name} is left out, {why}.")
    if found["rare_actions"]:
        out.print(f"{found['rare_actions']} action names occur in too few plans to be features.")
    if "against" in found:
        against = found["against"]
        for table in comparison(against, found["run"], against["run"]):
            out.print(table)
        for sentence in against["findings"]:
            out.print(sentence)
    for sentence in found["findings"] or ["No feature measured here is rewarded beyond chance."]:
        out.print(sentence)
    for warning in found["warnings"]:
        out.print(f"WARNING: {warning['sentence']}.")
