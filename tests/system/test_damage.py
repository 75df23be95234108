"""Files of a run's folder that are not what they were: every command says so or gives the right answer.

Every kind of file that a run leaves, damaged in every way: no traceback, no wrong result, and nothing that is whole is
overwritten. ITERDEPLOY_DAMAGES says how many damages are drawn from a fixed seed.
"""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers.killing import Bench, make_training
from helpers.minuscule import minuscule
from helpers.support import file_hashes, run_facts

pytestmark = pytest.mark.slow

DAMAGES = int(os.environ.get("ITERDEPLOY_DAMAGES", "12"))
SERVERS = int(os.environ.get("ITERDEPLOY_SERVERS", "2"))
SEED = 17
MAY_CHANGE = {"lock", "provenance.json", "traces.sqlite", "metrics.jsonl", "report.html", "tracking.json"}
"""What `resume` writes before it meets a damage further on: who called, the seconds spent, and what follows from the
rest."""

Damage = Callable[[Path, random.Random], object]


def flipped(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut(path: Path, draw: random.Random) -> None:
    os.truncate(path, draw.randrange(path.stat().st_size))


def emptied(path: Path, draw: random.Random) -> None:
    os.truncate(path, 0)


def junk(path: Path, draw: random.Random) -> None:
    path.write_bytes(draw.randbytes(300))


def gone(path: Path, draw: random.Random) -> None:
    path.unlink()


def linked(path: Path, draw: random.Random) -> None:
    path.symlink_to(shutil.move(path, _outside(path) / path.name))


def folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def swapped(path: Path, draw: random.Random) -> None:
    """With the same file of the other generation, or of a run with another seed."""
    if (other := _counterpart(path)).is_file():
        shutil.copy(other, path)
    else:
        path.unlink()


def policy_swapped(path: Path, draw: random.Random) -> None:
    """The whole policy that the file is of; any other file alone."""
    if path.parent.name == "policy" and (other := _counterpart(path.parent)).is_dir():
        shutil.rmtree(path.parent)
        shutil.copytree(other, path.parent)
    else:
        swapped(path, draw)


WAYS: tuple[Damage, ...] = (
    flipped, flipped, flipped, cut, emptied, junk, gone, linked, folder, swapped, policy_swapped
)  # fmt: skip
COMMANDS = ("status", "traces", "export", "resume")


def _run_of(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.name == "r")


def _counterpart(path: Path) -> Path:
    first, *rest = path.relative_to(_run_of(path)).parts
    if first.startswith("generation-"):
        return _run_of(path).joinpath(first.translate(str.maketrans("012", "101")), *rest)
    return _run_of(path).parent.joinpath("other", first, *rest)


def _outside(path: Path) -> Path:
    place = _run_of(path).parent.parent / "outside"
    place.mkdir(exist_ok=True)
    return place


@dataclass(frozen=True)
class Answer:
    """What a command gave: everything that must be right where its status is 0."""

    status: int
    said: Any
    """The words of a failure, else the result."""


@dataclass(frozen=True)
class Trial:
    number: int
    state: str
    file: str
    """In the run's folder."""


def answer(bench: Bench, place: Path, command: str) -> Answer:
    options: dict[str, list[object]] = {
        "status": ["--json"],
        "traces": ["--json"],
        "export": ["--generation", "1", "--to", place / "out" / "it"],
    }
    with bench.server() as server:
        before = server.log.stat().st_size
        status = server.run(command, "r", *options.get(command, []), "--runs-dir", place / "runs")
        said = server.log.read_bytes()[before:].decode()
    if status != 0:
        return Answer(status, said)
    results: dict[str, Callable[[], Any]] = {
        "status": lambda: _without_seconds(json.loads(said)),
        "traces": lambda: said.splitlines(),
        "export": lambda: file_hashes(place / "out"),
        "resume": lambda: run_facts(place / "runs" / "r"),
    }
    return Answer(0, results[command]())


def _without_seconds(status: dict[str, Any]) -> dict[str, Any]:
    return status | {"generations": [{**entry, "seconds": None} for entry in status["generations"]]}


def tried(bench: Bench, expected: dict[str, dict[str, Answer]], trial: Trial) -> tuple[Counter[str], list[str]]:
    """Damages one file and asks every command: how often which outcome came, and what was wrong."""
    outcomes: Counter[str] = Counter()
    draw, wrong = random.Random(f"{SEED} {trial.number}"), []
    way, seed = draw.choice(WAYS), draw.randrange(10**9)
    for command, right in expected[trial.state].items():
        place = bench.place(trial.state, str(trial.number))
        way(place / "runs" / "r" / trial.file, random.Random(seed))
        before = hashes(place)
        given = answer(bench, place, command)
        outcome = judged(given, right, overwritten=changed(before, hashes(place)))
        outcomes[outcome] += 1
        if outcome not in ("right", "error"):
            told = str(given.said)[-600:] if given.status else ""
            what = f"{way.__name__} {trial.file} ({trial.state}), then {command}"
            wrong.append(f"{outcome}: {what} (number {trial.number}) {told}")
    shutil.rmtree(bench.folder / "trials" / str(trial.number))
    return outcomes, wrong


def judged(given: Answer, right: Answer, overwritten: bool) -> str:
    if given.status == 0:
        return "right" if given == right else "silently wrong"
    if "Traceback" in given.said:
        return "traceback"
    if given.status != 2:
        return f"status {given.status}"
    return "overwritten" if overwritten else "error"


def hashes(place: Path) -> dict[str, str]:
    outside = {f"../{name}": content for name, content in file_hashes(place / "outside").items()}
    return file_hashes(place / "runs" / "r") | outside


def changed(before: dict[str, str], after: dict[str, str]) -> bool:
    names = {name for name in before if name not in MAY_CHANGE and "traces.sqlite-" not in name}
    return any(after.get(name) != before[name] for name in names)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("damage"), SERVERS)
    with made.server() as server:
        states, config = made.folder / "states", minuscule(made.folder, {"generations": 2})
        for name, seed in (("r", 5), ("other", 6)):
            command = ("run", config, "--set", f"seed={seed}", "--name", name, "--runs-dir", states / "finished")
            assert server.run(*command) == 0, server.log.read_text()[-2000:]
        make_training(server, config, states / "training")
        shutil.copytree(states / "finished" / "other", states / "training" / "other")
    yield made
    made.close()


def test_whatever_file_is_damaged_in_whatever_way_no_command_gives_a_wrong_result(bench: Bench) -> None:
    states = bench.folder / "states"
    files = [
        (state, str(path.relative_to(states / state / "r")))
        for state in ("finished", "training")
        for path in sorted((states / state / "r").rglob("*"))
        if path.is_file() and (state == "finished" or "unfinished" in str(path) or "sqlite" in path.name)
    ]
    expected: dict[str, dict[str, Answer]] = {}
    for state, commands in (("finished", COMMANDS), ("training", ("status", "resume"))):
        expected[state] = {name: answer(bench, bench.place(state, state), name) for name in commands}
        assert all(found.status == 0 for found in expected[state].values()), expected[state]
    random.Random(SEED).shuffle(files)
    trials = [Trial(number, *files[number % len(files)]) for number in range(DAMAGES)]
    results = bench.each(partial(tried, bench, expected), trials)
    outcomes = sum((found for found, _ in results), Counter[str]())
    wrong = [line for _, lines in results for line in lines]
    print(f"{DAMAGES} damaged files of {len(files)} kinds: {dict(outcomes)}")
    assert not wrong, "\n".join(wrong)
