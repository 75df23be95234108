"""The propositions on the real run of the tiny configuration, and the command that measures them."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.support import as_version_1, before_training
from iterdeploy.cli.main import main
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.tables import markdown
from iterdeploy.theory.analysis import read_theory
from iterdeploy.theory.answers import Subject, TheoryError, choose
from iterdeploy.theory.as_trained import pool
from iterdeploy.theory.gradients import (
    cosine,
    differentiable,
    example,
    no_narrowing,
    norm_ratio,
    objective_gradient,
    sums,
)
from iterdeploy.theory.proposition1 import as_int8, batch_coefficients
from iterdeploy.theory.proposition2 import measure as measure2
from iterdeploy.theory.records import THEORY
from iterdeploy.theory.tables import tables
from iterdeploy.training.batching import length_buckets_in_order
from iterdeploy.types import Example


def quiet(line: str) -> None:
    pass


@pytest.fixture
def subject(finished: Path) -> Subject:
    return choose(RunDir.read(finished), 0, 24, quiet)


def test_proposition_1_is_exact_on_real_traces_in_float64(subject: Subject) -> None:
    """Algebra, and so a test of the trainer's loss alone: SFT has the valid traces, each counting 1, by their number;
    REINFORCE all traces, each counting its reward, by theirs. The two are cut into other batches."""
    at, stored = differentiable(subject, subject.current, exact=True), subject.stored(0)
    assert at.dtype == "float64" and at.size > 1_000_000

    def mean_gradient(rows: Sequence[Example]) -> Any:
        batches = length_buckets_in_order(rows, 512)
        return sum(objective_gradient(at, batch, float(len(rows))) for batch in batches)

    valid = [example(answer) for answer in stored if answer.valid]
    sft = mean_gradient(valid)
    reinforce = mean_gradient([example(answer, float(answer.valid)) for answer in stored])
    assert len(stored) == 24 and 1 < len(valid) < 24
    assert cosine(sft, reinforce) == pytest.approx(1, abs=1e-10)
    assert norm_ratio(sft, reinforce) == pytest.approx(24 / len(valid), abs=1e-10)


def test_the_gradient_is_that_of_the_log_probability(subject: Subject) -> None:
    """Along a random direction, against a difference of log-probabilities."""
    import torch

    from iterdeploy.models.scoring import sequence_logprobs

    at = differentiable(subject, subject.current, exact=True)
    answer = subject.stored(0)[0]
    gradient = objective_gradient(at, [example(answer)], 1.0)
    random = torch.Generator().manual_seed(1)
    directions = [torch.randn(one.shape, generator=random, dtype=one.dtype) for one in at.parameters]

    def moved(step: float) -> float:
        with torch.no_grad():
            for parameter, direction in zip(at.parameters, directions, strict=True):
                parameter.add_(direction, alpha=step)
        with no_narrowing():
            value = float(sequence_logprobs(at.here, [(answer.prompt, answer.tokens)], 4096)[0])
        with torch.no_grad():
            for parameter, direction in zip(at.parameters, directions, strict=True):
                parameter.sub_(direction, alpha=step)
        return value

    along = float(gradient @ torch.cat([one.flatten() for one in directions]))
    assert (moved(1e-6) - moved(-1e-6)) / 2e-6 == pytest.approx(along, rel=1e-6)


def test_sums_keep_halves_and_groups_apart_and_leave_out_what_counts_nothing(subject: Subject) -> None:
    at, answers = differentiable(subject, subject.current), subject.stored(0)[:4]
    found = sums(at, answers, [[1, 1, 0, 0], [0, -2, 0, 0.5]])
    alone = [objective_gradient(at, [example(answer)], 1.0) for answer in answers]
    assert float((found[0].sum((0, 1)) - alone[0] - alone[1]).norm()) < 1e-3
    assert float((found[1].sum((0, 1)) + 2 * alone[1] - 0.5 * alone[3]).norm()) < 1e-3
    assert float((found[1, answers[3].half, answers[3].group] - 0.5 * alone[3]).norm()) < 1e-3
    assert {answer.half for answer in answers} == {0, 1}


def test_as_trained_is_the_mean_step_of_the_trainer_s_first_epoch(subject: Subject) -> None:
    """The trainer's own function adds up the gradients of the epoch's steps, at the same weights."""
    import torch

    from iterdeploy.training.batching import plan
    from iterdeploy.training.fit import add_gradient
    from iterdeploy.training.forward import Forward
    from iterdeploy.training.ranks import Ranks

    examples, config = pool(subject), subject.config.training
    at = differentiable(subject, subject.current)
    counts = dict(zip([row.trace_id for row in examples], batch_coefficients(subject, examples).tolist(), strict=True))
    answers = [answer for answer in subject.stored() if answer.trace_id in counts]
    assert len(answers) == len(examples) > 2
    (ours,) = sums(at, answers, [[counts[answer.trace_id] for answer in answers]])
    steps = plan([len(row.token_ids) for row in examples], config, subject.config.seed)[0]
    assert len(steps) > 1
    for step in steps:
        add_gradient(Forward(at.here.model, at.here, False), [examples[i] for i in step], config, Ranks())
    theirs = -torch.cat([one.grad.flatten() for one in at.parameters if one.grad is not None]) / len(steps)
    assert cosine(ours, theirs) == pytest.approx(1, abs=1e-5)
    assert norm_ratio(ours, theirs) == pytest.approx(1, abs=1e-4)


def test_the_weights_of_a_pool_without_old_traces_change_nothing(finished: Path) -> None:
    """At generation 0 every w is n; scored in generation 1, what generation 0 sampled weighs something else."""
    subject = choose(RunDir.read(finished), 1, 24, quiet)
    found = measure2(subject)
    assert found is not None and measure2(choose(RunDir.read(finished), 0, 24, quiet)) is None
    assert found.gap is not None and found.gap < 1e-3, "the policies on the disk are those that sampled"
    assert found.traces == sum(one.traces for one in found.by_generation)
    assert 1 <= found.effective_size["own_policy"] <= found.effective_size["mixture"] <= found.traces
    assert found.solve_rate_by_weights == pytest.approx(
        sum(task.rate_by_weights for task in found.per_task) / found.tasks
    )
    assert 0 <= found.tied <= 1


def test_int8_rounds_each_row_to_its_own_grid() -> None:
    import torch

    weights = torch.tensor([[1.27, 0.004, -0.5], [0.0, 0.0, 0.0]])
    assert as_int8(weights).flatten().tolist() == pytest.approx([1.27, 0.0, -0.5, 0.0, 0.0, 0.0])


def theory(folder: Path, *arguments: object) -> int:
    return main(["theory", folder.name, "--runs-dir", str(folder.parent), *map(str, arguments)])


def test_the_command_writes_what_it_prints_and_keeps_what_it_wrote(
    finished_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generation 1 as it is, then generation 0 as if it had been sampled at another temperature."""
    assert theory(finished_copy, "--traces", 20, "--json") == 0
    told = capsys.readouterr()
    shown_as_json = json.loads(told.out)
    assert "sampling" in told.err and "gradients" in told.err
    as_version_1(finished_copy)  # whose files are taken as they are
    config = finished_copy / "config.toml"
    config.write_text(config.read_text().replace("temperature = 1.0", "temperature = 0.6"))
    assert theory(finished_copy, "--traces", 20, "--generation", 0) == 0
    shown = " ".join(capsys.readouterr().out.split())
    found = read_theory(RunDir.read(finished_copy))
    assert found is not None and list(found.generations) == [0, 1] and not found.twins
    entry = found.generations[1]
    assert THEORY.values(replace(found, generations={1: entry})) == shown_as_json
    rows = entry.proposition1.rows
    cooled = {"temperature", "own_temperature"}
    assert {"batch_mean", "sequence_mean", "int8_sampling", "first_generation"} | cooled <= set(rows)
    assert rows["token_sum"].same_cosine == pytest.approx(1, abs=1e-12)
    assert rows["token_sum"].same_ratio == pytest.approx(24 / entry.proposition1.valid, abs=1e-10)
    assert (rows["sequence_mean"].same_cosine or 1) < 1 - 1e-6
    assert 0.99 < (rows["bf16_sampling"].same_cosine or 0) < 1 - 1e-12
    assert [row.steps for row in entry.as_trained.steps] == [1, None]
    assert [row.generation for row in entry.as_trained.pool] == [0, 1]

    assert "Proposition 1 at generation 0" in shown and "This run samples at temperature 0.6" in shown
    other = found.generations[0].proposition1.rows
    assert not cooled & set(other)
    assert 0 < (other["token_sum"].same_cosine or 0) < 1 - 1e-6, "SFT does not follow what is solved at 0.6"
    shapes = [(len(table.columns), {len(row) for row in table.rows}) for table in tables(found)]
    assert len(shapes) == 2 + 4 and all(widths == {columns} for columns, widths in shapes)
    assert all(markdown(table).count("\n|") == len(table.rows) + 2 for table in tables(found))


def changed(folder: Path, statement: str) -> None:
    store = sqlite3.connect(folder / "traces.sqlite")
    with store:
        store.execute(statement)
        store.execute("UPDATE traces SET seal = NULL")
    store.close()


@pytest.mark.parametrize(
    ("statement", "generation", "words"),
    [
        ("SELECT 1", 7, ("--generation 7", "0, 1")),
        ("SELECT 1", 2, ("--generation 2", "0, 1")),
        (
            "UPDATE traces SET status = 'invalid' WHERE generation = 1",
            None,
            ("generation 1", "none of its 24 traces"),
        ),
        (
            "UPDATE traces SET logprob = NULL WHERE generation = 1",
            None,
            ("no recorded log-probabilities",),
        ),
    ],
)
def test_what_cannot_be_looked_at_is_said_before_anything_is_loaded(
    finished_copy: Path, statement: str, generation: int | None, words: tuple[str, ...]
) -> None:
    changed(finished_copy, statement)
    run_dir = RunDir.reading(finished_copy, TraceStore(finished_copy / "traces.sqlite", read_only=True))
    with pytest.raises(TheoryError) as told:
        choose(run_dir, generation, 400, quiet)
    for word in words:
        assert word in str(told.value)


def test_a_run_that_trained_nothing_has_no_theory(finished_copy: Path) -> None:
    before_training(finished_copy)
    with pytest.raises(TheoryError, match="trained another"):
        choose(RunDir.read(finished_copy), None, 400, quiet)
