"""A run's store in PostgreSQL, so that several gateways can serve a deployment. It behaves as SQLite's connection does.

Each deployment has a schema, `iterdeploy_NAME`. User and password come from where psql takes them (PGUSER, PGPASSWORD,
~/.pgpass), so they stand in no file of the run's. Writers wait for each other, as they do with SQLite, so rows are
numbered in the order in which others see them.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from iterdeploy.record.database import Rows, ServerFailed
from iterdeploy.redaction import in_a_message
from iterdeploy.sections import ConfigError
from iterdeploy.types import content_hash

if TYPE_CHECKING:
    import psycopg

CONNECT = 10
"""Seconds to reach the server."""
PATIENCE = "60s"
"""How long to wait for another writer."""
LONGEST_NAME = 63
"""Bytes of a schema's name."""
TYPES = {
    r"\brow INTEGER PRIMARY KEY": "row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    r"\bINTEGER\b": "BIGINT",
    r"\bREAL\b": "DOUBLE PRECISION",
    r"\bBLOB\b": "BYTEA",
    r"\bWITHOUT ROWID\b": "",
    r"\bREFERENCES \w+ \(id\)": "",
}
"""SQLite's words in the definition of a table -> PostgreSQL's. SQLite does not enforce references either."""
JSON_EXTRACT = """
CREATE OR REPLACE FUNCTION json_extract(document TEXT, path TEXT) RETURNS DOUBLE PRECISION IMMUTABLE LANGUAGE SQL AS
$$ SELECT (document::json #>> string_to_array(substr(path, 3), '.'))::double precision $$
"""
ESCAPE = "\U0010fffe"
"""Texts in PostgreSQL have no NUL. This sign, which stands for no character, and a digit stand for it."""


class Row:
    """One row, whose columns are found by name and by number."""

    __slots__ = ("_columns", "_values")

    def __init__(self, columns: dict[str, int], values: Sequence[Any]) -> None:
        self._columns = columns
        self._values = tuple(map(_read, values))

    def __getitem__(self, column: int | str) -> Any:
        return self._values[column if isinstance(column, int) else self._columns[column]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def keys(self) -> Iterable[str]:
        return self._columns.keys()


class Postgres:
    """A connection, which is made anew where it broke outside of a transaction."""

    def __init__(self, address: str, name: str, *, read_only: bool) -> None:
        """`name`: of the deployment. ServerFailed if the server cannot be reached."""
        schema = f"iterdeploy_{name}"
        fits = len(schema.encode()) <= LONGEST_NAME
        self._schema = schema if fits else f"iterdeploy_{content_hash(name)}"
        self._address = address
        self._read_only = read_only
        self._sql = self._connected()

    def _connected(self) -> "psycopg.Connection[Any]":
        try:
            import psycopg
        except ImportError:
            raise ConfigError("deployment.store needs psycopg: pip install 'iterdeploy[postgres]'") from None
        with _errors():
            sql: psycopg.Connection[Any] = psycopg.connect(
                self._address, autocommit=True, connect_timeout=CONNECT, application_name="iterdeploy"
            )
            for setting, value in {
                "search_path": self._quoted,
                "lock_timeout": PATIENCE,
                "synchronous_commit": "on",
                "default_transaction_read_only": "on" if self._read_only else "off",
            }.items():
                sql.execute("SELECT set_config(%s, %s, false)", [setting, value])
        sql.row_factory = _rows
        return sql

    @property
    def _quoted(self) -> str:
        return '"' + self._schema.replace('"', '""') + '"'

    @property
    def in_transaction(self) -> bool:
        return self._sql.info.transaction_status.name in ("ACTIVE", "INTRANS", "INERROR")

    def execute(self, statement: str, values: Sequence[object] = (), /) -> Rows:
        if self._sql.closed:
            if statement == "COMMIT":
                raise ServerFailed("the connection broke in the middle of a transaction")
            self._sql = self._connected()
        with _errors():
            done = self._sql.execute(_translated(statement), [_sent(value) for value in values])
        if statement == "COMMIT" and done.statusmessage != "COMMIT":
            raise ServerFailed("the transaction had failed, and nothing of it was written")
        return done

    def executemany(self, statement: str, values: Iterable[Sequence[object]], /) -> None:
        for row in values:
            self.execute(statement, row)

    def close(self) -> None:
        self._sql.close()

    def tables(self) -> set[str]:
        found = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = ?", [self._schema])
        return {name for (name,) in found}

    def prepare(self) -> None:
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {self._quoted}")

    def define(self, script: str) -> None:
        for word, instead in TYPES.items():
            script = re.sub(word, instead, script)
        for statement in [*script.split(";"), JSON_EXTRACT]:
            if statement.strip():
                self.execute(statement)

    def begin(self) -> None:
        self.execute("BEGIN")
        self.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [self._schema])

    def fault(self) -> str:
        return ""

    def shrink(self) -> None:
        self.execute(f"VACUUM (FULL, ANALYZE) {', '.join(sorted(self.tables()))}")


@contextmanager
def _errors() -> Iterator[None]:
    """Around a call of psycopg, whose errors become those of sqlite3."""
    import psycopg

    try:
        yield
    except psycopg.IntegrityError as error:
        raise sqlite3.IntegrityError(in_a_message(str(error).partition("\n")[0])) from None
    except psycopg.Error as error:
        raise ServerFailed(in_a_message(str(error))) from None


@cache
def _translated(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def _rows(cursor: "psycopg.Cursor[Any]") -> Any:
    columns = {column.name: number for number, column in enumerate(cursor.description or ())}
    return lambda values: Row(columns, values)


def _sent(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return str(value).replace(ESCAPE, f"{ESCAPE}1").replace("\0", f"{ESCAPE}0")
    return value


def _read(value: Any) -> Any:
    if isinstance(value, Decimal):  # a sum or a mean of whole numbers
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, str) and ESCAPE in value:
        return value.replace(f"{ESCAPE}0", "\0").replace(f"{ESCAPE}1", ESCAPE)
    return value
