"""Tokens per CPU second and memory of the trainer and of TRL's SFTTrainer, on the same model, rows and precision.

    python benchmarks/bench_train.py [--rounds 5] [--rows 160] [--threads 1] [--method full|lora] [--float32]
                                     [--models embedded larger]

TRL's settings are tried once each; the fastest goes on to take turns with ours. Both train one pass over the same rows
in one process, with the same mean number of tokens per step. Before that, the losses of one batch in float32 must agree
to 1e-5. Needs `pip install trl datasets`.
"""

import argparse
import ctypes
import gc
import logging
import os
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iterdeploy.config import ModelConfig, TrainingConfig
from iterdeploy.models.loading import base_policy, embedded_models, load, model_folder
from iterdeploy.training.fit import add_gradient, fit
from iterdeploy.training.forward import Forward
from iterdeploy.training.phase import Phase, TrainingExamples
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Example

TOKENS = 4096
"""Tokens of a step: padded ones on our side, on average on TRL's."""
LARGER = {"vocab_size": 32_000, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096,
          "tie_word_embeddings": True}  # fmt: skip
TRL = {
    "as it comes": {"gradient_checkpointing": True},
    "kept activations": {},
    "grouped by length": {"train_sampling_strategy": "group_by_length"},
    "grouped, half the rows": {"train_sampling_strategy": "group_by_length", "rows": 0.5},
    "grouped, twice the rows": {"train_sampling_strategy": "group_by_length", "rows": 2},
    "packed": {"packing": True, "max_length": TOKENS, "rows": 0},
}


@dataclass(frozen=True)
class Case:
    model: ModelConfig
    rows: Sequence[Example]
    method: str
    bf16: bool

    @property
    def tokens(self) -> int:
        return sum(len(row.token_ids) for row in self.rows)


@dataclass(frozen=True)
class Measured:
    rate: float
    """Tokens per CPU second, padding not counted."""
    memory: float
    """MB by which the process grew at most."""


def draw_rows(count: int, vocabulary: int) -> list[Example]:
    """Rows with prompts of about 150 tokens and answers from a few dozen to a thousand, as reasoning has them."""
    random = np.random.default_rng(0)
    prompts = random.integers(100, 200, count)
    answers = random.lognormal(5.3, 0.7, count).astype(int).clip(20, 1500)
    return [
        Example(str(i), tuple(random.integers(2, vocabulary, int(p + a)).tolist()), ((int(p), int(p + a)),))
        for i, (p, a) in enumerate(zip(prompts, answers, strict=True))
    ]


def larger_model(folder: Path) -> Path:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    for path in next(iter(embedded_models().values())).iterdir():
        if "tokenizer" in path.name:
            (folder / path.name).write_bytes(path.read_bytes())
    torch.manual_seed(0)
    Qwen3ForCausalLM(Qwen3Config(**LARGER, eos_token_id=0, pad_token_id=1)).save_pretrained(folder)
    return folder


def settings(case: Case) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {"learning_rate": 1e-4, "epochs": 1, "tokens_per_batch": TOKENS, "validation_share": 0.0,
         "method": case.method, "bf16": case.bf16}
    )  # fmt: skip


def ours(case: Case) -> Callable[[], None]:
    began: list[float] = []

    def progress(done: int, total: int) -> None:
        began.append(time.process_time())

    def train() -> None:
        phase = Phase(
            settings(case), case.model, 0, base_policy(model_folder(case.model)), 1, TrainingExamples(case.rows, "rows")
        )
        with tempfile.TemporaryDirectory() as out:
            fit(phase, Path(out), progress, Ranks())
        train.seconds = began[-1] - began[0]  # type: ignore[attr-defined]
        began.clear()

    return train


def sft_trainer(case: Case, folder: str, **changes: Any) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    mean = case.tokens / len(case.rows)
    rows = max(1, round(changes.pop("rows", 1) * TOKENS / mean))
    path = model_folder(case.model)
    how = settings(case)
    lora = LoraConfig(r=how.lora_rank, lora_alpha=how.lora_alpha, lora_dropout=how.lora_dropout,
                      target_modules="all-linear", task_type="CAUSAL_LM")  # fmt: skip
    values = {
        "output_dir": folder, "per_device_train_batch_size": rows, "num_train_epochs": 1, "learning_rate": 1e-4,
        "bf16": case.bf16, "use_cpu": True, "max_length": None, "gradient_checkpointing": False, "report_to": "none",
        "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "dataset_num_proc": None,
    }  # fmt: skip
    labels = [[-100] * row.spans[0][0] + list(row.token_ids[row.spans[0][0] :]) for row in case.rows]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32),
        args=SFTConfig(**{**values, **changes}),
        train_dataset=Dataset.from_dict({"input_ids": [list(row.token_ids) for row in case.rows], "labels": labels}),
        processing_class=AutoTokenizer.from_pretrained(path),
        peft_config=lora if case.method == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def trl(case: Case, **changes: Any) -> Callable[[], None]:
    def train() -> None:
        with tempfile.TemporaryDirectory() as folder:
            trainer = sft_trainer(case, folder, **changes)
            began = time.process_time()
            trainer.train()
            train.seconds = time.process_time() - began  # type: ignore[attr-defined]

    return train


def assert_same_loss(case: Case) -> float:
    """The loss of one batch by both, in float32 and without dropout."""
    import torch

    rows = case.rows[:8]
    case = Case(case.model, rows, "full", False)
    here = load(base_policy(model_folder(case.model)), case.model, torch.float32)
    mine = add_gradient(Forward(here.model, here, False), rows, settings(case), Ranks())
    with tempfile.TemporaryDirectory() as folder:
        trainer = sft_trainer(case, folder)
        trainer.model.eval()
        batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])
        theirs = float(trainer.compute_loss(trainer.model, batch))
    assert abs(mine - theirs) < 1e-5, (mine, theirs)
    return abs(mine - theirs)


def memory(name: str) -> float:
    """MB of this process: "RSS" now, "HWM" at most."""
    found = re.search(rf"Vm{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def measured(train: Callable[[], None], tokens: int) -> Measured:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system, and the peak starts from here
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("RSS")
    train()
    return Measured(tokens / train.seconds, memory("HWM") - before)  # type: ignore[attr-defined]


def bench(name: str, case: Case, rounds: int) -> None:
    print(f"\n{name}: {len(case.rows)} rows, {case.tokens} tokens, {case.method}, {'bf16' if case.bf16 else 'float32'}")
    print(f"losses of one batch in float32 differ by {assert_same_loss(case):.1e}", flush=True)
    measured(ours(case), case.tokens)
    tried = {setting: measured(trl(case, **changes), case.tokens) for setting, changes in TRL.items()}
    for setting, one in tried.items():
        print(f"  TRL, {setting:<26}{one.rate:>10,.0f} tokens per CPU second, {one.memory:>6,.0f} MB, tried once")
    best = max(tried, key=lambda setting: tried[setting].rate)
    sides = {"ours": ours(case), f"TRL, {best}": trl(case, **TRL[best])}
    found: dict[str, list[Measured]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, train in sides.items():
            found[side].append(measured(train, case.tokens))
    theirs = statistics.median(one.rate for one in found[f"TRL, {best}"])
    print(f"{'':<32}{'tokens per CPU second':>22}{'range':>18}{'ratio':>8}{'peak memory':>14}")
    for side, values in found.items():
        rates = [one.rate for one in values]
        median, spread = statistics.median(rates), f"{min(rates):,.0f} to {max(rates):,.0f}"
        peak = max(one.memory for one in values)
        print(f"{side:<32}{median:>22,.0f}{spread:>18}{median / theirs:>8.2f}{peak:>11,.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--float32", action="store_true")
    parser.add_argument("--models", nargs="+", choices=["embedded", "larger"], default=["embedded", "larger"])
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model = ModelConfig(threads=arguments.threads)
            if name == "larger":
                model = ModelConfig(name=str(larger_model(Path(folder))), threads=arguments.threads)
            vocabulary = LARGER["vocab_size"] if name == "larger" else 60
            case = Case(model, draw_rows(arguments.rows, int(vocabulary)), arguments.method, not arguments.float32)
            bench(name, case, arguments.rounds)


if __name__ == "__main__":
    main()
