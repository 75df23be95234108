"""A run's folder: layout, lock, outputs that are built beside their place and then renamed.

    RUN/
      config.toml        the resolved configuration; running it again reproduces the run
      provenance.json    versions, revision, machine, command of every call
      traces.sqlite      the store: every sample with its verdict, the seconds spent
      metrics.jsonl      what was measured, line by line; tracking.json says which of them trackers have
      stopped.json       why the run stopped by itself, if it did
      generation-0/
        metrics.json     what was measured of this generation
        curated.json     the pool that trains the next
        policy/          the model that this pool made: generation 1
      audit.json, theory.json   what `iterdeploy audit` and `iterdeploy theory` found
      report.html

A file or folder of a generation exists only when it is finished, so resuming is calling `run` again.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from iterdeploy.config import RunConfig, UserError
from iterdeploy.config_file import load_config
from iterdeploy.record.files import read_json, sync, write_json, write_text
from iterdeploy.record.provenance import provenance
from iterdeploy.record.store import TraceStore

LOCK_TRIES = 25
LOCK_PAUSE = 0.02
"""Seconds between tries: `status` holds a run's lock for an instant when it looks whether another process does."""


class RunDirError(UserError):
    """The run's folder cannot be used."""


class Stage:
    """The outputs of one generation, each made once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)

    def json(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The finished file's content; made, written beside and renamed if it is not there yet."""
        target = self.path / name
        if not target.exists():
            write_json(target, make())
        return read_json(target)

    def folder(self, name: str, make: Callable[[Path], object]) -> Path:
        """The finished folder; `make` fills one beside it, which is then renamed.

        Of an earlier, unfinished one only its checkpoints are left for `make`, which uses them and takes them away.
        """
        target = self.path / name
        if not target.exists():
            beside = self.path / f"unfinished-{name}"
            beside.mkdir(exist_ok=True)
            for path in beside.iterdir():
                if not path.name.startswith("checkpoint-"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            make(beside)
            for path in beside.rglob("*"):
                sync(path)
            beside.rename(target)
            sync(self.path)
        return target


class RunDir:
    """The folder of one run, locked against a second process while it is open."""

    def __init__(self, path: Path, lock: int | None, store: TraceStore) -> None:
        self.path = path
        self.store = store
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path,
        config: RunConfig,
        command: list[str],
        remote_code: Mapping[str, str] | None = None,
        tokenizer: str | None = None,
    ) -> "RunDir":
        """Makes or continues the run in `path`. RunDirError if another process has it, or if the configuration or the
        tokenizer changed.

        `remote_code`: name -> digest of the Python files of the model that may run; None: none may. `tokenizer`: digest
        of the base model's; None: it is not known.
        """
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        if not made and any(path.iterdir()) and not (path / "lock").exists():
            raise RunDirError(f"{path}: this folder is not a run of iterdeploy and not empty; choose another --name")
        lock = _lock(path)
        try:
            _check_configuration(path, config)
            calls_file = path / "provenance.json"
            calls = read_json(calls_file)["calls"] if calls_file.exists() else []
            _check_tokenizer(path, config, calls, tokenizer)
            store = TraceStore(path / "traces.sqlite")
            facts = {"remote_code": remote_code, "tokenizer": tokenizer}
            write_json(calls_file, {"calls": [*calls, provenance(command, facts)]})
            (path / "stopped.json").unlink(missing_ok=True)
            return cls(path, lock, store)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def read(cls, path: Path) -> "RunDir":
        """The run for reading only: no lock, nothing is written."""
        if not (path / "config.toml").is_file():
            raise RunDirError(f"{path}: there is no run here (a run's folder has a config.toml)")
        return cls(path, None, TraceStore(path / "traces.sqlite", read_only=True))

    @property
    def config(self) -> RunConfig:
        return load_config(self.path / "config.toml")

    def close(self) -> None:
        self.store.close()
        if self._lock is not None:
            os.close(self._lock)

    def generation(self, number: int) -> Stage:
        return Stage(self.path / f"generation-{number}")

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of every generation that has been measured, in order."""
        found: list[dict[str, Any]] = []
        while (path := self.path / f"generation-{len(found)}" / "metrics.json").exists():
            found.append(read_json(path))
        return found

    def pool(self, generation: int) -> dict[str, Any] | None:
        """The pool curated after `generation`; None where it has not been."""
        path = self.path / f"generation-{generation}" / "curated.json"
        return read_json(path) if path.exists() else None

    def training(self, generation: int) -> dict[str, Any] | None:
        """What training `generation` reported; None for the base model or where it is still to come."""
        path = self.path / f"generation-{generation - 1}" / "policy" / "training.json"
        return read_json(path) if path.exists() else None

    def stop(self, state: str, reason: str, details: dict[str, Any]) -> None:
        """Records that the run stopped by itself, and why."""
        write_json(self.path / "stopped.json", {"state": state, "reason": reason, **details})

    def state(self) -> dict[str, Any]:
        """`state`: running, complete, interrupted, or the name of the reason for which the run stopped by itself."""
        holder = _holder(self.path) if self._lock is None else None  # a run that asks about itself is not running
        if holder is not None:
            return {"state": "running", "pid": holder}
        if (self.path / "stopped.json").exists():
            return read_json(self.path / "stopped.json")
        done = len(self.metrics()) == self.config.generations + 1
        return {"state": "complete" if done else "interrupted"}


def _check_configuration(path: Path, config: RunConfig) -> None:
    """Saves the configuration of a new run; RunDirError if the run has another one."""
    saved = path / "config.toml"
    if not saved.exists():
        write_text(saved, tomli_w.dumps(config.model_dump(mode="json")))
    elif differences := load_config(saved).differences(config):
        raise RunDirError(
            f"{path}: this run was started with another configuration ({'; '.join(differences)}); "
            "use another --name, or resume it as it was with `iterdeploy resume`"
        )


def _check_tokenizer(path: Path, config: RunConfig, calls: Sequence[Mapping[str, Any]], tokenizer: str | None) -> None:
    """RunDirError if an earlier call of the run had another tokenizer."""
    known = [found for call in calls if (found := call.get("tokenizer"))]
    if tokenizer and known and known[0] != tokenizer:
        raise RunDirError(
            f"{path}: model.name = {config.model.name!r} has another tokenizer than when this run was started (SHA-256 "
            f"of tokenizer.json: {tokenizer[:16]}, not {known[0][:16]}), so the token ids that are stored would mean "
            "other text; put the old tokenizer.json back, or start a new run under another --name"
        )


def _lock(path: Path) -> int:
    """Takes the run's lock, which the kernel gives back when this process ends, however it ends."""
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    for patience in range(LOCK_TRIES, -1, -1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(lock)
                raise
        if not patience:
            holder = (path / "lock").read_text().strip() or "unknown"
            os.close(lock)
            raise RunDirError(
                f"{path}: the process {holder} is working on this run; wait for it, or stop it and call resume"
            )
        time.sleep(LOCK_PAUSE)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _holder(path: Path) -> int | None:
    """The id of the process that holds the run's lock; None if none does."""
    try:
        lock = os.open(path / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return int((path / "lock").read_text().strip() or 0)
    finally:
        os.close(lock)
    return None
