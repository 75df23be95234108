"""Puts a deployment together and serves it."""

import asyncio
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.config import RunConfig
from iterdeploy.gateway import keeping
from iterdeploy.gateway.answering import Answering
from iterdeploy.gateway.deployed import Deployed, check
from iterdeploy.gateway.embedded import Embedded
from iterdeploy.gateway.engine import Engine
from iterdeploy.gateway.requests import LOOPBACK
from iterdeploy.gateway.turning import Turning
from iterdeploy.gateway.upstream import Upstream
from iterdeploy.gateway.writer import Writer
from iterdeploy.models.loading import model_folder
from iterdeploy.models.threads import settle
from iterdeploy.record import lock
from iterdeploy.record.run_dir import RunDir, RunDirError
from iterdeploy.sections import ConfigError, UserError
from iterdeploy.steps.components import Components, assemble
from iterdeploy.types import Policy
from iterdeploy.wording import say

if TYPE_CHECKING:
    import uvicorn

GATEWAY = "gateway.lock"
"""One gateway at a time serves a deployment whose store is a file."""
BACKLOG = 1024
"""Connections that may wait to be taken."""


def open_folder(path: Path, config: RunConfig, command: list[str]) -> Components:
    """The deployment's folder, made if it is not there, with the tables of a deployment."""
    check(config)
    components = assemble(config)
    if (path / "config.toml").is_file():
        run_dir = RunDir.read(path)
        differences = run_dir.config.differences(config)
        run_dir.close()
        if differences:
            raise RunDirError(
                f"{path}: this deployment was started with another configuration ({'; '.join(differences)}); serve it "
                "as it was, or choose another --name"
            )
    else:
        RunDir.open(path, config, command, components.facts()).close()
    return components


def serve(path: Path, config: RunConfig, host: str, port: int, command: list[str]) -> None:
    """Serves until it is interrupted. What is under way is answered first."""
    import uvicorn

    components = open_folder(path, config, command)
    with ExitStack() as stack:
        deployed = Deployed(path, components)
        if not deployed.terms.store:
            stack.callback(os.close, lock.take(path, GATEWAY))
        stack.callback(deployed.store.close)
        deployed.traffic.prepare()
        keeping.expire(path)
        if host not in LOOPBACK and not deployed.standing().keys:
            raise ConfigError(
                f"--host {host}: others can reach this address, so a deployment there needs keys: make one with "
                f"`iterdeploy keys {path.name} add NAME`"
            )
        listening = _listen(host, port)
        stack.callback(listening.close)
        port = int(listening.getsockname()[1])
        writer = Writer(path / "traces.sqlite")
        stack.callback(writer.close)
        judges = stack.enter_context(components.tasks.judges())
        engine = engine_of(config, components.base)
        answering = Answering(deployed, engine, writer, judges)
        names = frozenset(_with_port(name, port) for name in LOOPBACK) if host in LOOPBACK else None

        from iterdeploy.gateway.app import Gateway
        from iterdeploy.gateway.connections import bounded

        turning = Turning(path, deployed.traffic, deployed.terms)
        app = Gateway(deployed, answering, writer, turning, names).app()
        say(f"http://{_with_port(host, port)}/  (Ctrl-C ends)", flush=True)
        settings = uvicorn.Config(
            app,
            http=bounded(deployed.terms.request_seconds),
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
        )
        asyncio.run(_serve(path, uvicorn.Server(settings), engine, answering, turning, listening))


async def _serve(
    path: Path,
    server: "uvicorn.Server",
    engine: Engine,
    answering: Answering,
    turning: Turning,
    listening: socket.socket,
) -> None:
    await engine.start()
    daily = [asyncio.ensure_future(turning.daily()), asyncio.ensure_future(keeping.daily(path))]
    try:
        await server.serve(sockets=[listening])
        await answering.stop()
    finally:
        for task in daily:
            task.cancel()
        await engine.stop()


def engine_of(config: RunConfig, base: Policy) -> Engine:
    """The model that answers. ConfigError if the configured sampler cannot be served."""
    assert config.deployment is not None
    if config.sampling.sampler == "openai":
        return Upstream(config, base)
    if config.sampling.sampler == "transformers":
        settle(config.model, model_folder(config.model))
        return Embedded(config, config.deployment.models)
    raise ConfigError(
        f'sampling.sampler = "{config.sampling.sampler}" cannot answer live: "transformers" answers in this process, '
        'and "openai" through a server that runs, such as vLLM\'s'
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends each piece at once instead of waiting for the last one's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        place = _with_port(host, port)
        raise UserError(f"--host, --port: {place} cannot be served: {error.strerror}; choose another --port") from None
    return listening


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
