"""Simulated users over the real door, and what an attacker among them can do with and without a cap."""

from pathlib import Path
from typing import Any

import pytest

from helpers.deployments import OPEN_GATE, advance, command, deployed, pool
from helpers.serving import Live, config_of
from helpers.support import assert_refused, iterdeploy
from iterdeploy.simulation import taste
from iterdeploy.types import Status

pytestmark = pytest.mark.slow


def simulated(live: Live, **options: Any) -> str:
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return command(live, "simulate", "--url", f"http://127.0.0.1:{live.port}", *words)


def test_users_who_check_publish_exactly_what_is_valid(tmp_path: Path) -> None:
    live = deployed(tmp_path, **OPEN_GATE)
    said = simulated(live, users=5, tasks=20)
    traces = live.traces().values()
    valid = {trace.id for trace in traces if trace.verdict.status is Status.VALID}
    assert f"20 answers (20 by generation 0): {len(valid)} published, {20 - len(valid)} rejected" in said
    assert {origin.user for origin in live.origins().values()} == {f"simulated-{i}" for i in range(5)}
    advance(live)
    assert pool(live, 0) == valid
    live.end()


@pytest.mark.parametrize("cap", [None, 0.25])
def test_a_cap_limits_what_an_attacker_brings_in(tmp_path: Path, cap: float | None) -> None:
    policies = ["published", *([f"at_most_per_user({cap})"] if cap else [])]
    live = deployed(tmp_path, **OPEN_GATE, **{"curation.policies": policies, "tasks.sizes": "4"})
    simulated(live, users=8, tasks=40, profile="poison(0.25)")
    advance(live)
    kept, origins, traces = pool(live, 0), live.origins(), live.traces()
    attackers = {"simulated-0", "simulated-1"}
    brought = [origins[trace_id].user for trace_id in kept]
    assert {traces[i].verdict.status for i in kept if origins[i].user in attackers} <= {Status.INVALID}
    assert {traces[i].verdict.status for i in kept if origins[i].user not in attackers} == {Status.VALID}
    if cap:
        assert all(brought.count(user) <= cap * len(kept) for user in set(brought))
    live.end()


def test_a_deployment_that_is_away_is_said(tmp_path: Path) -> None:
    live = Live(tmp_path, config_of())
    live.end()
    done = iterdeploy("simulate", "live", "--runs-dir", tmp_path, "--url", "http://127.0.0.1:9", "--tasks", 1)
    assert_refused(done, "cannot be asked")


def test_every_tenth_user_is_an_attacker() -> None:
    names = [taste("poison(0.1)", user, 20).name for user in range(20)]
    assert names == ["poison"] * 2 + ["valid"] * 18
    assert taste("noisy(0.1)", 3, 20).name == "noisy(0.1)"
