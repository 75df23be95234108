"""Who may do what, whose answers train, who is forgotten, and why: read from pools, weights and the disk."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.deployments import OPEN_GATE, acts, advance, answering, command, deployed, pool, publish
from helpers.postgres import Place
from helpers.serving import NAME, Live, config_of, tasks_of
from helpers.support import assert_refused, iterdeploy
from iterdeploy.record.store import TraceStore

pytestmark = pytest.mark.slow


def test_a_forgotten_user_is_nowhere_and_what_learnt_from_them_is_made_anew(tmp_path: Path, place: Place) -> None:
    live = deployed(tmp_path, **OPEN_GATE, **place.config())
    secret = "my name is Zebulon Quagmire"
    theirs = publish(live, range(4), user="zebulon")
    theirs.append(live.ask(secret, headers={"X-Iterdeploy-User": "zebulon"}).json()["id"])
    others = set(publish(live, range(4, 10)))
    advance(live)
    prompt = tasks_of(live.config)[0].prompt
    assert answering(live, prompt) == "1" and set(theirs) & pool(live, 0)
    weights = live.path / "generation-0" / "policy" / "model.safetensors"
    before = weights.read_bytes()

    said = command(live, "forget", "zebulon", "--rebuild")
    assert "deleted 5 traces" in said and "generations 1" in said and "generation 2 serves" in said
    assert pool(live, 1) <= others and pool(live, 1)
    assert not weights.exists() and before not in (live.path / "generation-1/policy/model.safetensors").read_bytes()
    assert not set(theirs) & set(live.traces()) and not any(o.user == "zebulon" for o in live.origins().values())
    assert answering(live, prompt) == "2", "the rebuilt one serves"
    assert live.ask(prompt, model=f"{NAME}@g1").status_code == 404
    again = live.client.post("/v1/feedback", json={"trace": theirs[0], "verdict": "publish"})
    assert again.status_code == 409 and again.json()["error"]["code"] == "forgotten"
    assert [act.act for act in acts(live)] == ["advance", "promote", "forget", "withdraw", "rollback", "advance",
                                               "promote"]  # fmt: skip
    assert_refused(iterdeploy("promote", NAME, 1, "--runs-dir", tmp_path), "forgotten user")
    for reading in ("status", "report", "acts"):
        command(live, reading)
    assert_refused(iterdeploy("theory", NAME, "--generation", 0, "--runs-dir", tmp_path), "deleted since")
    assert "Traceback" not in live.end()
    files = place.files(live.path)
    assert files
    for file in files:
        assert secret.encode() not in file.read_bytes() and b"zebulon" not in file.read_bytes()


def test_why_a_trace_trained_or_did_not(tmp_path: Path, place: Place) -> None:
    live = deployed(tmp_path, **OPEN_GATE, **place.config())
    published = publish(live, range(6))
    ignored = live.ask(tasks_of(live.config)[7].prompt).json()["id"]
    (refused,) = publish(live, [8], **{"X-Iterdeploy-Train": "no"})
    twice = publish(live, [0])
    advance(live)
    live.client.post("/v1/feedback", json={"trace": published[1], "verdict": "reject", "user": "ann"})

    def why(trace_id: str) -> list[dict[str, Any]]:
        return list(json.loads(command(live, "why", trace_id, "--json")))

    made, now = why(published[1])
    assert made["made"] and made["weight"] == 1 and made["steps"][0].startswith("published: kept")
    assert not now["made"] and now["steps"] == [now["steps"][0]] and "published: left out" in now["steps"][0]
    assert why(ignored)[0]["weight"] is None and "published: left out" in why(ignored)[0]["steps"][0]
    assert why(refused)[0]["steps"] == ["left out: its user did not agree"]
    first, second = why(published[0])[0], why(twice[0])[0]
    lost = first if first["weight"] is None else second
    assert "best_per_task: left out" in lost["steps"][-1] and {first["weight"], second["weight"]} == {1, None}
    assert_refused(iterdeploy("why", NAME, "nothing", "--runs-dir", tmp_path), "no such trace")
    live.end()


def test_what_was_to_be_kept_no_longer_is_deleted(tmp_path: Path, place: Place) -> None:
    live = deployed(tmp_path, **OPEN_GATE, **place.config())
    secret = "this is for a week"
    (kept,) = publish(live, [1], **{"X-Iterdeploy-Retention": "7"})
    gone = live.ask(secret, headers={"X-Iterdeploy-Retention": "7"}).json()["id"]
    forever = live.ask(tasks_of(live.config)[2].prompt).json()["id"]
    live.settle()
    live.end()
    store = TraceStore(live.path / "traces.sqlite")
    with store.together():  # as if it had been asked a week ago
        store.execute("UPDATE origins SET keep_until = '2020-01-01' WHERE trace_id = ?", [gone])
    store.close()
    live.start()
    assert set(live.traces()) == {kept, forever}
    assert live.client.post("/v1/feedback", json={"trace": gone, "verdict": "publish"}).status_code == 409
    assert live.client.get(f"/v1/traces/{gone}").status_code == 404
    assert [(act.act, act.details) for act in acts(live)] == [("expire", {"traces": 1})]
    live.end()
    for file in place.files(live.path):
        assert secret.encode() not in file.read_bytes()


@pytest.fixture(scope="module")
def open_to_others(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A deployment on all addresses, with two keys."""
    folder = tmp_path_factory.mktemp("keys")
    config = config_of({"deployment.requests_per_minute": 30, "deployment.waiting": 4})
    live = Live(folder, config)
    live.end()
    keys = {
        "app": command(live, "keys", "app", "--scopes", "ask").strip(),
        "curator": command(live, "keys", "curator", "--scopes", "judge", "--user", "carla").strip(),
        "boss": command(live, "keys", "boss", "--scopes", "administer").strip(),
        "quiet": command(live, "keys", "quiet", "--train", "no", "--retention", "7").strip(),
    }
    live._options = ("--host", "0.0.0.0")
    live.start()
    yield live, keys
    assert "Traceback" not in live.end()


def with_key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_may_do_what_it_says_and_no_more(open_to_others: tuple[Live, dict[str, str]]) -> None:
    live, keys = open_to_others
    prompt = tasks_of(live.config)[0].prompt
    assert live.ask(prompt).status_code == 401 and live.client.get("/v1/models").status_code == 401
    assert live.ask(prompt, headers=with_key("it-invented")).status_code == 401
    asked = live.ask(prompt, headers=with_key(keys["app"]))
    assert asked.status_code == 200
    body = {"trace": asked.json()["id"], "verdict": "publish", "user": "somebody"}
    assert live.client.post("/v1/feedback", json=body, headers=with_key(keys["app"])).status_code == 403
    assert live.client.post("/v1/feedback", json=body, headers={"x-api-key": keys["curator"]}).status_code == 201
    assert live.ask(prompt, headers=with_key(keys["curator"])).status_code == 403
    origin = live.origins()[asked.json()["id"]]
    assert (origin.key, origin.train, origin.keep_until) == ("app", True, "")
    unwilling = live.ask(prompt, headers=with_key(keys["quiet"])).json()["id"]
    quiet = live.origins()[unwilling]
    assert not quiet.train and quiet.keep_until > quiet.at[:10]
    stored = b"".join(file.read_bytes() for file in live.path.glob("traces.sqlite*"))
    assert not any(key.encode() in stored for key in keys.values()), "a key is kept as a hash alone"


def test_only_an_administrator_decides_over_http(open_to_others: tuple[Live, dict[str, str]]) -> None:
    live, keys = open_to_others
    body: dict[str, Any] = {"act": "promote", "generation": 0}
    for key in ("app", "curator"):
        assert live.client.post("/v1/acts", json=body, headers=with_key(keys[key])).status_code == 403
        assert live.client.get("/v1/acts", headers=with_key(keys[key])).status_code == 403
    assert live.client.post("/v1/acts", json=body).status_code == 401
    before = len(acts(live))
    boss = with_key(keys["boss"])
    for wrong in ({"act": "promote"}, {"act": "promote", "generation": 7}, {**body, "share": 0.5}, {"act": "forget"},
                  {"act": "canary", "generation": 0}):  # fmt: skip
        assert live.client.post("/v1/acts", json=wrong, headers=boss).status_code == 400, wrong
    assert len(acts(live)) == before
    done = live.client.post("/v1/acts", json=body, headers=boss)
    assert done.status_code == 201 and done.json() == {"promoted": 0, "canary": None, "share": 0.0}
    assert (acts(live)[-1].act, acts(live)[-1].who) == ("promote", "key boss")
    listed = live.client.get("/v1/acts", headers=boss)
    assert listed.json()["acts"][-1]["who"] == "key boss" and "digest" not in listed.text
    assert live.ask(tasks_of(live.config)[0].prompt, headers=boss).status_code == 403


def test_a_session_belongs_to_its_key(open_to_others: tuple[Live, dict[str, str]]) -> None:
    live, keys = open_to_others
    live.ask(tasks_of(live.config)[0].prompt, session="mine", headers=with_key(keys["app"]))
    body = {"session": "mine", "verdict": "publish"}
    assert live.client.post("/v1/feedback", json=body, headers=with_key(keys["quiet"])).status_code == 404


def test_a_revoked_key_ends_at_once(open_to_others: tuple[Live, dict[str, str]]) -> None:
    live, _ = open_to_others
    made = command(live, "keys", "guest").strip()
    assert live.client.get("/v1/models", headers=with_key(made)).status_code == 200
    done = iterdeploy("keys", "revoke", NAME, "guest", "--runs-dir", live.path.parent)
    assert done.returncode == 0, done.stderr
    assert live.client.get("/v1/models", headers=with_key(made)).status_code == 401
    assert [act.act for act in acts(live)][-2:] == ["key", "revoke"]


def test_who_asks_too_much_is_told_when_to_come_back(open_to_others: tuple[Live, dict[str, str]]) -> None:
    live, keys = open_to_others
    statuses, prompt = [], tasks_of(live.config)[0].prompt
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        response: httpx.Response = live.ask(prompt, max_tokens=1, headers=with_key(keys["quiet"]))
        statuses.append(response.status_code)
        if response.status_code == 429:
            break
    assert statuses[-1] == 429 and int(response.headers["retry-after"]) >= 1
    assert live.ask(prompt, max_tokens=1, headers=with_key(keys["app"])).status_code == 200, "others are not held up"


def test_nobody_is_served_beyond_this_machine_without_keys(tmp_path: Path) -> None:
    live = Live(tmp_path, config_of())
    live.end()
    done = iterdeploy(
        "serve", live.path / "config.toml", "--name", NAME, "--runs-dir", tmp_path, "--host", "0.0.0.0", "--port", "0"
    )
    assert_refused(done, "keys")
