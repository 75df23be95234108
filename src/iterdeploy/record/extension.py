"""A run that goes on to more generations than it was started with.

Its config.toml is replaced in one step by one that says so and names the one that the run was started with: the seals
of all that was written before are bound to that one, and hold.
"""

import os
from pathlib import Path

import tomli_w

from iterdeploy.config import RunConfig
from iterdeploy.config_file import load_config
from iterdeploy.record import lock
from iterdeploy.record.files import refuse_links, write_text
from iterdeploy.record.seals import STARTED_AS, check_text, origin, seal_text
from iterdeploy.record.trust import write_mark
from iterdeploy.sections import ConfigError


def extend(path: Path, generations: int) -> RunConfig:
    """The configuration with which the run in `path` goes on. ConfigError if it does not have fewer generations;
    RunDirError if another process works on it."""
    refuse_links(path)
    locked = lock.take(path)
    try:
        saved = path / "config.toml"
        check_text(saved)
        before = load_config(saved)
        if generations <= before.generations:
            raise ConfigError(
                f"--generations: {generations}: {path} has {before.generations} already; give a larger number"
            )
        config = load_config(before, {"generations": generations})
        values = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
        text = seal_text(f"# {STARTED_AS}: {origin(saved)}\n{values}")
        write_mark(path, config, text)
        write_text(saved, text)
        return config
    finally:
        os.close(locked)
