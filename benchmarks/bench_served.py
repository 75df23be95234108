"""Answers per second of the path through a server, and of the plain `openai` client with the same server.

    ITERDEPLOY_VLLM_PYTHON=... python benchmarks/bench_served.py [--rounds 5] [--prompts 400] [--concurrency 64]

One server with the embedded model, in bfloat16, and the tasks of `planted-slips`. `--set KEY=VALUE` changes that: keys
`model.name` and `server.arguments`, or `sampling.sampler=openai` and `server.address` for a server that runs. Three
sides take turns, with the same prompts in the same order and as many requests at once:

    our path        the sampler as a run uses it: tokenizes, cuts batches, checks and reads every answer
    openai, same    the client in a loop: the very same requests, seeds included; it counts the tokens of the replies
    openai, bare    the same without what our path asks for besides the text: token ids and log-probabilities

Medians over the rounds, of answers and of tokens per second, and the ratio of our path's answers to each. Nothing else
should run on the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterdeploy.config_file import find_config, load_config
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers import SAMPLERS, PromptBatch, check_sampler
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.samplers.vllm import interpreter
from iterdeploy.tasks import task_set
from iterdeploy.types import content_hash

CPU_BUILD = [
    'server.arguments=["--max-model-len", "1024", "--enforce-eager", "--no-enable-chunked-prefill", '
    '"--max-num-batched-tokens", "4096"]'
]
"""What vLLM's CPU build needs."""
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
"""A server on a CPU computes on one core, so that the clients have another."""
BESIDE_TEXT = ("logprobs", "return_token_ids")


@dataclass(frozen=True)
class Told:
    """What a side did in one round."""

    seconds: float
    answers: int
    tokens: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    for name, value in CPU_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    overrides = ["generations=0", "sampling.sampler=vllm", "model.dtype=bfloat16"]
    overrides += [f"server.concurrency={arguments.concurrency}"]
    overrides += [f"tasks.held_out={arguments.prompts}", "tasks.deployed=1", *CPU_BUILD, *arguments.set]
    config = load_config(find_config("planted-slips"), overrides)
    check_sampler(config)
    prompts = sorted((task.prompt for task in task_set(config).held_out), key=len)
    size = config.sampling.batch_size
    batches = [prompts[i : i + size] for i in range(0, len(prompts), size)]
    with SAMPLERS[config.sampling.sampler](base_policy(model_folder(config.model)), config) as sampler:
        inside = sampler if isinstance(sampler, OpenAiSampler) else sampler._inside  # type: ignore[attr-defined]

        def asked(seed: int) -> list[PromptBatch]:
            return [PromptBatch(batch, 1000 * seed + i) for i, batch in enumerate(batches)]

        def ours(seed: int) -> Told:
            began = time.perf_counter()
            said = [one for answered in sampler.answers(asked(seed)) for one in answered.whole()]
            return Told(time.perf_counter() - began, len(said), sum(len(one.token_ids) for one in said))

        with raw_client(interpreter(config), inside, arguments.concurrency) as send:
            sides: dict[str, Callable[[int], Told]] = {
                "our path": ours,
                "openai, same": lambda seed: send(bodies(inside, asked(seed))),
                "openai, bare": lambda seed: send(bodies(inside, asked(seed), without=BESIDE_TEXT)),
            }
            show(take_turns(sides, arguments.rounds))


def take_turns(sides: dict[str, Callable[[int], Told]], rounds: int) -> dict[str, list[Told]]:
    """All sides once to warm up, then round for round, each time beginning with another one."""
    told: dict[str, list[Told]] = {name: [] for name in sides}
    order = list(sides)
    for round_ in range(rounds + 1):
        for name in order:
            one = sides[name](round_)
            if round_:
                told[name].append(one)
            print(f"round {round_}  {name:<14}{one.answers:>6} answers{one.tokens:>9} tokens{one.seconds:>9.2f} s")
        order = [*order[1:], order[0]]
    return told


def show(told: dict[str, list[Told]]) -> None:
    answers, tokens = (
        {name: statistics.median(getattr(one, unit) / one.seconds for one in rounds) for name, rounds in told.items()}
        for unit in ("answers", "tokens")
    )
    ours = answers["our path"]
    print(f"\n{'':<14}{'answers per second':>20}{'tokens per second':>20}{'our path by it':>16}")
    for name in told:
        print(f"{name:<14}{answers[name]:>20,.2f}{tokens[name]:>20,.0f}{ours / answers[name]:>16.3f}")


def bodies(sampler: OpenAiSampler, asked: Sequence[PromptBatch], without: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The requests that our path makes."""
    made = [
        sampler._wire.body(prompt, content_hash(batch.seed, i))
        for batch in asked
        for i, prompt in enumerate(batch.prompts)
    ]
    return [{name: value for name, value in body.items() if name not in without} for body in made]


@contextmanager
def raw_client(
    python: str, sampler: OpenAiSampler, concurrency: int
) -> Iterator[Callable[[list[dict[str, Any]]], Told]]:
    """A process of its own with the plain client, which sends what it is given."""
    endpoint, script = sampler._endpoint, Path(__file__).with_name("raw_client.py")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [python, str(script), endpoint.address, str(concurrency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**environment, "ITERDEPLOY_API_KEY": endpoint.key},
        text=True,
    )
    to, back = process.stdin, process.stdout
    assert to is not None and back is not None

    def send(some: list[dict[str, Any]]) -> Told:
        print(json.dumps(some), file=to, flush=True)
        return Told(**json.loads(back.readline()))

    with process:
        if not back.readline():
            raise SystemExit(f"{python} needs the package openai, which vLLM brings along")
        yield send


if __name__ == "__main__":
    main()
