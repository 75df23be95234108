"""The paper's configurations: every value of its protocol, found by name and by path, and checked on any machine."""

import tomllib
from pathlib import Path

import pytest

from helpers.support import HEAVY, ROOT, iterdeploy, watched
from iterdeploy.cli.main import main
from iterdeploy.config import RunConfig
from iterdeploy.config_file import config_names, find_config, load_config
from iterdeploy.models.shapes import how_to_get
from iterdeploy.sections import ConfigError

NAMES = ("blocksworld", "rovers", "sokoban", "ten-domains", "no-curation")
TEN = {"blocksworld", "rovers", "sokoban", "childsnack", "ferry", "floortile", "miconic", "satellite", "spanner",
       "transport"}  # fmt: skip


def config(name: str) -> RunConfig:
    return load_config(find_config(f"paper/{name}"))


@pytest.mark.parametrize("name", NAMES)
def test_the_protocol_of_the_paper_is_there_value_by_value(name: str) -> None:
    one = config(name)
    assert one.model.name.endswith("Qwen3-4B-Thinking-2507")
    assert one.generations == 5
    assert (one.tasks.deployed, one.tasks.fresh) == (1000, False)
    assert (one.sampling.samples, one.sampling.temperature) == (3, 0.6)
    assert one.server.arguments == ("--max-model-len", "32768")
    assert one.validation.validator == "val"
    training = one.training
    assert (training.method, training.lora_rank, training.lora_alpha, training.lora_dropout) == ("lora", 16, 32, 0.05)
    assert (training.learning_rate, training.epochs, training.rows_per_batch) == (1e-5, 2, 1)
    assert (training.validation_share, training.start_from, training.objective) == (0.1, "base", "sft")
    wanted = ("all",) if name == "no-curation" else ("valid", "best_per_task")
    assert one.curation.policies == wanted
    domains = {"ten-domains": TEN, "no-curation": {"blocksworld"}}.get(name, {name})
    assert set(one.tasks.domains) == domains and len(one.tasks.domains) == len(domains)


def test_the_ablation_differs_from_its_twin_in_curation_alone() -> None:
    told = config("blocksworld").differences(config("no-curation"))
    assert {line.partition(":")[0] for line in told} == {"description", "curation.policies"}


@pytest.mark.parametrize("name", NAMES)
def test_what_the_paper_does_not_say_is_marked(name: str) -> None:
    """Every line that is not the paper's says so, so that nobody takes our choice for theirs."""
    text = find_config(f"paper/{name}").read_text(encoding="utf-8")
    for key in ("sizes", "held_out", "prompt", "dtype", "batch_size", "base_dtype", "generations"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"{key} =")]
        assert "ours" in line, line
    values = tomllib.loads(text)
    assert "held_out" in values["tasks"]


def test_packaged_names_may_have_a_folder_and_the_link_at_the_root_leads_to_the_same_file() -> None:
    assert {f"paper/{name}" for name in NAMES} <= set(config_names())
    assert (ROOT / "configs/paper/blocksworld.toml").samefile(find_config("paper/blocksworld"))


@pytest.mark.parametrize("name", ["paper", "paper/", "paper/nosuch", "../configs/smoke", "blocksworld"])
def test_an_unknown_name_is_refused_with_the_known_ones(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="paper/blocksworld"):
        find_config(name)


GET = "hf download Qwen/Qwen3-4B-Thinking-2507 --local-dir models/Qwen3-4B-Thinking-2507` gets it"
FEW = ("--set", "tasks.deployed=3", "--set", "tasks.held_out=1", "--dry-run")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder on a machine without VAL, vLLM or a model."""
    for name in ("ITERDEPLOY_VAL", "ITERDEPLOY_VLLM_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nothing")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_works_on_any_machine_and_says_what_it_lacks(
    name: str, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", f"paper/{name}", "--gpu", "h100", *FEW]) == 0
    told = capsys.readouterr().out
    assert "4.02 billion parameters" in told and "on one NVIDIA H100" in told
    assert GET in told and "VAL not found" in told
    assert not list(bare.iterdir())


def test_a_path_works_as_well_as_a_name_and_imports_nothing_heavy() -> None:
    by_path, packages = watched("run", "configs/paper/blocksworld.toml", *FEW, cwd=ROOT)
    assert by_path.returncode == 0, by_path.stderr
    assert by_path.stdout == iterdeploy("run", "paper/blocksworld", *FEW, cwd=ROOT).stdout
    assert not packages & set(HEAVY)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("models/Qwen3-4B-Thinking-2507", GET),
        (
            "Qwen/Qwen3-8B",
            'hf download Qwen/Qwen3-8B --local-dir models/Qwen3-8B` gets it, and set model.name = "models/',
        ),
    ],
)
def test_a_run_without_its_model_is_refused_with_the_way_to_get_it(
    name: str, told: str, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--set", "validation.validator=iterdeploy", "--set", "sampling.sampler=transformers"]
    assert main(["run", "paper/blocksworld", *settings, "--set", f"model.name={name}"]) == 2
    assert told in capsys.readouterr().err
    assert not list(bare.iterdir())


@pytest.mark.parametrize("folder", ["plans/qwen", "mymodel", "./x/y"])
def test_the_way_to_get_a_model_is_given_only_where_its_name_may_be_one_of_the_hub(folder: str) -> None:
    assert (how_to_get(folder) is None) == (folder != "plans/qwen")
