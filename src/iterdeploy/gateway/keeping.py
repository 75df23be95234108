"""Deletes, once a day, the traces that were to be kept no longer."""

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime, time
from pathlib import Path

from iterdeploy.gateway.turning import following, until
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic, today
from iterdeploy.sections import UserError

LOG = logging.getLogger(__name__)
MIDNIGHT = time(0, 1)
"""A minute past it, in UTC: a day's end is when the next has begun."""


def expire(path: Path) -> int:
    """Deletes them from the deployment's store; how many. In a connection of its own, as it may take a while."""
    store = TraceStore(path / "traces.sqlite")
    try:
        return Traffic(store).expire(today(), "the gateway")
    finally:
        store.close()


async def daily(path: Path) -> None:
    """Does so every day until it is cancelled."""
    while True:
        await until(following(MIDNIGHT, datetime.now(UTC)))
        try:
            await asyncio.to_thread(expire, path)
        except (sqlite3.Error, OSError, UserError) as error:
            LOG.error("%s: what was to be kept until today is still there: %s", path.name, error)
