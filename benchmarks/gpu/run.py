"""What one GPU does with the package's own code: one command, one JSON, about eight minutes.

    python benchmarks/gpu/run.py [--out gpu.json] [--minutes 8] [--tiny]

Needs PyTorch, transformers and PEFT, no vLLM and no download. Every figure is written as soon as it is known, under a
name; called again, it goes on with those that are missing. A figure that cannot be had, for lack of memory say, is its
error. `--tiny`: the same on shapes small enough for a CPU and two minutes, to see that all of it works.

    train-4096, ...   LoRA on random weights of Qwen3-4B's shape: tokens/s, MFU and memory by length
    sample            the in-process sampler on the same model
    parity            the device against the CPU in float32: log-probabilities, greedy answers, a training phase
    loop              a model pretrained on the spot, then two generations of the loop
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
import torch

from iterdeploy.config import ModelConfig, TrainingConfig
from iterdeploy.estimate.arithmetic import GPUS, forward_operations
from iterdeploy.models.loading import Loaded, base_policy, device_of, embedded_models, has_bfloat16, load
from iterdeploy.models.scoring import token_logprobs
from iterdeploy.models.shapes import SHAPES, Shape
from iterdeploy.record.run_dir import RunDir
from iterdeploy.samplers.transformers import Row, decode
from iterdeploy.training.fit import add_gradient, fit, with_lora
from iterdeploy.training.forward import Forward
from iterdeploy.training.phase import Phase, TrainingExamples
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Example

Figures = Mapping[str, Any]
SMALL = Shape(2, 64, 128, 4, 2, 16, 512, 4096, tied=True)
LORA = TrainingConfig(
    learning_rate=1e-5, method="lora", rows_per_batch=1, base_dtype="bfloat16", gradient_checkpointing=True
)
EMBEDDED = "blocksworld-1m"


@dataclass(frozen=True)
class Size:
    shape: Shape
    lengths: tuple[int, ...]
    steps: int
    sequences: int
    prompt: int
    answer: int
    """Of sampling: how many at once, and their tokens."""
    hidden: int
    layers: int
    demonstrations: int
    """Of the model that is pretrained."""
    tasks: int
    generation_tokens: int


LARGE = Size(SHAPES["Qwen/Qwen3-4B-Thinking-2507"], (4096, 16_384, 32_768), 3, 32, 512, 256, 512, 12, 150_000, 200, 400)
TINY = Size(SMALL, (64, 128), 2, 2, 16, 8, 32, 2, 64, 4, 24)


class Results:
    """The JSON, written anew after each figure."""

    def __init__(self, path: Path, until: float) -> None:
        self._path = path
        self._until = until
        self.values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, name: str, measure: Callable[[], Figures]) -> None:
        """Nothing, if the figure is there or the time is over."""
        if name in self.values or time.monotonic() > self._until:
            return
        began = time.monotonic()
        try:
            found = dict(measure())
        except (RuntimeError, subprocess.CalledProcessError) as error:  # torch's OutOfMemoryError is a RuntimeError
            found = {"error": str(error).splitlines()[0]}
        self.values[name] = {**found, "seconds": round(time.monotonic() - began, 1)}
        self._path.write_text(json.dumps(self.values, indent=1) + "\n")
        print(name, self.values[name], flush=True)
        _free()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _wait() -> float:
    """The time, once the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _peak() -> int | None:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def random_model(shape: Shape, device: str) -> Loaded:
    """Random weights of a Qwen3 of this shape, in bfloat16. Its tokenizer is another one's, and is not used."""
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model: Any = Qwen3ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(embedded_models()[EMBEDDED], local_files_only=True)
    return Loaded(model.eval(), tokenizer, device, frozenset(), 0)


def train(size: Size, length: int, device: str) -> Figures:
    """Steps of one row under LoRA; the first one is not counted."""
    here = random_model(size.shape, device)
    model = with_lora(here.model, LORA)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-5)
    forward = Forward(model, here, has_bfloat16(device))
    ids = torch.randint(1, size.shape.vocabulary, (length,)).tolist()
    row, times = Example("row", tuple(ids), ((length // 8, length),)), []
    for _ in range(size.steps + 1):
        began = _wait()
        loss = add_gradient(forward, [row], LORA, Ranks())
        optimiser.step()
        optimiser.zero_grad()
        times.append(_wait() - began)
    seconds = sum(times[1:]) / size.steps
    # Without what checkpointing computes again, as MFU is defined (Chowdhery et al. 2022); under LoRA the base weights
    # have no gradient of their own.
    attention = forward_operations(size.shape, length / 2) - 2 * size.shape.multiplied
    operations = length * (2 * 2 * size.shape.multiplied + 3 * attention)
    return {
        "tokens_per_second": length / seconds,
        "mfu": _of_peak(operations / seconds),
        "peak_bytes": _peak(),
        "loss": loss,
    }


def _of_peak(per_second: float) -> float | None:
    """The share of the bfloat16 operations per second that the GPU's maker states; None for one that is not known."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name().lower()
    known = next((gpu for short, gpu in GPUS.items() if short in name), None)
    return per_second / known.flops if known else None


def sample(size: Size, device: str) -> Figures:
    """Answers to different prompts of one length, all to their limit: random weights have no end."""
    here = random_model(size.shape, device)
    prompts = torch.randint(1, size.shape.vocabulary, (size.sequences, size.prompt)).tolist()
    rows = [Row(prompt, size.answer, 1.0) for prompt in prompts]
    began = _wait()
    decode(here, rows, torch.Generator(device).manual_seed(0))
    seconds = _wait() - began
    tokens = sum(len(row.tokens) for row in rows)
    return {"tokens_per_second": tokens / seconds, "sequences": size.sequences, "peak_bytes": _peak()}


def parity(size: Size) -> Figures:
    """What the device and the CPU say in float32 of the same things, with an embedded model. TF32 is off by default."""
    policy = base_policy(embedded_models()[EMBEDDED])
    devices = ["cpu", device_of(ModelConfig())]
    models = [load(policy, ModelConfig(device=device), torch.float32) for device in devices]
    prompt = models[0].tokenizer("(define (problem p)", add_special_tokens=False)["input_ids"]
    answers = []
    for here in models:
        rows = [Row(prompt, size.answer, 0.0) for _ in range(2)]
        decode(here, rows, torch.Generator(here.device).manual_seed(0))
        answers.append(rows)
    tokens = answers[0][0].tokens
    scored = [token_logprobs(here, [(prompt, tokens)], 4096)[0] for here in models]
    example = Example("row", (*prompt, *tokens), ((len(prompt), len(prompt) + len(tokens)),))
    config = TrainingConfig(learning_rate=1e-3, epochs=2, bf16=False, validation_share=0.0)
    weights = []
    for device in devices:
        with tempfile.TemporaryDirectory() as folder:
            pool = TrainingExamples([example] * 4, "parity")
            phase = Phase(config, ModelConfig(device=device), 0, policy, 1, pool)
            fit(phase, Path(folder), lambda done, total: None, Ranks())
            weights.append(_weights(Path(folder)))
    moved = max(float((weights[1][name] - weights[0][name]).abs().max()) for name in weights[0])
    return {
        "devices": devices,
        "greedy_answers_equal": answers[0][0].tokens == answers[1][0].tokens,
        "largest_logprob_difference": float(abs(scored[0] - scored[1]).max()),
        "largest_weight_difference_after_training": moved,
    }


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def loop(size: Size, device: str) -> Figures:
    """A model from nothing, and two generations of it, by the commands that anybody would use."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        made = {
            "name": "on-the-spot",
            "demonstrations": {"sizes": {"blocksworld": [2, 3, 4]}, "count": size.demonstrations, "flawed": 0.6,
                               "wasteful": 0.3},
            "architecture": {"hidden_size": size.hidden, "layers": size.layers, "heads": size.hidden // 32 or 1,
                             "intermediate_size": 3 * size.hidden},
            "optimiser": {"learning_rate": 1e-3, "tokens_per_batch": 32_768 if size is LARGE else 512,
                          "warmup_steps": 1},
        }  # fmt: skip
        run = {
            "generations": 1,
            "model": {"name": str(there / "made" / "model")},
            "tasks": {"sizes": "2-5", "deployed": size.tasks, "held_out": size.tasks},
            "sampling": {"samples": 2, "max_new_tokens": size.generation_tokens, "max_truncated": 1.0},
            "curation": {"policies": ["valid"] if size is LARGE else ["all"]},
            "training": {"learning_rate": 3e-4, "epochs": 1, "tokens_per_batch": 16_384},
        }
        (there / "made.toml").write_text(tomli_w.dumps(made))
        (there / "run.toml").write_text(tomli_w.dumps(run))
        pretraining = _iterdeploy("pretrain", str(there / "made.toml"), "--out", str(there / "made"))
        going = _iterdeploy("run", str(there / "run.toml"), "--runs-dir", folder)
        done = RunDir.read(there / "run")
        measured = [values.held_out.coverage for values in done.metrics() if values.held_out]
        done.close()
    return {
        "device": device,
        "pretraining_seconds": round(pretraining, 1),
        "run_seconds": round(going, 1),
        "held_out_coverage": measured,
    }


def _iterdeploy(*arguments: str) -> float:
    """Seconds that the command took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "iterdeploy", *arguments], check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=8.0, help="after which no further figure is begun")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    size, device = TINY if options.tiny else LARGE, device_of(ModelConfig())
    results = Results(options.out, time.monotonic() + 60 * options.minutes)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    results.add("setting", lambda: {"device": name, "torch": torch.__version__, "tiny": options.tiny})
    for length in size.lengths:
        results.add(f"train-{length}", lambda length=length: train(size, length, device))
    results.add("sample", lambda: sample(size, device))
    results.add("parity", lambda: parity(size))
    results.add("loop", lambda: loop(size, device))


if __name__ == "__main__":
    main()
