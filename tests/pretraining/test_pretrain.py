"""Pretraining: what the demonstrations show, and that a killed run ends with the weights of an undisturbed one."""

import hashlib
import os
import random
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.support import assert_refused, iterdeploy
from iterdeploy.config import ModelConfig
from iterdeploy.models.chat import load_tokenizer, prompt_ids
from iterdeploy.models.loading import base_policy, embedded_models, load
from iterdeploy.models.scoring import token_logprobs
from iterdeploy.pddl import Domain, Problem, Status, validate_steps
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.domains.blocksworld_reasoning import all_down, towers
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.interactive import PlanningEnvironment
from iterdeploy.planning.judge import BUILT_IN, Judge
from iterdeploy.planning.prompts import answer, compact
from iterdeploy.planning.rng import Rng
from iterdeploy.pretraining.config import DemonstrationConfig, PretrainConfig
from iterdeploy.pretraining.demonstrations import Demonstration, Mixture, demonstrate
from iterdeploy.pretraining.encoding import encode
from iterdeploy.pretraining.pretrain import _steps
from iterdeploy.pretraining.sources import BuiltIn, vocabulary
from iterdeploy.pretraining.tokenizer import build_tokenizer
from iterdeploy.types import Task

BLOCKSWORLD = DOMAINS["blocksworld"]
MIXTURE = Mixture((2, 3, 4), flawed=0.4, wasteful=0.3)
COUNT = 600
SEED = int(os.environ.get("ITERDEPLOY_TEST_SEED") or random.SystemRandom().randrange(10**6))

MINUSCULE = """
name = "minuscule"
seed = 3
threads = 1
[demonstrations]
sizes.blocksworld = [2]
count = 2500
flawed = 0.4
wasteful = 0.3
[architecture]
hidden_size = 32
layers = 1
heads = 2
intermediate_size = 64
[optimiser]
learning_rate = 1e-3
tokens_per_batch = 1000
warmup_steps = 5
checkpoint_minutes = 1e-6
"""


@pytest.fixture(scope="module")
def demonstrations() -> list[Demonstration]:
    return [demonstrate(BLOCKSWORLD, MIXTURE, 7, index) for index in range(COUNT)]


def problem_of(index: int) -> Problem:
    """The task of a demonstration, made again from its stream."""
    rng = Rng("demonstration", "blocksworld", 7, index)
    size = rng.choice(MIXTURE.sizes)
    assert BLOCKSWORLD.practice is not None
    text = BLOCKSWORLD.practice(size, rng, f"demonstration-{index}")
    return Problem.parse(text, Domain.parse(BLOCKSWORLD.pddl))


def test_every_flawed_demonstration_is_invalid_and_every_good_one_valid(demonstrations: list[Demonstration]) -> None:
    domain = Domain.parse(BLOCKSWORLD.pddl)
    wasteful = 0
    for index, shown in enumerate(demonstrations):
        problem = problem_of(index)
        extraction = extract_plan(shown.answer)
        assert extraction.steps is not None and extraction.strict
        verdict = validate_steps(domain, problem, extraction.steps)
        assert verdict.status is (Status.INVALID if shown.flawed else Status.VALID), (index, shown)
        triples = zip(extraction.steps, extraction.steps[1:], extraction.steps[2:], strict=False)
        undone = any(a == c and b == (BLOCKSWORLD.undo[a[0]], *a[1:]) for a, b, c in triples)
        wasteful += not shown.flawed and undone
    good = sum(not shown.flawed for shown in demonstrations)
    assert abs(wasteful / good - MIXTURE.wasteful) < 4 * (0.3 * 0.7 / good) ** 0.5


def test_the_shares_and_sizes_are_as_configured(demonstrations: list[Demonstration]) -> None:
    flawed = sum(shown.flawed for shown in demonstrations) / COUNT
    assert abs(flawed - MIXTURE.flawed) < 4 * (0.4 * 0.6 / COUNT) ** 0.5
    for size in MIXTURE.sizes:
        share = sum(shown.size == size for shown in demonstrations) / COUNT
        assert abs(share - 1 / 3) < 4 * (2 / 9 / COUNT) ** 0.5
    assert not any(demonstrate(BLOCKSWORLD, Mixture((2,), 0.0, 0.0), 1, index).flawed for index in range(50))


def test_a_demonstration_follows_from_seed_and_index_alone(demonstrations: list[Demonstration]) -> None:
    assert demonstrate(BLOCKSWORLD, MIXTURE, 7, 41) == demonstrations[41]
    assert demonstrate(BLOCKSWORLD, MIXTURE, 8, 41) != demonstrations[41]
    assert len({shown.prompt for shown in demonstrations}) > COUNT * 0.8


def test_the_tokenizer_loses_nothing_and_knows_the_words_of_the_domain(demonstrations: list[Demonstration]) -> None:
    tokenizer: Any = build_tokenizer(vocabulary(["blocksworld"]))
    for text in [shown.prompt + shown.answer for shown in demonstrations[:100]]:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert len(ids) < len(text) / 2
    for text in ("", " ", "\n\n", "(at robot-7 ROOM_9)\t[1.5]", "été 漢字 \U0001f916 \x00", "<|end", "b1b2  b30 b31"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert tokenizer.eos_token_id not in ids and tokenizer.pad_token_id not in ids
    assert [len(tokenizer(word)["input_ids"]) for word in ("<think>\n", " b7", "(stack", "</plan>")] == [1, 1, 1, 1]


def pretrain(config: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "iterdeploy", "pretrain", str(config), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def weights(out: Path) -> str:
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_killed_and_resumed_pretraining_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, optimiser: str
) -> None:
    print(f"ITERDEPLOY_TEST_SEED={SEED}")
    draw = random.Random(SEED)
    config, straight, broken = tmp_path / "minuscule.toml", tmp_path / "straight", tmp_path / "broken"
    config.write_text(MINUSCULE.replace("learning_rate", f'name = "{optimiser}"\nlearning_rate'))
    undisturbed = pretrain(config, straight)

    checkpoint = broken / "checkpoint.pt"
    killed = 0
    for _ in range(2):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = pretrain(config, broken)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        process.communicate()
        killed += process.returncode == -9 and not (broken / "model" / "model.safetensors").exists()
    last = pretrain(config, broken)
    told, _ = last.communicate(timeout=300)
    assert last.returncode == 0, told
    assert killed and "continuing at step " in told and "continuing at step 0 " not in told
    assert undisturbed.communicate(timeout=300) and undisturbed.returncode == 0
    assert weights(broken) == weights(straight)
    assert ("optimiser 1" in torch.load(checkpoint, weights_only=True)) == (optimiser == "muon")
    assert not list(broken.glob("writing-*"))

    # Another configuration must not go on from what this one has trained.
    done = iterdeploy("pretrain", config, "--out", broken, "--set", "optimiser.learning_rate=5e-3")
    assert_refused(done, str(broken), "optimiser.learning_rate")
    assert weights(broken) == weights(straight)


def test_every_step_has_some_of_every_domain_and_every_row_is_in_one_step() -> None:
    values = tomllib.loads(MINUSCULE)
    values["demonstrations"] |= {"sizes": {"blocksworld": [2], "sokoban": [5]}, "turns": {"sokoban": 3}, "count": 400}
    values["optimiser"] |= {"epochs": 2, "tokens_per_batch": 600}
    config = PretrainConfig.model_validate(values)
    lengths = np.random.default_rng(5).integers(10, 90, 400)
    source = BuiltIn(config.demonstrations)
    steps = list(_steps(config, lengths, np.asarray([source.domain(index) for index in range(400)])))
    assert len(steps) > 20
    for step in steps:
        assert {index % 4 == 0 for batch in step for index in batch} == {True, False}
        assert all(len({index % 4 == 0 for index in batch}) == 1 for batch in step)
        assert all(lengths[batch].max() * len(batch) <= 600 for batch in step)
    for half in (steps[: len(steps) // 2], steps[len(steps) // 2 :]):
        assert sorted(index for step in half for batch in step for index in batch) == list(range(400))


@pytest.mark.slow
def test_what_pretraining_makes_is_a_model_that_the_loop_takes(tmp_path: Path) -> None:
    (tmp_path / "minuscule.toml").write_text(MINUSCULE.replace("count = 2500", "count = 100"))
    process = pretrain(tmp_path / "minuscule.toml", tmp_path / "out", "--set", "optimiser.warmup_steps=3")
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    done = iterdeploy("run", "smoke", "--dry-run", "--set", f"model.name={tmp_path / 'out' / 'model'}")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "out" / "model") in done.stdout


@pytest.mark.slow
def test_a_model_that_goes_on_from_another_knows_what_that_one_knew(tmp_path: Path) -> None:
    """Hardly trained at all, with a second domain's words: the same answers are as likely as before."""
    text = MINUSCULE.replace("sizes.blocksworld = [2]", "sizes.blocksworld = [3]\nsizes.sokoban = [5]")
    text = text.replace("count = 2500", "count = 40").replace("learning_rate = 1e-3", "learning_rate = 1e-9")
    text = text.replace("tokens_per_batch = 1000", "tokens_per_batch = 250")
    text = text.replace("hidden_size = 32\nlayers = 1\nheads = 2\nintermediate_size = 64",
                        "hidden_size = 128\nlayers = 5\nheads = 4\nintermediate_size = 384")  # fmt: skip
    (tmp_path / "more.toml").write_text(text.replace("seed = 3", 'seed = 3\nstart_from = "blocksworld-1m"'))
    told, _ = pretrain(tmp_path / "more.toml", tmp_path / "out").communicate(timeout=300)
    more, before = tmp_path / "out" / "model", embedded_models()["blocksworld-1m"]
    scored = {}
    for folder in (before, more):
        here = load(base_policy(folder), ModelConfig(name=str(folder), threads=1), torch.float32)
        task = Problem.parse(BLOCKSWORLD.generate(3, Rng("known"), "t"), Domain.parse(BLOCKSWORLD.pddl))
        reasoning = all_down(towers(task.init_list), towers(task.goal_atoms()))
        said = answer(reasoning, BLOCKSWORLD.solve(task))
        prompt = prompt_ids(here.tokenizer, compact(BLOCKSWORLD, task), ModelConfig())
        row = (prompt, here.tokenizer(said)["input_ids"])
        (scored[folder],) = token_logprobs(here, [row], 4096)
    assert len(scored[more]) == len(scored[before]) > 20, told
    assert scored[more].sum() == pytest.approx(float(scored[before].sum()), abs=5.0)
    assert scored[before].mean() > -0.5


@pytest.mark.slow
def test_domains_take_turns_as_often_as_told(tmp_path: Path) -> None:
    text = MINUSCULE.replace("sizes.blocksworld = [2]", "sizes.blocksworld = [2]\nsizes.sokoban = [5]")
    text = text.replace("count = 2500", "count = 40\nturns.blocksworld = 3")
    text = text.replace("tokens_per_batch = 1000", "tokens_per_batch = 250")
    (tmp_path / "turns.toml").write_text(text)
    told, _ = pretrain(tmp_path / "turns.toml", tmp_path / "out").communicate(timeout=300)
    tokenizer = load_tokenizer(tmp_path / "out" / "model", ModelConfig())
    data = np.load(tmp_path / "out" / "demonstrations.npz")
    shown = [
        "(on" in str(tokenizer.decode(data["ids"][start:end]))
        for start, end in zip(data["starts"], data["starts"][1:], strict=False)
    ]
    assert shown == [index % 4 < 3 for index in range(40)], told
    done = iterdeploy(
        "pretrain", tmp_path / "turns.toml", "--out", tmp_path / "no", "--set", "demonstrations.turns.x=2"
    )
    assert_refused(done, "demonstrations.turns", "'x'")
    done = iterdeploy("pretrain", tmp_path / "turns.toml", "--out", tmp_path / "no", "--set", "demonstrations.count=3")
    assert_refused(done, "demonstrations.count", "4 or more")


@pytest.mark.parametrize(
    ("start", "says"), [("nobody-1m", "rovers-1m"), ("blocksworld-1m", "architecture")], ids=["unknown", "other shape"]
)
def test_a_start_that_cannot_be_is_refused(tmp_path: Path, start: str, says: str) -> None:
    (tmp_path / "wrong.toml").write_text(MINUSCULE.replace("seed = 3", f'seed = 3\nstart_from = "{start}"'))
    done = iterdeploy("pretrain", tmp_path / "wrong.toml", "--out", tmp_path / "out")
    assert_refused(done, "start_from", says)


def test_an_agents_demonstration_is_an_episode_as_a_run_would_have_it() -> None:
    """The environment answers as it shows; good ones end at the goal. Only its own words carry loss."""
    config = DemonstrationConfig(sizes={"blocksworld": (2, 3)}, count=60, interactive=True, flawed=0.5, wasteful=0.3)
    words = BuiltIn(config).words()
    tokenizer = build_tokenizer(words)
    rows = encode(BuiltIn(config), words, 7, range(config.count))
    done = 0
    for index, (ids, own) in enumerate(rows):
        shown = demonstrate(BLOCKSWORLD, Mixture((2, 3), 0.5, 0.3), 7, index, interactive=True)
        rng = Rng("demonstration", "blocksworld", 7, index)
        text = (BLOCKSWORLD.practice or BLOCKSWORLD.generate)(rng.choice((2, 3)), rng, f"demonstration-{index}")
        environment = PlanningEnvironment(Judge(BUILT_IN))
        payload = {"domain": BLOCKSWORLD.pddl, "problem": text}
        environment.reset(Task.make(domain="blocksworld", size=2, split="deployed", prompt="", payload=payload))
        turns = [shown.answer, *(said for _, said in shown.later)]
        observed = [environment.step(turn) for turn in turns]
        assert [read for read, _ in shown.later] == [observation.text for observation in observed[:-1]]
        assert observed[-1].done or shown.flawed
        done += observed[-1].done
        said = [token for token, mine in zip(ids, own, strict=True) if mine]
        assert tokenizer.decode(said) == "".join(f"{turn}<|end|>" for turn in turns)
    assert 20 < done < 55, "some slips are never made good"
