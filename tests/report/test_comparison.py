"""Runs side by side: which are seeds of one configuration, what their bands are, and the page."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.reports import Reader, make_run
from helpers.support import assert_refused, iterdeploy
from iterdeploy.config import CurationConfig
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.comparison.outcome import contrasts, sentence
from iterdeploy.report.comparison.page import band_note, figures, page
from iterdeploy.report.comparison.runs import CompareError, Comparison, compare, differences, read_run


def read(*paths: Path) -> Comparison:
    runs = []
    for path in paths:
        run_dir = RunDir.read(path)
        runs.append(read_run(run_dir))
        run_dir.close()
    return compare(runs)


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


def test_runs_with_the_same_tasks_are_compared_task_by_task(runs: Path, tmp_path: Path) -> None:
    found = sentence(read(runs / "main-1", runs / "none"))
    assert found.startswith("In generation 1, main-1 has the highest held-out coverage, 70.0% [")
    assert "It is ahead of none by +55.0 points [" in found and "22 tasks gained and 0 lost of the same 40" in found
    assert found.endswith("(p < 0.0001); they differ in curation.policies.")
    make_run(tmp_path / "other", (20, 32), generations=2).close()
    near = sentence(read(runs / "main-1", tmp_path / "other"))
    assert "No difference from main-1 can be claimed: +10.0 points [" in near
    assert "with 4 tasks gained and 0 lost of the same 40 (p = 0.12); they differ in generations." in near


def test_an_arm_of_seeds_is_paired_with_the_run_of_the_same_seed(runs: Path) -> None:
    found = sentence(read(*(runs / name for name in ("main-0", "main-1", "main-2", "none"))))
    assert "main (3 seeds) has the highest held-out coverage" in found
    assert "It is ahead of none by +45.0 points [" in found and "18 tasks gained and 0 lost of the same 40" in found


def test_runs_with_other_tasks_are_compared_as_independent(runs: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "fewer", (4, 6), tasks=30, generations=2).close()
    both = read(runs / "main-1", tmp_path / "fewer")
    (found,) = contrasts(both)
    assert found.paired is None and found.better.title == "main-1" and found.p < 0.05
    assert found.difference == pytest.approx(28 / 40 - 6 / 30)
    assert "on other tasks" in sentence(both)


def test_p_values_are_corrected_for_all_pairs_of_arms(runs: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "more", (20, 34), generations=2, seed=1).close()
    (alone,) = contrasts(read(runs / "main-1", tmp_path / "more"))
    three = read(runs / "main-1", tmp_path / "more", runs / "none")
    assert alone.p == pytest.approx(2 / 2**6)
    assert [one.p for one in contrasts(three) if {one.better.title, one.other.title} == {"main-1", "more"}] == [alone.p]
    (largest,) = [one for one in contrasts(three) if (one.better.title, one.other.title) == ("more", "none")]
    assert largest.p == pytest.approx(3 * 2 / 2**28)
    assert "All p-values are corrected for 3 comparisons." in sentence(three)


def test_equivalence_is_said_only_with_a_margin(runs: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "twin", (8, 28), generations=2, seed=1).close()
    alike = read(runs / "main-1", tmp_path / "twin")
    assert "equivalent" not in sentence(alike)
    assert "within 20 points the two are equivalent" in sentence(replace(alike, margin=0.2))
    assert "within 3 points the two are not shown to be equivalent" in sentence(replace(alike, margin=0.03))


def test_seeds_alone_are_compared_with_their_own_start(runs: Path) -> None:
    found = sentence(read(*(runs / f"main-{seed}" for seed in range(3))))
    assert "main (3 seeds) has a held-out coverage of 70.0% [" in found
    assert "since generation 0 by +46.7 points [" in found and "the frontier went from 6 [" in found


def test_a_copy_of_a_run_does_not_count_as_a_second_seed(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "main-1", tmp_path / "copy")
    with pytest.raises(CompareError, match=r"main-1 and copy have the same configuration and seed 1: .* not two seeds"):
        read(runs / "main-0", runs / "main-1", tmp_path / "copy")
    done = iterdeploy("compare", "main-1", tmp_path / "copy", "--runs-dir", runs, "--out", tmp_path / "page.html")
    assert_refused(done, "main-1 and copy", "name one of them")
    assert not (tmp_path / "page.html").exists()


def test_arms_whose_seeds_have_like_names_have_titles_of_their_own(tmp_path: Path) -> None:
    for seed in range(4):
        changes = {"curation": CurationConfig(policies=("all",))} if seed > 1 else {}
        make_run(tmp_path / f"main-{seed}", (8, 24), seed=seed, **changes).close()
    comparison = read(*(tmp_path / f"main-{seed}" for seed in range(4)))
    assert [arm.title for arm in comparison.arms] == ["main-0, main-1", "main-2, main-3"]
    assert "main-0, main-1" in sentence(comparison) and "main-2, main-3" in sentence(comparison)


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
    assert names == [f"figure-{name}" for name in ("coverage-held-out", "frontier", "by-size", "coverage-deployed",
                                                   "longest-plan", "reasoning-tokens", "verdicts")]  # fmt: skip
    assert [f"figure-{one.name}" for one in figures(comparison)] == names
    rows = [tuple(row) for row in reader.cells]
    assert ("curation.policies", '["valid", "best_per_task"]', '["all"]') in rows
    (summary,) = [row for row in rows if row[0] == "main (3 seeds)" and row[1] == "0, 1, 2"]
    assert summary[2].startswith("23.3% [") and summary[3].startswith("70.0% [") and summary[-1] == "6 [6, 6 or more]"


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path) -> None:
    assert_refused(iterdeploy("compare", "main-0", "main-0", "--runs-dir", runs), "main-0: named twice")
    assert_refused(iterdeploy("compare", "main-0", "nobody", "--runs-dir", runs), "no such run", "main-1")
    shutil.copytree(runs / "main-0", tmp_path / "empty")
    for path in (tmp_path / "empty").glob("generation-*"):
        shutil.rmtree(path)
    assert_refused(iterdeploy("compare", "empty", "--runs-dir", tmp_path), "no generation has been measured yet")
    out = tmp_path / "no" / "page.html"
    assert_refused(iterdeploy("compare", "main-0", "--runs-dir", runs, "--out", out), "--out: there is no folder")
