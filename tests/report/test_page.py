"""The report of runs that no model made: real records in a real store, measured by the real functions."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from helpers.reports import HOSTILE, Reader, generation_traces, make_run, report_of
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.metrics.records import Metrics
from iterdeploy.metrics.results import solved
from iterdeploy.record.outputs import State
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report import write_figures, write_report
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.svg import PALETTE
from iterdeploy.report.drawing.tables import NOTHING
from iterdeploy.report.facts.contents import read
from iterdeploy.report.facts.verdict import state_sentence
from iterdeploy.report.figures.training import evenly
from iterdeploy.report.html.markup import text
from iterdeploy.report.sections import figures
from iterdeploy.tables import Link
from iterdeploy.types import Split


def measured(*solved: int, tasks: int = 200, splits: Sequence[Split] = tuple(Split)) -> list[Metrics]:
    return [coverage_of_splits(generation_traces(g, count, tasks, splits, "")) for g, count in enumerate(solved)]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a complete run of three generations, with its report."""
    path = tmp_path_factory.mktemp("runs") / "run"
    report_of(path, [8, 20, 30])
    return path


@pytest.fixture(scope="module")
def html(reported: Path) -> str:
    return (reported / "report.html").read_text(encoding="utf-8")


def drawn(path: Path) -> list[Figure]:
    run_dir = RunDir.read(path)
    found = figures(read(run_dir))
    run_dir.close()
    return found


def test_the_file_needs_nothing_else(html: str) -> None:
    reader = Reader(html)
    assert not reader.open
    assert {"link", "iframe", "img", "object", "image", "foreignobject"}.isdisjoint(reader.elements)
    fetched = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"}
    assert all(value.startswith("#") for _, name, value in reader.attributes if name in fetched)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    page = html[: html.index('<script type="module"')]  # what a script may fetch is forbidden by the policy
    assert "http:" not in page and "https:" not in page and "@import" not in page
    assert set(re.findall(r"url\(([^)]*)", page)) <= {
        f"#{value}" for _, name, value in reader.attributes if name == "id"
    }


def test_the_policy_allows_the_scripts_of_the_file_and_nothing_else(html: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    scripts = re.findall(r'<script type="module">(.*?)</script>', html, flags=re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told["default-src"] == "'none'" and told["script-src"].split() == hashes and hashes
    assert "connect-src" not in told  # so default-src counts


def test_ids_are_unique_and_every_reference_has_its_target(html: str) -> None:
    reader = Reader(html)
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    references = {value[1:].partition("?")[0] for _, name, value in reader.attributes if name.endswith("href")}
    assert {"sizes", "plans", "verdicts", "lineage", "training", "traces", "setting", "numbers"} <= references
    references |= set(re.findall(r"url\(#(\w+)\)", html))
    references |= {value for _, name, value in reader.attributes if name == "aria-labelledby"}
    assert references <= set(ids)


def test_every_drawing_is_described_and_has_its_numbers(html: str) -> None:
    reader = Reader(html)
    assert ("html", "lang", "en") in reader.attributes
    names = [value for tag, name, value in reader.attributes if tag == "figure" and name == "id"]
    assert names == [
        f"figure-{name}"
        for name in ("coverage", "frontier", "by-size", "plan-lengths", "longest-plan", "verdicts", "lineage", "pools",
                     "reasoning-tokens", "training-loss", "cost")
    ]  # fmt: skip
    assert reader.elements.count("svg") == 2 * len(names)
    labels = [value for tag, name, value in reader.attributes if tag == "svg" and name == "aria-label"]
    assert len(labels) == 2 * len(names) and all(labels)
    assert reader.elements.count("table") == len(names) + 3  # temperatures, reasons, and all numbers


def test_a_number_leads_to_its_traces(reported: Path) -> None:
    found = {one.name: one for one in drawn(reported)}
    cells = [cell for row in found["verdicts"].table.rows for cell in row]
    assert Link("40 (50.0%)", "#traces?generation=1&verdict=valid") in cells
    cells = [cell for row in found["by-size"].table.rows for cell in row]
    targets = [cell.target for cell in cells if isinstance(cell, Link)]
    assert "#traces?generation=2&split=held_out&domain=blocksworld&size=5" in targets
    cells = [cell for row in found["pools"].table.rows for cell in row]
    assert Link("7", "#traces?generation=0&pool=2") in cells and Link("20", "#traces?pool=2") in cells
    assert 'href="#traces?generation=0&amp;pool=2"' in found["lineage"].drawing(540)


def test_the_figures_take_their_colours_from_the_style(html: str) -> None:
    used = set(re.findall(r"var\(--([\w-]+)", html))
    light, dark = html.split("prefers-color-scheme: dark", 1)
    assert used <= set(re.findall(r"--([\w-]+):", light))
    assert {"ink", "muted", "grid", "paper", "blue"} <= set(re.findall(r"--([\w-]+):", dark))
    body = html.split("</style>")[1]
    assert not [colour for colour in PALETTE.values() if colour in body]
    assert len(set(PALETTE.values())) == len(PALETTE)


def test_the_tables_hold_the_numbers(html: str) -> None:
    rows = [tuple(row) for row in Reader(html).cells]
    found = [one.held_out.interval for one in measured(8, 20, 30, tasks=40) if one.held_out]
    intervals = [f"{100 * interval.low:.1f} to {interval.high:.1%}" for interval in found]
    assert ("0", "20.0%", intervals[0], "40", "20.0%", intervals[0], "40") in rows
    assert ("coverage", "20.0%", "50.0%", "75.0%") in rows
    assert ("95% interval", *intervals) in rows
    assert ("tasks", "40", "40", "40") in rows and ("samples of each task (k)", "1", "1", "1") in rows
    assert ("solved by some of k (pass@k)", "20.0%", "50.0%", "75.0%") in rows
    assert ("solved by all k (unanimous@k)", "20.0%", "50.0%", "75.0%") in rows
    assert ("longest valid plan, steps", "8", "10", "12") in rows
    assert ("reasoning tokens, mean", "2.0", "2.0", "2.0") in rows
    assert ("plans exactly in the form asked", "100.0%", "100.0%", "100.0%") in rows
    assert ("valid", "16", "40", "60") in rows
    assert ("1", "40 (50.0%)", "38 (47.5%)", "2 (2.5%)", "0 (0.0%)", "0 (0.0%)") in rows
    assert ("traces in the pool", NOTHING, "8", "20") in rows
    assert ("training loss, last step", NOTHING, "0.0625", "0.0625") in rows
    assert ("validation loss after", NOTHING, "0.1250", "0.1250") in rows
    assert ("sampling", "12.5", "12.5", "12.5") in rows
    assert ("size", "tasks", "generation 0", "generation 1", "generation 2") in rows
    assert ("3", "10", "20.0% (5.7% to 51.0%)", "50.0% (23.7% to 76.3%)", "80.0% (49.0% to 94.3%)") in rows
    assert ("pool that trains", "from generation 0", "from generation 1", "traces") in rows
    assert ("generation 2", "7", "13", "20") in rows  # a shorter plan displaced one
    assert ("steps", "generation 0", "generation 1", "generation 2") in rows and ("10", "0", "2", "3") in rows


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State("complete"), "The run is complete."),
        (State("running", process=7), "not finished: it is still going on, 1 of 6 generations is measured"),
        (
            State("interrupted"),
            "not finished: it was interrupted, 1 of 6 generations is measured; `iterdeploy resume 'my run'`",
        ),
        (State("no_traces_to_train_on", "Empty pool."), "stopped by itself (no_traces_to_train_on)"),
    ],
)
def test_the_state_in_words(state: State, words: str) -> None:
    assert words in state_sentence(state, 1, 5, "my run")


def test_a_run_of_which_nothing_is_measured(tmp_path: Path) -> None:
    prose = Reader(report_of(tmp_path / "run", [], generations=5)).prose
    assert "Nothing has been measured yet" in prose and "0 of 6 generations are measured" in prose


def test_the_run_writes_its_own_report_before_it_lets_go_of_its_folder(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run", [8, 20])
    assert RunDir.read(tmp_path / "run").state().name == "running"  # to any other process
    assert read(run_dir).state == State("complete")
    run_dir.stop("too_many_truncated", "Raise `sampling.max_new_tokens`.", {})
    assert read(run_dir).state.name == "too_many_truncated"
    run_dir.close()


def test_a_run_without_held_out_tasks(tmp_path: Path) -> None:
    reader = Reader(report_of(tmp_path / "run", [8, 20], splits=[Split.DEPLOYED]))
    assert "There are no held-out tasks" in reader.prose and reader.elements.count("figure") == 10
    assert "Deployed tasks" in reader.prose and not [row for row in reader.cells if row == ["Held-out tasks"]]


def test_a_run_that_was_interrupted_and_has_no_valid_answer(tmp_path: Path) -> None:
    reader = Reader(report_of(tmp_path / "run", [0], generations=3))
    assert "generation 0 has a coverage of 0.0%" in reader.prose and reader.elements.count("figure") == 6
    assert "it was interrupted, 1 of 4 generations is measured; iterdeploy resume run continues it." in reader.prose


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    html = report_of(tmp_path / "run", [8], answer=HOSTILE, description=HOSTILE, generations=0)
    reader = Reader(html)
    assert "img" not in reader.elements and not reader.open and "example.org/x.js'></script>" not in html
    assert not [value for tag, name, value in reader.attributes if (tag, name) == ("script", "src")]
    assert not [character for character in html if ord(character) < 32 and character != "\n"]
    assert "\u202e" not in html and "\u200b" not in html
    words = "".join(reader.words)
    assert "\n</pre><script src='https://example.org/x.js'></script>U+001B[31mU+0000&amp;U+202Egnp.exeU+200B<" in words
    assert "step (pick-up …): <invalid> & more" in words


def test_text_is_what_it_shows() -> None:
    assert text("caf\u00e9 \u2192 \U0001f600\t\n") == "caf\u00e9 \u2192 \U0001f600\t\n"
    assert text("\ud800\r\x7f") == "".join(f'<span class="unseen">{s}</span>' for s in ("U+D800", "U+000D", "U+007F"))


def test_of_many_generations_some_are_drawn_as_lines() -> None:
    assert evenly(range(21), 6) == [0, 4, 8, 12, 16, 20]
    assert evenly(range(8), 6)[0] == 0 and evenly(range(8), 6)[-1] == 7
    assert evenly(range(6), 6) == [0, 1, 2, 3, 4, 5]


def test_the_same_folder_gives_the_same_bytes(reported: Path, html: str) -> None:
    run_dir = RunDir.read(reported)
    assert write_report(run_dir).read_text(encoding="utf-8") == html
    run_dir.close()


def test_known_and_new_sizes_are_kept_apart_where_the_model_says_which_it_knew(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not [one for one in drawn(reported) if one.name == "reliability-generalisation" or "new" in one.caption]
    (tmp_path / "no-such-model").mkdir()
    (tmp_path / "no-such-model" / "pretraining.json").write_text('{"sizes": {"blocksworld": [2, 3, 4]}}')
    found = {one.name: one for one in drawn(reported)}
    # Task i has size 3 + i % 4 and is solved by generation 0 if i < 8, by generation 2 if i < 30, of 40.
    rows = [tuple(row) for row in found["reliability-generalisation"].table.rows]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("0", "20.0%", "20.0%"),
        ("1", "50.0%", "50.0%"),
        ("2", "80.0%", "70.0%"),
    ]
    names = [row[0] for row in found["by-size"].table.rows]
    assert names == ["3", "4", "5 new", "6 new"]
    assert "pretraining had sizes: blocksworld 2 to 4" in Reader(report_of(tmp_path / "told", [8])).prose


def test_the_interval_of_some_tasks_is_that_of_all_when_they_are_all(reported: Path) -> None:
    run_dir = RunDir.read(reported)
    counts, metrics = read(run_dir).counts, run_dir.metrics()
    run_dir.close()
    for one, split in product(metrics, ("held_out", "deployed")):
        found = solved(counts.tasks[one.generation, split])
        coverage = one.coverage(split)
        assert found is not None and coverage is not None
        expected = [coverage.coverage, coverage.interval.low, coverage.interval.high]
        assert [found.value, found.low, found.high] == pytest.approx(expected)


def test_reasons_are_counted_by_kind(html: str) -> None:
    rows = [tuple(row) for row in Reader(html).cells]
    # 80 answers a generation; of each split 40 - solved fail, one of them unparseable
    assert ("step (pick-up …): <invalid> & more", "77.5%", "47.5%", "22.5%") in rows
    assert ("step (pick-up …): <unparseable> & more", "2.5%", "2.5%", "2.5%") in rows


def test_the_lineage_is_that_of_the_pools(reported: Path) -> None:
    table = next(one for one in drawn(reported) if one.name == "lineage").table
    rows = [[cell.text if isinstance(cell, Link) else cell for cell in row] for row in table.rows]
    run_dir = RunDir.read(reported)
    pools = [run_dir.pool(generation) for generation in (0, 1)]
    run_dir.close()
    edges = [(f"generation {o}", f"generation {g}", str(n)) for g, pool in enumerate(pools, 1) if pool
             for o, n in pool.by_generation.items()]  # fmt: skip
    assert [tuple(row[:3]) for row in rows] == edges and len(edges) == 3
    assert {row[3] for row in rows} == {"generation 0"}  # as configured, each from the base model


def test_runs_of_several_domains_mix_none_of_them(tmp_path: Path) -> None:
    make_run(tmp_path / "run", [8, 20], domains=["ferry", "miconic"]).close()
    found = {one.name: one for one in drawn(tmp_path / "run")}
    assert {"by-domain", "by-size-ferry", "by-size-miconic", "plan-lengths-ferry", "plan-lengths-miconic"} <= {*found}
    assert not {"by-size", "plan-lengths"} & {*found}
    rows = found["by-domain"].table.rows
    assert (
        [row[0] for row in rows] == ["ferry", "miconic"] and "20.0%" in str(rows[0][1]) and "50.0%" in str(rows[1][2])
    )
    (size_3, *_) = found["by-size-ferry"].table.rows
    assert size_3[1] == "10"  # of this domain alone
    run_dir = RunDir.read(tmp_path / "run")
    prose = Reader(write_report(run_dir).read_text(encoding="utf-8")).prose
    run_dir.close()
    assert "Plans of different domains cannot be compared" in prose


def test_diversity_is_shown_where_it_was_measured(tmp_path: Path) -> None:
    make_run(tmp_path / "run", [8, 20, 30]).close()
    for generation in range(3):
        path = tmp_path / "run" / f"generation-{generation}" / "metrics.json"
        nats = {
            "per_token": {"value": 0.5 - 0.125 * generation, "error": 0.01},
            "per_answer": {"value": 4.0, "error": None},
        }
        told = {"samples_per_task": 2, "distinct_plans": 1.5, "entropy": nats, "lost": 0.25 if generation else None}
        told["identical_to_pool"] = 0.125 if generation else None
        metrics = json.loads(path.read_text()) | {"diversity": {"deployed": told, "held_out": None}}
        metrics |= {"drift": {"answers": 6, "dtype": "float32", "kl": nats, "log_ratio": None, "logprob_gap": 2e-6}}
        metrics.pop("seal")
        path.write_text(json.dumps(metrics))
    found = {one.name: one for one in drawn(tmp_path / "run")}
    assert {"entropy", "distinct-answers", "copies", "drift", "lost"} <= {*found}
    assert [list(row) for row in found["entropy"].table.rows][2] == ["2", "0.250", "0.230 to 0.270"]
    assert [list(row) for row in found["copies"].table.rows] == [["1", "12.5%"], ["2", "12.5%"]]


@pytest.mark.slow
def test_every_figure_becomes_files_for_a_paper(reported: Path, tmp_path: Path) -> None:
    from pypdf import PdfReader

    run_dir = RunDir.read(reported)
    written = write_figures(run_dir, tmp_path / "figures")
    run_dir.close()
    made = drawn(reported)
    names = {one.name for one in made}
    assert {path.name for path in written} == {
        f"{name}{width}.{form}" for name in names for width in ("", "-wide") for form in ("svg", "pdf")
    }
    for name, content in made[0].files().items():
        assert (tmp_path / "figures" / name).read_bytes() == content  # the same bytes every time
    for ending, inches in (("", 3.3), ("-wide", 6.8)):
        (page,) = PdfReader(tmp_path / "figures" / f"coverage{ending}.pdf").pages
        assert float(page.mediabox.width) == pytest.approx(72 * inches)
        assert "held-out tasks" in page.extract_text() and "75.0%" in page.extract_text()
        fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]  # type: ignore[index]
        assert fonts and all("/FontFile2" in _descriptor(font) for font in fonts)
        svg = (tmp_path / "figures" / f"coverage{ending}.svg").read_text(encoding="utf-8")
        assert f'width="{72 * inches:.6g}pt"' in svg and "fill: #ffffff" in svg
        assert "<text" not in svg and "var(--" not in svg and "#traces" not in svg


def _descriptor(font: Any) -> Any:
    return font["/DescendantFonts"][0]["/FontDescriptor"] if "/DescendantFonts" in font else font["/FontDescriptor"]


@pytest.mark.slow
def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    make_run(tmp_path / "run", [8, 20]).close()
    code = f"""
import sys, pathlib
from iterdeploy.report import write_report
from iterdeploy.record.run_dir import RunDir
assert "matplotlib" not in sys.modules
import matplotlib
matplotlib.rcParams["lines.linewidth"] = 7.5
before = matplotlib.rcParams.copy()
write_report(RunDir.read(pathlib.Path({str(tmp_path / "run")!r})))
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
