"""A PostgreSQL server of the tests' own, where Debian's package is installed: on a socket in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import tomli_w

from helpers.serving import config_of
from iterdeploy.record.trust import write_mark

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
"""The newest version's; None: there is none."""
PORT = 5432
"""Names the socket; no port of this machine is taken."""


def as_anybody() -> list[str]:
    """Begins a command that may not run as root, which the server refuses."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


class Server:
    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="iterdeploy-pg-"))  # a socket's path has at most 107 bytes
        self._folder.chmod(0o777)
        self._databases = 0
        self._run("initdb", "-D", self._folder / "data", "-U", "tests", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    @property
    def tables(self) -> Path:
        """The folder of all databases' tables. What was deleted may still stand in the log next to it."""
        return self._folder / "data" / "base"

    def start(self) -> None:
        options = f"-k {self._folder} -p {PORT} -c listen_addresses="
        log = self._folder / "log"
        self._run("pg_ctl", "start", "-w", "-D", self._folder / "data", "-l", log, "-o", options)

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-w", "-D", self._folder / "data", "-m", how)

    def close(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def database(self) -> str:
        """The address of a new, empty database."""
        self._databases += 1
        name = f"live{self._databases}"
        self._run("createdb", "-h", self._folder, "-p", PORT, "-U", "tests", name)
        return f"postgresql:///{name}?host={self._folder}&port={PORT}&user=tests"

    def _run(self, program: str, *words: object) -> None:
        assert PROGRAMS is not None
        command = [*as_anybody(), str(PROGRAMS / program), *map(str, words)]
        with open(os.devnull, "w") as nowhere:  # the server keeps what it is given, so no pipe
            subprocess.run(command, check=True, stdout=nowhere, stderr=nowhere, cwd=self._folder)


class Place:
    """A file in the deployment's folder, or a PostgreSQL server."""

    def __init__(self, server: Server | None) -> None:
        self.server = server

    def config(self) -> dict[str, Any]:
        """What the configuration of a new deployment says of it."""
        return {"deployment.store": self.server.database()} if self.server else {}

    def use(self, folder: Path) -> None:
        """Makes it the place of a store in an empty folder."""
        if self.server:
            config = config_of(self.config())
            text = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
            (folder / "config.toml").write_text(text)
            write_mark(folder, config, text)

    def files(self, deployment: Path) -> list[Path]:
        """Files that hold what is stored."""
        folder = self.server.tables if self.server else deployment
        return [file for file in folder.rglob("*" if self.server else "traces.sqlite*") if file.is_file()]
