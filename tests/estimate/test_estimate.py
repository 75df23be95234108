"""The estimate's arithmetic against numbers worked out by hand, and what a dry run makes of it."""

import json
from pathlib import Path

import pytest

from helpers.support import MODEL, config_with, model_copy, write_config
from iterdeploy.cli.main import main
from iterdeploy.config_file import find_config, load_config
from iterdeploy.estimate.arithmetic import (
    GPU,
    GPUS,
    TRAINING_SHARE,
    Decoding,
    TrainingMethod,
    Workload,
    forward_operations,
    sampling_cost,
    trace_bytes,
    training_cost,
)
from iterdeploy.estimate.dry_run import Plan
from iterdeploy.models.loading import embedded_models
from iterdeploy.models.shapes import SHAPES, Shape, known_as, read_shape

QWEN = SHAPES["Qwen/Qwen3-4B-Thinking-2507"]
SMALL = Shape(2, 8, 16, 2, 1, 4, 100, 1000, tied=True)
"""Per layer 8x8 + 8x4 + 8x4 + 8x8 + 3 x 8x16 = 576 weights, embedding 800: 1,952 in all."""
SLOW = GPU("slow", memory=1e6, bandwidth=1e6, flops=1e12)
"""Memory-bound: computing is a thousand times faster than reading here."""


def test_the_size_of_a_model_follows_from_its_shape() -> None:
    assert SMALL.parameters == SMALL.multiplied == 1952
    untied = Shape(2, 8, 16, 2, 1, 4, 100, 1000, tied=False)
    assert (untied.parameters, untied.multiplied) == (2752, 1952)
    assert SMALL.kv_bytes(2) == 2 * 2 * 1 * 4 * 2 == 32
    assert SMALL.adapter_parameters(1) == 2 * (16 + 12 + 12 + 16 + 24 + 24 + 24)


def test_the_paper_s_model_has_the_four_billion_parameters_that_its_name_says() -> None:
    assert QWEN.parameters == pytest.approx(4.0e9, rel=0.01)
    assert QWEN.kv_bytes(2) * 32_768 == pytest.approx(4.83e9, rel=0.001)


def test_a_shape_read_from_files_has_exactly_the_weights_that_the_files_hold() -> None:
    folder = embedded_models()[MODEL]
    shape = read_shape(folder)
    assert shape is not None and shape.context == 4096
    with (folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    sizes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    assert shape.parameters == sum(size[0] * size[1] for size in sizes if len(size) == 2)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"num_hidden_layers": 3}'])
def test_what_states_no_shape_has_none(text: str, tmp_path: Path) -> None:
    assert read_shape(tmp_path) is None
    (tmp_path / "config.json").write_text(text)
    assert read_shape(tmp_path) is None


def test_decoding_takes_the_time_of_reading_weights_and_cache_once_per_token() -> None:
    # Weights 3,904 bytes; 4 sequences of 100 + 200 / 2 tokens at 32 bytes: 25,600. At 600,000 bytes/s: 49.17 ms.
    cost = sampling_cost(SMALL, SLOW, Workload(40, 100, 200), Decoding(4))
    assert cost.at_once == 4
    assert cost.tokens_per_second == pytest.approx(4 / (29_504 / 600_000))
    assert cost.hours * 3600 == pytest.approx(8000 / cost.tokens_per_second, rel=1e-3)
    assert cost.memory == 3904 + 25_600


def test_memory_says_how_many_sequences_run_at_once() -> None:
    # 0.9 x 100,000 - 3,904 = 86,096 bytes; a sequence has 200 x 32 = 6,400: 13 of them.
    gpu = GPU("small", 100_000, 1e6, 1e12)
    assert sampling_cost(SMALL, gpu, Workload(40, 100, 200), Decoding(64)).at_once == 13
    assert sampling_cost(SMALL, gpu, Workload(5, 100, 200), Decoding(64)).at_once == 5
    assert sampling_cost(SMALL, GPU("tiny", 5000, 1e6, 1e12), Workload(40, 100, 200), Decoding(64)).at_once == 0


def test_decoding_may_be_bound_by_computing_or_by_starting_operations() -> None:
    work, weak = Workload(40, 100, 200), GPU("weak", 1e6, 1e12, 1e6)
    operations = 2 * 1952 + 4 * 2 * 2 * 4 * 200
    assert forward_operations(SMALL, 200) == operations
    assert sampling_cost(SMALL, weak, work, Decoding(4)).tokens_per_second == pytest.approx(350_000 / operations)
    assert sampling_cost(SMALL, SLOW, work, Decoding(4, launch=1.0)).tokens_per_second == pytest.approx(4 / 2)


def test_training_counts_six_operations_per_weight_and_token_and_four_under_lora() -> None:
    gpu = GPU("unit", 1e6, 1e6, 1 / TRAINING_SHARE)  # one operation per second
    attention = 4 * 2 * 2 * 4 * 50  # a token of 100 has 50 before it
    full = training_cost(SMALL, gpu, TrainingMethod(0, 4, False), 10, 100, 100)
    assert full.hours * 3600 == pytest.approx(10 * (6 * 1952 + 3 * attention))
    lora = training_cost(SMALL, gpu, TrainingMethod(1, 2, False), 10, 100, 100)
    assert lora.hours * 3600 == pytest.approx(10 * (4 * 1952 + 3 * attention))
    again = training_cost(SMALL, gpu, TrainingMethod(1, 2, True), 10, 100, 100)
    assert again.hours * 3600 == pytest.approx(10 * (6 * 1952 + 4 * attention))
    assert (full.trained, lora.trained) == (1952, 256)


def test_training_needs_sixteen_bytes_per_trained_weight_and_room_for_activations() -> None:
    gpu, layer = GPUS["h100"], 2 * (8 * 8 + 2 * 2 * 4 + 4 * 16)
    full = training_cost(SMALL, gpu, TrainingMethod(0, 4, False), 10, 100, 100)
    assert full.memory == 1952 * 16 + 100 * 2 * layer
    lora = training_cost(SMALL, gpu, TrainingMethod(1, 2, True), 10, 100, 100)
    assert lora.memory == 256 * 16 + 1952 * 2 + 100 * (2 * 2 * 8 + 1.75 * layer)
    dropping = training_cost(SMALL, gpu, TrainingMethod(1, 2, True, dropout=True), 10, 100, 100)
    assert dropping.memory - lora.memory == 100 * 5 * sum(inputs for inputs, _ in SMALL.linear)


def test_a_long_answer_of_the_paper_s_model_trains_in_the_memory_that_was_counted_operation_by_operation() -> None:
    """26.6 GB at 32,074 tokens, by running a training step at the real shape without its data."""
    method = TrainingMethod(16, 2, True, dropout=True)
    assert training_cost(QWEN, GPUS["h100"], method, 1, 17_000, 32_074).memory == pytest.approx(26.6e9, rel=0.02)


def test_training_is_not_promised_to_be_faster_than_the_best_stack_that_was_measured() -> None:
    """prime-rl's own figure: 6,229 tokens/s on one H100 at 16,384 tokens with LoRA 16."""
    hours = training_cost(QWEN, GPUS["h100"], TrainingMethod(16, 2, True), 1e6, 16_384, 16_384).hours
    assert 4000 < 1e6 / (hours * 3600) < 6229


def test_the_estimate_of_stored_bytes_is_near_what_a_real_run_took() -> None:
    """The demo: 15,000 answers of 92.6 tokens to prompts of about 75 made a store of 41.1 MB."""
    assert trace_bytes(15_000, 75, 92.6) == pytest.approx(41.1e6, rel=0.1)


def plan(**overrides: object) -> Plan:
    config = config_with({"tasks.deployed": 10, "sampling.samples": 3, **overrides})
    return Plan(config, "m", None, [None] * 10, [], {}, [20], 80, [])  # type: ignore[list-item]


def test_the_pool_is_counted_as_curation_allows() -> None:
    each = 100 * 0.9  # 20 + 80 tokens; a tenth validates; one epoch
    assert plan().trained_tokens(2) == pytest.approx(10 * each), "one trace per task, however many generations"
    assert plan(**{"tasks.fresh": True}).trained_tokens(2) == pytest.approx(20 * each)
    assert plan(**{"curation.policies": ["all"]}).trained_tokens(2) == pytest.approx(60 * each)
    assert plan(**{"curation.policies": ["newest_generation"]}).trained_tokens(2) == pytest.approx(30 * each)
    assert plan(**{"training.steps": 7}).trained_tokens(2) == 7 * 512
    assert plan(**{"training.steps": 7, "training.rows_per_batch": 2}).trained_tokens(2) == 7 * 200


def test_a_dry_run_says_what_it_assumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_config(tmp_path))
    assert main(["run", path, "--dry-run", "--gpu", "4090", "--answer-tokens", "50"]) == 0
    told = capsys.readouterr().out
    assert "at most 7,200; 4,500 if an answer has 50 on average" in told  # 90 answers
    for assumption in (
        "60% of 1.008 TB/s",
        "35% of 165 TFLOP/s in prompts and 22% in training",
        "90% of 24 GB",
        "answers of 50 tokens",
    ):
        assert assumption in told
    assert main(["run", path, "--dry-run", "--gpus", "4"]) == 2
    assert "--gpu" in capsys.readouterr().err
    assert main(["run", path, "--dry-run"]) == 0
    assert "TFLOP" not in capsys.readouterr().out
    assert main(["run", path, "--dry-run", "--gpu", "abacus"]) == 2
    assert "h100" in capsys.readouterr().err


def test_what_does_not_fit_is_said_instead_of_hours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--set", "tasks.deployed=3", "--set", "tasks.held_out=1", "--set", "training.gradient_checkpointing=false"]
    assert main(["run", "paper/blocksworld", "--dry-run", "--gpu", "4090", *few]) == 0
    assert "it does not fit" in capsys.readouterr().out


def test_several_gpus_share_the_sampling_and_train_as_far_as_the_configuration_lets_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told(*further: str) -> str:
        few = ["--set", "tasks.deployed=64", "--set", "tasks.held_out=1"]
        assert main(["run", "paper/blocksworld", "--dry-run", "--gpu", "h100", *few, *further]) == 0
        return capsys.readouterr().out

    alone, eight = told(), told("--gpus", "8")
    assert "on one NVIDIA H100 SXM" in alone and "on 8 NVIDIA H100 SXM" in eight
    assert "on 1 of them (training.processes)" in eight and "of them" not in alone
    all_train = told("--gpus", "8", "--set", "training.processes=8", "--set", "training.rows_per_batch=8")
    assert "on 8 of them (training.processes)" in all_train


def test_a_folder_with_a_config_json_alone_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_copy(tmp_path / "shape-only")
    for path in folder.iterdir():
        if path.name != "config.json":
            path.unlink()
    assert main(["run", str(write_config(tmp_path, {"model.name": str(folder)})), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "1.11 million parameters" in told and "Lacking here: model.name" in told
    long = write_config(tmp_path, {"model.name": str(folder), "sampling.max_new_tokens": 4096}, "long")
    assert main(["run", str(long), "--dry-run"]) == 2
    assert "context holds only 4,096" in capsys.readouterr().err


def test_weights_that_are_there_but_damaged_are_no_shape_to_go_by(tmp_path: Path) -> None:
    folder = model_copy(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"short")
    assert main(["run", str(write_config(tmp_path, {"model.name": str(folder)})), "--dry-run"]) == 2


def test_the_paper_s_model_is_known_by_its_folder_s_name_wherever_it_lies() -> None:
    name = load_config(find_config("paper/blocksworld")).model.name
    assert known_as(name) == known_as("/data/Qwen3-4B-Thinking-2507") == "Qwen/Qwen3-4B-Thinking-2507"
    assert known_as("models/Qwen3-4B") is None
