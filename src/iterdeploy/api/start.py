"""Runs that begin, go on, or are extended: in this process, until they are complete or stop by themselves."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from iterdeploy.api.find import checked_name, find_run
from iterdeploy.api.look import Run
from iterdeploy.cluster.connection import ready
from iterdeploy.config import RunConfig
from iterdeploy.config_file import find_config, load_config
from iterdeploy.loop import run_loop
from iterdeploy.record.extension import extend as extended
from iterdeploy.record.mirror import Mirror
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.redaction import command_without_keys
from iterdeploy.sections import ConfigError
from iterdeploy.steps.components import assemble
from iterdeploy.steps.run import Display, Progress
from iterdeploy.steps.run import Run as Work
from iterdeploy.steps.stops import Stopped

log = logging.getLogger(__name__)


def run(
    config: str | Path | RunConfig,
    overrides: Mapping[str, object] | None = None,
    *,
    name: str | None = None,
    runs_dir: str | Path = "runs",
    accept_code_change: bool = False,
    progress: bool = False,
) -> Run:
    """Starts a run, or continues it if it is there with the same configuration.

    `config`: a TOML file, the name of a packaged configuration, or a configuration itself. `overrides`: dotted key ->
    value, such as {"training.epochs": 3}. `name`: of its folder in `runs_dir`; by default the configuration's, which a
    `RunConfig` has not. `accept_code_change`: continue it although your Python files that it uses have changed, which
    otherwise is a RunDirError. `progress`: bars and a table on standard error.

    Returns when the run is complete or has stopped by itself: see `Run.state`. ConfigError for a configuration that
    cannot work, RunDirError for a folder that cannot be used.
    """
    source = config if isinstance(config, RunConfig) else find_config(str(config))
    named = name or (source.stem if isinstance(source, Path) else "")
    path = Path(runs_dir) / checked_name(named)
    return go_on(load_config(source, overrides or {}), path, _display(progress), accept_code_change)


def resume(
    run: str | Path | Run,
    *,
    runs_dir: str | Path = "runs",
    trust: bool = False,
    accept_code_change: bool = False,
    progress: bool = False,
    copy: str = "",
) -> Run:
    """Continues a run, with the configuration that it was started with.

    `trust`: let its configuration start programs, though somebody else wrote it; without it that is a RunDirError.
    `accept_code_change`: as for `run`. `copy`: the `mirror.url` that the run had on another machine; its folder is made
    from there first.
    """
    path = restored(copy, str(run), Path(runs_dir)) if copy else _path(run, runs_dir)
    return go_on(trusted_config(path, trust), path, _display(progress), accept_code_change)


def restored(url: str, name: str, runs_dir: Path) -> Path:
    """The folder of the run of that name, made from the copy below the URL. RunDirError if it is here already."""
    path = runs_dir / checked_name(name)
    Mirror(url, name).restore(path)
    return path


def extend(
    run: str | Path | Run,
    generations: int,
    *,
    runs_dir: str | Path = "runs",
    trust: bool = False,
    accept_code_change: bool = False,
    progress: bool = False,
) -> Run:
    """Continues a run to more generations than it was started with. ConfigError if they are not more."""
    path = _path(run, runs_dir)
    trusted_config(path, trust)
    return go_on(extended(path, generations), path, _display(progress), accept_code_change)


def go_on(config: RunConfig, path: Path, display: Display, accept_code_change: bool = False) -> Run:
    """Makes or continues the run in `path`. `accept_code_change`: even if the user's Python files are not what they
    were when it last went on; without it that is a RunDirError."""
    if config.deployment is not None:
        raise ConfigError(
            f"{path.name}: a configuration with a section [deployment] is served (`iterdeploy serve`), and goes on "
            "with `iterdeploy advance`"
        )
    components = assemble(config)
    facts = components.facts()
    if (code := facts.remote_code) is not None:
        log.warning("Python code of %s may run: %s", config.model.name, ", ".join(code) or "there is none")
    with ready(config.cluster):
        run_dir = RunDir.open(
            path, config, command_without_keys(sys.argv), facts, accept_code_change=accept_code_change
        )
        try:
            run_loop(Work(run_dir, components, display))
        except Stopped as stop:
            run_dir.stop(stop.state, str(stop), stop.counts)
            run_dir.store.add_seconds(components.clock.take())
        finally:
            run_dir.copy()  # also of a run that is terminated: the machine may go away
            run_dir.close()
    return Run(path)


class Silent:
    """Nobody watches."""

    @contextmanager
    def bar(self, title: str, unit: str) -> Iterator[Progress]:
        yield lambda done, total: None

    def generation(self, folder: RunDir) -> None:
        pass


def _display(progress: bool) -> Display:
    if not progress:
        return Silent()
    from iterdeploy.console.progress import Display as Terminal

    return Terminal()


def _path(run: str | Path | Run, runs_dir: str | Path) -> Path:
    return run.path if isinstance(run, Run) else find_run(run, Path(runs_dir))
