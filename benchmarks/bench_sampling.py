"""Tokens per CPU second of the in-process sampler beside `generate` with a static cache, on the demo's mix of tasks.

    python benchmarks/bench_sampling.py [--rounds 3] [--threads 1]

Both sides sample the same prompts from the same model in one process, taking turns; prints one table of medians.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence

from iterdeploy.config import find_config, load_config
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.tasksets import task_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    config = load_config(
        find_config("quickstart"),
        [f"model.threads={arguments.threads}", "tasks.held_out=400", "tasks.deployed=1"],
    )
    prompts = sorted((task.prompt for task in task_set(config).held_out), key=len)
    batches = [prompts[i : i + 200] for i in range(0, len(prompts), 200)]
    limit = config.sampling.max_new_tokens
    with TransformersSampler(base_policy(model_folder(config.model)), config) as sampler:

        def ours(batch: Sequence[str], seed: int) -> int:
            return sum(len(completion.token_ids) for completion in sampler.sample(batch, seed))

        def generate(batch: Sequence[str], seed: int) -> int:
            import torch

            here = sampler._loaded
            assert here is not None
            torch.manual_seed(seed)
            here.tokenizer.padding_side = "left"
            inputs = here.tokenizer(list(batch), return_tensors="pt", padding=True, add_special_tokens=False)
            with torch.inference_mode():
                out = here.model.generate(
                    input_ids=inputs["input_ids"],
                    attention_mask=inputs["attention_mask"],
                    do_sample=True,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=limit,
                    cache_implementation="static",
                    disable_compile=True,
                )
            return int((out[:, inputs["input_ids"].shape[1] :] != here.pad_id).sum())

        sides: dict[str, Callable[[Sequence[str], int], int]] = {"sampler": ours, "generate, static cache": generate}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for round_ in range(arguments.rounds):
            for name, side in sides.items():
                began = time.process_time()
                tokens = sum(side(batch, round_) for batch in batches)
                rates[name].append(tokens / (time.process_time() - began))
    base = statistics.median(rates["generate, static cache"])
    print(f"{'':<26}{'tokens per CPU second':>22}{'ratio':>8}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<26}{median:>22,.0f}{median / base:>8.2f}")


if __name__ == "__main__":
    main()
