"""The gateway and an advance are killed at random moments under load: what was acknowledged is there, and once.

ITERDEPLOY_KILLS says how often; a hundred take about half an hour.
"""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from helpers.deployments import OPEN_GATE, acts, deployed, pool
from helpers.postgres import Place
from helpers.serving import NAME, Live, tasks_of
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("ITERDEPLOY_KILLS", "4"))
CLIENTS = 4


class Load:
    """Clients that ask and publish until the server is gone, and what they were told."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.answers: list[str] = []
        self.feedback: list[str] = []
        self._prompts = [task.prompt for task in tasks_of(live.config)]
        self._threads = [threading.Thread(target=self._go, args=[i]) for i in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _go(self, client: int) -> None:
        while True:
            for prompt in self._prompts[client::CLIENTS]:
                try:
                    trace = self.live.ask(prompt, max_tokens=25).json()["id"]
                    self.answers.append(trace)
                    said = self.live.client.post("/v1/feedback", json={"trace": trace, "verdict": "publish"})
                    self.feedback.append(said.json()["id"])
                except (httpx.HTTPError, RuntimeError):  # RuntimeError: the client is closed
                    return

    def under_way(self) -> None:
        """Waits until the model is loaded and the first answers are judged, however slow the machine."""
        deadline = time.monotonic() + 300
        while len(self.feedback) < CLIENTS:
            assert time.monotonic() < deadline, "nobody is answered"
            time.sleep(0.05)

    def end(self) -> None:
        for thread in self._threads:
            thread.join()


def advancing(live: Live) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "iterdeploy", "advance", NAME, "--runs-dir", str(live.path.parent)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path: Path, place: Place) -> None:
    moments = random.Random(16)
    live = deployed(tmp_path, **OPEN_GATE, **place.config())
    answers: list[str] = []
    feedback: list[str] = []
    trainer = advancing(live)
    for _ in range(KILLS):
        load = Load(live)
        load.under_way()
        time.sleep(moments.uniform(0.2, 4.0))
        if moments.random() < 0.5:
            trainer.kill()
            trainer.wait()
            time.sleep(moments.uniform(0.0, 0.5))
        live.process.kill()
        load.end()
        answers += load.answers
        feedback += load.feedback
        live.kill()
        live.start()
        if trainer.poll() is not None:
            trainer = advancing(live)
    trainer.wait(timeout=300)
    assert advancing(live).wait(timeout=300) == 0, "an advance that was killed goes on"
    assert "Traceback" not in live.end()

    traces, origins = live.traces(), live.origins()
    store = TraceStore(live.path / "traces.sqlite", read_only=True)
    said = [one.id for one in store.feedback()]
    keys = [trace.key for trace in store.traces()]
    store.close()
    assert answers and len(answers) == len(set(answers)) and set(answers) <= set(traces)
    assert feedback and len(said) == len(set(said)) and set(feedback) <= set(said)
    assert len(keys) == len(set(keys)) and set(origins) <= set(traces)
    judged = {one for one in answers}
    assert {trace_id for trace_id, origin in origins.items() if origin.delivered} <= judged, "only what was taken"
    run_dir = RunDir.read(live.path)
    made = sum(run_dir.pool(generation) is not None for generation in range(100))
    run_dir.close()
    assert made and all(pool(live, generation) <= judged for generation in range(made)), "nothing else trains"
    assert {act.act for act in acts(live)} == {"advance", "promote"}
