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
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.models.loading import embedded_models, has_bfloat16
from iterdeploy.models.threads import faster, timed
from iterdeploy.pretraining.config import (
    ArchitectureConfig,
    OptimiserConfig,
    PretrainConfig,
    check_begun_with,
    check_pretraining,
)
from iterdeploy.pretraining.encoding import encoded
from iterdeploy.pretraining.sources import source_of
from iterdeploy.pretraining.tokenizer import build_tokenizer
from iterdeploy.sections import ConfigError
from iterdeploy.training.batching import collate, length_buckets
from iterdeploy.training.objective import token_logprobs, weighted_nll
from iterdeploy.types import Example
from iterdeploy.wording import say

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

LOG_EVERY = 50
"""Steps between lines of the log."""
FEWEST_STEPS = 4
"""Over fewer the schedule of learning rates cannot be laid."""


def pretrain(config: PretrainConfig, work_dir: Path) -> Path:
    """Makes the model in `work_dir/model` and returns that folder; continues where an earlier call stopped.

    ConfigError for a configuration that cannot work, or another one than the folder was begun with.
    """
    check_pretraining(config)
    work_dir.mkdir(parents=True, exist_ok=True)
    check_begun_with(config, work_dir / "pretraining.json")
    target = work_dir / "model"
    if target.exists():
        return target
    source = source_of(config.demonstrations, work_dir)
    tokenizer = build_tokenizer(source.words())
    data = encoded(source, config.seed, config.architecture.context, work_dir / "demonstrations.npz")
    model = _train(config, data, [source.domain(index) for index in range(source.count)], tokenizer, work_dir)
    unfinished = work_dir / "unfinished-model"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.bfloat16().save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    made = {
        "sizes": source.sizes,
        "tasks": source.contents,
        "tokens": int(data["starts"][-1]) * config.optimiser.epochs,
        "configuration": config.model_dump(mode="json"),
    }
    (unfinished / "pretraining.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    unfinished.rename(target)
    return target


def _set_threads(wanted: int, model: "LlamaForCausalLM", settled: Path) -> None:
    """`settled`: the file with the number that was found when this pretraining began."""
    import torch

    if not wanted and not settled.exists():
        settled.write_text(str(faster(timed(model), torch.get_num_threads())))
    torch.set_num_threads(wanted or int(settled.read_text()))


def _train(
    config: PretrainConfig,
    data: dict[str, "np.ndarray[Any, Any]"],
    domains: Sequence[str],
    tokenizer: "PreTrainedTokenizerFast",
    work_dir: Path,
) -> "LlamaForCausalLM":
    """The trained model; goes on from the folder's checkpoint if there is one. `domains`: of each demonstration."""
    import numpy as np
    import torch

    torch.manual_seed(config.seed)
    how = config.optimiser
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bf16 = how.bf16 and has_bfloat16(device)
    model: Any = _network(config.architecture, len(tokenizer))
    if config.start_from:
        _go_on_from(embedded_models()[config.start_from], model, tokenizer)
    _set_threads(config.threads, model, work_dir / "threads")
    model.to(device)
    steps = list(_steps(config, np.diff(data["starts"]), np.asarray(domains)))
    if len(steps) < FEWEST_STEPS:
        raise ConfigError(
            f"demonstrations.count: {len(steps)} steps of the optimiser are too few for a warm-up and a decline; raise "
            "it, or lower optimiser.tokens_per_batch"
        )
    warmup = max(2, min(how.warmup_steps, len(steps) // 2))  # the schedule divides by warmup - 1
    optimisers = _optimisers(how, model)
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimiser, how.learning_rate, total_steps=len(steps), pct_start=warmup / len(steps)
        )
        for optimiser in optimisers
    ]
    parts = {"model": model}
    parts |= {f"optimiser {number}": optimiser for number, optimiser in enumerate(optimisers)}
    parts |= {f"schedule {number}": schedule for number, schedule in enumerate(schedules)}
    checkpoint = work_dir / "checkpoint.pt"
    first = _restore(checkpoint, parts)
    if first:
        say(f"continuing at step {first} of {len(steps)}", flush=True)

    model.train()
    saved_at = logged_at = time.perf_counter()
    tokens = 0
    for step in range(first, len(steps)):
        batches = [collate([_example(data, index) for index in rows], pad_id=1) for rows in steps[step]]
        answer_tokens = sum(float(batch.loss_mask.sum()) for batch in batches)
        gaps = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        nll = 0.0
        for batch in batches:
            ids = batch.ids.to(device)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
                logits = model(
                    input_ids=ids,
                    attention_mask=batch.attention.to(device),
                    position_ids=_positions(batch.ids.shape, how, gaps).to(device),
                    use_cache=False,
                ).logits
            logprobs = token_logprobs(logits, ids)
            loss = weighted_nll(logprobs, batch.loss_mask.to(device), batch.weights.to(device), answer_tokens)
            loss.backward()  # type: ignore[no-untyped-call]
            nll += loss.item()
            tokens += int(batch.attention.sum())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
        now = time.perf_counter()
        if step % LOG_EVERY == LOG_EVERY - 1:
            rate = round(tokens / (now - logged_at))
            _log(work_dir / "log.jsonl", step=step + 1, of=len(steps), loss=nll, tokens_per_second=rate)
            logged_at, tokens = now, 0
        if now - saved_at > how.checkpoint_minutes * 60 or step + 1 == len(steps):
            _save(checkpoint, parts, step + 1)
            saved_at = now
    trained: LlamaForCausalLM = model.cpu().eval()
    return trained


def _network(shape: ArchitectureConfig, vocabulary_size: int) -> "LlamaForCausalLM":
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
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


def _go_on_from(folder: Path, model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerFast") -> None:
    """Gives the new model the weights of the one in the folder; tokens that both know keep their embedding."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    weights = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    known = AutoTokenizer.from_pretrained(folder).get_vocab()
    embedding = model.state_dict()["model.embed_tokens.weight"].clone()  # (V, hidden size)
    for token, place in tokenizer.get_vocab().items():
        if token in known:
            embedding[place] = weights["model.embed_tokens.weight"][known[token]]
    model.load_state_dict({**weights, "model.embed_tokens.weight": embedding, "lm_head.weight": embedding})


def _restore(checkpoint: Path, parts: dict[str, Any]) -> int:
    """Loads the checkpoint into the parts, if there is one; the number of steps that are done."""
    import torch

    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return int(saved["step"])


def _save(checkpoint: Path, parts: dict[str, Any], step: int) -> None:
    import torch

    unfinished = checkpoint.with_name("writing-checkpoint.pt")
    torch.save({"step": step} | {name: part.state_dict() for name, part in parts.items()}, unfinished)
    unfinished.rename(checkpoint)


def _log(path: Path, **entry: float) -> None:
    line = json.dumps(entry)
    say(line, flush=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(line + "\n")


def _steps(
    config: PretrainConfig, lengths: "np.ndarray[Any, Any]", domains: "np.ndarray[Any, Any]"
) -> Iterator[list[list[int]]]:
    """The batches of each step, as indices of demonstrations of like length; every step has some of every domain.
    `lengths`, `domains`: of each demonstration."""
    import numpy as np

    for epoch in range(config.optimiser.epochs):
        parts = []
        for domain in dict.fromkeys(domains.tolist()):
            (rows,) = np.nonzero(domains == domain)
            tokens = round(config.optimiser.tokens_per_batch * lengths[rows].sum() / lengths.sum())
            batches = length_buckets(lengths[rows].tolist(), tokens, np.random.default_rng([config.seed, epoch]))
            parts.append([rows[batch].tolist() for batch in batches])
        count = min(map(len, parts))
        for step in range(count):
            yield [
                batch
                for batches in parts
                for batch in batches[step * len(batches) // count : (step + 1) * len(batches) // count]
            ]


def _optimisers(how: OptimiserConfig, model: "LlamaForCausalLM") -> "list[torch.optim.Optimizer]":
    import torch

    layers = {id(weight) for weight in model.model.layers.parameters() if weight.ndim == 2 and how.name == "muon"}
    matrices = [weight for weight in model.parameters() if id(weight) in layers]
    others = [weight for weight in model.parameters() if id(weight) not in layers]
    adamw = torch.optim.AdamW(others, lr=how.learning_rate, betas=(0.9, 0.98), weight_decay=how.weight_decay)
    if not matrices:
        return [adamw]
    muon = torch.optim.Muon(
        matrices, lr=how.learning_rate, weight_decay=how.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, adamw]


def _example(data: dict[str, "np.ndarray[Any, Any]"], index: int) -> Example:
    start, end = data["starts"][index], data["starts"][index + 1]
    ids, own = data["ids"][start:end].tolist(), data["own"][start:end].tolist()
    turns = [at for at, (before, now) in enumerate(pairwise([False, *own, False])) if before != now]
    return Example(str(index), tuple(ids), tuple(zip(turns[::2], turns[1::2], strict=True)))


def _positions(shape: "torch.Size", how: OptimiserConfig, random: "torch.Generator") -> "torch.Tensor":
    """(B, T) position ids; a share of the rows jumps ahead at a few random places."""
    import torch

    rows, length = shape
    jumps = torch.zeros(rows, length, dtype=torch.int64)
    places = torch.randint(0, length, (rows, how.gaps), generator=random)
    widths = torch.randint(0, how.largest_gap + 1, (rows, how.gaps), generator=random)
    gapped = torch.rand(rows, 1, generator=random) < how.gap_share
    jumps.scatter_add_(1, places, widths * gapped)
    return torch.arange(length) + jumps.cumsum(1)
