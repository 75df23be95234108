"""Makes the tiny model that an example starts from, in about half a minute on one core.

    python tiny_model.py arithmetic/arithmetic.py arithmetic/model

Random weights are trained on what the example's function `show` returns: prompts with answers, many of them wrong. So
the model knows the form of an answer, and is right often enough for a first generation to learn from.
"""

import argparse
import random
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from iterdeploy.pretraining.tokenizer import PIECES, build_tokenizer
from iterdeploy.registry import file_module

BATCH = 32
PAD = 1
IGNORED = -100
"""Label of a token that carries no loss."""


def main(example: Path, out: Path, steps: int) -> None:
    show = file_module(example, "EXAMPLE").show
    draw = random.Random(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    texts = ["".join(show(draw)) for _ in range(1000)]
    tokenizer = build_tokenizer(sorted({piece for text in texts for piece in re.findall(PIECES, text)}))
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            intermediate_size=96,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=PAD,
        )
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for step in range(steps):
        shown = [[tokenizer.encode(part) for part in show(draw)] for _ in range(BATCH)]
        ids, labels = batch([(prompt, [*answer, tokenizer.eos_token_id]) for prompt, answer in shown])
        loss = model(input_ids=ids, attention_mask=ids != PAD, labels=labels).loss
        loss.backward()
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if step % 100 == 99:
            print(f"step {step + 1} of {steps}: loss {loss.item():.3f}", flush=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def batch(rows: Sequence[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, T) ids, padded on the right, and labels, which leave out prompts and padding."""
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = [[*prompt, *answer] for prompt, answer in rows]
    labels = [[IGNORED] * len(prompt) + answer for prompt, answer in rows]
    return (
        torch.tensor([row + [PAD] * (length - len(row)) for row in ids]),
        torch.tensor([row + [IGNORED] * (length - len(row)) for row in labels]),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", type=Path, help="the example's Python file")
    parser.add_argument("out", type=Path, help="the folder to write the model into")
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    main(arguments.example, arguments.out, arguments.steps)
