"""What the gateway adds to a model server: milliseconds over the bare server, with every answer on the disk.

    python benchmarks/bench_gateway.py [--seconds 20] [--tokens 32] [--postgres]

A mock of a model server streams the same answer at once. It is asked directly and through the gateway, by 1, 32 and 128
clients at once, and at 100 requests a second; the difference of the percentiles is what the gateway costs. Everything
shares the machine's cores: clients, gateway and server. Prints a table in Markdown. With `--postgres` the store is in a
PostgreSQL server that is started for it.
"""

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.postgres import Place, Server  # noqa: E402
from helpers.serving import NAME, Live, config_of  # noqa: E402

PROMPT = "initial b1 on table; goal b1 on table"
Ask = Callable[[httpx.AsyncClient], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds that the gateway adds.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--postgres", action="store_true", help="keep the store in PostgreSQL")
    arguments = parser.parse_args()
    database = Place(Server() if arguments.postgres else None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mock = [sys.executable, "-m", "helpers.mock_upstream", str(port), str(arguments.tokens), "0"]
    server = subprocess.Popen(mock, cwd=ROOT / "tests")
    try:
        address = f"http://127.0.0.1:{port}/v1"
        _wait(address)
        config = config_of(
            {
                "sampling.sampler": "openai",
                "sampling.max_new_tokens": max(60, arguments.tokens),
                "server.address": address,
                "server.concurrency": 256,
                "training.method": "lora",
                "deployment.requests_per_minute": 10_000_000,
                "deployment.waiting": 1000,
                **database.config(),
            }
        )
        with tempfile.TemporaryDirectory() as folder:
            live = Live(Path(folder), config)
            try:
                _table(address, f"http://127.0.0.1:{live.port}/v1", arguments.seconds)
            finally:
                live.end()
    finally:
        server.kill()
        server.wait()
        if database.server:
            database.server.close()


def _table(bare: str, gateway: str, seconds: float) -> None:
    body = {"model": "base", "prompt": [5, 6, 7], "return_token_ids": True, "stream": True}
    direct = _asking(f"{bare}/completions", body)
    through = _asking(f"{gateway}/completions", {"model": NAME, "prompt": [5, 6, 7], "stream": True})
    asyncio.run(_at_once(through, 1, 1.0))  # the first answers are slower
    print("| clients at once | bare, ms: p50 / p99 | gateway, ms: p50 / p99 | added, ms: p50 / p99 | requests/s |")
    print("|---|---|---|---|---|", flush=True)
    for title, measure in (
        *((f"{count}", lambda ask, count=count: _at_once(ask, count, seconds)) for count in (1, 32, 128)),
        ("100 requests/s", lambda ask: _at_rate(ask, 100, seconds)),
    ):
        first, _ = asyncio.run(measure(direct))
        second, rate = asyncio.run(measure(through))
        (a, b), (c, d) = _percentiles(first), _percentiles(second)
        added = f"{c - a:.2f} / {d - b:.2f}"
        print(f"| {title} | {a:.2f} / {b:.2f} | {c:.2f} / {d:.2f} | {added} | {rate:.0f} |", flush=True)


def _asking(url: str, body: dict[str, object]) -> Ask:
    async def ask(client: httpx.AsyncClient) -> None:
        response = await client.post(url, json=body)
        assert response.status_code == 200 and "[DONE]" in response.text, response.text

    return ask


async def _at_once(ask: Ask, clients: int, seconds: float) -> tuple[list[float], float]:
    """Seconds of each request, and requests per second, where each client asks again as soon as it is answered."""
    spent: list[float] = []
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as http:
        await asyncio.gather(*(ask(http) for _ in range(clients)))  # makes the connections
        begin = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() < begin + seconds:
                since = time.perf_counter()
                await ask(http)
                spent.append(time.perf_counter() - since)

        await asyncio.gather(*(client() for _ in range(clients)))
        return spent, len(spent) / (time.perf_counter() - begin)


async def _at_rate(ask: Ask, rate: float, seconds: float) -> tuple[list[float], float]:
    """The same where requests come at a fixed rate, whether the earlier ones are answered or not."""
    spent: list[float] = []
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as http:
        begin = time.perf_counter()

        async def one(at: float) -> None:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            await ask(http)
            spent.append(time.perf_counter() - at)

        await asyncio.gather(*(one(begin + number / rate) for number in range(round(rate * seconds))))
        return spent, len(spent) / (time.perf_counter() - begin)


def _percentiles(spent: list[float]) -> tuple[float, float]:
    """(p50, p99) in milliseconds."""
    cuts = statistics.quantiles(spent, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def _wait(address: str) -> None:
    for _ in range(200):
        try:
            httpx.get(f"{address}/models")
            return
        except httpx.HTTPError:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
