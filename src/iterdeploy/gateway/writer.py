"""The only thread of the gateway that writes. Everything that waits is one transaction, and one sync of the disk.

So a hundred answers that end together wait for one disk instead of a hundred, and each is on it before its last byte is
sent. A job that fails takes none of the others with it; where the disk fails, all of them have failed.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic

T = TypeVar("T")
Job = tuple[Callable[[Traffic], Any], "Future[Any]"]
MOST = 256
"""Jobs of one transaction."""


class Writer:
    """Starts with the first job and ends when it is closed, after the jobs that were given before."""

    def __init__(self, path: Path) -> None:
        """`path`: of the store, which must be there."""
        self._path = path
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    async def do(self, job: Callable[[Traffic], T]) -> T:
        """What the job returns, once what it wrote is on the disk."""
        return await asyncio.wrap_future(self.later(job))

    def later(self, job: Callable[[Traffic], T]) -> "Future[T]":
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        store = TraceStore(self._path)
        traffic = Traffic(store)
        going = True
        while going:
            taken = [self._jobs.get()]
            while len(taken) < MOST and taken[-1] is not None:
                try:
                    taken.append(self._jobs.get_nowait())
                except Empty:
                    break
            going = taken[-1] is not None
            if jobs := [job for job in taken if job is not None and job[1].set_running_or_notify_cancel()]:
                together(traffic, jobs)
        store.close()


def together(traffic: Traffic, jobs: list[Job]) -> None:
    """Does the jobs in one transaction and then tells each what came of it."""
    outcomes: list[tuple[Future[Any], Any, Exception | None]] = []
    try:
        with traffic.store.together():
            for job, future in jobs:
                try:
                    with traffic.store.together():
                        outcomes.append((future, job(traffic), None))
                except sqlite3.IntegrityError as error:
                    outcomes.append((future, None, error))
                except sqlite3.Error:
                    raise
                except Exception as error:
                    outcomes.append((future, None, error))
    except Exception as error:
        outcomes = [(future, None, error) for _, future in jobs]
    for future, value, failure in outcomes:
        if failure is None:
            future.set_result(value)
        else:
            future.set_exception(failure)
