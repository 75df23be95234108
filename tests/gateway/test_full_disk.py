"""A disk that fills up under a gateway: 503 until there is space again, and nothing that was acknowledged is lost."""

import resource
from pathlib import Path

import pytest

from helpers.serving import Live, config_of, tasks_of

pytestmark = pytest.mark.slow


def test_a_full_disk_is_a_503_and_nothing_is_lost(tmp_path: Path) -> None:
    live = Live(tmp_path, config_of())
    prompts = [task.prompt for task in tasks_of(live.config)]
    answered = [live.ask(prompt, max_tokens=5).json()["id"] for prompt in prompts[:3]]
    log = live.path / "traces.sqlite-wal"
    _, hard = resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    for prompt in prompts[3:]:
        response = live.ask(prompt, max_tokens=5)
        if response.status_code != 200:
            break
        answered.append(response.json()["id"])
    assert response.status_code == 503 and int(response.headers["retry-after"]) > 0, response.text
    assert response.json()["error"]["code"] == "unavailable"
    said = live.client.post("/v1/feedback", json={"trace": answered[0], "verdict": "publish"})
    assert said.status_code == 503 and live.client.get("/v1/models").status_code == 200
    assert set(live.traces()) == set(answered), "what was refused is not there"

    resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    answered.append(live.ask(prompts[0], max_tokens=5).json()["id"])
    assert set(live.traces()) == set(answered)
    assert "Traceback" not in live.end()
