"""Servers that misbehave, over real connections: a run goes on without the one answer, or ends with one clear error;
nothing wrong is stored, no key is shown, and it can be resumed.

Every way to go wrong is tried on one request, the first or a later one, and on all, from the beginning or later.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import iterdeploy.samplers.client as client_module
from helpers.misbehaving import KEY, VOCABULARY, Server, misbehaving
from helpers.server_runs import ANSWERS, Deployment, assert_no_key, assert_nothing_of_the_key_in, impatient
from helpers.wrong_replies import NOT_ANSWERS, NOT_HTTP, ONE, ONLY_LATER, SLOW, WHOLE, changed, said
from iterdeploy.deployment import served_policy
from iterdeploy.samplers import Failed, PromptBatch
from iterdeploy.samplers.errors import ServerError
from iterdeploy.steps.stops import Stopped
from iterdeploy.types import Status, Trace

FAST = {"choices null", "a token after the last", "a logprob NaN", "HTML", "deep", "endless chunks",
        "the key in a header", "429 with a date", "status 400", "status 401", "the key in base64", "half a body",
        "another model", "token_ids too many", "the key in a status"}  # fmt: skip
"""Tried every time; the others are among the slow tests."""


def cases(table: dict[str, Any]) -> list[Any]:
    return [pytest.param(name, id=name, marks=[] if name in FAST else pytest.mark.slow) for name in table]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with impatient(monkeypatch) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Trace]:
    """What a server without fault makes of the run."""
    with misbehaving() as server:
        return Deployment(server, tmp_path_factory.mktemp("undisturbed"), **{"server.key_variable": ""}).go()


def assert_right(stored: dict[tuple[str, int], Trace], undisturbed: dict[tuple[str, int], Trace]) -> list[Trace]:
    """Every trace that has an answer has the right one; those without come back."""
    errors = []
    for key, trace in stored.items():
        if trace.verdict.status is Status.ERROR:
            (said,) = trace.completions
            assert (said.text, said.token_ids, said.logprobs, said.finish_reason) == ("", (), None, "error")
            assert trace.verdict.reason and len(trace.verdict.reason) < 700 and trace.verdict.reason.isprintable()
            errors.append(trace)
        else:
            assert trace.completions == undisturbed[key].completions
    return errors


def test_the_server_of_these_tests_behaves_when_it_should(undisturbed: dict[tuple[str, int], Trace]) -> None:
    assert len(undisturbed) == ANSWERS
    assert len({trace.completions[0].token_ids for trace in undisturbed.values()}) == ANSWERS
    for trace in undisturbed.values():
        assert trace.verdict.status is not Status.ERROR
        assert all(0 <= token < VOCABULARY for token in trace.completions[0].token_ids)
        assert trace.completions[0].logprobs is not None and all(value <= 0 for value in trace.completions[0].logprobs)


def test_there_are_as_many_ways_to_go_wrong_as_are_tried() -> None:
    assert len(ONE) + len(ONLY_LATER) + len(WHOLE) > 250


@pytest.mark.parametrize("only", [pytest.param(0, id="first", marks=pytest.mark.slow), pytest.param(7, id="later")])
@pytest.mark.parametrize("name", cases({**ONE, **ONLY_LATER}))
def test_one_request_that_is_answered_wrongly_is_an_error_and_the_run_goes_on(
    server: Server,
    undisturbed: dict[tuple[str, int], Trace],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    only: int,
) -> None:
    server.wrong, server.only = {**ONE, **ONLY_LATER}[name], only
    run = Deployment(server, tmp_path)
    stored = run.go()
    assert stored.keys() == undisturbed.keys()
    (error,) = assert_right(stored, undisturbed)
    told = capsys.readouterr().err
    warnings = [line for line in told.splitlines() if "counts as an error" in line]
    assert len(warnings) == 1 and error.verdict.reason in warnings[0]
    assert_no_key(told + error.verdict.reason)
    run.store.close()
    assert_nothing_of_the_key_in(tmp_path)

    asked = server.asked
    server.heal()
    again = Deployment(server, tmp_path)
    assert again.go() == stored and server.asked == asked, "what has a verdict is not asked for again"


@pytest.mark.parametrize(
    "after", [pytest.param(0, id="from the beginning", marks=pytest.mark.slow), pytest.param(4, id="later")]
)
@pytest.mark.parametrize("name", cases(WHOLE))
def test_a_server_that_answers_nobody_ends_the_run_with_one_error(
    server: Server,
    undisturbed: dict[tuple[str, int], Trace],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    after: int,
) -> None:
    server.wrong, server.after = WHOLE[name], after
    run = Deployment(server, tmp_path)
    with pytest.raises(ServerError) as caught:
        run.go()
    told = str(caught.value)
    assert server.address in told and told.isprintable() and len(told) < 1500
    assert_no_key(told + capsys.readouterr().err)
    before = run.stored()
    assert not assert_right(before, undisturbed), "nothing is laid at the door of one request"
    assert len(before) < ANSWERS
    run.store.close()
    assert_nothing_of_the_key_in(tmp_path)

    server.heal()
    assert Deployment(server, tmp_path).go() == undisturbed


@pytest.mark.parametrize("name", cases({**NOT_ANSWERS, **NOT_HTTP, **SLOW}))
def test_what_is_not_a_list_of_models_ends_the_run_with_one_error(
    server: Server, tmp_path: Path, name: str, undisturbed: dict[tuple[str, int], Trace]
) -> None:
    server.models = {**NOT_ANSWERS, **NOT_HTTP, **SLOW}[name]
    run = Deployment(server, tmp_path)
    with pytest.raises(ServerError) as caught:
        run.go()
    assert_no_key(str(caught.value))
    server.heal()
    assert run.go() == undisturbed


@pytest.mark.parametrize("listed", ['{"data": []}', '{"data": null}', '{"data": [{}]}', '{"data": [{"id": 5}]}', "[]"])
def test_a_list_without_a_model_ends_the_run(server: Server, tmp_path: Path, listed: str) -> None:
    server.models = said(listed)
    with pytest.raises(ServerError, match="not what was asked for"):
        Deployment(server, tmp_path).go()


@pytest.mark.parametrize("name", ONLY_LATER)
def test_what_a_server_never_had_is_gone_without_after_one_warning(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    server.wrong = ONLY_LATER[name]
    stored = Deployment(server, tmp_path).go()
    assert len(stored) == ANSWERS
    told = capsys.readouterr().err
    assert told.count("warning") in (1, 2)
    assert_no_key(told)
    for trace in stored.values():
        assert trace.verdict.status is not Status.ERROR
        assert (trace.completions[0].logprobs is None) == ("model" not in name)


@pytest.mark.parametrize("answer", [KEY, f"(pickup {KEY})"])
def test_an_answer_that_holds_the_key_is_not_stored(server: Server, tmp_path: Path, answer: str) -> None:
    """It comes from a server without token ids, whose text is what is stored."""
    server.wrong = changed(token_ids=..., logprobs=..., text="(pickup b1)")
    run = Deployment(server, tmp_path, **{"sampling.max_errors": 1.0})
    with run.parts.sampler(run.parts.base) as sampler:
        assert sampler.source == "openai (re-tokenised)"
        server.wrong = changed(token_ids=..., logprobs=..., text=answer)
        (only,) = sampler.answers([PromptBatch(["a", "b"], 1)])
    assert all(isinstance(failed, Failed) and "holds the key" in failed.reason for failed in only.completions)


def test_errors_above_the_limit_stop_the_run_and_those_beyond_it_are_asked_for_again(
    server: Server, undisturbed: dict[tuple[str, int], Trace], tmp_path: Path
) -> None:
    """A server that answers the short request alone: of 12 answers one or two may be errors, not a third."""
    server.wrong, server.only = changed(choices=None), None
    server.only_answers = True
    run = Deployment(server, tmp_path)
    with pytest.raises(Stopped, match=r"sampling\.max_errors = 0\.1 .*choices") as caught:
        run.go()
    assert caught.value.state == "too_many_errors"
    stored = run.stored()
    assert len(stored) == 2 == len(assert_right(stored, undisturbed))
    with pytest.raises(Stopped):
        run.go()
    assert run.stored() == stored

    server.heal()
    final = run.go()
    assert final.keys() == undisturbed.keys() and len(assert_right(final, undisturbed)) == 2


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_how_many_errors_are_allowed_is_configured(server: Server, tmp_path: Path, limit: float) -> None:
    server.wrong, server.only = changed(choices=None), 3
    run = Deployment(server, tmp_path, **{"sampling.max_errors": limit})
    if limit:
        assert len(run.go()) == ANSWERS
    else:
        with pytest.raises(Stopped):
            run.go()


def test_a_server_that_goes_away_ends_the_run_and_lays_it_at_the_door_of_no_request(
    undisturbed: dict[tuple[str, int], Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(served_policy, "policy_logprobs", lambda policy, rows, config: [])
    with misbehaving() as server:
        run = Deployment(server, tmp_path, **{"server.key_variable": ""})
        with run.parts.sampler(run.parts.base) as sampler:
            found = sampler.answers([PromptBatch(["a"], seed) for seed in range(300)])
            next(found)
            server.leave()
            with pytest.raises(ServerError, match="away"):
                for answered in found:
                    answered.whole()
