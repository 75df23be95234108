"""`iterdeploy reverify`: what another verdict on the stored answers would have changed, with the run left as it is."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.fake_val import install
from helpers.playing import GENERATIONS, answers, make_run, played_run, task
from helpers.support import assert_refused, file_hashes, iterdeploy
from iterdeploy.record.run_dir import RunDir
from iterdeploy.steps.reverify import REVERIFICATION
from iterdeploy.types import Split, Verdict


def test_the_same_validator_finds_nothing_and_writes_apart(tmp_path: Path) -> None:
    played_run(tmp_path / "played")
    before = file_hashes(tmp_path / "played")
    for time in (1, 2):
        done = iterdeploy("reverify", "played", "--runs-dir", tmp_path, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["changes"] == []
        assert [restated["generation"] for restated in found["generations"]] == list(range(GENERATIONS))
        for restated in found["generations"]:
            pairs = [*restated["coverage"].values(), *([restated["pool"]["traces"]] if restated["pool"] else [])]
            assert all(pair["before"] == pair["after"] for pair in pairs)
        after = file_hashes(tmp_path / "played")
        new = {f"reverified-{number}.json" for number in range(1, time + 1)}
        assert after.keys() - before.keys() == new
        assert {name: after[name] for name in before} == before
    assert [restated["pool"] is None for restated in found["generations"]] == [False, False, True]


def test_verdicts_of_a_faulty_validator_are_found_and_restated(tmp_path: Path) -> None:
    """Two deployed tasks: a valid answer was called invalid, and one without a plan was called valid."""
    asked = [task("blocksworld", 3, Split.DEPLOYED), task("blocksworld", 4, Split.DEPLOYED)]
    asked += [task("blocksworld", 3, Split.HELD_OUT)]
    traces = [trace for trace in answers(asked, 0) if trace.split is Split.DEPLOYED or trace.sample_index == 1]
    right = next(trace for trace in traces if trace.valid and trace.task_id == asked[0].id)
    wrong = next(trace for trace in traces if trace.verdict.status == "unparseable")
    stored = {
        right.id: replace(right, verdict=Verdict.invalid("a fault")),
        wrong.id: replace(wrong, verdict=Verdict.valid([["noop"]], facts={"plan_length": 1.0, "strict": 1.0})),
    }
    make_run(tmp_path / "faulty", asked, {0: [stored.get(trace.id, trace) for trace in traces]}, generations=1)
    done = iterdeploy("reverify", "faulty", "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    for row in ("invalid      valid        1", "valid        unparseable  1"):
        assert row.split() in [line.split() for line in done.stdout.splitlines()]
    run_dir = RunDir.read(tmp_path / "faulty")
    found = REVERIFICATION.read(run_dir.files.read("reverified-1.json"))
    run_dir.close()
    assert found is not None
    assert {change.trace_id: (change.before.status, change.after.status) for change in found.changes} == {
        right.id: ("invalid", "valid"),
        wrong.id: ("valid", "unparseable"),
    }
    (restated,) = found.generations
    assert (restated.answers, restated.changed) == (len(traces), 2)
    assert restated.pool is not None
    assert (list(restated.pool.entered), list(restated.pool.left)) == ([right.id], [wrong.id])
    rates = {one.id: [trace.valid for trace in traces if trace.task_id == one.id] for one in asked[:2]}
    now = sum(sum(valid) / len(valid) for valid in rates.values()) / 2
    assert restated.coverage["deployed"].after == pytest.approx(now)
    assert restated.coverage["held_out"].before == restated.coverage["held_out"].after == 1.0


def test_another_validator_may_judge(tmp_path: Path) -> None:
    asked = [task("blocksworld", 3, Split.DEPLOYED), task("blocksworld", 3, Split.HELD_OUT)]
    traces = answers(asked, 0)
    make_run(tmp_path / "run", asked, {0: traces}, generations=1)
    ask = ("reverify", "run", "--runs-dir", tmp_path, "--validator", "val", "--json")
    done = iterdeploy(*ask, env={**os.environ, "ITERDEPLOY_VAL": str(install(tmp_path))})
    found = json.loads(done.stdout)
    assert found["validator"] == "val"
    assert {(change["before"]["status"], change["after"]["status"]) for change in found["changes"]} <= {
        ("invalid", "invalid"),  # for another reason, in VAL's words
        ("valid", "valid"),
    }
    done = iterdeploy(*ask, env={**os.environ, "ITERDEPLOY_VAL": str(tmp_path / "nothing")})
    assert_refused(done, "VAL not found")


def test_a_damaged_finding_is_noticed(tmp_path: Path) -> None:
    played_run(tmp_path / "played")
    assert iterdeploy("reverify", "played", "--runs-dir", tmp_path).returncode == 0
    path = tmp_path / "played" / "reverified-1.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"changed": 0', '"changed": 1', 1), encoding="utf-8")
    run_dir = RunDir.read(tmp_path / "played")
    with pytest.raises(ValueError, match="does not fit its seal"):
        run_dir.files.read("reverified-1.json")
    run_dir.close()
