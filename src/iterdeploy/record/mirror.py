"""A copy of a run's folder elsewhere, so that the run goes on on another machine when this one is gone.

    URL/RUN/blobs/DIGEST       the content of files, by its SHA-256
    URL/RUN/manifest.json      path in the run's folder -> digest and bytes

The manifest is replaced at one stroke, after everything that it names is there, and only then is what no manifest names
taken away. So whoever kills this at any moment finds the copy before or the one after. What is being written has
another name (see `files`) and is not copied; of the store a consistent copy is made by SQLite itself.
"""

import json
import logging
import sqlite3
import time
from contextlib import closing
from hashlib import file_digest
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from iterdeploy.config import RunConfig
from iterdeploy.record.files import OF_TRACKERS, UNFINISHED, RunDirError, remove, sync_all
from iterdeploy.sections import ConfigError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

STORE, MANIFEST, BLOBS = "traces.sqlite", "manifest.json", "blobs"
LEFT_OUT = ("lock", *OF_TRACKERS)
"""Of this process and of other packages."""


class Mirror:
    """Where the copies of one run lie."""

    def __init__(self, url: str, run: str, minutes: float = 0.0) -> None:
        """ConfigError for a URL that nothing here can open. `minutes`: between copies while answers come in."""
        self.url = url
        self._files, root = _opened(url)
        self._place = f"{root.rstrip('/')}/{run}"
        self._seconds = 60 * minutes
        self._last = time.monotonic()
        self._failed = False
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}
        """Of files that did not change since: path -> (modified, bytes), digest."""

    def save(self, folder: Path) -> None:
        """Copies what is new. A copy that fails is a warning: the run goes on, and the next one is tried again."""
        try:
            self._save(folder)
            self._failed = False
        except Exception as error:  # file systems of others raise what they like
            if not self._failed:
                log.warning("mirror.url: %s could not be written (%s: %s)", self.url, type(error).__name__, error)
            self._failed = True
        self._last = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._last >= self._seconds

    def restore(self, folder: Path) -> None:
        """Makes the run's folder, which must not be there, from the copy. RunDirError if there is none, or if it is not
        what was copied."""
        if folder.exists():
            raise RunDirError(f"{folder}: this run is here already; resume it without --from, or move it away")
        manifest = self._manifest()
        if manifest is None:
            raise RunDirError(f"{self._place}: no copy of a run is there; --from takes the mirror.url that it had")
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = folder.with_name(f"{UNFINISHED}{folder.name}")
        remove(unfinished)
        for name, digest in manifest.items():
            path = unfinished / _inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files.get_file(self._blob(digest), str(path))
            if _digest(path) != digest:
                raise RunDirError(
                    f"{self._blob(digest)}: this is not what was copied of {name}; nothing was made of it"
                )
        (unfinished / "lock").touch()  # by which a folder is known as a run's
        sync_all(unfinished)
        unfinished.rename(folder)

    def _save(self, folder: Path) -> None:
        with TemporaryDirectory(prefix="iterdeploy-") as there:
            store = Path(there, STORE)
            paths = {name: path for name, path in _finished(folder).items() if not name.startswith(STORE)}
            if (folder / STORE).exists():  # a deployment's may be in a database elsewhere
                _back_up(folder / STORE, store)
                paths[STORE] = store
            digests = {name: self._digest(path) for name, path in paths.items()}
            if digests == self._manifest():
                return
            self._files.makedirs(f"{self._place}/{BLOBS}", exist_ok=True)
            for name, digest in digests.items():
                self._put(paths[name], self._blob(digest))
        self._files.pipe_file(f"{self._place}/{UNFINISHED}{MANIFEST}", json.dumps(digests).encode())
        self._files.mv(f"{self._place}/{UNFINISHED}{MANIFEST}", f"{self._place}/{MANIFEST}")
        for blob in self._files.ls(f"{self._place}/{BLOBS}", detail=False):
            if PurePosixPath(blob).name not in digests.values():
                self._files.rm_file(blob)

    def _digest(self, path: Path) -> str:
        there = path.stat()
        key = (there.st_mtime_ns, there.st_size)
        known = self._digests.get(path)
        if known is None or known[0] != key:
            known = self._digests[path] = (key, _digest(path))
        return known[1]

    def _put(self, path: Path, blob: str) -> None:
        """A copy that broke off has another size."""
        if not self._files.exists(blob) or self._files.info(blob)["size"] != path.stat().st_size:
            self._files.put_file(str(path), blob)

    def _blob(self, digest: str) -> str:
        return f"{self._place}/{BLOBS}/{digest}"

    def _manifest(self) -> dict[str, str] | None:
        self._files.invalidate_cache()
        if not self._files.exists(f"{self._place}/{MANIFEST}"):
            return None
        found: Any = json.loads(self._files.cat_file(f"{self._place}/{MANIFEST}"))
        return {str(name): str(digest) for name, digest in found.items()}


def mirror_of(config: RunConfig, folder: Path) -> Mirror | None:
    """The mirror of the run in the folder; None where the configuration names none. ConfigError if it cannot be."""
    mirror = config.mirror
    return Mirror(mirror.url, folder.name, mirror.minutes) if mirror.url else None


def _opened(url: str) -> "tuple[AbstractFileSystem, str]":
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ConfigError("mirror.url needs fsspec: pip install 'iterdeploy[mirror]'") from None
    try:
        files, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"mirror.url: {url} cannot be opened: {error}") from None
    return files, str(root)


def _finished(folder: Path) -> dict[str, Path]:
    """Every file under its final name, by its path in the folder; what trackers write stays here."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        unfinished = any(part.startswith(UNFINISHED) for part in parts)
        if not unfinished and parts[0] not in LEFT_OUT and path.is_file():
            found["/".join(parts)] = path
    return found


def _inside(name: str) -> PurePosixPath:
    """A path below the run's folder. RunDirError for one that leads out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise RunDirError(f"{name!r}: the copy names a file that is not in a run's folder, so nothing was made of it")
    return path


def _back_up(store: Path, copy: Path) -> None:
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
