"""What hurts users of systems like this one: one test for each, in the order of the table in docs/models.md.

Most of it is tested in depth elsewhere; here stands the shortest proof that it does not happen.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.chat import TEMPLATE
from helpers.stores import add
from helpers.support import TESTS, config_with, model_copy, trace, untrained_model, write_config
from iterdeploy.config_file import load_config
from iterdeploy.curation.policies import compose, make_pool
from iterdeploy.metrics.coverage import measure
from iterdeploy.models.loading import base_policy, end_ids, model_folder
from iterdeploy.planning.judge import BUILT_IN, Judge
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.pretraining.tokenizer import build_tokenizer
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir, RunDirError, Stage
from iterdeploy.record.store import TraceStore
from iterdeploy.samplers import supervisor
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.steps.parts import assemble
from iterdeploy.steps.served_policy import shown_to_be
from iterdeploy.steps.stops import Stopped, check_answers, check_pool
from iterdeploy.training.batching import collate, length_buckets
from iterdeploy.training.examples import make_examples
from iterdeploy.types import Completion, Policy, Split, Status, Trace

CONFIG = config_with({"tasks.held_out": 0, "tasks.deployed": 6})
BASE = base_policy(model_folder(CONFIG.model))
TASKS = PlanningTasks(CONFIG.tasks, 1).deployed(0)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> list[Completion]:
    """Answers of a chat model whose template drops the reasoning of what it is shown."""
    folder = model_copy(tmp_path_factory.mktemp("chat") / "model")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    config = config_with({"model.name": str(folder), "sampling.temperature": 2.0, "sampling.max_new_tokens": 60})
    with TransformersSampler(base_policy(folder), config) as sampler:
        return sampler.sample([task.prompt for task in TASKS], 3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    one = TraceStore(tmp_path / "traces.sqlite")
    yield one
    one.close()


def from_store(store: TraceStore, said: Completion) -> Trace:
    """A trace with this completion, written and read again."""
    one = replace(trace("sampled"), completion=said)
    add(store, one)
    (found,) = store.each([one.id])
    return found


def test_the_reasoning_never_leaves_the_training_target(sampled: list[Completion], store: TraceStore) -> None:
    said = max(sampled, key=lambda one: len(one.token_ids))
    found = from_store(store, said)
    (example,) = make_examples({found.id: found}, {found.id: 1.0})
    assert example.token_ids == said.prompt_token_ids + said.token_ids
    batch = collate([example], 1)
    assert batch.ids[0].tolist() == [*said.prompt_token_ids, *said.token_ids]
    assert batch.loss_mask[0].tolist() == [0.0] * len(said.prompt_token_ids) + [1.0] * len(said.token_ids)


def test_what_was_sampled_is_kept_where_its_text_would_be_tokenised_otherwise(store: TraceStore) -> None:
    tokenizer = build_tokenizer(["(pickup"])
    in_pieces = [token for byte in "(pickup" for token in tokenizer(byte, add_special_tokens=False)["input_ids"]]
    assert tokenizer(tokenizer.decode(in_pieces), add_special_tokens=False)["input_ids"] != in_pieces
    said = Completion("(pickup", (5, 6), tuple(in_pieces), tuple(-0.1 * i for i in range(7)), "length", 0)
    found = from_store(store, said).completion
    assert (found.token_ids, found.prompt_token_ids, found.finish_reason) == (said.token_ids, (5, 6), "length")
    assert found.logprobs == pytest.approx(said.logprobs, abs=1e-6)


def test_no_training_sequence_is_ever_cut(store: TraceStore) -> None:
    """Longer than the batches, longer than any default of 1,024: it is a batch of its own, with all its tokens."""
    long = tuple(range(2, 2000))
    found = from_store(store, Completion("", (1,), long, None, "stop", 0))
    (example,) = make_examples({found.id: found}, {found.id: 1.0})
    import numpy as np

    assert length_buckets([len(example.token_ids), 10], 64, np.random.default_rng(0)) in ([[0], [1]], [[1], [0]])
    batch = collate([example], 0)
    assert batch.ids.shape == (1, 1999) and float(batch.loss_mask.sum()) == 1998


def test_a_small_token_limit_is_told_and_stops_the_run(store: TraceStore) -> None:
    cut = Completion("<plan>\n(pickup b1)\n</plan>", (1,), (2,), None, "length", 0)
    assert Judge(BUILT_IN).judge(TASKS[0], cut).status is Status.TRUNCATED, "whatever is in it"
    add(store, *(trace(f"t{i}", status=Status.TRUNCATED if i else Status.VALID) for i in range(20)))
    with pytest.raises(Stopped, match=r"sampling\.max_new_tokens") as caught:
        check_answers(store, 0, CONFIG)
    assert caught.value.counts == {"blocksworld": {"truncated": 19, "valid": 1}}


def test_every_end_token_ends_an_answer_and_carries_loss(tmp_path: Path, store: TraceStore) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 6]}))
    assert end_ids(tmp_path, build_tokenizer([])) == {0, 5, 6}
    for end in (0, 5, 6):
        said = Completion("a", (1, 2), (9, end), (-1.0, -2.0), "stop", 0)
        example = make_examples({"x": replace(trace(), completion=said)}, {"x": 1.0})[0]
        batch = collate([example, replace(example, token_ids=(1, 2, 3, 4, 5, 6, 7))], end)
        assert batch.loss_mask[0].tolist() == [0, 0, 1, 1, 0, 0, 0], (
            "a padding token that is an end token hides nothing"
        )
        assert batch.ids[0, 3] == end


def test_log_probabilities_are_those_at_temperature_1_and_weights_need_them() -> None:
    config = config_with({"sampling.temperature": 0.5, "sampling.max_new_tokens": 20})
    with TransformersSampler(BASE, config) as cool:
        (said,) = cool.sample([TASKS[0].prompt], 3)
        (scored,) = cool.logprobs([(said.prompt_token_ids, said.token_ids)]) or [[]]
    assert said.logprobs == pytest.approx(scored, abs=1e-4)
    with pytest.raises(ValueError, match=r"sampling\.temperature = 1"):
        config_with({"training.objective": "iw_sft", "sampling.temperature": 0.5})


def test_a_stale_adapter_stops_the_run_before_it_samples(tmp_path: Path, store: TraceStore) -> None:
    """A server that says it has the new weights and still has the base model's."""
    with TransformersSampler(BASE, CONFIG) as sampler:
        said = sampler.sample([task.prompt for task in TASKS[:3]], 3)
    add(store, *(replace(trace(f"t{i}"), id=f"t{i}", completion=one) for i, one in enumerate(said)))
    new = Policy("new", 1, BASE.base_model, str(untrained_model(tmp_path / "new")), False, BASE.id, "a pool")

    class Server(TransformersSampler):
        served = True

    parts = assemble(config_with())
    told = "those of generation 0, so the adapter of generation 1 is stale"
    with pytest.raises(Stopped, match=told), shown_to_be(new, Server(BASE, CONFIG), [], parts, store):
        raise AssertionError("not reached")
    with shown_to_be(new, Server(new, CONFIG), [], parts, store) as sampler:
        assert sampler.sample([TASKS[0].prompt], 1)


def test_an_interrupted_stage_leaves_nothing_that_a_resumed_run_could_take_for_finished(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "generation-0")

    def dies(out: Path) -> None:
        (out / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.folder("policy", dies)
    assert not (stage.path / "policy").exists()
    made = stage.folder("policy", lambda out: (out / "policy.json").write_text("{}"))
    assert [path.name for path in made.iterdir()] == ["policy.json"]
    assert stage.folder("policy", dies) == made, "what is finished is not made again"


def test_stored_samples_outlive_the_process_and_are_never_stored_twice(tmp_path: Path) -> None:
    dies = f"""
import os, sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from helpers.stores import add
from helpers.support import trace
from iterdeploy.record.store import TraceStore
store = TraceStore(Path({str(tmp_path / "traces.sqlite")!r}))
add(store, trace("a"), trace("b"))
def then_nothing():
    yield trace("c")
    os.kill(os.getpid(), 9)
store.add({{}}, then_nothing(), {{}})
"""
    assert subprocess.run([sys.executable, "-c", dies]).returncode == -9
    store = TraceStore(tmp_path / "traces.sqlite")
    assert store.keys(0) == {("a", 0, 0), ("b", 0, 0)}
    with pytest.raises(Exception, match="UNIQUE"):
        add(store, trace("c"), trace("a"))
    assert store.keys(0) == {("a", 0, 0), ("b", 0, 0)}, "all of a batch or nothing"
    store.close()


def test_without_a_valid_sample_the_run_stops_by_name_with_counts_and_advice(store: TraceStore) -> None:
    add(store, *(trace(f"t{i}", status=Status.INVALID if i else Status.UNPARSEABLE) for i in range(3)))
    pool = make_pool(compose(("valid", "best_per_task")), list(store.traces()))
    with pytest.raises(Stopped, match=r"tasks\.sizes.*model\.name") as caught:
        check_pool({"weights": pool.weights}, store, 0)
    assert caught.value.state == "no_traces_to_train_on"
    assert caught.value.counts == {"blocksworld": {"invalid": 2, "unparseable": 1}}


def test_what_another_pool_or_configuration_made_is_never_used(finished: Path, tmp_path: Path) -> None:
    kept = [trace("a"), trace("b")]
    digests = [make_pool(compose(("valid",)), some).digest for some in (kept, kept[:1], [kept[0], trace("b", index=1)])]
    assert len(set(digests)) == 3
    changed = load_config(write_config(tmp_path, {"training.epochs": 2}))
    with pytest.raises(RunDirError, match=r"training\.epochs"):
        RunDir.open(finished, changed, [])


def test_a_served_model_is_gone_with_all_its_processes_before_training_begins() -> None:
    """Closing the pipe is what the vllm sampler does; the supervisor returns when nothing is left."""
    child = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    command = [sys.executable, supervisor.__file__, sys.executable, "-c", child]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        grandchild = int(process.stdout.readline())
        assert Path(f"/proc/{grandchild}").exists()
        process.stdin.close()
        process.wait(30)
    assert not Path(f"/proc/{grandchild}").exists()


def test_a_run_can_be_followed_from_its_store_and_on_a_cpu_seeds_reproduce(finished: Path) -> None:
    run = RunDir.read(finished)
    deployed = [one for one in run.store.traces(generation=0) if one.split is Split.DEPLOYED]
    assert make_pool(compose(run.config.curation.policies), deployed).weights == run.pool(0)["weights"]  # type: ignore[index]
    run.close()
    with TransformersSampler(BASE, CONFIG) as sampler:
        first, again, other = (sampler.sample([TASKS[0].prompt] * 2, seed) for seed in (5, 5, 6))
    assert first == again != other


def test_a_right_answer_in_another_form_is_valid_and_one_that_cannot_be_read_is_not_invalid(store: TraceStore) -> None:
    judge, task = Judge(BUILT_IN), TASKS[0]

    def verdict(text: str) -> Any:
        return judge.judge(task, Completion(text, (), (1,), None, "stop", 0))

    with TransformersSampler(BASE, CONFIG) as sampler:
        right = next(
            one
            for seed in range(20)
            for one in map(verdict, (said.text for said in sampler.sample([task.prompt] * 4, seed)))
            if one.status is Status.VALID
        )
    lines = [f"({' '.join(step)})" for step in right.plan]
    strict = verdict("<plan>\n" + "".join(f"{line}\n" for line in lines) + "</plan>")
    lenient = verdict("Sure:\n" + "\n".join(f"{i}. {line.upper()}" for i, line in enumerate(lines, 1)))
    assert (strict.status, strict.strict) == (Status.VALID, True)
    assert (lenient.status, lenient.strict) == (Status.VALID, False)
    assert verdict("I am sorry.").status is Status.UNPARSEABLE
    add(store, *(replace(trace(f"t{i}"), verdict=one) for i, one in enumerate((strict, lenient, verdict("no")))))
    measured = measure(list(store.traces())).deployed
    assert measured is not None and measured.readings == {"strict": 1, "lenient": 1, "none": 1}
    assert measured.coverage == pytest.approx(2 / 3) and measured.strict_coverage == pytest.approx(1 / 3)


def test_every_generation_measures_tasks_that_never_train_and_diversity(finished: Path) -> None:
    run = RunDir.read(finished)
    held_out = {one.id for one in run.store.traces(split=Split.HELD_OUT)}
    for generation in range(3):
        metrics = read_json(finished / f"generation-{generation}" / "metrics.json")
        assert metrics["held_out"]["tasks"] == 6
        assert metrics["diversity"]["held_out"]["samples_per_task"] == 1
        assert not held_out & set((run.pool(generation) or {"weights": {}})["weights"])
    run.close()
