"""A training phase done again in other ways: what is compared, and that an interrupted twin goes on where it was."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.support import assert_refused, iterdeploy
from iterdeploy.record.run_dir import RunDir
from iterdeploy.theory import twin as twins
from iterdeploy.theory.answers import TheoryError, choose
from iterdeploy.theory.implied import Scored, auc, implied
from iterdeploy.theory.records import THEORY, Twin
from iterdeploy.theory.tables import tables
from iterdeploy.training.trainer import GradientTrainer


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def twin(finished: Path) -> Twin:
    return twins.twin(choose(RunDir.read(finished), 1, 24, quiet))


def test_the_phases_are_those_of_the_pool_of_all_valid_traces_and_of_all_traces(finished: Path, twin: Twin) -> None:
    run_dir = RunDir.read(finished)
    stored = [one for one in run_dir.store.traces(up_to=1) if one.split.value == "deployed"]
    pool = run_dir.pool(1)
    assert pool is not None
    expected = {
        "run": len(pool.weights),
        "rerun": len(pool.weights),
        "reinforce": sum(one.valid for one in stored),
        "on_policy": sum(one.valid for one in stored if one.generation == 1),
        "everything": len(stored),
    }
    assert {name: one.traces for name, one in twin.phases.items()} == expected
    trained = run_dir.training(2)
    assert trained is not None
    assert {one.steps for one in twin.phases.values()} == {trained.steps}


def test_a_change_is_like_itself_and_a_rerun_is_another_change_of_like_length(twin: Twin) -> None:
    run, rerun = twin.phases["run"], twin.phases["rerun"]
    assert run.cosines["run"] == pytest.approx(1)
    assert 0.5 < run.cosines["rerun"] < 1 + 1e-9 and run.cosines["rerun"] == pytest.approx(rerun.cosines["run"])
    assert rerun.length == pytest.approx(run.length, rel=0.3)


def test_the_run_trained_again_with_its_own_seed_would_be_the_run(finished: Path, tmp_path: Path) -> None:
    """So that only the order of the batches tells the rerun from the run."""
    subject = choose(RunDir.read(finished), 0, 24, quiet)
    trainer = GradientTrainer(subject.config.training, subject.config.model, subject.config.seed)
    pool = twins.TrainingExamples(subject.pooled(0), subject.phase.pool.digest)
    trainer.fit(subject.start, 1, pool, tmp_path, lambda done, total: None)
    again = twins.read_policy(tmp_path)
    weights = [twins.all_weights(subject, policy) for policy in (again, subject.policy(1))]
    assert np.array_equal(weights[0], weights[1])


def test_the_implied_reward_is_that_of_held_out_answers(finished: Path, twin: Twin) -> None:
    held_out = [one for one in RunDir.read(finished).store.traces(generation=1) if one.split.value == "held_out"]
    assert twin.answers == len(held_out) and twin.valid == sum(one.valid for one in held_out)
    assert twin.phases["run"].implied.correlation is None
    assert (twin.phases["rerun"].implied.correlation or 0) > 0.5


def scored(values: dict[bool, list[list[float]]]) -> list[Scored]:
    rows = [(valid, np.array(gain)) for valid, gains in values.items() for gain in gains]
    return [Scored(f"t{number}", number % 3, valid, 1, gain) for number, (valid, gain) in enumerate(rows)]


def test_kl_auc_and_where_the_change_sits_are_plain_means() -> None:
    answers = scored({True: [[0.2, 0.4], [0.0, 0.3]], False: [[-0.1, -0.5], [0.1, 0.1], [0.0, -0.2]]})
    found = implied(answers, [0.6, 0.3, -0.6, 0.2, -0.2])
    assert found.kl.per_answer.value == pytest.approx(-(0.6 + 0.3 - 0.6 + 0.2 - 0.2) / 5)
    assert found.kl.per_token.value == pytest.approx(-0.3 / 10)
    assert found.auc == 1.0 and found.correlation == pytest.approx(1)
    assert found.reasoning == pytest.approx((0.2 + 0.0 - 0.1 + 0.1 + 0.0) / 5)
    assert found.rest == pytest.approx((0.4 + 0.3 - 0.5 + 0.1 - 0.2) / 5)


def test_the_auc_is_the_share_of_pairs_in_order_and_its_error_is_about_right() -> None:
    dice = np.random.default_rng(0)
    assert auc([1.0], []) is None
    one, other = dice.normal(1, 1, 300), dice.normal(0, 1, 200)
    expected = np.mean([[a > b for b in other] for a in one])
    assert auc(one.tolist(), other.tolist()) == pytest.approx(expected)
    answers = [
        Scored(f"t{number}", number % 10, valid, 0, np.array([value]))
        for number, (valid, value) in enumerate([*((True, v) for v in one), *((False, v) for v in other)])
    ]
    error = implied(answers, None).auc_error
    hanley = math.sqrt(expected * (1 - expected) / 200)  # an upper bound, by Birnbaum and Klose
    assert error is not None and hanley / 4 < error < 1.5 * hanley


def test_the_command_goes_on_where_it_was_interrupted_and_keeps_what_it_wrote(
    finished_copy: Path, run_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []  # seeds
    fit = GradientTrainer.fit

    def counted(self: GradientTrainer, *arguments: Any) -> None:
        trained.append(self._seed)
        fit(self, *arguments)

    def dying(self: GradientTrainer, *arguments: Any) -> None:
        if len(trained) == 2:
            raise KeyboardInterrupt
        counted(self, *arguments)

    monkeypatch.setattr(GradientTrainer, "fit", dying)
    with pytest.raises(KeyboardInterrupt):
        twins.twin(choose(RunDir.read(finished_copy), 0, 24, quiet))
    assert {path.name for path in (finished_copy / "theory-twin-0").iterdir()} >= {"rerun", "reinforce"}
    monkeypatch.setattr(GradientTrainer, "fit", counted)
    twins.twin(choose(RunDir.read(finished_copy), 0, 24, quiet))
    assert trained == [6, 5, 5], "the rerun with another seed, reinforce, everything: each once"
    assert not (finished_copy / "theory-twin-0").exists()

    where = ("--runs-dir", finished_copy.parent)
    shown = " ".join(run_cli("theory", "tiny", "--twin", "--generation", 0, *where).stdout.split())
    assert "The training after generation 0, done again in other ways" in shown
    run_cli("theory", "tiny", "--traces", 20, "--generation", 0, *where)
    run_cli("theory", "tiny", "--twin", *where)
    found = THEORY.read(RunDir.read(finished_copy).files.find("theory.json"))
    assert found is not None and list(found.generations) == [0] and list(found.twins) == [0, 1]
    assert len(list(tables(found))) == 2 + 2 * 2


def test_without_a_next_generation_there_is_no_twin(finished_copy: Path) -> None:
    import shutil

    shutil.rmtree(finished_copy / "generation-1" / "policy")
    shutil.rmtree(finished_copy / "generation-2")
    with pytest.raises(TheoryError, match="has not trained the next one yet"):
        twins.twin(choose(RunDir.read(finished_copy), 1, 24, quiet))
    done = iterdeploy("theory", "tiny", "--twin", "--generation", 1, "--runs-dir", finished_copy.parent)
    assert_refused(done, "resume the run first")
