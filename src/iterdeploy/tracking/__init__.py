"""What a run measures, line by line: always in RUN/metrics.jsonl, and in the trackers that the configuration names.

Everything is derived from outputs that are finished, so a resumed run adds what is new and repeats nothing. A tracker
that fails does not stop the run; what it has missed is sent when the run is next resumed.
"""

import json
import logging
from importlib.util import find_spec
from itertools import takewhile
from uuid import uuid4

from iterdeploy.config import RunConfig, TrackingConfig
from iterdeploy.record.files import write_text
from iterdeploy.record.run_dir import RunDir
from iterdeploy.redaction import without_keys
from iterdeploy.sections import ConfigError
from iterdeploy.tracking.rows import Row, rows
from iterdeploy.tracking.trackers import PACKAGES, TRACKERS, Shown

log = logging.getLogger(__name__)

LINES = "metrics.jsonl"
SENT = "tracking.json"
"""Tracker -> its id for this run, and how many lines it has."""


def check_tracking(config: TrackingConfig) -> None:
    """ConfigError if a tracker is named whose package is not installed."""
    for name in config.to:
        if find_spec(PACKAGES[name]) is None:
            raise ConfigError(
                f'tracking.to: "{name}" needs the package {PACKAGES[name]}, which is not installed; '
                f"`pip install {PACKAGES[name]}` gets it"
            )


class Tracking:
    """Brings lines and trackers up to date with a run."""

    def __init__(self, config: RunConfig) -> None:
        check_tracking(config.tracking)
        self._config = config
        self._failed: set[str] = set()

    def update(self, run_dir: RunDir) -> None:
        """Adds what has been measured since the last time."""
        lines = write_lines(run_dir)
        for name in self._config.tracking.to:
            if name not in self._failed:
                self._send(name, lines, run_dir)

    def _send(self, name: str, lines: list[Row], run_dir: RunDir) -> None:
        state = run_dir.files.find(SENT) or {}
        mine = state.setdefault(name, {"id": uuid4().hex[:16], "lines": 0})
        if mine["lines"] == len(lines):
            return
        shown = Shown(run_dir.path, mine["id"], self._config.tracking.project, self._config.model_dump(mode="json"))
        try:
            TRACKERS[name](shown, lines[mine["lines"] :])
        except Exception as error:  # whatever it is, the run matters more
            self._failed.add(name)
            log.warning(
                "tracking to %s failed and is off until the run is resumed; %s has everything (%s)",
                name,
                LINES,
                without_keys(repr(error)),
            )
            return
        mine["lines"] = len(lines)
        run_dir.files.write(SENT, state)


def write_lines(run_dir: RunDir) -> list[Row]:
    """Brings the run's own lines up to date: those that are there stay as they are, up to one that says something else
    than the run's outputs."""
    path, measured = run_dir.path / LINES, rows(run_dir)
    there = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    agreed = [row for row, _ in takewhile(lambda pair: _agree(*pair), zip(map(_read, there), measured, strict=False))]
    found = [*agreed, *measured[len(agreed) :]]
    if len(agreed) < len(measured):
        run_dir.files.check_place()
        write_text(path, "".join(f"{json.dumps(row)}\n" for row in found))
    return found


def _read(line: str) -> Row:
    """Nothing of a line that is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    return row if isinstance(row, dict) else {}


def _agree(row: Row, measured: Row) -> bool:
    """Seconds may differ: more were spent since."""
    return all(row.get(name) == value for name, value in measured.items() if not name.startswith("seconds"))


__all__ = ["LINES", "Row", "Tracking", "check_tracking", "rows", "write_lines"]
