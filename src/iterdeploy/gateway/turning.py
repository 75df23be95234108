"""Makes the next generation when enough has been published, or when it is time: `iterdeploy advance`, in a process of
its own."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from iterdeploy.config_deployment import DeploymentConfig
from iterdeploy.record.traffic import Traffic
from iterdeploy.sections import UserError

LOG = logging.getLogger(__name__)
OUTPUT = "advance.log"
"""In the deployment's folder: what the last advance said."""
SLEEP = 30.0
"""Seconds after which the clock is read again, as a machine that was suspended sleeps longer than it thinks."""


class Turning:
    def __init__(self, path: Path, traffic: Traffic, terms: DeploymentConfig) -> None:
        self._path = path
        self._traffic = traffic
        self._at = terms.advance_at
        self._daily = time.fromisoformat(terms.advance_daily) if terms.advance_daily else None
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Starts an advance if enough is published, and none goes on."""
        if self._at:
            self._advance(self._at)

    async def daily(self) -> None:
        """Starts an advance at its time of every day, if anything is published. Ends when it is cancelled."""
        while self._daily is not None:
            await until(following(self._daily, datetime.now(UTC)))
            try:
                self._advance(1)
            except (sqlite3.Error, OSError, UserError) as error:
                LOG.error("%s: no advance today: %s", self._path.name, error)

    def _advance(self, enough: int) -> None:
        """Starts one unless it goes on, or fewer answers were published since the last."""
        if self._process is not None and self._process.poll() is None:
            return
        begun = [act.details["feedback"] for _, act in self._traffic.acts() if act.act == "advance"]
        published = self._traffic.published_since(int(str(begun[-1])) if begun else 0)
        if published < enough:
            return
        LOG.info("%s: %d answers are published: advancing", self._path.name, published)
        with (self._path / OUTPUT).open("wb") as output:
            command = [sys.executable, "-m", "iterdeploy", "advance", str(self._path)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def following(daily: time, now: datetime) -> datetime:
    """The next moment after `now` at which it is that time of day.

    >>> following(time(3, 30), datetime(2026, 2, 28, 3, 30, tzinfo=UTC)).isoformat()
    '2026-03-01T03:30:00+00:00'
    """
    moment = datetime.combine(now.date(), daily, now.tzinfo)
    return moment if moment > now else moment + timedelta(days=1)


async def until(moment: datetime) -> None:
    while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
        await asyncio.sleep(min(left, SLEEP))
