"""The simulation of a thousand samplers, small: what it counts, and that memory does not grow with the run."""

import random
import runpy
from pathlib import Path

from helpers.support import ROOT
from iterdeploy.record.store import TraceStore

SIMULATION = runpy.run_path(str(ROOT / "benchmarks" / "simulate_scale.py"))


def test_batches_arrive_in_order_and_as_fast_as_the_samplers_together() -> None:
    found = list(SIMULATION["arrivals"](random.Random(1), 1000, 5000, 1000, 10.0))
    times = [now for now, _, _ in found]
    assert times == sorted(times) and [number for _, number, _ in found] == list(range(5000))
    assert 0.9 < 5000 / times[-1] / (1000 * 10.0 / 1000) < 1.1


def test_every_answer_of_a_thousand_samplers_is_stored_and_what_waits_is_bounded(tmp_path: Path) -> None:
    found = SIMULATION["simulate"](tmp_path, 1000, 320, 200, 1.0, 16)
    store = TraceStore(tmp_path / "traces.sqlite", read_only=True)
    assert sum(store.verdict_counts()[0].values()) == found.answers == 320
    store.close()
    assert found.answers_per_second == 1000 / 200
    assert 0 < found.most_waiting <= 320 and found.busy > 0
    # 12 bytes per sampled token, 2 per token of a prompt and 1,500 per answer, as the estimate says, within a half
    assert 0.5 < found.bytes_per_answer / (12 * 200 + 2 * 1900 + 1500) < 1.5
