"""Runs side by side: which are seeds of one configuration, what their bands are, and the page."""

import json
import math
import shutil
from pathlib import Path
from statistics import fmean, stdev

import pytest

from helpers.reports import Reader, make_run
from helpers.support import assert_refused, iterdeploy
from iterdeploy.config import CurationConfig
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.comparison.page import band_note, figures, page
from iterdeploy.report.comparison.pooling import coverage, mean, ratio, t_quantile
from iterdeploy.report.comparison.runs import Comparison, compare, differences, read_run, sentence
from iterdeploy.report.facts.counts import TaskResult


def read(*paths: Path) -> Comparison:
    runs = []
    for path in paths:
        run_dir = RunDir.read(path)
        runs.append(read_run(run_dir))
        run_dir.close()
    return compare(runs)


def results(rates: list[float], seed: str = "") -> list[TaskResult]:
    """One task for each rate, of ten samples."""
    return [TaskResult(0, "held_out", "d", 3, f"{seed}{i}", round(10 * rate), 10) for i, rate in enumerate(rates)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of three seeds of one configuration and of a run with another curation."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, solved in enumerate([(8, 24), (8, 28), (12, 32)]):
        make_run(folder / f"main-{seed}", solved, seed=seed, description=f"seed {seed}").close()
    everything = CurationConfig(policies=("all",))
    make_run(folder / "none", (8, 6), curation=everything).close()
    return folder


def test_seeds_of_one_configuration_are_one_arm(runs: Path) -> None:
    comparison = read(*(runs / name for name in ("main-0", "main-1", "none", "main-2")))
    assert [arm.title for arm in comparison.arms] == ["main (3 seeds)", "none"]
    assert [run.name for run in comparison.arms[0].runs] == ["main-0", "main-1", "main-2"]
    main, none = (arm.runs[0] for arm in comparison.arms)
    assert differences(main, none) == ["curation.policies"]


def test_a_band_over_seeds_is_the_t_interval_of_their_coverages() -> None:
    seeds = [results([0.2] * 5 + [0.4] * 5, "a"), results([0.5] * 10, "b"), results([0.9] * 5 + [0.5] * 5, "c")]
    point = coverage(seeds)
    values = [0.3, 0.5, 0.7]
    half = 4.3027 * stdev(values) / math.sqrt(3)
    assert point is not None and point.value == pytest.approx(0.5)
    assert (point.low, point.high) == (pytest.approx(max(0, 0.5 - half)), pytest.approx(min(1, 0.5 + half)))


def test_seeds_with_the_same_tasks_get_the_variance_over_tasks_on_top() -> None:
    rates = [[0.0] * 5 + [1.0] * 5, [1.0] * 1 + [0.0] * 5 + [1.0] * 4]
    own = coverage([results(rates[0], "a"), results(rates[1], "b")])
    same = coverage([results(rates[0]), results(rates[1])])
    assert own is not None and same is not None
    assert own.low == own.value == same.value == 0.5  # the seeds agree, so they say nothing of a spread
    by_task = [fmean(pair) for pair in zip(*rates, strict=True)]
    assert same.low == pytest.approx(0.5 - 1.959964 * stdev(by_task) / math.sqrt(10))


def test_a_single_seed_has_the_interval_over_its_tasks() -> None:
    point = coverage([results([1.0] * 50 + [0.0] * 50)])
    assert point is not None and (round(point.low or 0, 3), round(point.high or 0, 3)) == (0.404, 0.596)
    assert coverage([[]]) is None and coverage([]) is None
    assert mean([0.5]) is not None and mean([]) is None


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (4, 2.7764), (10, 2.2281), (11, 2.2010), (20, 2.0860), (120, 1.9799)]
)
def test_quantiles_of_student_s_t(freedom: int, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=0.003)


def test_the_ratio_of_one_run_is_paired_by_task() -> None:
    first = results([0.2, 0.4, 0.2, 0.4])
    exact = ratio([first], [results([0.4, 0.8, 0.4, 0.8])])
    assert exact is not None and exact.value == pytest.approx(2) and exact.low == pytest.approx(2)
    loose = ratio([first], [results([0.8, 0.4, 0.8, 0.4])])
    assert loose is not None and loose.value == pytest.approx(2) and (loose.low or 0) < 1.2
    assert ratio([results([0.0, 0.0])], [first]) is None  # nothing was solved at first
    seeds = ratio([first, first], [results([0.4, 0.8, 0.4, 0.8]), results([0.2, 0.4, 0.2, 0.4])])
    assert seeds is not None and seeds.value == pytest.approx(math.sqrt(2)) and (seeds.low or 1) < 0.1


def test_the_sentence_claims_no_more_than_the_intervals_allow(runs: Path, tmp_path: Path) -> None:
    one = sentence(read(runs / "main-1", runs / "none"))
    assert one.startswith("In generation 1, main-1 has the highest held-out coverage, 70.0% [")
    assert one.endswith("its 95% interval lies above those of all others.")
    three = sentence(read(*(runs / name for name in ("main-0", "main-1", "main-2", "none"))))
    assert "main (3 seeds)" in three and "lies above" in three
    make_run(tmp_path / "other", (20, 22), generations=2).close()
    pair = sentence(read(runs / "main-0", tmp_path / "other"))
    assert "overlaps with" in pair and "no difference from it can be claimed" in pair


def test_what_the_bands_are_is_said(runs: Path) -> None:
    same = band_note(read(runs / "main-0", runs / "main-1"))
    assert "t intervals" in same and "Where seeds share tasks, the variance over tasks is added." in same
    assert "Each seed draws its own tasks" not in same  # the runs of these tests all have the same tasks


def test_the_page(runs: Path) -> None:
    comparison = read(*(runs / name for name in ("main-0", "main-1", "main-2", "none")))
    html = page(comparison)
    reader = Reader(html)
    assert not reader.open and "script" not in reader.elements and "https:" not in html
    assert "default-src 'none'" in html and "script-src" not in html
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    names = [value for tag, name, value in reader.attributes if tag == "figure" and name == "id"]
    assert names == [f"figure-{name}" for name in ("coverage-held-out", "by-size", "coverage-deployed", "longest-plan",
                                                   "reasoning-tokens", "verdicts")]  # fmt: skip
    assert [f"figure-{one.name}" for one in figures(comparison)] == names
    rows = [tuple(row) for row in reader.cells]
    assert ("curation.policies", '["valid", "best_per_task"]', '["all"]') in rows
    (summary,) = [row for row in rows if row[0] == "main (3 seeds)" and row[1] == "0, 1, 2"]
    assert summary[2].startswith("23.3% [") and summary[3].startswith("70.0% [") and summary[-1] == "10"


def test_the_command(runs: Path, tmp_path: Path) -> None:
    target = tmp_path / "both.html"
    done = iterdeploy("compare", "main-0", "none", "--runs-dir", runs, "--out", target, "--json", "--figures", tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["page"] == str(target) and target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (main, none) = told["arms"]
    assert main["runs"] == [{"name": "main-0", "seed": 0}] and none["coverage"][1]["value"] == pytest.approx(0.15)
    assert main["ratio"]["value"] == pytest.approx(3) and none["ratio"]["low"] < 1
    assert (tmp_path / "coverage-held-out.pdf").is_file() and (tmp_path / "verdicts-wide.svg").is_file()


def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path) -> None:
    assert_refused(iterdeploy("compare", "main-0", "main-0", "--runs-dir", runs), "main-0: named twice")
    assert_refused(iterdeploy("compare", "main-0", "nobody", "--runs-dir", runs), "no such run", "main-1")
    shutil.copytree(runs / "main-0", tmp_path / "empty")
    for path in (tmp_path / "empty").glob("generation-*"):
        shutil.rmtree(path)
    assert_refused(iterdeploy("compare", "empty", "--runs-dir", tmp_path), "no generation has been measured yet")
    out = tmp_path / "no" / "page.html"
    assert_refused(iterdeploy("compare", "main-0", "--runs-dir", runs, "--out", out), "--out: there is no folder")
