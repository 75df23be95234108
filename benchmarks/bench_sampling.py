"""Tokens per second of the in-process sampler compared with `generate` in a loop, on the tasks of `planted-slips`.

    python benchmarks/bench_sampling.py [--rounds 3] [--prompts 400] [--threads 1] [--set KEY=VALUE ...]

All sides sample the same prompts, in the same batches, from the same model in one process, taking turns: our sampler,
which also returns the log-probability of every token, and `generate` with its own cache and with a static one. Medians
over the rounds, per second and per CPU second, and the ratio of the sampler to each. Nothing else should run on the
machine; a CPU second is less disturbed where something does.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from iterdeploy.config_file import find_config, load_config
from iterdeploy.models.chat import prompt_ids
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.tasks import task_set

BATCH = 200
CACHES: dict[str, dict[str, Any]] = {
    "generate": {},
    "generate, static cache": {"cache_implementation": "static", "disable_compile": True},
}


@dataclass(frozen=True)
class Rate:
    """Tokens per second of the clock, and of the CPU."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    config = load_config(
        find_config("planted-slips"),
        [
            f"model.threads={arguments.threads}",
            f"tasks.held_out={arguments.prompts}",
            "tasks.deployed=1",
            *arguments.set,
        ],
    )
    prompts = sorted((task.prompt for task in task_set(config).held_out), key=len)
    batches = [prompts[i : i + BATCH] for i in range(0, len(prompts), BATCH)]
    with TransformersSampler(base_policy(model_folder(config.model)), config) as sampler:

        def ours(batch: Sequence[str], seed: int) -> int:
            return sum(len(completion.token_ids) for completion in sampler.sample(batch, seed))

        def generate(batch: Sequence[str], seed: int, cache: dict[str, Any]) -> int:
            import torch

            here = sampler._here
            torch.manual_seed(seed)
            here.tokenizer.padding_side = "left"
            ids = [prompt_ids(here.tokenizer, prompt, config.model) for prompt in batch]
            inputs = here.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(here.device)
            with torch.inference_mode():
                out = here.model.generate(
                    input_ids=inputs["input_ids"],
                    attention_mask=inputs["attention_mask"],
                    do_sample=True,
                    temperature=config.sampling.temperature,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=config.sampling.max_new_tokens,
                    pad_token_id=here.pad_id,
                    **cache,
                )
            return int((out[:, inputs["input_ids"].shape[1] :] != here.pad_id).sum())

        sides: dict[str, Callable[[Sequence[str], int], int]] = {"sampler": ours}
        for name, cache in CACHES.items():
            sides[name] = lambda batch, seed, cache=cache: generate(batch, seed, cache)  # type: ignore[misc]
        show(take_turns(sides, batches, arguments.rounds))


def take_turns(
    sides: dict[str, Callable[[Sequence[str], int], int]], batches: Sequence[Sequence[str]], rounds: int
) -> dict[str, list[Rate]]:
    """Each side on a few prompts to warm up, then all on all of them, each round beginning with another one."""
    for side in sides.values():
        side(batches[0][:8], 0)
    rates: dict[str, list[Rate]] = {name: [] for name in sides}
    order = list(sides)
    for round_ in range(1, rounds + 1):
        for name in order:
            wall, cpu = time.perf_counter(), time.process_time()
            tokens = sum(sides[name](batch, round_) for batch in batches)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rates[name].append(Rate(tokens / wall, tokens / cpu))
            print(f"round {round_}  {name:<24}{tokens:>9} tokens{wall:>9.2f} s{cpu:>9.2f} CPU s", flush=True)
        order = [*order[1:], order[0]]
    return rates


def show(rates: dict[str, list[Rate]]) -> None:
    wall, cpu = (
        {name: statistics.median(getattr(one, clock) for one in rounds) for name, rounds in rates.items()}
        for clock in ("wall", "cpu")
    )
    print(f"\n{'':<24}{'tokens/s':>10}{'sampler by it':>15}{'tokens/CPU s':>14}{'sampler by it':>15}")
    for name in rates:
        told = f"{wall[name]:>10,.0f}{wall['sampler'] / wall[name]:>15.2f}"
        print(f"{name:<24}{told}{cpu[name]:>14,.0f}{cpu['sampler'] / cpu[name]:>15.2f}")


if __name__ == "__main__":
    main()
