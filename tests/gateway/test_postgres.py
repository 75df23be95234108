"""Several gateways over one store in PostgreSQL: what one of them acknowledges, all of them know."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.deployments import command
from helpers.postgres import PROGRAMS, Place, Server
from helpers.serving import NAME, Live, config_of, tasks_of
from helpers.support import assert_refused, iterdeploy
from iterdeploy.config_file import find_config, load_config
from iterdeploy.gateway.serve import open_folder
from iterdeploy.record.database import ServerFailed
from iterdeploy.record.store import TraceStore
from iterdeploy.sections import ConfigError

ADDRESSES = ["postgresql://me:hunter22@db/x", "postgresql://db/x?password=hunter22", "postgres://me:hun/ter22@db/x"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    done = iterdeploy("serve", "deployment", "--set", f"deployment.store={address}", "--runs-dir", tmp_path)
    assert_refused(done, "PGPASSWORD")
    assert "ter22" not in done.stderr and not list(tmp_path.iterdir())


def test_what_is_no_address_of_a_database_is_refused() -> None:
    with pytest.raises(ConfigError, match="postgresql://"):
        load_config(find_config("deployment"), ["deployment.store=mysql://db/x"])


@pytest.fixture
def two(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Live, Live]]:
    """Two gateways of one deployment."""
    server: Server = request.getfixturevalue("postgres")
    config = config_of({"deployment.store": server.database()})
    first, second = Live(tmp_path, config), Live(tmp_path, config)
    yield first, second
    for live in (first, second):
        assert "Traceback" not in live.end()


if PROGRAMS:  # Debian's package of the server is there

    @pytest.mark.slow
    def test_two_gateways_are_one_deployment(two: tuple[Live, Live], postgres: Server) -> None:
        first, second = two
        prompt = tasks_of(first.config)[0].prompt
        again = {"Idempotency-Key": "k"}
        asked = first.ask(prompt, headers=again).json()
        assert second.ask(prompt, headers=again).json()["id"] == asked["id"], "a repeated request is one trace"
        given = second.client.post("/v1/feedback", json={"trace": asked["id"], "verdict": "publish"})
        assert given.status_code == 201

        said: list[str] = []
        threads = [
            threading.Thread(target=lambda live=live: said.append(live.ask(prompt, max_tokens=5).json()["id"]))
            for live in (first, second) * 8
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = first.traces()
        assert set(said) <= set(stored) and len(set(said)) == 16
        keys = [(trace.task_id, trace.generation, trace.sample_index) for trace in stored.values()]
        assert len(set(keys)) == len(keys)

        key = command(first, "keys", "app", "--scopes", "ask").strip()
        for live in two:
            assert live.ask(prompt).status_code == 401, "both know of the key at once"
            assert live.ask(prompt, headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert not (first.path / "traces.sqlite").exists()

    @pytest.mark.slow
    def test_a_server_that_goes_away_is_a_503_and_nothing_is_lost(two: tuple[Live, Live], postgres: Server) -> None:
        live, _ = two
        prompts = [task.prompt for task in tasks_of(live.config)]
        before = live.ask(prompts[0]).json()["id"]
        postgres.stop("immediate")
        away = live.ask(prompts[1])
        assert away.status_code == 503 and away.headers["retry-after"]
        assert_refused(iterdeploy("status", NAME, "--runs-dir", live.path.parent), "PostgreSQL cannot be used")
        postgres.start()
        statuses = [live.ask(prompts[2]).status_code for _ in range(4)]
        assert statuses[-1] == 200, "the connections are made anew"
        assert before in live.traces()

    def test_a_folder_of_somebody_else_reaches_no_database(tmp_path: Path, postgres: Server) -> None:
        open_folder(tmp_path / NAME, config_of({"deployment.store": postgres.database()}), ["a test"])
        (tmp_path / NAME / "mark").unlink()
        assert_refused(iterdeploy("status", NAME, "--runs-dir", tmp_path), "not started by this user")

    def test_a_lost_connection_never_passes_for_a_commit(tmp_path: Path, postgres: Server) -> None:
        Place(postgres).use(tmp_path)
        store = TraceStore(tmp_path / "traces.sqlite")
        with pytest.raises(ServerFailed), store.together():
            store.add_seconds({(0, "sampling"): 1.0})
            postgres.stop("immediate")
            postgres.start()
            with pytest.raises(ServerFailed):
                store.add_seconds({(0, "sampling"): 2.0})
        assert store.seconds() == {}
        store.close()
