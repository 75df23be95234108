"""Tokens per second of the path through a server beside a bare loop of concurrent requests to the same server.

    ITERDEPLOY_VLLM_PYTHON=... python benchmarks/bench_served.py [--rounds 3] [--prompts 400] [--concurrency 64]

One vLLM server with the embedded model, the demo's mix of tasks. The bare loop sends the same requests with threads of
its own and looks at nothing but the number of tokens; our path cuts batches, checks and reads every answer. Both take
turns; the table shows medians. Nothing else should run on the machine.
"""

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import local
from urllib.parse import urlsplit

from iterdeploy.config import find_config, load_config
from iterdeploy.models.chat import prompt_ids
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers import Asked
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.samplers.vllm import VllmSampler
from iterdeploy.tasksets import task_set
from iterdeploy.types import content_hash


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    overrides = ["sampling.sampler=vllm", f"server.concurrency={arguments.concurrency}", "model.dtype=bfloat16",
                 'server.arguments=["--max-model-len", "1024", "--enforce-eager", "--no-enable-chunked-prefill", '
                 '"--max-num-batched-tokens", "4096"]',
                 f"tasks.held_out={arguments.prompts}", "tasks.deployed=1"]  # fmt: skip
    config = load_config(find_config("quickstart"), overrides)
    prompts = sorted((task.prompt for task in task_set(config).held_out), key=len)
    batches = [prompts[i : i + config.sampling.batch_size] for i in range(0, len(prompts), config.sampling.batch_size)]
    with VllmSampler(base_policy(model_folder(config.model)), config) as sampler:
        inside = sampler._inside

        def ours(seed: int) -> int:
            asked = [Asked(batch, seed + i) for i, batch in enumerate(batches)]
            return sum(len(said.token_ids) for one in sampler.answers(asked) for said in one.completions)

        def bare(seed: int) -> int:
            return _bare(inside, prompts, seed, arguments.concurrency)

        sides: dict[str, Callable[[int], int]] = {"our path": ours, "bare loop": bare}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        bare(0)  # what is slow once is over
        for round_ in range(1, arguments.rounds + 1):
            for name, side in sides.items():
                began = time.perf_counter()
                tokens = side(1000 * round_)
                rates[name].append(tokens / (time.perf_counter() - began))
    base = statistics.median(rates["bare loop"])
    print(f"{'':<12}{'tokens per second':>20}{'ratio':>8}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<12}{median:>20,.0f}{median / base:>8.2f}")


def _bare(sampler: OpenAiSampler, prompts: list[str], seed: int, concurrency: int) -> int:
    """Tokens of the same requests, sent by as many threads with a connection each."""
    endpoint = sampler._endpoint
    parts = urlsplit(endpoint.address)
    mine = local()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {endpoint.key}"}

    def ask(body: bytes) -> int:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
        mine.connection.request("POST", f"{parts.path}/completions", body, headers)
        return int(json.loads(mine.connection.getresponse().read())["usage"]["completion_tokens"])

    with ThreadPoolExecutor(concurrency) as pool:
        bodies = (
            json.dumps(
                sampler._body(
                    prompt, prompt_ids(sampler._tokenizer, prompt, sampler._config.model), content_hash(seed, i)
                )
            ).encode()
            for i, prompt in enumerate(prompts)
        )
        return sum(pool.map(ask, bodies))


if __name__ == "__main__":
    main()
