"""Makes the next generation when enough has been published: `iterdeploy advance`, in a process of its own."""

import logging
import subprocess
import sys
from pathlib import Path

from iterdeploy.record.traffic import Traffic

LOG = logging.getLogger(__name__)
OUTPUT = "advance.log"
"""In the deployment's folder: what the last advance said."""


class Turning:
    def __init__(self, path: Path, traffic: Traffic, at: int) -> None:
        """`at`: new published answers that are enough; 0: never."""
        self._path = path
        self._traffic = traffic
        self._at = at
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Starts an advance if it is time, and none goes on."""
        if not self._at or (self._process is not None and self._process.poll() is None):
            return
        begun = [act.details["feedback"] for _, act in self._traffic.acts() if act.act == "advance"]
        if self._traffic.published_since(int(str(begun[-1])) if begun else 0) < self._at:
            return
        LOG.info("%s: %d answers are published: advancing", self._path.name, self._at)
        with (self._path / OUTPUT).open("wb") as output:
            command = [sys.executable, "-m", "iterdeploy", "advance", str(self._path)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
