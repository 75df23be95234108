"""How many PyTorch threads a model is worth, where the configuration leaves it open.

A small model on cores that others use as well is several times faster with one thread than with one for each core; a
large one on free cores is not. So a few steps are timed with one and with all, once for each run: sums depend on the
number of threads, and a run that is resumed has to end with the same bits.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.config import ModelConfig

if TYPE_CHECKING:
    import torch

ROUNDS = 3
"""Times that each number is timed, in turn; the shortest counts, as others may use the cores at any moment."""
ROWS, PROMPT, STEPS = 16, 64, 8
"""Answers at once, tokens of their prompts, and tokens that each gets."""
LARGE = 2_000_000_000
"""Bytes of weights from which on a model is worth all cores, and too long in loading to be tried."""


def settle(config: ModelConfig, folder: Path, known: int | None = None) -> int | None:
    """Has PyTorch use the number of threads that is `known`, or else the faster one for the model in the folder, and
    returns it. None, and nothing is done, where the configuration says the number or a GPU computes."""
    if config.threads:
        return None
    if known is not None and "torch" not in sys.modules:
        os.environ["OMP_NUM_THREADS"] = str(known)
        return known
    import torch

    from iterdeploy.models.loading import base_policy, device_of, load

    if device_of(config) != "cpu":
        return None
    if known is None:
        known = every = max(1, torch.get_num_threads())
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        if every > 1 and size < LARGE:
            here = load(base_policy(folder), config, getattr(torch, config.dtype))
            known = faster(timed(here.model), every)
    torch.set_num_threads(known)
    return known


def faster(seconds: Callable[[int], float], every: int) -> int:
    """1 or `every`, whichever takes fewer seconds.

    >>> faster(lambda threads: 1.0 if threads == 1 else 0.4, 8), faster(lambda threads: float(threads), 8)
    (8, 1)
    """
    found = {threads: float("inf") for threads in (1, every)}
    for threads in [1, every] * ROUNDS:
        found[threads] = min(found[threads], seconds(threads))
    return min(found, key=found.__getitem__)


def timed(model: "torch.nn.Module") -> Callable[[int], float]:
    """Threads -> seconds that a language model takes for a few steps of sampling."""
    import torch

    prompts = torch.arange(ROWS * PROMPT).reshape(ROWS, PROMPT) % 64

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        began = time.perf_counter()
        with torch.inference_mode():
            out = model(prompts, use_cache=True)
            for _ in range(STEPS):
                out = model(prompts[:, -1:], past_key_values=out.past_key_values, use_cache=True)
        return time.perf_counter() - began

    seconds(1)  # the first pass prepares what the others use
    return seconds
