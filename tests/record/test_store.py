"""The trace store: what goes in comes out, batches are all or nothing, foreign files stay as they are."""

import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.postgres import Place
from helpers.stores import add, task
from helpers.support import TESTS, trace
from iterdeploy.record import schema
from iterdeploy.record.store import StoreError, TraceStore
from iterdeploy.types import Completion, Sampling, Split, Status, Task, Trace, Verdict


@pytest.fixture
def store(tmp_path: Path, place: Place) -> Iterator[TraceStore]:
    place.use(tmp_path)
    one = TraceStore(tmp_path / "traces.sqlite")
    yield one
    one.close()


@pytest.fixture
def in_a_file(tmp_path: Path) -> Iterator[TraceStore]:
    one = TraceStore(tmp_path / "traces.sqlite")
    yield one
    one.close()


def as_float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def test_every_field_comes_back_as_it_was(store: TraceStore, tmp_path: Path) -> None:
    said = Completion(
        text="<think>\nπ \x00 \U0001f600 'quoted' \"double\" \\n\U0010fffe0\n</think>",
        prompt_token_ids=(0, 1, 65_535, 65_536, 4_294_967_295),
        token_ids=tuple(range(150_000, 150_700)),
        logprobs=tuple(as_float32(-i / 7 - 1e-7) for i in range(700)),
        finish_reason="length",
        reasoning_tokens=77,
    )
    then = replace(said, logprobs=None, prompt_token_ids=(), token_ids=(), text="")
    answer = {"steps": [["a", "b"], ["c"]], "sure": True, "score": 0.1}
    verdict = Verdict(Status.INVALID, "step 3 (a b): no ünïcode?", -0.25, answer, {"failed_step": 3.0}, "here 1.2")
    tasks = {"t": Task("t", "ferry", 11, Split.HELD_OUT, "prüfe", {"a": "1", "b": ""}), "u": task("u")}
    one = Trace.make(
        tasks["t"],
        generation=4,
        sample_index=9,
        policy_id="policy",
        sampling=Sampling(0.7, 512, "bfloat16"),
        completions=[said, then, said],
        verdict=verdict,
        source="somewhere",
    )
    other = trace("u", length=3)
    store.add(tasks, [one, other], {})
    store.close()
    again = TraceStore(tmp_path / "traces.sqlite", read_only=True)
    assert list(again.traces()) == [other, one]
    assert list(again.tasks()) == [tasks["t"], tasks["u"]]
    assert list(again.tasks(["u"])) == [tasks["u"]]
    assert list(again.each([one.id])) == [one] and isinstance(next(again.each([one.id])).completions, tuple)
    assert one.totals.logprob is None and one.totals.tokens == 1400 and one.totals.reasoning_tokens == 231
    again.close()


def test_a_batch_that_fails_in_the_middle_leaves_nothing(store: TraceStore) -> None:
    add(store, trace("a"), seconds={(0, "sampling"): 1.0})
    broken = replace(trace("c"), completions=(replace(trace("c").completions[0], token_ids=(-1,)),))
    with pytest.raises(OverflowError):
        add(store, trace("b"), broken, seconds={(0, "sampling"): 5.0})
    with pytest.raises(sqlite3.IntegrityError):
        add(store, trace("b"), trace("a"), seconds={(0, "sampling"): 5.0})
    assert [one.task_id for one in store.traces()] == ["a"]
    assert [one.id for one in store.tasks()] == ["a"]
    assert store.seconds() == {0: {"sampling": 1.0}}
    add(store, trace("b"))
    assert [one.task_id for one in store.traces()] == ["a", "b"]


def test_a_store_that_cannot_be_written_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    """A folder in the place of the log's index lets SQLite read, but not write."""
    path = tmp_path / "traces.sqlite"
    dies = f"""
import os
from pathlib import Path
from iterdeploy.record.store import TraceStore
TraceStore(Path({str(path)!r}))
os._exit(0)
"""
    assert subprocess.run([sys.executable, "-c", dies]).returncode == 0
    index = path.with_name(f"{path.name}-shm")
    index.unlink()
    index.mkdir()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        TraceStore(path)


def test_stored_samples_outlive_the_process_and_a_killed_batch_leaves_nothing(tmp_path: Path) -> None:
    dies = f"""
import os, sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from helpers.postgres import Place
from helpers.stores import add
from helpers.support import trace
from iterdeploy.record.store import TraceStore
store = TraceStore(Path({str(tmp_path / "traces.sqlite")!r}))
add(store, trace("a"), trace("b"))
def then_nothing():
    yield trace("c")
    os.kill(os.getpid(), 9)
store.add({{}}, then_nothing(), {{}})
"""
    assert subprocess.run([sys.executable, "-c", dies]).returncode == -9
    store = TraceStore(tmp_path / "traces.sqlite")
    assert store.keys(0) == {("a", 0, 0), ("b", 0, 0)}
    store.close()


def test_a_second_trace_under_the_same_key_is_refused(store: TraceStore) -> None:
    first = trace("a")
    add(store, first)
    second = replace(first, id="another id", completions=(replace(first.completions[0], text="other"),))
    with pytest.raises(sqlite3.IntegrityError):
        add(store, second)
    assert list(store.traces()) == [first]
    add(store, trace("a", generation=1), trace("a", index=1))
    assert store.keys(0) == {("a", 0, 0), ("a", 0, 1)} and store.keys(1) == {("a", 1, 0)}
    assert store.keys(2) == set()


def test_filters_and_order(store: TraceStore) -> None:
    add(store, trace("b", generation=1), trace("b"), trace("a", index=1, status=Status.ERROR), trace("a", index=0))
    add(store, trace("h", split=Split.HELD_OUT, generation=2, status=Status.TRUNCATED))
    assert [one.key for one in store.traces()] == [("a", 0, 0), ("a", 0, 1), ("b", 0, 0), ("b", 1, 0), ("h", 2, 0)]
    assert [one.key for one in store.traces(generation=0)] == [("a", 0, 0), ("a", 0, 1), ("b", 0, 0)]
    assert [one.key for one in store.traces(up_to=1, split=Split.DEPLOYED, status=Status.VALID)] == [
        ("a", 0, 0), ("b", 0, 0), ("b", 1, 0),
    ]  # fmt: skip
    assert [one.key for one in store.traces(split=Split.HELD_OUT)] == [("h", 2, 0)]
    assert store.verdict_counts() == {0: {"error": 1, "valid": 2}, 1: {"valid": 1}, 2: {"truncated": 1}}


def test_traces_by_id_keep_the_order_asked_for_and_knows_what_is_missing(store: TraceStore) -> None:
    traces = [trace(f"t{i}") for i in range(5)]
    add(store, *traces)
    wanted = [one.id for one in reversed(traces)]
    assert [one.id for one in store.each(wanted)] == [one.id for one in store.light(wanted)] == wanted
    with pytest.raises(KeyError):
        list(store.light([traces[0].id, "missing"]))


def test_seconds_add_up_over_calls(store: TraceStore) -> None:
    store.add_seconds({(0, "sampling"): 1.5, (1, "training"): 2.0})
    add(store, trace("a"), seconds={(0, "sampling"): 0.25, (0, "other"): 1.0})
    assert store.seconds() == {0: {"sampling": 1.75, "other": 1.0}, 1: {"training": 2.0}}


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from helpers.postgres import Place
from helpers.stores import add
from helpers.support import trace
from iterdeploy.record.store import TraceStore
store = TraceStore(Path(sys.argv[1]))
for i in range(200):
    add(store, *(trace(f"{sys.argv[3]}{i}", index=k) for k in range(3)))
    print(i, flush=True)
store.close()
"""


@pytest.mark.slow
def test_two_writers_and_a_reader_at_once_lose_nothing_and_the_reader_sees_whole_batches(tmp_path: Path) -> None:
    path, here = tmp_path / "traces.sqlite", str(TESTS)
    TraceStore(path).close()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), here, name], stdout=subprocess.PIPE, text=True)
        for name in ("left", "right")
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline()
    reader = TraceStore(path, read_only=True)
    seen = []
    while any(writer.poll() is None for writer in writers):
        count = len(list(reader.traces()))
        assert count % 3 == 0
        seen.append(count)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == sorted(seen) and len(set(seen)) > 1
    assert len(list(reader.traces())) == 2 * 200 * 3
    reader.close()
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()


def test_a_reader_cannot_write(store: TraceStore, tmp_path: Path) -> None:
    reader = TraceStore(tmp_path / "traces.sqlite", read_only=True)
    with pytest.raises(sqlite3.OperationalError, match=r"read-?only"):
        add(reader, trace("a"))
    reader.close()


def other_version(path: Path) -> None:
    TraceStore(path).close()
    sql = sqlite3.connect(path)
    sql.execute("UPDATE meta SET value = ? WHERE key = 'schema'", [str(schema.VERSION + 1)])
    sql.commit()
    sql.close()


def foreign_database(path: Path) -> None:
    sql = sqlite3.connect(path)
    sql.execute("CREATE TABLE accounts (name TEXT)")
    sql.commit()
    sql.close()


def foreign_meta(path: Path) -> None:
    sql = sqlite3.connect(path)
    sql.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    sql.commit()
    sql.close()


def text_file(path: Path) -> None:
    path.write_text("Dear diary, " * 100)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (other_version, f"schema version {schema.VERSION + 1}"),
        (foreign_database, "not a trace store"),
        (foreign_meta, "not a trace store"),
        (text_file, "not a trace store"),
    ],
)
def test_a_file_that_is_not_a_store_of_this_version_is_refused_and_not_touched(
    tmp_path: Path, make: object, words: str, read_only: bool
) -> None:
    path = tmp_path / "traces.sqlite"
    assert callable(make)
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words) as caught:
        TraceStore(path, read_only=read_only)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} <= {"traces.sqlite", "traces.sqlite-wal", "traces.sqlite-shm"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE traces SET status = 'invalid'",
        "UPDATE traces SET answer = '[]'",
        "UPDATE traces SET logprob = logprob + 1e-9",
        "UPDATE tasks SET size = size + 1",
    ],
)
def test_a_row_that_was_changed_since_it_was_written_is_noticed(
    in_a_file: TraceStore, tmp_path: Path, change: str
) -> None:
    added = trace()
    add(in_a_file, added)
    in_a_file.check()
    sql = sqlite3.connect(tmp_path / "traces.sqlite")
    sql.execute(change)
    sql.commit()
    with pytest.raises(StoreError, match="does not fit its seal"):
        in_a_file.check()
    with pytest.raises(StoreError, match="does not fit its seal"):
        list(in_a_file.traces())


@pytest.mark.parametrize("change", ["UPDATE calls SET text = 'better'", "DELETE FROM calls"])
def test_what_the_model_wrote_is_noticed_to_have_changed_when_it_is_read(
    in_a_file: TraceStore, tmp_path: Path, change: str
) -> None:
    added = trace()
    add(in_a_file, added)
    sql = sqlite3.connect(tmp_path / "traces.sqlite")
    sql.execute(change)
    sql.commit()
    (light,) = in_a_file.traces()
    with pytest.raises(StoreError, match="the trace store is damaged"):
        list(light.completions)


def test_a_store_that_is_not_there_yet_is_not_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "traces.sqlite"
    assert list(TraceStore(path, read_only=True).traces()) == []
    assert not path.exists()
    path.touch()  # a process that was killed before its first transaction leaves an empty file
    before_it_was_made = TraceStore(path, read_only=True)
    assert list(before_it_was_made.traces()) == [] and not before_it_was_made.found
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        add(before_it_was_made, trace())
    assert not path.stat().st_size
    TraceStore(path).close()
    assert TraceStore(path, read_only=True).found
