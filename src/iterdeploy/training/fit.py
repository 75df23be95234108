"""One training phase from top to bottom: load, adapt, then optimiser steps over the pool, epoch by epoch.

A tenth of the examples (by task, chosen by hash) is held out; their loss is reported before and after every epoch.
Everything random follows from the policy's identifier, so on a CPU the same examples give the same weights, interrupted
or not. A step's rows may go through the model in several passes and over several processes: its loss is divided by the
tokens of the whole step, so that this changes its gradient by no more than rounding.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.config import TrainingConfig
from iterdeploy.models.loading import Loaded, device_of, has_bfloat16, load
from iterdeploy.training import importance
from iterdeploy.training.batching import plan
from iterdeploy.training.checkpoints import Checkpoints, Trained, TrainState
from iterdeploy.training.forward import Forward
from iterdeploy.training.objective import importance_ratios, weighted_nll
from iterdeploy.training.parallel import clip, prepare, summing, whole_model
from iterdeploy.training.phase import Phase, Progress, check_behaviour, finite, split_validation, write_policy
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Example

if TYPE_CHECKING:
    import torch


def fit(phase: Phase, out: Path, progress: Progress, ranks: Ranks) -> None:
    """Trains and writes weights (or an adapter), `policy.json` and `training.json` into `out`."""
    import torch

    began = time.perf_counter()
    config = phase.config
    torch.manual_seed(phase.random)
    here, model = _load(phase)
    if ranks.world > 1:
        torch.manual_seed(phase.random + 1 + ranks.rank)  # the processes' dropouts differ
    train, held = split_validation(phase.pool.examples, config.validation_share)
    check_behaviour(phase, train)
    epochs = plan([len(example.token_ids) for example in train], config, phase.seed)
    steps = sum(map(len, epochs))
    total = sum(len(train[i].token_ids) for epoch in epochs for batch in epoch for i in batch)
    optimiser = _optimiser(model, config)
    forward = prepare(Forward(model, here, config.bf16 and has_bfloat16(here.device)), optimiser, config, ranks)
    parts = _parts(model, optimiser, config, steps)
    checkpoints = Checkpoints(out, phase.identifier, config.checkpoint_minutes, ranks)
    done = checkpoints.restore(parts) or Trained(validation=[_mean_loss(forward, held, config, ranks)])
    seconds_before = done.seconds
    progress(done.tokens, total)

    for number in range(len(done.validation) - 1, len(epochs)):
        if phase.weighted and len(done.importance) == number:
            done.importance.append(importance.measure(forward, train, config, _tokens_per_pass(config), ranks))
        correction = importance.correction(config, done.importance[-1]) if phase.weighted else None
        model.train()
        for batch in epochs[number][len(done.log) - sum(map(len, epochs[:number])) :]:
            rows = [train[i] for i in batch]
            loss = add_gradient(forward, rows, config, ranks, correction)
            norm = clip(list(parts.weights.values()), 1.0)
            parts.optimiser.step()
            parts.schedule.step()
            parts.optimiser.zero_grad()
            done.log.append({"loss": finite(loss), "gradient_norm": norm})
            done.tokens += sum(len(row.token_ids) for row in rows)
            done.seconds = seconds_before + time.perf_counter() - began
            progress(done.tokens, total)
            checkpoints.save_if_due(parts, done)
        done.validation.append(_mean_loss(forward, held, config, ranks))

    weights = whole_model(model, ranks)
    if ranks.first:
        checkpoints.place.check()
        model.save_pretrained(out, state_dict=weights)
        if not phase.lora:
            here.tokenizer.save_pretrained(out)
        write_policy(phase, out)
        report = {
            "examples": len(train),
            "validation_examples": len(held),
            "steps": steps,
            "tokens": done.tokens,
            "first_loss": done.log[0]["loss"],
            "last_loss": done.log[-1]["loss"],
            "validation_loss": done.validation,
            "importance": done.importance,
            "seconds": seconds_before + time.perf_counter() - began,
            "log": done.log,
        }
        (out / "training.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
        checkpoints.clear()


def _load(phase: Phase) -> tuple[Loaded, Any]:
    """The model as it is loaded, and what is trained of it: itself, or itself with an adapter."""
    import torch

    config = phase.config
    divided = config.sharding == "full"  # it may not fit on one device, to which only a part of it will go
    where = phase.model.model_copy(update={"device": "cpu"}) if divided else phase.model
    here = load(phase.start, where, getattr(torch, config.base_dtype), keep_adapter=phase.lora)
    # From a policy that is an adapter, that adapter is trained on: there is only ever one over the base model.
    model: Any = with_lora(here.model, config) if phase.lora and not phase.start.adapter else here.model
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return replace(here, device=device_of(phase.model)), model


def with_lora(model: Any, config: TrainingConfig) -> Any:
    """The model with a fresh adapter on all linear layers but the output layer."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def _optimiser(model: Any, config: TrainingConfig) -> "torch.optim.Optimizer":
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)


def _parts(model: Any, optimiser: "torch.optim.Optimizer", config: TrainingConfig, steps: int) -> TrainState:
    """What is trained; the optimiser's rate rises over the warm-up and then falls to nothing."""
    import torch

    weights = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    warmup = max(1, round(config.warmup_share * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
    )
    return TrainState(weights, optimiser, schedule)


def _tokens_per_pass(config: TrainingConfig) -> int:
    return config.tokens_per_pass or config.tokens_per_batch


def add_gradient(
    forward: Forward,
    rows: Sequence[Example],
    config: TrainingConfig,
    ranks: Ranks,
    correction: importance.Correction | None = None,
) -> float:
    """Adds the gradient of a step's loss to that of the weights, and returns the loss: weighted negative log-likelihood
    per token of the step's rows, of which each process computes its share."""
    tokens = _tokens_with_loss(rows)
    passes = ranks.passes(rows, _tokens_per_pass(config))
    total = 0.0
    for number, part in enumerate(passes, 1):
        with summing(forward, number == len(passes)):
            loss = _loss(forward, part, tokens, correction)
            (loss * ranks.world).backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return ranks.total(total)


def _loss(
    forward: Forward, rows: Sequence[Example], normaliser: float, correction: importance.Correction | None = None
) -> "torch.Tensor":
    """Weighted negative log-likelihood of the rows by the normaliser, a scalar tensor."""
    batch = forward.batch(rows)
    logprobs = forward.logprobs(batch)
    weights = batch.weights
    if correction is not None:
        weights = weights * correction(importance_ratios(logprobs, batch.loss_mask, batch.behaviour))
    return weighted_nll(logprobs, batch.loss_mask, weights, normaliser)


def _mean_loss(forward: Forward, rows: Sequence[Example], config: TrainingConfig, ranks: Ranks) -> float | None:
    """Mean loss per token over those `rows` that are reinforced, each counted once, without dropout; None without
    any."""
    import torch

    rewarded = [replace(row, weight=1.0) for row in rows if row.weight > 0]
    if not rewarded:
        return None
    forward.model.eval()
    total = 0.0
    with torch.no_grad():
        for batch in ranks.passes(rewarded, _tokens_per_pass(config)):
            tokens = _tokens_with_loss(batch)
            total += float(_loss(forward, batch, tokens)) * tokens
    return finite(ranks.total(total) / _tokens_with_loss(rewarded))


def _tokens_with_loss(rows: Sequence[Example]) -> float:
    return float(sum(row.loss_tokens for row in rows))
