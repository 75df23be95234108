"""Several servers of one policy, over real HTTP: one that is lost, one that has other weights, one that comes back."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import iterdeploy.samplers.client as client_module
import iterdeploy.samplers.fleet as fleet_module
from helpers.misbehaving import Server, misbehaving
from helpers.support import config_with, values_with
from helpers.wrong_replies import status
from iterdeploy.config import RunConfig
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers import PromptBatch
from iterdeploy.samplers.endpoint import addresses_of, check_served, only_one
from iterdeploy.samplers.errors import ServerError
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.sections import ConfigError

SETTINGS: dict[str, Any] = {
    "generations": 0,
    "sampling.sampler": "openai",
    "server.concurrency": 2,
}
PROMPTS = [f"{number} blocks" for number in range(30)]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 0.05)
    with misbehaving() as one, misbehaving() as other:
        yield one, other


def sampler(*addresses: str, **settings: Any) -> OpenAiSampler:
    config = RunConfig.model_validate(values_with({**SETTINGS, "server.addresses": addresses, **settings}))
    return OpenAiSampler(base_policy(model_folder(config.model)), config)


def asked(*servers: Server) -> Counter[int]:
    """Seed -> on how many servers it was tried."""
    return Counter(seed for server in servers for seed in server.seeds)


def test_two_servers_share_the_requests(pair: tuple[Server, Server]) -> None:
    with sampler(*(server.address for server in pair)) as fleet:
        found = fleet.sample(PROMPTS, 1)
    assert len(found) == len(PROMPTS)
    assert set(asked(*pair).values()) == {1} and asked(*pair).total() == len(PROMPTS)
    assert all(len(server.seeds) >= len(PROMPTS) // 4 for server in pair), "neither stands idle"


def test_the_answers_do_not_depend_on_the_number_of_servers(pair: tuple[Server, Server]) -> None:
    with sampler(pair[0].address) as one, sampler(*(server.address for server in pair)) as two:
        assert one.sample(PROMPTS[:6], 4) == two.sample(PROMPTS[:6], 4)


def test_a_server_that_is_lost_under_load_costs_no_answer_and_none_comes_twice(
    pair: tuple[Server, Server], capsys: pytest.CaptureFixture[str]
) -> None:
    batches = [PromptBatch(PROMPTS[i : i + 3], i) for i in range(0, 30, 3)]
    with sampler(*(server.address for server in pair)) as fleet:
        found = []
        for answered in fleet.answers(batches):
            found.append(answered)
            if len(found) == 2:
                pair[1].leave()
    assert sorted(answered.index for answered in found) == list(range(10))
    assert all(len(answered.whole()) == 3 for answered in found)
    told = capsys.readouterr().err
    lost = [line for line in told.splitlines() if "the other 1" in line]
    assert len(lost) == 1 and pair[1].address in lost[0] and "resume" not in lost[0], told
    assert asked(pair[0])[pair[0].seeds[-1]] == 1 and len(asked(*pair)) == 30


def test_a_server_that_refuses_everybody_is_as_good_as_lost(pair: tuple[Server, Server]) -> None:
    with sampler(*(server.address for server in pair)) as fleet:
        pair[0].wrong = status("401 Told")
        assert len(fleet.sample(PROMPTS, 1)) == len(PROMPTS)
    assert len(pair[1].seeds) == len(PROMPTS)


def test_when_the_last_one_is_lost_the_run_ends_and_names_it(pair: tuple[Server, Server]) -> None:
    with sampler(*(server.address for server in pair)) as fleet:
        pair[0].leave()
        fleet.sample(PROMPTS[:4], 1)
        pair[1].leave()
        with pytest.raises(ServerError, match=f"{pair[1].address}: away after 7 tries"):
            fleet.sample(PROMPTS[:4], 2)


def test_one_of_two_is_enough_to_begin_with(pair: tuple[Server, Server], capsys: pytest.CaptureFixture[str]) -> None:
    pair[0].leave()
    with sampler(*(server.address for server in pair)) as fleet:
        assert len(fleet.sample(PROMPTS[:4], 1)) == 4
    assert pair[0].address in capsys.readouterr().err


def test_a_server_that_answers_again_is_used_again(
    pair: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet_module, "TRY_AGAIN", 0.05)
    with sampler(*(server.address for server in pair)) as fleet:
        pair[0].wrong = status("401 Told")
        fleet.sample(PROMPTS[:4], 1)
        before = len(pair[0].seeds)
        pair[0].heal()
        threading.Event().wait(1.0)
        fleet.sample(PROMPTS, 2)
    assert len(pair[0].seeds) > before + 5
    assert "answers again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"server.addresses": ["localhost:8000"]}, "an address reads like"),
        ({"server.addresses": ["http://a/v1", "http://a/v1/"]}, "named twice"),
        ({"server.addresses": ["http://a/v1"], "server.address": "http://b/v1"}, "leave one of the two"),
    ],
)
def test_addresses_that_cannot_be_meant_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config_with(settings)


def test_the_variable_may_name_several(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_with({"sampling.sampler": "openai", "generations": 0})
    monkeypatch.setenv("ITERDEPLOY_ADDRESS", "http://a:8000/v1,http://b:8000/v1/")
    assert list(addresses_of(config)) == ["http://a:8000/v1", "http://b:8000/v1"]
    check_served(config)
    with pytest.raises(ConfigError, match=r"server\.addresses.*one server, not 2"):
        only_one(config)
    monkeypatch.setenv("ITERDEPLOY_ADDRESS", "http://a:8000/v1,b")
    with pytest.raises(ConfigError, match="ITERDEPLOY_ADDRESS"):
        addresses_of(config)
