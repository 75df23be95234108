"""A run's folder: layout, lock, outputs that are built under a temporary name and then renamed.

    RUN/
      config.toml        the resolved configuration; running it again reproduces the run
      mark               that this user wrote the configuration, where it would execute something
      provenance.json    versions, revision, machine, command of every call
      traces.sqlite      the store: every sample with its verdict, the seconds spent
      metrics.jsonl      what was measured, line by line; tracking.json says which of them trackers have
      stopped.json       why the run stopped by itself, if it did
      generation-0/
        metrics.json     what was measured of this generation
        curated.json     the pool that trains the next
        policy/          the model that this pool made: generation 1
      audit.json, theory.json   what `iterdeploy audit` and `iterdeploy theory` found
      reverified-1.json, ...    what `iterdeploy reverify` found, once for each time
      report.html

A file or folder of a generation exists only when it is finished, so resuming is calling `run` again.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import TypeAdapter, ValidationError

from iterdeploy.config import RunConfig
from iterdeploy.config_file import load_config
from iterdeploy.metrics.form import as_record
from iterdeploy.metrics.records import Metrics
from iterdeploy.record import lock
from iterdeploy.record.files import (
    UNFINISHED,
    RunDirError,
    damaged,
    read_json,
    refuse_links,
    remove,
    sweep,
    sync,
    sync_all,
    write_text,
)
from iterdeploy.record.mirror import Mirror, mirror_of
from iterdeploy.record.outputs import State, TrainingReport, parsed
from iterdeploy.record.places import has_content
from iterdeploy.record.provenance import NOTHING_KNOWN, Call, Facts, provenance, read, written
from iterdeploy.record.seals import Sealed, check_text, origin, seal_text
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic
from iterdeploy.record.trust import write_mark
from iterdeploy.types import TrainingPool

CALLS, STOPPED = "provenance.json", "stopped.json"
T = TypeVar("T")


class Stage:
    """The outputs of one generation, each made once."""

    def __init__(self, path: Path, files: Sealed | None = None, finished: Callable[[], None] = lambda: None) -> None:
        """`finished` is called when an output has been made."""
        self.path = path
        self._finished = finished
        self._files = files or Sealed(path.parent, "")
        self._files.check_place()
        if not path.exists():
            path.mkdir()
            sync(path.parent)
        sweep(path, keep="unfinished-policy")

    def json(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The finished file's content; made, written under a temporary name and renamed if it is not there yet."""
        place = f"{self.path.name}/{name}"
        if not self._files.exists(place):
            self._files.write(place, make())
            self._finished()
        return self._files.read(place)

    def once(self, name: str, make: Callable[[], T], kind: type[T]) -> T:
        """The record in the finished file; made and written if it is not there yet."""
        adapter = TypeAdapter(kind)
        values = self.json(name, lambda: adapter.dump_python(make(), mode="json"))
        try:
            return adapter.validate_python(values)
        except ValidationError as error:  # in one without a seal
            raise damaged(self.path / name, str(error.errors()[0]["msg"])) from None

    def folder(self, name: str, make: Callable[[Path], object]) -> Path:
        """The finished folder; `make` fills one under a temporary name, which is then renamed.

        Of an earlier, unfinished one only its checkpoints are left for `make`, which uses them and takes them away.
        """
        place = f"{self.path.name}/{name}"
        target = self.path / name
        if target.exists():
            return self._files.check_sums(place)
        unfinished = self.path / f"{UNFINISHED}{name}"
        unfinished.mkdir(exist_ok=True)
        for path in list(unfinished.iterdir()):
            if not path.name.startswith("checkpoint-"):
                remove(path)
        make(unfinished)
        self._files.check_place()
        self._files.write_sums(place, unfinished)
        sync_all(unfinished)
        unfinished.rename(target)
        sync(self.path)
        self._finished()
        return target


class RunDir:
    """The folder of one run, locked against a second process while it is open."""

    def __init__(
        self,
        path: Path,
        store: TraceStore,
        files: Sealed,
        locked: int | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        """`mirror`: where copies of the folder go."""
        self.path = path
        self._mirror = mirror
        self.store = store
        self.files = files
        self._locked = locked

    @classmethod
    def open(
        cls,
        path: Path,
        config: RunConfig,
        command: list[str],
        facts: Facts = NOTHING_KNOWN,
        *,
        accept_code_change: bool = False,
    ) -> "RunDir":
        """Makes or continues the run in `path`. RunDirError if another process has it, or if the configuration, the
        tokenizer or, unless that is accepted, a Python file of the user's has changed."""
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        refuse_links(path)
        if not made and any(path.iterdir()) and not (path / "lock").exists():
            raise RunDirError(f"{path}: this folder is not a run of iterdeploy and not empty; choose another --name")
        locked = lock.take(path)
        try:
            sweep(path)
            _check_configuration(path, config)
            files = Sealed(path, origin(path / "config.toml"))
            calls = _calls(files)
            _check_tokenizer(path, config, calls, facts.tokenizer)
            if not accept_code_change:
                _check_code(path, calls, facts.code)
            if calls and not has_content(path / "traces.sqlite"):
                raise damaged(path / "traces.sqlite", "it is missing or empty")
            run_dir = cls(path, TraceStore(path / "traces.sqlite"), files, locked, mirror_of(config, path))
            run_dir.check_store()
            calls.append(provenance(command, facts))
            files.write(CALLS, {"calls": [written(call) for call in calls]})
            (path / STOPPED).unlink(missing_ok=True)
            return run_dir
        except BaseException:
            os.close(locked)
            raise

    @classmethod
    def add_to(cls, path: Path) -> "RunDir":
        """A run that is there, to add measurements to its store: locked, and nothing else of it is written."""
        refuse_links(path)
        locked = lock.take(path)
        try:
            run_dir = cls(path, TraceStore(path / "traces.sqlite"), Sealed(path, origin(path / "config.toml")), locked)
            assert run_dir.config, "it is checked before anything else"
            run_dir.check_store()
            return run_dir
        except BaseException:
            os.close(locked)
            raise

    @classmethod
    def read(cls, path: Path, *, whole: bool = True) -> "RunDir":
        """The run for reading only: no lock, nothing is written. `whole`: the store is checked as a whole now, which
        takes as long as to count its rows; else row by row as they are read."""
        if not (path / "config.toml").is_file():
            raise RunDirError(f"{path}: there is no run here (a run's folder has a config.toml)")
        refuse_links(path)
        run_dir = cls.reading(path, TraceStore(path / "traces.sqlite", read_only=True))
        assert run_dir.config, "it is checked before anything else"
        if run_dir.calls and not run_dir.store.found:
            raise damaged(run_dir.store.path, "it is missing or empty")
        run_dir.check_outputs()
        run_dir.check_store(whole)
        return run_dir

    @classmethod
    def reading(cls, path: Path, store: TraceStore) -> "RunDir":
        return cls(path, store, Sealed(path, origin(path / "config.toml")))

    @cached_property
    def config(self) -> RunConfig:
        check_text(self.path / "config.toml")
        return load_config(self.path / "config.toml")

    @property
    def calls(self) -> list[Call]:
        """One for the start of the run and for each time that it was resumed."""
        return _calls(self.files)

    @property
    def described(self) -> Mapping[str, str]:
        """Label -> text: what the task set said of its tasks when the run began, or, where that was not recorded, what
        the configuration says. So no reader needs to run the task set's code."""
        tasks = self.config.tasks
        for call in self.calls:
            if call.facts.tasks:
                return call.facts.tasks
        files = f"{tasks.problem_files} of {tasks.domain_file}"
        return {"Tasks": files if tasks.kind == "pddl" else f"{', '.join(tasks.domains)}, {tasks.sizes_in_words}"}

    def note(self, name: str, value: Any) -> None:
        """Records a fact of the present call, by its name in `Facts`, in provenance.json."""
        *before, present = self.calls
        now = replace(present, facts=replace(present.facts, **{name: value}))
        self.files.write(CALLS, {"calls": [written(call) for call in (*before, now)]})

    def noted(self, name: str) -> Any:
        """What the first call of the run that knew such a fact recorded of it; None where none did."""
        return next((found for call in self.calls if (found := getattr(call.facts, name)) is not None), None)

    def close(self) -> None:
        self.store.close()
        self.files.close()
        if self._locked is not None:
            os.close(self._locked)

    def policy(self, generation: int) -> Path:
        """Where the policy of a generation from 1 on lies, or will."""
        return self.path / f"generation-{generation - 1}" / "policy"

    def whole_policy(self, generation: int, only: Collection[str] | None = None) -> Path:
        """The folder of its weights. RunDirError unless they, or the files in `only`, are as training left them."""
        return self.files.check_sums(f"generation-{generation - 1}/policy", only)

    def generation(self, number: int) -> Stage:
        return Stage(self.path / f"generation-{number}", self.files, self.copy)

    def copy(self, *, if_due: bool = False) -> None:
        """Copies what is finished to the run's mirror, if it has one. `if_due`: only if the last time is long ago."""
        if self._mirror is not None and (self._mirror.due() or not if_due):
            self._mirror.save(self.path)

    def finished(self, generation: int) -> bool:
        """Whether the generation is measured and has, unless it is the last, trained the next one."""
        trained = generation == self.config.generations or self.policy(generation + 1).exists()
        return trained and self.files.exists(f"generation-{generation}/metrics.json")

    def metrics(self) -> list[Metrics]:
        """The metrics of every generation that has been measured, in order."""
        found: list[Metrics] = []
        while (values := self.files.find(name := f"generation-{len(found)}/metrics.json")) is not None:
            found.append(parsed(Metrics, as_record(values), self.path / name))
        return found

    def pool(self, generation: int) -> TrainingPool | None:
        """The pool curated after `generation`; None where it has not been."""
        values = self.files.find(name := f"generation-{generation}/curated.json")
        return None if values is None else parsed(TrainingPool, values, self.path / name)

    def training(self, generation: int) -> TrainingReport | None:
        """What training `generation` reported; None for the base model or where it is still to come."""
        if not self.policy(generation).exists():
            return None
        path = self.whole_policy(generation, only=["training.json"]) / "training.json"
        return parsed(TrainingReport, read_json(path), path)

    def check_outputs(self) -> None:
        """RunDirError if an output is missing that others were made from. In a deployment that may be: old weights are
        taken away there."""
        if self.config.deployment is not None:
            return
        generations = range(self.config.generations + 1)
        outputs = [f"generation-{g}/{name}" for g in generations for name in ("metrics.json", "curated.json", "policy")]
        later = ""
        for name in reversed(outputs):  # so that what appears meanwhile is not taken for missing
            if self.files.exists(name):
                later = name
            elif later:
                raise damaged(self.path / name, f"it is missing, but {later} was made after it")

    def check_store(self, whole: bool = True) -> None:
        """StoreError if the store is damaged, RunDirError if it lacks answers that were measured."""
        if whole:
            self.store.check()
        stored, forgotten = self.store.verdict_counts(), Traffic(self.store).forgotten_counts()
        for metrics in self.metrics():
            generation = metrics.generation
            there, gone = stored.get(generation, {}), forgotten.get(generation, {})
            if lost := [
                status
                for status, count in metrics.verdicts.items()
                if there.get(status, 0) + gone.get(status, 0) < count
            ]:
                raise damaged(
                    self.store.path,
                    f"it has fewer {', '.join(lost)} answers of generation {generation} than were measured",
                )

    def stop(self, state: str, reason: str, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Records that the run stopped by itself, and why; `counts`: domain -> verdict -> answers."""
        self.files.write(STOPPED, {"state": state, "reason": reason, "counts": counts})

    def state(self) -> State:
        """How the run stands."""
        holder = lock.holder(self.path) if self._locked is None else None  # a run that asks about itself is not running
        if holder is not None:
            return State("running", process=holder)
        if (stopped := self.files.find(STOPPED)) is not None:
            return State(stopped["state"], stopped.get("reason", ""), counts=stopped.get("counts", {}))
        done = len(self.metrics()) == self.config.generations + 1
        return State("complete" if done else "interrupted")


def _calls(files: Sealed) -> list[Call]:
    found = files.find(CALLS)
    return [read(values) for values in found["calls"]] if found else []


def _check_configuration(path: Path, config: RunConfig) -> None:
    """Saves the configuration of a new run; RunDirError if the run has another one, or has lost its own."""
    saved = path / "config.toml"
    if not saved.exists():
        if left := [name for name in (CALLS, "traces.sqlite", "generation-0") if (path / name).exists()]:
            raise RunDirError(
                f"{saved}: this file is missing, but the folder has {', '.join(left)}: with another configuration than "
                "theirs a run would go wrong; put the file back, or choose another --name"
            )
        text = seal_text(tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)))
        write_mark(path, config, text)
        write_text(saved, text)
        return
    check_text(saved)
    if differences := load_config(saved).differences(config):
        raise RunDirError(
            f"{path}: this run was started with another configuration ({'; '.join(differences)}); "
            "use another --name, or resume it as it was with `iterdeploy resume`; more generations are what "
            "`iterdeploy extend` adds"
        )
    write_mark(path, config, saved.read_text(encoding="utf-8"))


def _check_tokenizer(path: Path, config: RunConfig, calls: Sequence[Call], tokenizer: str | None) -> None:
    """RunDirError if an earlier call of the run had another tokenizer."""
    known = [call.facts.tokenizer for call in calls if call.facts.tokenizer]
    if tokenizer and known and known[0] != tokenizer:
        raise RunDirError(
            f"{path}: model.name = {config.model.name!r} has another tokenizer than when this run was started (SHA-256 "
            f"of tokenizer.json: {tokenizer[:16]}, not {known[0][:16]}), so the token ids that are stored would mean "
            "other text; put the old tokenizer.json back, or start a new run under another --name"
        )


def _check_code(path: Path, calls: Sequence[Call], code: Mapping[str, str]) -> None:
    """RunDirError if one of the user's Python files is not what it was when the run last went on."""
    known: Mapping[str, str] = next((call.facts.code for call in reversed(calls) if call.facts.code), {})
    changed = [file for file, digest in known.items() if code.get(file, digest) != digest]
    if changed:
        raise RunDirError(
            f"{path}: {' and '.join(changed)} changed since this run last went on, so its generations would not be "
            "comparable. Put back what was there, start a new run under another --name, or add --accept-code-change to "
            "go on with what is there now, which provenance.json records"
        )


__all__ = ["RunDir", "RunDirError", "Stage"]
