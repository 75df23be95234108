"""What several tests of a deployment's generations share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.serving import NAME, Live, config_of, tasks_of
from helpers.support import iterdeploy
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Act, Traffic

OPEN_GATE = {"deployment.margin": 1.0, "deployment.max_drift": 100.0, "deployment.max_warnings": 99}


def deployed(folder: Path, **overrides: Any) -> Live:
    return Live(folder, config_of({"curation.policies": ["published", "best_per_task"], **overrides}))


def publish(live: Live, tasks: Sequence[int], user: str = "ann", **headers: str) -> list[str]:
    """Asks some tasks as a user and publishes every answer. Ids of the traces."""
    prompts = [task.prompt for task in tasks_of(live.config)]
    found = []
    for number in tasks:
        trace_id = live.ask(prompts[number], headers={"X-Iterdeploy-User": user, **headers}).json()["id"]
        live.client.post("/v1/feedback", json={"trace": trace_id, "verdict": "publish", "user": user})
        found.append(trace_id)
    return found


def answering(live: Live, prompt: str, **more: Any) -> str:
    """The generation that answers."""
    return str(live.ask(prompt, max_tokens=1, **more).headers["x-iterdeploy-generation"])


def command(live: Live, *words: object, check_exit: int = 0) -> str:
    """What `iterdeploy COMMAND DEPLOYMENT ...` prints."""
    first, *more = words
    done = iterdeploy(first, *(["add"] if first == "keys" else []), NAME, *more, "--runs-dir", live.path.parent)
    assert done.returncode == check_exit and "Traceback" not in done.stderr, (done.stdout, done.stderr)
    return done.stdout


def advance(live: Live, check_exit: int = 0) -> str:
    return command(live, "advance", check_exit=check_exit)


def pool(live: Live, generation: int) -> set[str]:
    run_dir = RunDir.read(live.path)
    found = run_dir.pool(generation)
    run_dir.close()
    assert found is not None
    return set(found.weights)


def acts(live: Live) -> list[Act]:
    store = TraceStore(live.path / "traces.sqlite", read_only=True)
    found = [act for _, act in Traffic(store).acts()]
    store.close()
    return found
