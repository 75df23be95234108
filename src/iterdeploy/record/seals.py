"""Digests by which a run's outputs are known to be what was written: later steps trust them.

A JSON file carries a seal: the SHA-256 of its content, its place in the run's folder and the run's configuration. So a
flipped bit is found, and so are a file of another generation and one of another run. A folder of binary files carries
SHA256SUMS, which `sha256sum -c` reads, with such a seal in a comment. What has neither was made by version 0.1.0 and is
taken as it is.
"""

import json
from collections.abc import Collection
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from iterdeploy.record.files import Held, damaged, read_json, write_json, write_text

SEAL = "seal"
STARTED_AS = "started as"
SUMS = "SHA256SUMS"


class Sealed:
    """The JSON files of one run, by their path below its folder: "generation-0/metrics.json"."""

    def __init__(self, folder: Path, configuration: str) -> None:
        """`configuration`: SHA-256 of the config.toml that the run was started with."""
        self.folder = folder
        self._configuration = configuration
        self._held = Held(folder)
        self._whole: set[str] = set()
        """Folders that have been checked."""

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def read(self, name: str) -> dict[str, Any]:
        """RunDirError if it is not what was written there."""
        path = self.folder / name
        value = read_json(path)
        seal = value.pop(SEAL, None)
        if seal is not None and seal != self._seal(name, value):
            raise damaged(path, "its content does not fit its seal, or the run's config.toml is another one")
        return value

    def find(self, name: str) -> dict[str, Any] | None:
        return self.read(name) if self.exists(name) else None

    def write(self, name: str, value: dict[str, Any]) -> None:
        self.check_place()
        write_json(self.folder / name, {**value, SEAL: self._seal(name, value)})

    def write_sums(self, name: str, folder: Path) -> None:
        """Lists all files of `folder`, which is about to become the folder `name`. The last that is written into it."""
        sums = sums_of(folder)
        write_text(folder / SUMS, f"# {SEAL}: {self._seal(name, {SUMS: sums})}\n{sums}")

    def check_sums(self, name: str, only: Collection[str] | None = None) -> Path:
        """The folder. RunDirError unless it, or of it the files in `only`, is what was written there. As a whole it is
        read only once."""
        folder = self.folder / name
        if name in self._whole:
            return folder
        if (folder / SUMS).exists():
            first, _, sums = _text(folder / SUMS).partition("\n")
            if first.startswith("#") and first != f"# {SEAL}: {self._seal(name, {SUMS: sums})}":
                raise damaged(folder / SUMS, "its list does not fit its seal, or the folder is of another place or run")
        check_sums(folder, only)
        if only is None:
            self._whole.add(name)
        return folder

    def close(self) -> None:
        self._held.close()

    def check_place(self) -> None:
        """RunDirError if the run's folder is no longer where it was."""
        self._held.check()

    def _seal(self, name: str, value: dict[str, Any]) -> str:
        return sha256("\n".join([self._configuration, name, json.dumps(value)]).encode()).hexdigest()


def seal_text(text: str) -> str:
    """The text below a comment line with its digest."""
    return f"# {SEAL}: {sha256(text.encode()).hexdigest()}\n{text}"


def origin(path: Path) -> str:
    """SHA-256 of the config.toml that a run was started with: of this one, unless it is of a run that was extended and
    says so."""
    for line in path.read_bytes().splitlines()[:2]:
        if line.startswith(f"# {STARTED_AS}: ".encode()):
            return line.split()[-1].decode(errors="replace")
    return digest(path)


def check_text(path: Path) -> None:
    """RunDirError if the file begins with a seal and the rest is not what was sealed."""
    first, _, rest = path.read_bytes().partition(b"\n")
    if first.startswith(f"# {SEAL}: ".encode()) and first.split()[-1].decode() != sha256(rest).hexdigest():
        raise damaged(path, "its content does not fit the seal in its first line")


def digest(path: Path) -> str:
    """SHA-256 of a file, however large."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sums_of(folder: Path) -> str:
    """A line for every file of the folder."""
    return "".join(f"{digest(folder / name)}  {name}\n" for name in sorted(_files(folder)))


def write_sums(folder: Path) -> None:
    """Lists all files of the folder. The last thing that is written into it."""
    write_text(folder / SUMS, sums_of(folder))


def check_sums(folder: Path, only: Collection[str] | None = None) -> None:
    """RunDirError unless the folder, or of it the files in `only`, holds what was listed and nothing else."""
    if not (folder / SUMS).exists():
        return
    lines = [line for line in _text(folder / SUMS).splitlines() if not line.startswith("#")]
    listed = {name: known for known, _, name in (line.partition("  ") for line in lines)}
    names = _files(folder)
    for name in sorted(listed.keys() | names) if only is None else only:
        if name not in names:
            raise damaged(folder / name, "it is missing")
        if listed.get(name) != digest(folder / name):
            raise damaged(folder / name, f"its SHA-256 is not the one in {SUMS}")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _files(folder: Path) -> set[str]:
    """Without hidden ones, which file systems and file managers make."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in names if name != SUMS and not name.startswith(".")}
