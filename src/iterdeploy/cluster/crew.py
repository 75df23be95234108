"""Processes on the nodes that do one job after another, each with something that it holds, such as a loaded model.

A process or a node that dies costs the job that it had under way: the job goes to another process, and a new one takes
the place of the dead. What a job raises is raised here. Ray's own retries are off: who asks knows what may be repeated.
"""

import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from iterdeploy.cluster.placement import Shape, described
from iterdeploy.sections import ConfigError, UserError

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at the processes."""
PATIENCE = 60.0
"""Seconds after which it is said that no process could be started yet."""
DROP = 10.0
"""Seconds for giving memory back."""
PACKAGES = ("iterdeploy", "torch", "transformers")
"""Of which a node must have the versions that this machine has."""

Job = tuple[str, *tuple[Any, ...]]
"""Name of a method of what a process holds, and its arguments."""
Making = tuple[Callable[..., object], *tuple[Any, ...]]
"""What makes the thing that a process holds, and its arguments."""


class ClusterError(UserError):
    """The cluster could not do what it was asked for."""


class Holder:
    """On a node: a process with the thing that it holds."""

    def __init__(self) -> None:
        self._held: object = None

    def hold(self, versions: dict[str, str], make: Callable[..., object], *arguments: Any) -> None:
        self.drop()
        found = {name: version(name) for name in versions}
        if found != versions:
            import socket

            raise ConfigError(f"cluster: the node {socket.gethostname()} has {found}, but this machine {versions}")
        self._held = make(*arguments)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._held, method)(*arguments)

    def drop(self) -> None:
        self._held = None
        gc.collect()


class Process:
    """This side of one of them."""

    def __init__(self, shape: Shape) -> None:
        import ray

        self.shape = shape
        placed = {"num_cpus": shape.cpus, "num_gpus": shape.gpus, "scheduling_strategy": "SPREAD"}
        # Two threads, so that it can be asked how far it is.
        self._actor = ray.remote(Holder).options(max_concurrency=2, **placed).remote()

    def ask(self, method: str, *arguments: Any) -> "Future[Any]":
        """A future, and no blocking call of Ray's: that would turn a signal into another one."""
        future: Future[Any] = getattr(self._actor, method).remote(*arguments).future()
        return future

    def end(self) -> None:
        import ray

        with suppress(Exception):  # of one that is dead already
            ray.kill(self._actor)


class Crew:
    """All processes of this run. Those of one shape stay until others are needed: starting one takes seconds."""

    def __init__(self, restarts: int, nodes: Callable[[], Sequence[Shape]]) -> None:
        """`restarts`: in one call of `done`. `nodes`: what there is now."""
        self._restarts = restarts
        self._nodes = nodes
        self._idle: list[Process] = []
        self._ended = False

    def done(
        self,
        jobs: Sequence[Job],
        making: Callable[[], Making],
        shape: Shape,
        most: int = 0,
        watch: Callable[[Process], None] = lambda process: None,
    ) -> Iterator[tuple[int, Any]]:
        """(index, result) of every job once, as they are done, by at most `most` processes; 0: as many as have room.

        `making` is called for every process that is started. `watch` sees those that have a job, about every second.
        """
        from ray.exceptions import RayError, RayTaskError

        owed, free, lost, since = deque(range(len(jobs))), list[Process](), 0, time.monotonic()
        under_way: dict[Future[Any], tuple[Process, int | None]] = {}  # None: it gets ready
        versions = {name: version(name) for name in PACKAGES}

        def start(process: Process) -> None:
            under_way[process.ask("hold", versions, *making())] = process, None

        try:
            for process in self._taken(shape, min(len(jobs), most or shape.room(self._nodes()))):
                start(process)
            while owed or any(index is not None for _, index in under_way.values()):
                finished = []
                for future in wait(under_way, LOOK, FIRST_COMPLETED).done:
                    process, index = under_way.pop(future)
                    try:
                        result = future.result()
                    except RayTaskError as error:
                        raise (error.cause if isinstance(error.cause, Exception) else error) from None
                    except RayError as error:
                        process.end()
                        owed.extendleft([] if index is None else [index])
                        lost += 1
                        self._check(lost, shape, error)
                        start(self._idle.pop() if self._idle else Process(shape))  # an idle one may be in its way
                        continue
                    free.append(process)
                    if index is not None:
                        finished.append((index, result))
                while owed and free:
                    process, index = free.pop(0), owed.popleft()
                    under_way[process.ask("call", *jobs[index])] = process, index
                yield from finished
                working = [process for process, index in under_way.values() if index is not None]
                for process in working:
                    watch(process)
                if working or free:
                    since = time.monotonic()
                elif time.monotonic() - since > PATIENCE:
                    since = time.monotonic()
                    log.warning("still waiting for a node with %s that is free", shape)
                    self._check_room(shape)
        finally:
            self._settle(free, [process for process, _ in under_way.values()])

    def end(self) -> None:
        self._ended = True
        for process in self._idle:
            process.end()

    def _settle(self, free: Sequence[Process], busy: Sequence[Process]) -> None:
        """Nobody waits any more for those that are busy; the others stay."""
        if self._ended:  # and all processes with it
            return
        for process in busy:
            process.end()
        dropped = {process.ask("drop"): process for process in free}
        wait(dropped, DROP)
        for future, process in dropped.items():
            if future.done() and future.exception() is None:
                self._idle.append(process)
            else:
                process.end()

    def _taken(self, shape: Shape, count: int) -> list[Process]:
        """So many processes; those of another shape end, as they may be in the way."""
        for process in self._idle:
            if process.shape != shape:
                process.end()
        there = [process for process in self._idle if process.shape == shape]
        self._idle = there[count:]
        return there[:count] + [Process(shape) for _ in range(count - len(there))]

    def _check(self, lost: int, shape: Shape, error: Exception) -> None:
        reason = str(error).partition("\n")[0].rstrip(".")
        if lost > self._restarts:
            raise ClusterError(
                f"the cluster lost {lost} processes, more than cluster.restarts = {self._restarts} allows. The last: "
                f"{reason}. What was answered is stored: see to the nodes and call `iterdeploy resume`"
            )
        log.warning("a process on the cluster was lost, and what it did is done again: %s", reason)
        self._check_room(shape)

    def _check_room(self, shape: Shape) -> None:
        nodes = self._nodes()
        if not shape.room(nodes):
            raise ClusterError(
                f"no node with {shape} is left: the cluster has {described(nodes)}. What was answered is stored: add "
                "nodes and call `iterdeploy resume`"
            )
