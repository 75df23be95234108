"""`iterdeploy view`: the answers of the view itself, and a real process that serves a run that goes on."""

import http.client
import json
import re
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from helpers.playing import GENERATIONS, Served, add_generation, answers, config, make_run, tasks
from helpers.support import assert_refused, file_hashes, iterdeploy
from iterdeploy.record.run_dir import RunDir
from iterdeploy.types import Status
from iterdeploy.view import connections
from iterdeploy.view.server import Server
from iterdeploy.view.shelves import View


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("view") / "run"
    make_run(path, tasks(), {generation: answers(tasks(), generation) for generation in range(GENERATIONS)})
    return path


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    one = Served(folder)
    yield one
    one.process.kill()
    one.process.communicate()


@pytest.fixture(scope="module")
def view(folder: Path) -> View:
    return View(folder)


def everything(folder: Path) -> list[dict[str, Any]]:
    """What the list should find: every trace in the order of writing, from the records themselves."""
    run_dir = RunDir.read(folder)
    rows = {one.id: one.row for one in run_dir.store.written()}
    pools = {generation: set(pool.weights) for generation in (1, 2) if (pool := run_dir.pool(generation - 1))}
    traces = sorted(run_dir.store.traces(), key=lambda one: rows[one.id])
    run_dir.close()
    return [
        {
            "id": one.id, "generation": one.generation, "verdict": one.verdict.status.value, "domain": one.domain,
            "size": one.size, "split": one.split.value,
            "pool": [generation for generation, pool in pools.items() if one.id in pool],
        }
        for one in traces
    ]  # fmt: skip


def fits(trace: dict[str, Any], filters: dict[str, str]) -> bool:
    return all(
        value in map(str, trace[name] if isinstance(trace[name], list) else [trace[name]])
        for name, value in filters.items()
    )


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"generation": "1"},
        {"verdict": "invalid"},
        {"domain": "sokoban", "size": "6"},
        {"split": "held_out", "verdict": "valid"},
        {"pool": "2"},
        {"pool": "1", "domain": "ferry"},
        {"generation": "7"},
        {"pool": "9"},
        {"domain": "' OR 1=1 --"},
    ],
    ids=str,
)
def test_the_list_finds_what_passes_the_filters(view: View, folder: Path, filters: dict[str, str]) -> None:
    traces = everything(folder)
    wanted = [one["id"] for one in traces if fits(one, filters)]
    found: list[str] = []
    after: int | None = 0
    while after is not None:
        page = view.traces(filters, after, 7)
        assert page["total"] == len(wanted) and len(page["traces"]) <= 7
        found += [one["id"] for one in page["traces"]]
        after = page["next"]
    assert found == wanted
    facets = page["facets"]
    for name in ("generation", "verdict", "domain", "size", "split", "pool"):
        others = {key: value for key, value in filters.items() if key != name}
        left = [one for one in traces if fits(one, others)]
        values = [value for one in left for value in (one[name] if name == "pool" else [one[name]])]
        assert dict(facets[name]) == {value: values.count(value) for value in values}, name


def test_an_opened_trace_has_its_task_its_siblings_and_the_models_that_it_trained(view: View, folder: Path) -> None:
    kept = next(one for one in everything(folder) if one["pool"] == [1, 2] and one["domain"] == "blocksworld")
    found = view.trace(kept["id"])
    trace, task = found["trace"], found["task"]
    assert trace["trained"] == [1, 2] and trace["status"] == "valid"
    assert "<plan>" in trace["text"] and task["prompt"].startswith("blocksworld")
    assert len(trace["moves"]["steps"]) == len(trace["plan"]) and set(task["scene"]["goal"])
    assert [(one["generation"], one["sample"]) for one in found["answers"]][:2] == [(0, 0), (0, 1)]
    assert {one["generation"] for one in found["answers"]} == {0, 1, 2}
    with pytest.raises(KeyError):
        view.trace("no such trace")


def test_new_traces_and_pools_appear_and_the_page_is_made_anew(tmp_path: Path) -> None:
    asked = tasks()[:4]
    run_dir = RunDir.open(tmp_path / "run", config(), ["test"])
    run_dir.store.add({one.id: one for one in asked}, [], {})
    view = View(tmp_path / "run")
    before = view.state()
    assert before["traces"] == before["measured"] == 0 and b"Nothing has been measured yet" in view.page.html
    add_generation(run_dir, 0, asked, answers(asked, 0))
    assert view.state()["traces"] == view.traces({}, 0, 50)["total"] == 9
    in_pool = view.traces({"pool": "1"}, 0, 50)["traces"]
    assert in_pool and all(one["trained"] == [1] and one["status"] == Status.VALID for one in in_pool)
    add_generation(run_dir, 1, asked, answers(asked, 1))
    assert dict(view.traces({}, 0, 50)["facets"]["generation"]) == {0: 9, 1: 9}
    assert max(max(one["trained"]) for one in view.traces({"pool": "1"}, 0, 50)["traces"]) == 2
    view.repaint()
    assert view.state()["page"] != before["page"] and view.state()["measured"] == 2
    painted = view.page
    view.repaint()
    assert view.page is painted, "nothing is new"
    run_dir.close()


def test_the_page_and_the_data_are_served_and_nothing_else(served: Served) -> None:
    answer, html = served.ask("/")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b'id="explorer"' in html and b'"live":true' in html
    for path in ("/etc/passwd", "/../run/config.toml", "/api", "/api/trace/", "/api/trace/nothing", "/favicon.ico"):
        assert served.ask(path)[0].status == 404, path
    trace = served.json("/api/traces", verdict="valid", limit=3)["traces"][0]
    assert served.json(f"/api/trace/{quote(trace['id'])}")["trace"]["id"] == trace["id"]
    assert served.json("/api/state")["traces"] == 75


def test_every_answer_is_locked_down(served: Served) -> None:
    for path in ("/", "/api/state", "/api/traces", "/nothing", "/api/traces?limit=x"):
        headers = served.ask(path)[0].headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe-eval" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers
    page = served.ask("/")[0].headers["Content-Security-Policy"]
    assert re.search(r"script-src 'sha256-[\w+/]+=*';", page) and "connect-src 'self'" in page


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_it_only_lets_read(served: Served, method: str) -> None:
    answer, _ = served.ask("/api/state", method, body=b"x" * 10)
    assert answer.status == 405 and answer.headers["Allow"] == "GET"


def test_another_host_s_name_is_refused(served: Served) -> None:
    for host in (f"127.0.0.1:{served.port}", f"localhost:{served.port}", f"LOCALHOST:{served.port}"):
        assert served.ask("/api/state", host=host)[0].status == 200, host
    for host in ("rebound.example", f"rebound.example:{served.port}", "127.0.0.1", f"127.0.0.1.evil:{served.port}", ""):
        assert served.ask("/api/state", host=host)[0].status == 403, host
        assert served.ask("/", host=host)[0].status == 403, host


@pytest.mark.parametrize("query", ["limit=x", "after=-1", "after=1e9", "limit=" + "9" * 30, "a=1&" * 30])
def test_a_question_that_makes_no_sense(served: Served, query: str) -> None:
    assert served.ask(f"/api/traces?{query}")[0].status == 400
    assert served.ask("http://[", host=f"127.0.0.1:{served.port}")[0].status == 400


@pytest.mark.slow
def test_clients_that_hang_up_leave_no_trace_on_the_terminal(folder: Path) -> None:
    one = Served(folder)
    whole = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\n\r\n"
    for said in ("", "GET", whole[:30], whole):
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", one.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(said.encode())
            connection.close()
    assert one.ask("/")[0].status == 200
    assert one.end().strip() == ""


@pytest.mark.slow
def test_idle_connections_keep_nobody_out(folder: Path) -> None:
    one = Served(folder)
    idle = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(3 * connections.MOST)]
    assert one.ask("/api/state")[0].status == 200
    assert one.end().strip() == ""
    assert len(idle) == 300


@pytest.fixture
def here(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server in this process over a copy of the run, which looks and gives up after moments."""
    monkeypatch.setattr("iterdeploy.view.shelves.REPAINT", 0.05)
    monkeypatch.setattr(connections, "WAIT", 0.5)
    server = Server("127.0.0.1", 0, View(Path(shutil.copytree(folder, tmp_path / "copy"))))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=server.view.keep_painting, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def asked(server: Server, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def eventually(happens: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happens():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


@pytest.mark.slow
def test_a_request_that_comes_in_drops_is_given_up(here: Server) -> None:
    connection = socket.create_connection(("127.0.0.1", here.port), timeout=20)
    connection.sendall(b"GET / HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):
        for number in range(60):
            connection.sendall(f"X-{number}: drop\r\n".encode())
            time.sleep(0.05)
    assert asked(here, "/")[0] == 200


def test_what_fails_while_the_page_is_made_anew_is_shown_and_tried_again(
    here: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    metrics = here.view.path / "generation-0" / "metrics.json"
    whole = metrics.read_text()
    metrics.write_text("{ cut")
    (here.view.path / "generation-2" / "metrics.json").unlink()
    eventually(lambda: json.loads(asked(here, "/api/state")[1])["trouble"] != "")
    assert json.loads(asked(here, "/api/state")[1])["measured"] == 3
    metrics.write_text(whole)
    eventually(lambda: json.loads(asked(here, "/api/state")[1])["measured"] == 2)
    assert json.loads(asked(here, "/api/state")[1])["trouble"] == ""
    errors = capfd.readouterr().err
    assert "The page cannot be brought up to date" in errors and errors.count("\n") == 1


@pytest.mark.slow
def test_a_folder_that_is_away_for_a_while_is_said_to_be_and_then_served_again(here: Server) -> None:
    path = here.view.path
    path.rename(path.with_name("away"))
    status, said = asked(here, "/api/state")
    assert status == 503 and b"The run cannot be read" in said
    eventually(lambda: here.view.trouble != "")
    assert asked(here, "/")[0] == 200
    (path.with_name("away") / "generation-2" / "metrics.json").unlink()
    path.with_name("away").rename(path)
    eventually(lambda: asked(here, "/api/state")[0] == 200)
    eventually(lambda: json.loads(asked(here, "/api/state")[1])["measured"] == 2)


def test_a_burst_of_connections_waits_for_its_turn(view: View) -> None:
    server = Server("127.0.0.1", 0, view)  # which does not take any yet
    waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(100)]
    assert len(waiting) == 100
    server.server_close()


@pytest.mark.slow
def test_it_serves_this_machine_alone_unless_told_otherwise(served: Served, folder: Path) -> None:
    assert served.host == "127.0.0.1"
    listening = Path("/proc/net/tcp").read_text().splitlines()
    (mine,) = [line.split()[1] for line in listening if f":{served.port:04X} " in line and " 0A " in line]
    assert mine.startswith("0100007F:")
    open_to_all = Served(folder, "--host", "0.0.0.0")
    assert open_to_all.ask("/api/state", host="any.example")[0].status == 200
    assert "Everyone who can reach this machine can read this run." in open_to_all.end()


def hashes(folder: Path) -> dict[str, str]:
    """Of every file but those that SQLite keeps beside a store to read it."""
    return {name: one for name, one in file_hashes(folder).items() if not name.startswith("traces.sqlite-")}


@pytest.mark.slow
def test_an_interrupt_ends_it_cleanly_and_it_has_written_nothing(folder: Path) -> None:
    before = hashes(folder)
    one = Served(folder)
    assert one.ask("/")[0].status == one.ask("/api/traces")[0].status == 200
    errors = one.end()
    assert one.process.returncode == 0 and "Traceback" not in errors and "resume" not in errors
    assert {
        name: hashed for name, hashed in file_hashes(folder).items() if not name.startswith("traces.sqlite-")
    } == before


@pytest.mark.slow
def test_what_cannot_be_served_is_said_in_a_sentence(served: Served, folder: Path, tmp_path: Path) -> None:
    command = ("view", folder.name, "--runs-dir", folder.parent)
    assert_refused(iterdeploy(*command, "--port", served.port), "cannot be served", "choose another --port")
    assert_refused(iterdeploy(*command, "--host", "no.such.host.invalid"), "no.such.host.invalid")
    assert_refused(iterdeploy("view", "nothing", "--runs-dir", tmp_path), "no such run")
