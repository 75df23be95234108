"""Makes an embedded base model from synthetic demonstrations: `iterdeploy pretrain configs/pretrain-blocksworld.toml`.

Three steps, each finished once its output exists: the demonstrations as token ids, the trained weights, the model
folder. Training keeps a checkpoint every few minutes and continues from it; on one machine with one thread count the
resumed run ends with the same weights as the uninterrupted one. Token ids come from the demonstrations' own stream, so
nothing depends on the order of work.

What is done so that a small transformer carries over to sizes that it never saw: block names from a pool far larger
than a task, facts kept tower by tower, reasoning that only copies and reverses, and positions with random gaps, so
that every distance between tokens that a larger task brings has been met.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from iterdeploy.config import Section
from iterdeploy.models.tokenizer import build_tokenizer
from iterdeploy.planning.demonstrations import Mixture, demonstrate
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.training.batching import collate, length_buckets
from iterdeploy.training.objective import token_logprobs, weighted_nll
from iterdeploy.types import Example

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


class DemonstrationConfig(Section):
    domain: str
    sizes: tuple[int, ...] = Field(strict=False)
    count: int = Field(gt=0)
    flawed: float = Field(ge=0, lt=1)
    wasteful: float = Field(ge=0, le=1)


class ArchitectureConfig(Section):
    """A Llama of this shape, embeddings tied."""

    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int
    context: int = 4096


class OptimiserConfig(Section):
    learning_rate: float
    tokens_per_batch: int
    warmup_steps: int = 200
    weight_decay: float = 0.05
    gap_share: float = Field(0.5, ge=0, le=1)
    """Share of rows whose positions have random gaps."""
    gaps: int = 4
    largest_gap: int = 48
    epochs: int = 1
    bf16: bool = True
    checkpoint_minutes: float = 2.0


class PretrainConfig(Section):
    name: str
    seed: int = 0
    threads: int = 0
    """PyTorch threads; 0 keeps PyTorch's choice."""
    demonstrations: DemonstrationConfig
    architecture: ArchitectureConfig
    optimiser: OptimiserConfig


def pretrain(config: PretrainConfig, work_dir: Path) -> Path:
    """Makes the model in `work_dir/model` and returns that folder; continues where an earlier call stopped."""
    work_dir.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(vocabulary(config.demonstrations.domain))
    data = _demonstrations(config, tokenizer, work_dir / "demonstrations.npz")
    model = _train(config, data, len(tokenizer), work_dir)
    target = work_dir / "model"
    model.bfloat16().save_pretrained(target)
    tokenizer.save_pretrained(target)
    made = {
        "sizes": sorted(set(config.demonstrations.sizes)),
        "tokens": int(data["starts"][-1]) * config.optimiser.epochs,
        "configuration": config.model_dump(mode="json"),
    }
    (target / "pretraining.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return target


def vocabulary(domain: str) -> list[str]:
    """The words that are one token: PDDL's, the domain's, object names b1 to b30, and the marks of an answer."""
    from iterdeploy.pddl import Domain

    parsed = Domain.parse(DOMAINS[domain].pddl)
    marks = ["<think>\n", "</think>\n", "<plan>\n", "</plan>", ")\n", ")", "\n", "goal", "take", "make", domain]
    keywords = ["define", "domain", "problem", "objects", "init", "and", "not"]
    names = [f" b{i + 1}" for i in range(30)]
    atoms = [f"({name}" for name in [*parsed.predicates, *parsed.actions]]
    return [*marks, *names, *atoms, *(f"({word}" for word in keywords)]


def _encode_chunk(job: tuple[DemonstrationConfig, int, range]) -> list[tuple[list[int], int]]:
    """(token ids with the end mark, index of the first answer token) of each demonstration of the range."""
    config, seed, indices = job
    tokenizer = build_tokenizer(vocabulary(config.domain))
    mixture = Mixture(config.sizes, config.flawed, config.wasteful)
    out = []
    for index in indices:
        demonstration = demonstrate(DOMAINS[config.domain], mixture, seed, index)
        prompt = tokenizer(demonstration.prompt)["input_ids"]
        answer = tokenizer(demonstration.answer)["input_ids"]
        out.append(([*prompt, *answer, tokenizer.eos_token_id], len(prompt)))
    return out


def _demonstrations(
    config: PretrainConfig, tokenizer: "PreTrainedTokenizerFast", cache: Path
) -> dict[str, "np.ndarray[Any, Any]"]:
    """ids: all token ids end to end, uint16; starts: (N + 1,) offsets into ids; prompts: (N,) prompt lengths."""
    import numpy as np

    key = config.demonstrations.model_dump_json() + f" seed {config.seed}"
    if cache.exists():
        stored = dict(np.load(cache))
        if str(stored["key"]) == key:
            return stored
    began = time.perf_counter()
    count = config.demonstrations.count
    jobs = [(config.demonstrations, config.seed, range(i, min(i + 2000, count))) for i in range(0, count, 2000)]
    ids: list[Any] = []
    lengths: list[int] = []
    prompts: list[int] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for chunk in pool.imap(_encode_chunk, jobs):
            for row, prompt in chunk:
                ids.append(np.asarray(row, dtype=np.uint16))
                lengths.append(len(row))
                prompts.append(prompt)
    stored = {
        "ids": np.concatenate(ids),
        "starts": np.concatenate([[0], np.cumsum(lengths)]),
        "prompts": np.asarray(prompts),
        "key": np.asarray(key),
    }
    beside = cache.with_name("writing-" + cache.name)
    np.savez(beside, **stored)
    beside.rename(cache)
    print(
        f"{count} demonstrations, {len(stored['ids'])} tokens, longest {max(lengths)}, "
        f"in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    return stored


def _train(
    config: PretrainConfig, data: dict[str, "np.ndarray[Any, Any]"], vocabulary_size: int, work_dir: Path
) -> "LlamaForCausalLM":
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    shape, how = config.architecture, config.optimiser
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary_size,
            hidden_size=shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            intermediate_size=shape.intermediate_size,
            max_position_embeddings=shape.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=1,
        )
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Any = model
    network.to(device).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=how.learning_rate, betas=(0.9, 0.98), weight_decay=how.weight_decay
    )
    batches = list(_batches(config, data))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, how.learning_rate, total_steps=len(batches), pct_start=how.warmup_steps / len(batches)
    )
    checkpoint = work_dir / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
        print(f"continuing at step {first} of {len(batches)}", flush=True)

    log = (work_dir / "log.jsonl").open("a", encoding="utf-8")
    saved_at = logged_at = time.perf_counter()
    tokens = 0
    for step in range(first, len(batches)):
        rows = [_row(data, index) for index in batches[step]]
        batch = collate(rows, pad_id=1)
        positions = _positions(batch.ids.shape, how, seed=config.seed * 1_000_003 + step)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=how.bf16):
            logits = model(
                input_ids=batch.ids.to(device),
                attention_mask=batch.attention.to(device),
                position_ids=positions.to(device),
                use_cache=False,
            ).logits
        mask = batch.loss_mask.to(device)
        loss = weighted_nll(
            token_logprobs(logits, batch.ids.to(device)), mask, batch.weights.to(device), float(mask.sum())
        )
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        tokens += int(batch.attention.sum())
        if step % 50 == 49:
            now = time.perf_counter()
            entry = {
                "step": step + 1,
                "of": len(batches),
                "loss": round(loss.item(), 4),
                "tokens_per_second": round(tokens / (now - logged_at)),
            }
            print(json.dumps(entry), flush=True)
            log.write(json.dumps(entry) + "\n")
            log.flush()
            logged_at, tokens = now, 0
        if time.perf_counter() - saved_at > how.checkpoint_minutes * 60 or step + 1 == len(batches):
            beside = checkpoint.with_name("writing-checkpoint.pt")
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                },
                beside,
            )
            beside.rename(checkpoint)
            saved_at = time.perf_counter()
    network.cpu().eval()
    return model


def _batches(config: PretrainConfig, data: dict[str, "np.ndarray[Any, Any]"]) -> Iterator[list[int]]:
    import numpy as np

    lengths = np.diff(data["starts"])
    for epoch in range(config.optimiser.epochs):
        yield from length_buckets(
            lengths.tolist(), config.optimiser.tokens_per_batch, np.random.default_rng([config.seed, epoch])
        )


def _row(data: dict[str, "np.ndarray[Any, Any]"], index: int) -> Example:
    start, end = data["starts"][index], data["starts"][index + 1]
    return Example(str(index), tuple(data["ids"][start:end].tolist()), int(data["prompts"][index]))


def _positions(shape: "torch.Size", how: OptimiserConfig, seed: int) -> "torch.Tensor":
    """(B, T) position ids; a share of the rows jumps ahead at a few random places."""
    import torch

    rows, length = shape
    random = torch.Generator().manual_seed(seed)
    jumps = torch.zeros(rows, length, dtype=torch.int64)
    places = torch.randint(0, length, (rows, how.gaps), generator=random)
    widths = torch.randint(0, how.largest_gap + 1, (rows, how.gaps), generator=random)
    gapped = torch.rand(rows, 1, generator=random) < how.gap_share
    jumps.scatter_add_(1, places, widths * gapped)
    return torch.arange(length) + jumps.cumsum(1)
