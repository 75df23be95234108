"""What a live deployment adds to a run's store: who asked, on what terms, and what was decided.

The tables are made when a deployment first writes; a store without them is one of a run without users. An origin stands
next to each trace that somebody asked for. An act is a decision: which generation serves, which key is valid. Acts are
only ever added, so what holds now follows from them, and they are the log at the same time.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from iterdeploy.record.rows import inserting
from iterdeploy.record.store import TraceStore
from iterdeploy.types import JSON

TABLES = """
CREATE TABLE origins (
    trace_id TEXT PRIMARY KEY, "user" TEXT NOT NULL, key TEXT NOT NULL, session TEXT NOT NULL, at TEXT NOT NULL,
    train INTEGER NOT NULL, keep_until TEXT NOT NULL, delivered INTEGER NOT NULL, retry TEXT UNIQUE,
    asked TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX origins_of_session ON origins (session, at);
CREATE INDEX origins_of_user ON origins ("user");
CREATE TABLE acts (
    row INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, act TEXT NOT NULL, details TEXT NOT NULL
);
CREATE TABLE forgotten (
    trace_id TEXT PRIMARY KEY, generation INTEGER NOT NULL, status TEXT NOT NULL
) WITHOUT ROWID;
"""
NAMES = ("origins", "acts", "forgotten")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a trace, and what may be done with it."""

    trace_id: str
    user: str
    """As the application names them; empty: it did not say."""
    key: str
    """Name of the key that asked; empty: none was needed."""
    session: str
    """What ties the calls of a conversation together; empty: this call stands alone."""
    at: str
    """When, in ISO 8601 and UTC."""
    train: bool
    """Whether the user agrees that it trains."""
    keep_until: str
    """Day on which it is deleted, and from which it may no longer train; empty: there is none."""
    delivered: bool
    """Whether the whole answer was sent while somebody was there to take it."""
    retry: str | None
    """The key that makes a repeated request the same one."""
    asked: str
    """Hash of the request."""

    def withheld(self, today: str) -> str:
        """Why the trace may not train, in words; empty where it may."""
        if not self.delivered:
            return "it was not delivered"
        if not self.train:
            return "its user did not agree"
        if self.keep_until and self.keep_until <= today:
            return f"its user agreed only until {self.keep_until}"
        return ""


@dataclass(frozen=True, slots=True)
class Act:
    """One decision about a deployment."""

    at: str
    who: str
    act: str
    """advance, promote, rollback, canary, candidate, key, revoke, forget, withdraw, expire."""
    details: Mapping[str, JSON]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def today() -> str:
    return now()[:10]


def new_id() -> str:
    """Sixteen hexadecimal digits, drawn by lot."""
    return secrets.token_hex(8)


class Traffic:
    """The tables of live traffic in a store. Writes stand in a transaction of the caller's (`store.together()`)."""

    def __init__(self, store: TraceStore) -> None:
        self.store = store

    def prepare(self) -> None:
        """Makes the tables if they are not there."""
        with self.store.together():
            if not self.there:
                self.store.define(TABLES)

    @property
    def there(self) -> bool:
        """Whether the store has ever been that of a deployment."""
        return self.store.has("origins")

    def add(self, origin: Origin) -> None:
        """IntegrityError if the trace has one, or the retry is taken."""
        values = asdict(origin)
        self.store.execute(inserting("origins", values), list(values.values()))

    def deliver(self, trace_id: str) -> None:
        self.store.execute("UPDATE origins SET delivered = 1 WHERE trace_id = ?", [trace_id])

    def next_sample(self, task_id: str, generation: int) -> int:
        """The first sample index of the task in the generation that is not taken."""
        query = "SELECT coalesce(max(sample_index) + 1, 0) FROM traces WHERE task_id = ? AND generation = ?"
        return int(next(self.store.rows(query, [task_id, generation]))[0])

    def origins(self) -> Iterator[Origin]:
        return self._origins("ORDER BY at, trace_id", []) if self.there else iter(())

    def origin(self, trace_id: str) -> Origin | None:
        return next(self._origins("WHERE trace_id = ?", [trace_id]), None)

    def of_retry(self, retry: str) -> Origin | None:
        return next(self._origins("WHERE retry = ?", [retry]), None)

    def of_session(self, session: str, key: str) -> list[Origin]:
        """The session's calls, the earliest first, as far as they were asked for under that key."""
        return list(self._origins("WHERE session = ? AND key = ? ORDER BY at, trace_id", [session, key]))

    def of_user(self, user: str) -> list[Origin]:
        return list(self._origins('WHERE "user" = ? ORDER BY at, trace_id', [user]))

    def _origins(self, where: str, values: list[object]) -> Iterator[Origin]:
        for row in self.store.rows(f"SELECT * FROM origins {where}", values):
            yield Origin(**{**dict(row), "train": bool(row["train"]), "delivered": bool(row["delivered"])})

    def unjudged(self, count: int) -> list[str]:
        """Ids of at most `count` delivered answers that nobody has judged, the oldest first."""
        query = """SELECT trace_id FROM origins WHERE delivered = 1 AND NOT EXISTS
            (SELECT 1 FROM feedback WHERE feedback.trace_id = origins.trace_id AND judgement != 'metric')
            ORDER BY at, trace_id LIMIT ?"""
        return [row["trace_id"] for row in self.store.rows(query, [count])]

    def act(self, who: str, act: str, **details: JSON) -> None:
        values = [now(), who, act, json.dumps(details)]
        self.store.execute("INSERT INTO acts (at, who, act, details) VALUES (?, ?, ?, ?)", values)

    def acts(self, after: int = 0) -> Iterator[tuple[int, Act]]:
        """(row, act) of those after a row, in the order in which they were done."""
        if self.there:
            for row in self.store.rows("SELECT * FROM acts WHERE row > ? ORDER BY row", [after]):
                yield row["row"], Act(row["at"], row["who"], row["act"], json.loads(row["details"]))

    def last_act(self) -> int:
        """Row of the latest act; 0: there is none."""
        return int(next(self.store.rows("SELECT coalesce(max(row), 0) FROM acts"))[0])

    def last_feedback(self) -> int:
        """Row of the latest feedback; 0: there is none."""
        return int(next(self.store.rows("SELECT coalesce(max(row), 0) FROM feedback"))[0])

    def published_since(self, feedback: int) -> int:
        """Traces that were published after a row of feedback."""
        query = "SELECT count(DISTINCT trace_id) FROM feedback WHERE row > ? AND judgement = 'publish'"
        return int(next(self.store.rows(query, [feedback]))[0])

    def forget(self, user: str, traces: Sequence[str]) -> int:
        """Deletes the traces, their tasks where nobody else asked them, and what the user said. How many judgements."""
        said = int(next(self.store.rows('SELECT count(*) FROM feedback WHERE "user" = ?', [user]))[0])
        self.store.execute('DELETE FROM feedback WHERE "user" = ?', [user])
        self._delete(traces)
        return said

    def expire(self, day: str, who: str) -> int:
        """Deletes the traces that were to be kept until the day or an earlier one, outside of any transaction, and
        writes the tables anew. How many."""
        query = "SELECT trace_id FROM origins WHERE keep_until != '' AND keep_until <= ?"
        with self.store.together():
            gone = [row["trace_id"] for row in self.store.rows(query, [day])]
            if gone:
                self._delete(gone)
                self.act(who, "expire", traces=len(gone))
        if gone:
            self.shrink()
        return len(gone)

    def _delete(self, traces: Sequence[str]) -> None:
        for trace_id in traces:
            self.store.execute(
                "INSERT INTO forgotten SELECT id, generation, status FROM traces WHERE id = ?", [trace_id]
            )
            for table, column in (
                ("calls", "trace_id"), ("feedback", "trace_id"), ("origins", "trace_id"), ("traces", "id")
            ):  # fmt: skip
                self.store.execute(f"DELETE FROM {table} WHERE {column} = ?", [trace_id])
        self.store.execute("DELETE FROM tasks WHERE id NOT IN (SELECT task_id FROM traces)")

    def shrink(self) -> None:
        """Writes the tables anew, so that what was deleted is nowhere in them."""
        self.store.shrink()

    def forgotten_counts(self) -> dict[int, dict[str, int]]:
        """Generation -> status -> traces that were there."""
        out: dict[int, dict[str, int]] = {}
        if self.there:
            query = "SELECT generation, status, count(*) FROM forgotten GROUP BY 1, 2"
            for generation, status, count in self.store.rows(query):
                out.setdefault(generation, {})[status] = count
        return out

    def forgotten(self, trace_id: str) -> bool:
        return any(self.store.rows("SELECT 1 FROM forgotten WHERE trace_id = ?", [trace_id]))
