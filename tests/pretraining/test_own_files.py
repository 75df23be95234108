"""Pretraining from a user's own files: tasks with answers, and plans for any PDDL domain."""

import json
import re
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused, iterdeploy
from iterdeploy.config import RunConfig
from iterdeploy.estimate.doubts import doubts
from iterdeploy.models.pretrained import pretraining_of
from iterdeploy.pddl import Domain, Problem, format_plan, validate_steps
from iterdeploy.planning import downward
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.downward import DownwardError, find_downward
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.rng import Rng
from iterdeploy.pretraining.config import DemonstrationConfig, PretrainConfig, check_pretraining
from iterdeploy.pretraining.pretrain import pretrain
from iterdeploy.pretraining.sources import Source, source_of
from iterdeploy.pretraining.tokenizer import build_tokenizer
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set

FERRY = DOMAINS["ferry"]
OTHER_NAMES = {"ferry": "lorry", "sail": "go", "board": "take", "debark": "drop"}
"""Ferry in words that make it another domain."""
LAMPS = """(define (domain lamps) (:predicates (lit ?x) (wired ?x))
  (:action switch-on :parameters (?x) :precondition (wired ?x) :effect (lit ?x)))"""
TINY = {
    "architecture": {"hidden_size": 32, "layers": 2, "heads": 4, "intermediate_size": 96, "context": 256},
    "optimiser": {"name": "muon", "learning_rate": 1e-2, "tokens_per_batch": 400, "warmup_steps": 20, "gap_share": 0.0},
}


def renamed(text: str) -> str:
    return re.sub(r"[a-z]+", lambda word: OTHER_NAMES.get(word[0], word[0]), text)


@pytest.fixture
def lorries(tmp_path: Path) -> DemonstrationConfig:
    """Twelve problems of a domain that nobody knows, each with its plan next to it."""
    (tmp_path / "domain.pddl").write_text(renamed(FERRY.pddl))
    for index in range(12):
        text = FERRY.generate(1 + index % 3, Rng("lorries", index), f"problem-{index}")
        (tmp_path / f"p{index}.pddl").write_text(renamed(text))
        steps = FERRY.solve(Problem.parse(text, Domain.parse(FERRY.pddl)))
        (tmp_path / f"p{index}.plan").write_text(renamed(format_plan(steps)))
    return DemonstrationConfig(
        domain_file=str(tmp_path / "domain.pddl"), problem_files=str(tmp_path / "p*.pddl"), plans="files", count=300
    )


THREE_LAMPS = Rng("lamps").shuffled(list(combinations([f"lamp{number}" for number in range(1, 9)], 3)))


def lamps(folder: Path, which: range) -> dict[str, str]:
    """Keys for different problems, whose plan is to switch on the lamp that the goal names, with these plans."""
    folder.mkdir()
    (folder / "domain.pddl").write_text(LAMPS)
    for index in which:
        wired = " ".join(f"(wired {name})" for name in THREE_LAMPS[index])
        goal = Rng("goal", index).choice(THREE_LAMPS[index])
        (folder / f"p{index}.pddl").write_text(
            f"(define (problem p{index}) (:domain lamps) (:objects {' '.join(THREE_LAMPS[index])})\n"
            f" (:init {wired}) (:goal (lit {goal})))\n"
        )
        (folder / f"p{index}.plan").write_text(f"(switch-on {goal})\n")
    return {"domain_file": str(folder / "domain.pddl"), "problem_files": str(folder / "p*.pddl")}


def names_and_types(config: DemonstrationConfig) -> dict[str, str]:
    domain = Domain.parse(Path(config.domain_file).read_text())
    texts = [path.read_text() for path in Path(config.domain_file).parent.glob("p*.pddl")]
    return {name: kind for text in texts for name, kind in Problem.parse(text, domain).objects.items()}


def problem_in(prompt: str, kinds: dict[str, str]) -> str:
    """The problem that a compact prompt shows, as PDDL."""
    _, *lines = prompt.splitlines()
    initial, goal = lines[: lines.index("goal")], lines[lines.index("goal") + 1 :]
    objects = {name: kind for name, kind in kinds.items() if re.search(rf"\b{name}\b", prompt)}
    return (
        f"(define (problem shown) (:domain lorry) (:objects {' '.join(f'{n} - {k}' for n, k in objects.items())})"
        f"(:init {' '.join(line for line in initial if line[0] == '(')}) (:goal (and {' '.join(goal)})))"
    )


def test_what_is_shown_of_a_plan_is_a_task_with_a_valid_plan_each_time(lorries: DemonstrationConfig) -> None:
    source, kinds = source_of(lorries, Path()), names_and_types(lorries)
    domain = Domain.parse(Path(lorries.domain_file).read_text())
    shown = [source.demonstration(7, index) for index in range(source.count)]
    for demonstration in shown:
        steps = extract_plan(demonstration.answer).steps
        assert steps and demonstration.prompt.startswith("lorry\n")
        problem = Problem.parse(problem_in(demonstration.prompt, kinds), domain)
        assert validate_steps(domain, problem, steps).valid, demonstration
    assert len({demonstration.prompt for demonstration in shown}) > 200
    assert shown[41] == source_of(lorries, Path()).demonstration(7, 41) != source.demonstration(8, 41)
    kind = {name for demonstration in shown for name in kinds if f" {name})" in demonstration.prompt}
    assert kind == set(kinds)


def test_some_tasks_are_shown_as_a_run_asks_for_them(lorries: DemonstrationConfig) -> None:
    values = {"tasks": {"kind": "pddl"}, "training": {"learning_rate": 1e-3}}
    values["tasks"] |= {"domain_file": lorries.domain_file, "problem_files": lorries.problem_files}
    asked = task_set(RunConfig.model_validate(values)).deployed(0)
    source = source_of(lorries, Path())
    layouts = {re.sub(r"\b[a-z]+\d+\b", "x", source.demonstration(0, index).prompt) for index in range(source.count)}
    assert {re.sub(r"\b[a-z]+\d+\b", "x", task.prompt) for task in asked} <= layouts


def test_every_word_of_the_domain_and_its_objects_is_one_token(lorries: DemonstrationConfig) -> None:
    source = source_of(lorries, Path())
    tokenizer: Any = build_tokenizer(source.words())
    words = ["(go", "(take", "(at", "<plan>\n", "</plan>", ")\n", *(f" {name}" for name in names_and_types(lorries))]
    assert [len(tokenizer(word)["input_ids"]) for word in words] == [1] * len(words)
    demonstration = source.demonstration(0, 0)
    text = demonstration.prompt + demonstration.answer
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("prompt", "line 3: not JSON"),
        ("[1]", "line 3: expected an object"),
        ('{"prompt": "a"}', "line 3: 'answer' is missing"),
        ('{"prompt": "a", "answer": ""}', "line 3: 'answer' must be text"),
        ('{"prompt": 4, "answer": "b"}', "line 3: 'prompt' must be text.* not 4"),
        ('{"prompt": "a", "answer": "b<|end|>"}', "line 3: 'answer' holds <|end|>"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "mine.jsonl").write_text('{"prompt": "1 + 1 =", "answer": " 2"}\n\n' + line + "\n")
    with pytest.raises(ConfigError, match=rf"demonstrations\.file: .*mine\.jsonl: {re.escape(words[:6])}") as caught:
        source_of(DemonstrationConfig(file=str(tmp_path / "mine.jsonl")), tmp_path)
    assert re.search(words.replace("|", r"\|"), str(caught.value))


def test_the_lines_of_a_file_are_shown_as_they_stand(tmp_path: Path) -> None:
    pairs = [("Où est l'été ?\n", " ici"), ("2 + 3 =", " 5")]
    lines = [json.dumps({"prompt": prompt, "answer": answer, "source": 1}) for prompt, answer in pairs]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    source = source_of(DemonstrationConfig(file=str(tmp_path / "mine.jsonl")), tmp_path)
    assert source.count == 2
    shown = [source.demonstration(0, index) for index in range(3)]
    assert [(one.prompt, one.answer) for one in shown] == [*pairs, pairs[0]]
    tokenizer: Any = build_tokenizer(source.words())
    assert tokenizer.decode(tokenizer(pairs[0][0])["input_ids"]) == pairs[0][0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "name one source"),
        ({"file": "a", "problem_files": "b"}, r"problem_files and demonstrations\.file: name one source"),
        ({"file": "a", "flawed": 0.5}, r"demonstrations\.flawed: goes with demonstrations\.sizes, not with file"),
        ({"file": "a", "plans": "files"}, r"demonstrations\.plans: goes with demonstrations\.problem_files"),
        ({"problem_files": "b", "count": 4}, r"demonstrations\.domain_file: .*required"),
        ({"problem_files": "b", "domain_file": "d"}, r"demonstrations\.count"),
    ],
)
def test_one_source_and_its_own_keys(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_pretraining(PretrainConfig.model_validate({"name": "x", "demonstrations": values}))


def test_a_plan_file_that_is_missing_or_wrong_is_named(lorries: DemonstrationConfig) -> None:
    plan = Path(lorries.domain_file).with_name("p3.plan")
    for text, words in (
        ("(go", r"p3\.plan: line 1: expected a step"),
        ("(go nowhere l1)", "p3.plan: the plan is not valid: step 1"),
        ("", r"p3\.plan: the plan is not valid: goal not reached"),
    ):
        plan.write_text(text)
        with pytest.raises(ConfigError, match=words):
            source_of(lorries, Path())
    plan.unlink()
    with pytest.raises(ConfigError, match=r"demonstrations\.plans: .*p3\.plan: no such file"):
        source_of(lorries, Path())


PLANNER = """#!{python}
import pathlib, re, sys
text = pathlib.Path("problem.pddl").read_text()
with open({log!r}, "a") as log:
    log.write("asked\\n")
if "(problem p1)" in text:
    sys.exit(11)
pathlib.Path("plan").write_text("(switch-on " + re.search(r"\\(lit (\\w+)\\)", text)[1] + ")\\n; cost = 1\\n")
"""


def with_planner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a program on PATH that takes Fast Downward's arguments; the file with a line for each time it was asked."""
    log, program = folder / "asked", folder / "fast-downward"
    program.write_text(PLANNER.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setattr(downward, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(folder))
    return log


def test_a_planner_is_asked_once_for_each_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    config = DemonstrationConfig(**lamps(tmp_path / "mine", range(5)), count=20)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(downward, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"demonstrations\.plans: Fast Downward is not installed.*plans = \"files\""):
        source_of(config, tmp_path)
    log = with_planner(tmp_path, monkeypatch)
    first, again = source_of(config, tmp_path), source_of(config, tmp_path)
    assert first.key == again.key and len(log.read_text().splitlines()) == 5
    assert "4 plans" in (said := capsys.readouterr().out) and "p1.pddl: Fast Downward: the task is unsolvable" in said
    assert first.sizes == {"lamps": [3]} and len(first.contents) == 4
    (tmp_path / "mine" / "p0.pddl").unlink()
    assert source_of(config, tmp_path).key != first.key


def installed() -> bool:
    try:
        return bool(find_downward())
    except DownwardError:
        return False


@pytest.mark.skipif(not installed(), reason="Fast Downward is not installed")
def test_the_real_planner_makes_plans(lorries: DemonstrationConfig, tmp_path: Path) -> None:
    made: Source = source_of(lorries.model_copy(update={"plans": "downward"}), tmp_path)
    assert len(made.contents) == 12


@pytest.fixture(scope="module")
def lamp_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, pretrained in seconds, and with problems that it has seen and that it has not."""
    folder = tmp_path_factory.mktemp("lamps")
    lamps(folder / "run", range(40, 56))
    demonstrations = {**lamps(folder / "train", range(40)), "plans": "files", "count": 4000}
    config = PretrainConfig.model_validate({"name": "lamps", "threads": 1, "demonstrations": demonstrations, **TINY})
    assert pretrain(config, folder / "out") == folder / "out" / "model"
    return folder


def run_config(folder: Path, problems: str, **changes: Any) -> RunConfig:
    tasks = {"kind": "pddl", "domain_file": str(folder / "run" / "domain.pddl"), "held_out_share": 0.5}
    tasks |= {"problem_files": str(folder / problems / "p*.pddl")}
    values = {
        "generations": 1,
        "model": {"name": str(folder / "out" / "model"), "threads": 1},
        "tasks": tasks,
        "sampling": {"samples": 2, "max_new_tokens": 20},
        "training": {"learning_rate": 1e-4, "epochs": 1},
    }
    return RunConfig.model_validate(values | changes)


def test_a_run_on_the_domain_starts_above_zero(lamp_model: Path, tmp_path: Path) -> None:
    import tomli_w

    config = run_config(lamp_model, "run")
    (tmp_path / "lamps.toml").write_text(tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)))
    done = iterdeploy("run", tmp_path / "lamps.toml", "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "lamps" / "generation-0" / "metrics.json").read_text())
    assert metrics["held_out"]["coverage"] > 0.5, done.stdout


def test_a_dry_run_doubts_a_model_that_never_saw_the_domain_and_one_that_saw_the_held_out_tasks(
    lamp_model: Path,
) -> None:
    def doubted(config: RunConfig) -> list[str]:
        tasks = task_set(config)
        return list(doubts(config, tasks.deployed(0), tasks.held_out))

    assert doubted(run_config(lamp_model, "run")) == []
    (seen,) = doubted(run_config(lamp_model, "train"))
    assert "pretrained on 20 of the 20 held-out tasks" in seen
    (unknown,) = doubted(run_config(lamp_model, "run", model={"name": "blocksworld-1m"}))
    assert "has never seen lamps" in unknown and "`iterdeploy pretrain`" in unknown
    assert set(pretraining_of("blocksworld-1m").sizes) == {"blocksworld"}


def test_other_files_do_not_go_on_from_what_the_first_have_trained(lamp_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("".join(f'{{"prompt": "{i} =", "answer": " {i}"}}\n' for i in range(90)))
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nthreads = 1\n[demonstrations]\nfile = "mine.jsonl"\n'
        "[architecture]\nhidden_size = 16\nlayers = 1\nheads = 2\nintermediate_size = 32\n"
        "[optimiser]\ntokens_per_batch = 40\nwarmup_steps = 2\n"
    )
    done = iterdeploy("pretrain", "mine.toml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "out" / "model").rename(tmp_path / "out" / "gone")
    (tmp_path / "mine.jsonl").write_text('{"prompt": "a", "answer": "b"}\n')
    assert_refused(iterdeploy("pretrain", "mine.toml", "--out", "out", cwd=tmp_path), "have changed", "--out")
