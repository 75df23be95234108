"""Where a run's store is: in the file in its folder, or in the database that the configuration next to it names."""

import tomllib
from pathlib import Path

from iterdeploy.record import sqlite
from iterdeploy.record.database import Database
from iterdeploy.record.files import RunDirError
from iterdeploy.record.postgres import Postgres
from iterdeploy.record.trust import is_marked


def connect(path: Path, *, read_only: bool) -> Database:
    """`path`: of the file, whether it is there or not. RunDirError for a database that this user named nowhere."""
    if address := elsewhere(path):
        return Postgres(address, path.parent.absolute().name, read_only=read_only)
    return sqlite.reader(path) if read_only else sqlite.writer(path)


def has_content(path: Path) -> bool:
    """Whether anything was ever written into the store."""
    if not elsewhere(path):
        return path.is_file() and path.stat().st_size > 0
    database = connect(path, read_only=True)
    try:
        return bool(database.tables())
    finally:
        database.close()


def elsewhere(path: Path) -> str:
    """The address of the database that is in the file's place; empty: the file is the store."""
    folder = path.parent
    if not (folder / "config.toml").is_file():
        return ""
    try:
        values = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
        address = str(values.get("deployment", {}).get("store", ""))
    except (ValueError, AttributeError):  # what is wrong with the configuration is said where it is read
        return ""
    if address and not is_marked(folder):
        raise RunDirError(
            f"{folder}: this deployment was not started by this user on this machine, and its store is the database "
            f"{address} (deployment.store). Nothing was asked of it: look at {folder / 'config.toml'}, and call "
            "`iterdeploy advance` with --trust once if you trust it"
        )
    return address
