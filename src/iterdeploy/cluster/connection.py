"""The Ray cluster that a run works on: reached, measured against what is asked of it, and left again."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec

from iterdeploy.cluster.crew import Crew
from iterdeploy.cluster.parcels import forget
from iterdeploy.cluster.placement import Shape, check_placement
from iterdeploy.config_sampling import ClusterConfig
from iterdeploy.sections import ConfigError

ANSWER = 10.0
"""Seconds within which the machine of an address must answer."""
ENVIRONMENT = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""Ray prints the logs of lost nodes to standard output, which is the run's, says on the network that it is used, and
gives way to every other process of a machine."""

_crew: Crew | None = None
"""As Ray does, a process knows one cluster at a time."""


def ready(config: ClusterConfig) -> AbstractContextManager[object]:
    """Around a run: its cluster, if it works on one, stays connected, and its processes there are used again."""
    return connected(config) if config.engine == "ray" else nullcontext()


def check(config: ClusterConfig) -> None:
    """ConfigError where a run could not start. Nothing is started for that."""
    if config.engine == "ray":
        _check_package(config)
        if config.address != "local":
            with connected(config):
                pass


@contextmanager
def connected(config: ClusterConfig) -> Iterator[Crew]:
    """The processes of the cluster. Inside another such call, those of that one.

    ConfigError if Ray is not there, if the cluster does not answer or if it has no room for what is asked."""
    global _crew
    if _crew is not None:
        yield _crew
        return
    _check_package(config)
    import ray

    _connect(config)
    try:
        check_placement(config, nodes())
        _crew = Crew(config.restarts, nodes)
        try:
            yield _crew
        finally:
            _crew.end()
            _crew = None
            forget()
    finally:
        ray.shutdown()


def nodes() -> list[Shape]:
    """What the nodes have that are there now, in use or not."""
    import ray

    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Shape(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in resources]


def _check_package(config: ClusterConfig) -> None:
    if find_spec("ray") is None:
        raise ConfigError('cluster.engine = "ray" needs ray: pip install "iterdeploy[ray]"')
    if config.address.startswith("ray://") and find_spec("grpc") is None:
        raise ConfigError(f'cluster.address = "{config.address}" needs grpcio: pip install "ray[client]"')


def _connect(config: ClusterConfig) -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    _check_answer(config.address)
    own = {"include_dashboard": False} if config.address == "local" else {}
    with _signals_as_they_are():
        try:
            ray.init(config.address, log_to_driver=False, logging_level="CRITICAL", **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f'cluster.address = "{config.address}": {_first_sentence(error)}. Start a cluster with '
                '`ray start --head` and call this on one of its nodes, or set cluster.address = "local"'
            ) from None


def _check_answer(address: str) -> None:
    """ConfigError if nobody listens there: Ray itself would try for a minute and then end this process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f'cluster.address = "{address}": nobody answers at {host}:{port} ({error})') from None


@contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """Ray takes over SIGTERM, by which a scheduler asks a run to end in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")
