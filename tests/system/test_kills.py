"""Killed at any call to the file system: what was stored stays, and the end is that of an undisturbed run.

Before, in and after every call that changes something in the folder, as SQLite is tested. Some of these moments are
drawn from a fixed seed, of every kind in turn; ITERDEPLOY_KILLS says how many, and "all" means all (`make test-kills`).
"""

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from helpers.killing import KILLED, Bench, Fault, make_training
from helpers.minuscule import minuscule
from helpers.support import file_hashes, run_facts
from iterdeploy.record import sqlite

pytestmark = pytest.mark.slow

KILLS = os.environ.get("ITERDEPLOY_KILLS", "16")
SERVERS = int(os.environ.get("ITERDEPLOY_SERVERS", "2"))
SEED = 13


@dataclass(frozen=True)
class Case:
    """A command that is killed, and the one that is called after it until it is through."""

    name: str
    state: str
    """That it starts from; "": an empty folder."""
    command: tuple[str, ...]
    again: tuple[str, ...]
    watched: str = "runs/r"
    """What it changes, below the trial's folder."""


CASES = [
    Case("run", "", ("run", "full.toml", "--name", "r"), ("resume", "r")),
    Case("lora", "", ("run", "lora.toml", "--name", "r"), ("resume", "r")),
    Case("resume", "training", ("resume", "r"), ("resume", "r")),
    Case("report", "finished", ("report", "r"), ("report", "r")),
    Case("export", "finished", ("export", "r", "--generation", "1", "--to", "out/it"), (), "out"),
    Case("traces", "finished", ("export", "r", "--traces", "--to", "out/it"), (), "out"),
]


def words(bench: Bench, command: tuple[str, ...], place: Path) -> list[str]:
    """The command line, with whole paths."""
    folders = {".toml": bench.folder, "out/it": place}
    made = [
        next((str(folder / word) for end, folder in folders.items() if word.endswith(end)), word) for word in command
    ]
    return [*made, "--runs-dir", str(place / "runs")]


def undisturbed(bench: Bench, case: Case) -> tuple[list[str], dict[str, Any]]:
    """The moments of the case, and its end."""
    place = bench.place(case.state, f"{case.name}-undisturbed")
    with bench.server() as server:
        status = server.run(*words(bench, case.command, place), fault=Fault(place / case.watched))
        assert status == 0, server.log.read_text()[-3000:]
        return server.moments(), end(place)


def killed(bench: Bench, case: Case, moment: int, expected: dict[str, Any]) -> str | None:
    """Kills the case at a moment, lets it go on, and returns what is wrong at the end."""
    place = bench.place(case.state, f"{case.name}-{moment}")
    with bench.server() as server:
        log = server.log.stat().st_size
        fault = Fault(place / case.watched, moment)
        if (status := server.run(*words(bench, case.command, place), fault=fault)) != KILLED:
            return f"it ended with {status}"
        stored = rows(place)
        known = (place / "runs" / "r" / "config.toml").exists()
        again = case.again if case.again and known else case.command
        exported = (place / "out" / "it").exists()  # whole, as it has its name
        if not exported and (status := server.run(*words(bench, again, place))) != 0:
            return f"going on ended with {status}: {server.log.read_text()[log:][-1500:]}"
    found = end(place)
    if not stored.items() <= rows(place).items():
        return "answers that were stored are not there any more"
    if wrong := [name for name in expected | found if expected.get(name) != found.get(name)]:
        return f"it ends otherwise: {wrong}"
    if left := leftovers(place):
        return f"it leaves {left}"
    shutil.rmtree(place)
    return None


def rows(place: Path) -> dict[int, Any]:
    """Row -> all of the answer, of what the store holds."""
    store = place / "runs" / "r" / "traces.sqlite"
    if not store.exists() or not store.stat().st_size:
        return {}
    sql = sqlite.reader(store)
    try:
        return {row[0]: row for row in sql.execute("SELECT * FROM traces JOIN calls ON trace_id = traces.id")}
    except sqlite3.OperationalError as error:
        assert "no such table" in str(error)  # killed before the store was made
        return {}
    finally:
        sql.close()


def end(place: Path) -> dict[str, Any]:
    """All that must be the same, however often the case was killed."""
    report = {"report": (place / "runs" / "r" / "report.html").exists()}
    return run_facts(place / "runs" / "r") | file_hashes(place / "out" / "it") | report


def leftovers(place: Path) -> list[str]:
    """Those of an export lie beside it, under names of their own, where they are in nobody's way; those of a report go
    when the run goes on."""
    paths = (place / "runs" / "r").rglob("*")
    return [path.name for path in paths if "unfinished" in path.name and "report.html" not in path.name]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("kills")
    config = minuscule(folder).rename(folder / "full.toml")
    (folder / "lora.toml").write_text(config.read_text().replace("[training]", '[training]\nmethod = "lora"'))
    made = Bench(folder, SERVERS)
    yield made
    made.close()


def make_states(bench: Bench) -> None:
    """A finished run, and one that was killed when it had trained for a while."""
    states, config = bench.folder / "states", bench.folder / "full.toml"
    with bench.server() as server:
        make_training(server, config, states / "training")
        assert server.run("run", config, "--name", "r", "--runs-dir", states / "finished") == 0


def chosen(moments: dict[str, list[str]], kills: str) -> list[tuple[str, int]]:
    """(Case, moment): all, or so many as are asked for, of every case and every kind of call in turn."""
    draw = random.Random(SEED)
    everything = [(case, number) for case, found in moments.items() for number in range(1, len(found) + 1)]
    if kills == "all" or int(kills) >= len(everything):
        return everything
    kinds: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for case, number in everything:
        kinds.setdefault((case, kind(moments[case][number - 1])), []).append((case, number))
    for group in kinds.values():
        draw.shuffle(group)
    turns = list(kinds.values())
    draw.shuffle(turns)
    picked: list[tuple[str, int]] = []
    for group in cycle(turns):
        if len(picked) == int(kills):
            return picked
        if group:
            picked.append(group.pop())
    raise AssertionError


def kind(moment: str) -> str:
    """When, which call, and what sort of file: "in pwrite64 traces.sqlite-wal"."""
    when, call, path = moment.split(" ", 2)
    return f"{when} {call} {Path(path).name.partition('-')[0] if 'unfinished' in path else Path(path).name}"


def test_killed_at_any_call_to_the_file_system_every_command_ends_as_if_undisturbed(bench: Bench) -> None:
    make_states(bench)
    cases = {case.name: case for case in CASES}
    ends = {case.name: undisturbed(bench, case) for case in CASES}
    moments = {name: found for name, (found, _) in ends.items()}
    picked = chosen(moments, KILLS)
    results = bench.each(lambda trial: killed(bench, cases[trial[0]], trial[1], ends[trial[0]][1]), picked)
    wrong = [
        f"{name} killed at moment {number} ({moments[name][number - 1]}): {result}"
        for (name, number), result in zip(picked, results, strict=True)
        if result
    ]
    counts = Counter(name for name, _ in picked)
    placed = ", ".join(f"{name} {counts[name]} of {len(found)} moments" for name, found in moments.items())
    print(f"{len(picked)} kills ({placed}): {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
