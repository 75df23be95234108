"""The command line's contract: shapes of the JSON, exit statuses, names, and what must not be written."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.support import HEAVY, TINY_ANSWERS, assert_refused, file_hashes, iterdeploy, watched
from iterdeploy.cli.main import main
from iterdeploy.models.loading import embedded_models
from iterdeploy.pddl import Domain, Problem, format_plan
from iterdeploy.planning.domains import DOMAINS

Cli = Callable[..., Any]
Write = Callable[..., Path]
VERDICTS = {"valid", "invalid", "unparseable", "truncated", "error"}


# status and traces


def test_status_json_has_the_promised_shape(run_cli: Cli, finished: Path) -> None:
    status = json.loads(run_cli("status", "tiny", "--json", "--runs-dir", finished.parent).stdout)
    assert status["state"] == "complete"
    assert [entry["generation"] for entry in status["generations"]] == [0, 1, 2]
    for entry in status["generations"]:
        for split, tasks in (("held_out", 6), ("deployed", 12)):
            told = entry[split]
            assert told["tasks"] == tasks
            assert told["coverage"] == pytest.approx(told["solved"] / tasks)
            low, high = told["interval"]
            assert 0 <= low <= told["coverage"] <= high <= 1
            if told["solved"]:
                assert 1 <= told["mean_plan"] <= told["longest_plan"] and isinstance(told["longest_plan"], int)
            else:
                assert told["mean_plan"] is None and told["longest_plan"] is None
        assert set(entry["verdicts"]) == VERDICTS and sum(entry["verdicts"].values()) == TINY_ANSWERS
        assert set(entry["diversity"]) == {"deployed", "held_out"} and entry["drift"]["logprob_gap"] < 1e-4
        (at_one,) = entry["temperatures"]
        assert (at_one["temperature"], at_one["tasks"], at_one["samples"]) == (1.0, 6, 1)
        assert (
            at_one["coverage"] == entry["held_out"]["coverage"] and at_one["interval"] == entry["held_out"]["interval"]
        )
        assert entry["frontier"] == at_one["frontier"] == entry["frontiers"]["blocksworld"]
        assert (
            set(entry["frontier"]) == {"size", "coverage", "interval", "largest"} and entry["frontier"]["largest"] == 2
        )
        assert entry["paired"] == at_one["paired"] and (entry["paired"] is None) == (entry["generation"] == 0)
        if changed := entry["paired"]:
            first = status["generations"][0]["held_out"]["coverage"]
            assert changed["difference"] == pytest.approx(entry["held_out"]["coverage"] - first)
            assert changed["gained"] - changed["lost"] == pytest.approx(6 * changed["difference"])
            assert changed["interval"][0] <= changed["difference"] <= changed["interval"][1] and 0 < changed["p"] <= 1
        assert set(entry["seconds"]) == {"sampling", "validation", "training", "other"}
        assert all(spent >= 0 for spent in entry["seconds"].values()) and entry["seconds"]["sampling"] > 0
    assert [entry["seconds"]["training"] > 0 for entry in status["generations"]] == [True, True, False]
    pools = [entry["pool"] for entry in status["generations"]]
    curated = [json.loads((finished / f"generation-{g}" / "curated.json").read_text()) for g in range(2)]
    assert pools == [0, *(len(pool["weights"]) for pool in curated)]


def test_status_without_json_is_a_table_of_the_same_numbers(run_cli: Cli, finished: Path) -> None:
    table = run_cli("status", "tiny", "--wide", "--runs-dir", finished.parent).stdout
    assert table.startswith("tiny: complete\n")
    for generation in range(3):
        metrics = json.loads((finished / f"generation-{generation}" / "metrics.json").read_text())
        assert f"{metrics['deployed']['coverage']:.1%} [{metrics['deployed']['interval'][0]:.1%}" in table
        assert " / ".join(str(count) for count in metrics["verdicts"].values()) in table
    assert "against generation 0" in table and "On 6 held-out tasks, coverage " in table.splitlines()[-1]


def test_status_compares_with_any_generation(run_cli: Cli, finished: Path) -> None:
    status = json.loads(run_cli("status", "tiny", "--against", 1, "--json", "--runs-dir", finished.parent).stdout)
    compared = [entry["paired"] and entry["paired"]["against"] for entry in status["generations"]]
    assert compared == [1, None, 1]
    table = run_cli("status", "tiny", "--wide", "--against", 1, "--runs-dir", finished.parent).stdout
    assert "against generation 1" in table and "in generation 1 to" in table.splitlines()[-1]
    assert_refused(
        iterdeploy("status", "tiny", "--against", 7, "--runs-dir", finished.parent),
        "--against 7",
        "generations 0 to 2 are measured",
    )


def test_reading_commands_change_nothing_and_import_nothing_heavy(finished_copy: Path) -> None:
    before = file_hashes(finished_copy)
    for command in (["status", "tiny", "--json"], ["traces", "tiny", "--json"], ["traces", "tiny"]):
        done, packages = watched(*command, "--runs-dir", finished_copy.parent)
        assert done.returncode == 0 and done.stdout
        assert not packages & set(HEAVY)
    after = file_hashes(finished_copy)
    assert {name: after[name] for name in before} == before


def traces(run_cli: Cli, runs: Path, *filters: object) -> list[dict[str, Any]]:
    lines = run_cli("traces", "tiny", "--json", "--runs-dir", runs, *filters).stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_traces_json_is_one_object_a_line_and_filters_agree_with_it(run_cli: Cli, finished: Path) -> None:
    runs = finished.parent
    everything = traces(run_cli, runs)
    assert len(everything) == 3 * TINY_ANSWERS
    keys = {(one["task_id"], one["generation"], one["sample_index"]) for one in everything}
    assert len(keys) == len(everything)
    assert {one["status"] for one in everything} <= VERDICTS
    for one in everything:
        assert one["prompt"].startswith("blocksworld\n") and one["split"] in ("deployed", "held_out")
        assert (one["status"] == "valid") == (one["cost"] is not None) == (one["reason"] == "")
    assert traces(run_cli, runs, "--generation", 1) == [one for one in everything if one["generation"] == 1]
    assert traces(run_cli, runs, "--status", "valid") == [one for one in everything if one["status"] == "valid"]
    assert traces(run_cli, runs, "--status", "invalid", "--generation", 0) == [
        one for one in everything if one["status"] == "invalid" and one["generation"] == 0
    ]
    assert traces(run_cli, runs, "--generation", 99) == []
    task = everything[0]["task_id"]
    assert traces(run_cli, runs, "--task", task) == [one for one in everything if one["task_id"] == task]
    assert (
        traces(run_cli, runs, "--split", "held_out", "--limit", 2)
        == [one for one in everything if one["split"] == "held_out"][:2]
    )
    heads = [line for line in run_cli("traces", "tiny", "--runs-dir", runs).stdout.splitlines() if line[:4] == "gene"]
    assert len(heads) == 3 * TINY_ANSWERS


def test_a_reader_that_goes_away_is_not_an_error(finished: Path) -> None:
    command = f"{sys.executable} -m iterdeploy traces tiny --json --runs-dir {finished.parent} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and json.loads(done.stdout)


# validate


@pytest.fixture
def plan_files(tmp_path: Path) -> list[Path]:
    """domain.pddl, problem.pddl and a valid plan.txt."""
    assert main(["tasks", "make", "blocksworld", "--count", "1", "--size", "3", "--out", str(tmp_path)]) == 0
    (problem,) = [path for path in tmp_path.glob("*.pddl") if path.name != "domain.pddl"]
    domain = DOMAINS["blocksworld"]
    plan = tmp_path / "plan.txt"
    plan.write_text(format_plan(domain.solve(Problem.parse(problem.read_text(), Domain.parse(domain.pddl)))))
    return [tmp_path / "domain.pddl", problem, plan]


def judged(*args: object) -> tuple[int, dict[str, Any]]:
    done, packages = watched("validate", "--json", *args)
    assert not packages & {*HEAVY, "pydantic", "rich", "tokenizers", "zstandard", "sqlite3"}
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_validate_says_0_for_valid_and_1_for_invalid(plan_files: list[Path]) -> None:
    domain, problem, plan = plan_files
    steps = plan.read_text().splitlines()
    status, verdict = judged(*plan_files)
    assert (status, verdict["status"], verdict["cost"], verdict["plan"]) == (0, "valid", len(steps), steps)
    plan.write_text("\n".join(steps[:-1]))
    status, verdict = judged(domain, problem, plan)
    assert (status, verdict["status"], verdict["failed_step"], verdict["cost"]) == (1, "invalid", None, None)
    plan.write_text("\n".join([steps[0], steps[0], *steps[1:]]))
    status, verdict = judged(domain, problem, plan)
    assert (status, verdict["status"], verdict["failed_step"]) == (1, "invalid", 2)
    plan.write_text("I would pick up the block.")
    status, verdict = judged(domain, problem, plan)
    assert (status, verdict["status"]) == (1, "unparseable")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_validate_says_2_for_what_it_cannot_judge_and_names_the_file(plan_files: list[Path], which: int) -> None:
    spoilt = plan_files[which]
    text = spoilt.read_text()
    if which < 2:
        for broken in (text.rstrip()[:-1], text.replace("define", "defin", 1), "", "(define (domain x) (:durative))"):
            spoilt.write_text(broken)
            status, verdict = judged(*plan_files)
            assert (status, verdict["status"]) == (2, "error") and str(spoilt) in verdict["reason"], broken
    spoilt.write_bytes(b"\xff\xfe(define\x00")
    status, verdict = judged(*plan_files)
    assert status == 2 and "UTF-8" in verdict["reason"] and str(spoilt) in verdict["reason"]
    spoilt.unlink()
    status, verdict = judged(*plan_files)
    assert status == 2 and str(spoilt) in verdict["reason"]


def test_validate_without_json_says_it_in_words(run_cli: Cli, plan_files: list[Path]) -> None:
    assert run_cli("validate", *plan_files).stdout.startswith("valid, cost ")
    plan_files[2].write_text("")
    assert run_cli("validate", *plan_files, check_exit=1).stdout.startswith("invalid: goal not reached")


# tasks, models, dry runs, names


def test_tasks_make_writes_the_same_files_for_the_same_seed_and_they_parse(tmp_path: Path) -> None:
    def make(folder: str, seed: int) -> dict[str, str]:
        args = ["tasks", "make", "blocksworld", "--count", "12", "--seed", str(seed), "--size", "2-4"]
        assert main([*args, "--out", str(tmp_path / folder)]) == 0
        return file_hashes(tmp_path / folder)

    first = make("a", 1)
    assert make("b", 1) == first and make("c", 2) != first
    assert len(first) == 13 and "domain.pddl" in first and len(set(first.values())) == 13
    domain = Domain.parse((tmp_path / "a" / "domain.pddl").read_text())
    names = sorted(name for name in first if name != "domain.pddl")
    sizes = [len(Problem.parse((tmp_path / "a" / name).read_text(), domain).objects) for name in names]
    assert sizes == [2, 3, 4] * 4


def test_tasks_make_overwrites_nothing(tmp_path: Path) -> None:
    args = ["tasks", "make", "blocksworld", "--count", "3", "--out", tmp_path / "out"]
    assert iterdeploy(*args).returncode == 0
    before = file_hashes(tmp_path / "out")
    assert_refused(iterdeploy(*args, "--seed", 9), str(tmp_path / "out"), "--out")
    assert file_hashes(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["make", "chess", "--out", "x"], "blocksworld"),
        (["make", "blocksworld", "--out", "x", "--size", "1"], "2 blocks"),
        (["make", "blocksworld", "--out", "x", "--size", "big"], "--size"),
        (["make", "blocksworld", "--out", "x", "--count", "0"], "--count"),
        (["show", "blocksworld", "--size", "1"], "2 blocks"),
        (["show", "chess"], "blocksworld"),
    ],
)
def test_tasks_that_cannot_be_made_are_refused_and_nothing_is_written(
    tmp_path: Path, args: list[str], word: str
) -> None:
    assert_refused(iterdeploy("tasks", *args, cwd=tmp_path), word)
    assert list(tmp_path.iterdir()) == []


def test_models_lists_the_embedded_ones(run_cli: Cli) -> None:
    told = run_cli("models").stdout
    for name, folder in embedded_models().items():
        assert any(line.startswith(f"{name} ") and str(folder) in line for line in told.splitlines())
    assert embedded_models()


def test_the_embedded_model_is_small_enough_to_ship() -> None:
    for folder in embedded_models().values():
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 10_000_000


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(tiny_config: Write, tmp_path: Path) -> None:
    before = file_hashes(tmp_path) | {"tiny.toml": file_hashes(tiny_config().parent)["tiny.toml"]}
    done, packages = watched("run", "tiny.toml", "--dry-run", "--set", "generations=4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for told in ("12 deployed", "6 held out", "30 per generation, 150 in 5 generations", "valid, then best_per_task"):
        assert told in done.stdout
    assert not packages & set(HEAVY)
    assert file_hashes(tmp_path) == before and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../up", "a\\b", "/tmp/x", "x" * 300])
def test_a_name_that_cannot_be_a_folder_name_is_refused(tiny_config: Write, tmp_path: Path, name: str) -> None:
    assert_refused(iterdeploy("run", tiny_config(), "--name", name, "--runs-dir", tmp_path / "runs"), "--name")
    assert_refused(iterdeploy("status", name, "--runs-dir", tmp_path / "runs"), name)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["resume", "status", "report", "traces"])
def test_a_run_that_is_not_there_is_refused_with_those_that_are(finished: Path, command: str) -> None:
    before = sorted(path.name for path in finished.parent.iterdir())
    assert_refused(iterdeploy(command, "tinny", "--runs-dir", finished.parent), "tinny", "tiny")
    assert sorted(path.name for path in finished.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "iterdeploy: the following arguments are required: COMMAND"),
        (["fly"], "there is no 'fly'; there are run, resume"),
        (["rn"], "there is no 'rn'; did you mean run?"),
        (["tasks", "mak"], "there is no 'mak'; did you mean make?"),
        (["run"], "iterdeploy run: the following arguments are required: CONFIG"),
        (["run", "smoke", "--fly"], "--fly"),
        (["run", "smoke", "--seeds", "0"], "--seeds: a whole number from 1 to 10,000, not '0'"),
        (["run", "smoke", "--seeds", "1000000000000"], "--seeds: a whole number from 1 to 10,000"),
        (["run", "smoke", "--seeds", "9" * 5000], "--seeds: a whole number from 1 to 10,000"),
        (["run", "smoke", "--answer-tokens", "9" * 400], "--answer-tokens: a whole number"),
        (["tasks", "make", "ferry", "--out", "x", "--count", "1000000000000"], "--count: a whole number from 1"),
        (["tasks", "show", "ferry", "--size", "-3"], "--size"),
        (["traces", "x", "--generation", "9" * 30], "--generation: a whole number from 0"),
        (["theory", "x", "--traces", "1_0"], "--traces: a whole number from 1"),
        (["view", "x", "--port", "99999999"], "--port: a whole number from 0 to 65,535"),
        (["view", "x", "--port", "\x1b[31m\u202e9"], "'\\x1b[31m\\u202e9'"),
        (["traces", "x", "--status", "good"], "there is no 'good'; there are valid, invalid"),
    ],
)
def test_a_wrong_command_line_is_one_paragraph_and_exit_status_2(
    args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(args)
    said = capsys.readouterr().err
    assert leaving.value.code == 2 and words in said
    assert said.count("\n") == 1 and said.endswith("--help` says more)\n")


def test_the_installed_command_is_the_module() -> None:
    script = Path(sys.executable).with_name("iterdeploy")
    if not script.exists():
        pytest.skip(f"{script} is not installed")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, env=os.environ)
    assert done.stdout == iterdeploy("--version").stdout != ""
