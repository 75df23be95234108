"""What the store asks of a database: of a file of SQLite's and of a PostgreSQL server alike.

Statements are SQL that both understand, with `?` for values. Errors are those of sqlite3.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Row(Protocol):
    """Iterating over it gives the values, `dict(row)` the columns."""

    def __getitem__(self, column: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Iterable[str]: ...


class Rows(Protocol):
    def __iter__(self) -> Iterator[Any]: ...

    def fetchone(self) -> Any: ...


class Database(Protocol):
    @property
    def in_transaction(self) -> bool: ...

    def execute(self, statement: str, values: Sequence[object] = ..., /) -> Rows: ...

    def executemany(self, statement: str, values: Iterable[Sequence[object]], /) -> object: ...

    def close(self) -> None: ...

    def tables(self) -> set[str]: ...

    def prepare(self) -> None:
        """What is done once, before the first table is made."""
        ...

    def define(self, script: str) -> None:
        """Makes tables and indices, inside a transaction of the caller's."""
        ...

    def begin(self) -> None:
        """Begins a transaction that writes; waits for others that do."""
        ...

    def fault(self) -> str:
        """What is wrong with the database as a whole; empty: nothing that it can find by itself."""
        ...

    def shrink(self) -> None:
        """Writes the tables anew, so that what was deleted is nowhere in them."""
        ...


class ServerFailed(sqlite3.OperationalError):
    """The PostgreSQL server could not be reached, or could not do what it was asked."""

    sqlite_errorcode = sqlite3.SQLITE_ERROR
