"""Fine-tunes a policy on curated examples: full weights or LoRA, length-bucketed batches, one pass per epoch.

A tenth of the examples (by task, chosen by hash) is held out; their loss is reported before and after every epoch.
Everything random follows from the seed, so on a CPU the same examples give the same weights.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.config import ModelConfig, TrainingConfig, UserError
from iterdeploy.models.loading import Loaded, load
from iterdeploy.training.batching import Batch, collate, length_buckets, length_buckets_in_order
from iterdeploy.training.objective import effective_sample_size, importance_ratios, token_logprobs, weighted_nll
from iterdeploy.types import Example, Policy, content_hash

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]
"""Called with (tokens trained, tokens in all)."""

Correction = Callable[["torch.Tensor"], "torch.Tensor"]
"""From importance ratios to the factors that weights are multiplied with, (B,) both."""


class TrainingError(UserError):
    """Training cannot go on."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """What a training phase gets: the examples with the digest of the pool that they come from."""

    examples: Sequence[Example]
    digest: str


class Trainer:
    def __init__(self, config: TrainingConfig, model: ModelConfig, seed: int) -> None:
        self._config = config
        self._model = model
        self._seed = seed

    def start(self, base: Policy, previous: Policy) -> Policy:
        """The policy whose weights training starts from."""
        return base if self._config.start_from == "base" else previous

    def fit(self, start: Policy, generation: int, pool: Pooled, out: Path, progress: Progress) -> None:
        """Trains and writes weights (or an adapter), `policy.json` and `training.json` into `out`."""
        import torch

        began = time.perf_counter()
        identifier = content_hash(
            "policy", start.id, pool.digest, self._config.model_dump(mode="json"), generation, self._seed
        )
        torch.manual_seed(int(identifier[:8], 16))
        lora = self._config.method == "lora"
        here = load(start, self._model, torch.float32, keep_adapter=lora)
        # From a policy that is an adapter, that adapter is trained on: there is only ever one over the base model.
        model: Any = self._with_lora(here.model) if lora and not start.adapter else here.model
        train, held = split_validation(pool.examples, self._config.validation_share)
        self._check_behaviour(train)
        batches = self._batches(train)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=self._config.learning_rate, weight_decay=self._config.weight_decay)
        steps = sum(map(len, batches))
        warmup = max(1, round(self._config.warmup_share * steps))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
        )
        total = sum(len(train[i].token_ids) for epoch in batches for batch in epoch for i in batch)
        done = 0
        log: list[dict[str, float]] = []
        importance: list[dict[str, float]] = []
        validation = [self._loss(model, here, held)]
        progress(0, total)
        for epoch in batches:
            correction = self._correction(model, here, train, importance) if self._importance else None
            model.train()
            for batch in epoch:
                rows = [train[i] for i in batch]
                loss = self._step_loss(model, here, rows, correction)
                loss.backward()  # type: ignore[no-untyped-call]
                norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
                done += sum(len(row.token_ids) for row in rows)
                log.append({"loss": _finite(loss.item()), "gradient_norm": float(norm)})
                progress(done, total)
            validation.append(self._loss(model, here, held))
        self._save(model, here, out)
        policy = {
            "id": identifier,
            "generation": generation,
            "base_model": start.base_model,
            "adapter": self._config.method == "lora",
            "parent_id": start.id,
            "curated_digest": pool.digest,
        }
        (out / "policy.json").write_text(json.dumps(policy, indent=1) + "\n", encoding="utf-8")
        report = {
            "examples": len(train),
            "validation_examples": len(held),
            "steps": steps,
            "tokens": done,
            "first_loss": log[0]["loss"],
            "last_loss": log[-1]["loss"],
            "validation_loss": validation,
            "importance": importance,
            "seconds": time.perf_counter() - began,
            "log": log,
        }
        (out / "training.json").write_text(json.dumps(report) + "\n", encoding="utf-8")

    @property
    def _importance(self) -> bool:
        return self._config.objective.startswith("iw_")

    def _check_behaviour(self, train: Sequence[Example]) -> None:
        unknown = sum(example.behaviour_logprob is None for example in train)
        if self._importance and unknown:
            raise TrainingError(
                f'training.objective = "{self._config.objective}" needs the log-probabilities with which traces were '
                f"sampled, but {unknown} of {len(train)} have none: use a server that returns them, or set "
                'training.objective = "sft"'
            )

    def _batches(self, train: Sequence[Example]) -> list[list[list[int]]]:
        """Batches of indices, by epoch: `epochs` passes, or as many as `steps` need, the last one cut short."""
        import numpy as np

        lengths = [len(example.token_ids) for example in train]
        batches: list[list[list[int]]] = []
        most = self._config.steps or sys.maxsize
        while (done := sum(map(len, batches))) < most and (self._config.steps or len(batches) < self._config.epochs):
            rng = np.random.default_rng([self._seed, len(batches)])
            batches.append(length_buckets(lengths, self._config.tokens_per_batch, rng)[: most - done])
        return batches

    def _correction(
        self, model: Any, here: Loaded, train: Sequence[Example], log: list[dict[str, float]]
    ) -> Correction:
        """How this epoch's importance ratios are tamed, from those of all traces now, which are logged."""
        import torch

        model.eval()
        tokens = sum(len(example.token_ids) - example.loss_start for example in train)
        with torch.no_grad():
            batches = length_buckets_in_order(train, self._config.tokens_per_batch)
            ratios = torch.cat([self._ratios(model, here, rows) for rows in batches]).double()
        mean, most = float(ratios.mean()), self._config.importance_clip
        log.append(
            {
                "mean_ratio": mean,
                "effective_sample_size": effective_sample_size(ratios),
                "clipped_share": float((ratios > most).double().mean()),
                "gap": float(ratios.log().abs().sum()) / tokens,
            }
        )
        if self._config.importance == "clipped":
            return lambda ratios: ratios.clamp(max=most)
        return lambda ratios: ratios / mean

    def _ratios(self, model: Any, here: Loaded, rows: Sequence[Example]) -> "torch.Tensor":
        batch = collate(rows, here.pad_id).to(here.device)
        return importance_ratios(self._logprobs(model, here, batch), batch.loss_mask, batch.behaviour)

    def _step_loss(
        self, model: Any, here: Loaded, rows: Sequence[Example], correction: Correction | None = None
    ) -> "torch.Tensor":
        """Weighted negative log-likelihood per token of the batch, a scalar tensor."""
        batch = collate(rows, here.pad_id).to(here.device)
        logprobs = self._logprobs(model, here, batch)
        weights = batch.weights
        if correction is not None:
            weights = weights * correction(importance_ratios(logprobs, batch.loss_mask, batch.behaviour))
        return weighted_nll(logprobs, batch.loss_mask, weights, float(batch.loss_mask.sum()))

    def _logprobs(self, model: Any, here: Loaded, batch: Batch) -> "torch.Tensor":
        """log p of every token of the batch, (B, T)."""
        import torch

        with torch.autocast(here.device, dtype=torch.bfloat16, enabled=self._config.bf16):
            logits = model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
        return token_logprobs(logits, batch.ids)

    def _loss(self, model: Any, here: Loaded, rows: Sequence[Example]) -> float | None:
        """Mean loss per token over those `rows` that are reinforced, each counted once, without dropout; None without
        any."""
        import torch

        rewarded = [replace(row, weight=1.0) for row in rows if row.weight > 0]
        if not rewarded:
            return None
        model.eval()
        total = tokens = 0.0
        with torch.no_grad():
            for batch in length_buckets_in_order(rewarded, self._config.tokens_per_batch):
                count = float(sum(len(row.token_ids) - row.loss_start for row in batch))
                total += float(self._step_loss(model, here, batch)) * count
                tokens += count
        return _finite(total / tokens)

    def _with_lora(self, model: Any) -> Any:
        from peft import LoraConfig, get_peft_model

        return get_peft_model(
            model,
            LoraConfig(
                r=self._config.lora_rank,
                lora_alpha=self._config.lora_alpha,
                lora_dropout=self._config.lora_dropout,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )

    def _save(self, model: Any, here: Loaded, out: Path) -> None:
        model.save_pretrained(out)
        if self._config.method == "full":
            here.tokenizer.save_pretrained(out)


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(f"training diverged (its loss is {loss}): lower training.learning_rate")
    return loss


def split_validation(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """(training examples, validation examples). The validation ones have the smallest hashes of their prompts, so all
    traces of one task fall on the same side; at least one example always trains."""
    if share == 0 or len(examples) < 2:
        return list(examples), []
    digests = {example.trace_id: content_hash(example.token_ids[: example.loss_start]) for example in examples}
    wanted = min(len(examples) - 1, max(1, round(share * len(examples))))
    threshold = sorted(digests.values())[wanted]
    held = [example for example in examples if digests[example.trace_id] < threshold]
    train = [example for example in examples if digests[example.trace_id] >= threshold]
    return train, held


def read_policy(folder: Path) -> Policy:
    """The policy whose weights a training phase wrote into `folder`."""
    saved = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    return Policy(weights=str(folder), **saved)
