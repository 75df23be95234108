"""Connections to an SQLite file: one that reads without writing a byte, and what the failures of either mean."""

import shutil
import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from iterdeploy.record.database import ServerFailed
from iterdeploy.sections import UserError

TRIES, PAUSE = 5, 0.02
PATIENCE = 60.0
"""Seconds to wait for a writer."""
UNREADY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL)


class StoreError(UserError):
    """The store cannot be used."""


def damaged(how: object) -> StoreError:
    return StoreError(
        f"the trace store is damaged ({how}). Nothing was changed: put traces.sqlite back from a copy of the run, or "
        "start a new run under another --name"
    )


class Sqlite(sqlite3.Connection):
    """A connection to a file, with what the store asks of a database (`record.database`)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.row_factory = sqlite3.Row
        self.execute("PRAGMA temp_store = MEMORY")  # views of an old store need no file

    def tables(self) -> set[str]:
        return {row["name"] for row in self.execute("SELECT name FROM sqlite_master")}

    def prepare(self) -> None:
        self.execute("PRAGMA journal_mode = WAL")

    def define(self, script: str) -> None:
        """Statement by statement, as `executescript` would commit the caller's transaction first."""
        for statement in script.split(";"):
            self.execute(statement)

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")

    def fault(self) -> str:
        (found,) = self.execute("PRAGMA integrity_check(1)").fetchone()
        return "" if found == "ok" else str(found)

    def shrink(self) -> None:
        self.execute("VACUUM")
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Copy(Sqlite):
    """A connection to a copy, which goes with it."""

    folder: "TemporaryDirectory[str]"

    def close(self) -> None:
        super().close()
        self.folder.cleanup()


Kind = TypeVar("Kind", bound=Sqlite)


def writer(path: Path) -> Sqlite:
    """Makes the file if it is not there."""
    return sqlite3.connect(path.absolute(), timeout=PATIENCE, isolation_level=None, factory=Sqlite)


def nowhere() -> Sqlite:
    """To a store of its own in memory."""
    return sqlite3.connect(":memory:", isolation_level=None, factory=Sqlite)


def reader(path: Path) -> Sqlite:
    """Sees the file, and its write-ahead log, as it is now; it may lie where nothing can be written, or not be there.

    Where there are a log and its index, some process writes or was killed, and SQLite reads along by them. Where there
    is no log, the file is all there is. A log without a whole index needs one, which is made in a copy.
    """
    if not path.exists():
        return nowhere()
    for tries_left in range(TRIES, -1, -1):
        connection = _reader(path) if tries_left else _copy(path)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError as error:  # a writer may be making or removing log and index at this moment
            connection.close()
            if not tries_left or error.sqlite_errorcode & 0xFF not in UNREADY:
                raise
        time.sleep(PAUSE)
    raise AssertionError


def _reader(path: Path) -> Sqlite:
    log, index = (path.with_name(f"{path.name}-{what}") for what in ("wal", "shm"))
    if log.exists() and index.exists():
        return _open(path, "mode=ro&readonly_shm=1", Sqlite)
    if log.exists() and log.stat().st_size:
        return _copy(path)
    return _open(path, "immutable=1", Sqlite)


def _copy(path: Path) -> Sqlite:
    folder = TemporaryDirectory(prefix="iterdeploy-")
    for file in path.parent.glob(f"{path.name}*"):
        if file.name in (path.name, f"{path.name}-wal"):
            shutil.copyfile(file, Path(folder.name, file.name))
    copied = _open(Path(folder.name, path.name), "mode=rw", _Copy)
    copied.folder = folder
    return copied


def _open(path: Path, options: str, kind: type[Kind]) -> Kind:
    """By a URI, in which the path is escaped: "%", "?" and "#" in a name mean themselves."""
    uri = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None, factory=kind)


def explain(error: sqlite3.Error) -> str:
    """What happened to the trace store, and how to fix it."""
    if isinstance(error, ServerFailed):
        return (
            f"the trace store in PostgreSQL cannot be used ({error}): look at deployment.store, at the server, and at "
            "PGUSER and PGPASSWORD or ~/.pgpass; what was stored before is complete, nothing is half-written"
        )
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return (
                f"the trace store cannot be read or written ({error}), most likely because the disk is full; free some "
                "space and call `iterdeploy resume`: what was stored before is complete, nothing is half-written"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"the trace store cannot be opened or written ({error}): look at the permissions of the run's folder"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"the trace store is in use by another process ({error}): try again when it is done"
    return str(damaged(error))
