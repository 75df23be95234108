"""A stranger's folder with one Python file and one configuration, through every command; and the complete examples."""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from helpers.support import ROOT, assert_refused, iterdeploy, write_config

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"

SUMS = '''
import random
from iterdeploy import Task, Verdict

class Sums:
    """What is a + b?"""
    def __init__(self, options, seed):            # options: [tasks.options], checked by a pydantic model named Options if there is one
        self._seed = seed
        self.held_out = [self._task("held_out", i) for i in range(20)]
    def _task(self, split, index):
        a, b = (random.Random(f"{self._seed} {split} {index} {k}").randrange(100) for k in "ab")
        return Task.make(domain="sums", size=2, split=split, prompt=f"{a} + {b} =", payload={"sum": str(a + b)})
    def deployed(self, generation):
        return [self._task("deployed", i) for i in range(50)]
    def judge(self, task, completions):
        said = completions[-1].text.strip()
        return Verdict.valid(answer=said) if said == task.payload["sum"] else Verdict.invalid(f"not {said!r}")
    def describe(self):
        return {"Tasks": "sums of two numbers below 100"}

def first_of_each(traces):                          # a curation policy: weighted traces in, weighted traces out
    first = {}
    for weighted in traces:
        first.setdefault(weighted.trace.task_id, weighted)
    return list(first.values())

def digits(trace):                                  # a feature
    return float(len(trace.completions[-1].text))
'''  # noqa: E501 - as a user would write it

SHOW = """
def show(draw):
    a, b = draw.randrange(100), draw.randrange(100)
    return f"{a} + {b} =", f" {a + b}"
"""
"""What the model of these tests is trained on."""

CONFIG = """
generations = 2
[model]
name = "MODEL"
threads = 1
[tasks]
kind = "sums.py:Sums"
[sampling]
samples = 16
max_new_tokens = 6
batch_size = 100
[curation]
policies = ["valid", "sums.py:first_of_each"]
[training]
learning_rate = 1e-3
epochs = 2
"""

WRONG = re.compile(r"\bplan(s|ning)?\b|pddl|blocksworld|validator sa|accepted", re.IGNORECASE)
"""Words that have no place where tasks are sums."""


def tiny_model(example: Path, out: Path, steps: int) -> Path:
    """The model that examples/tiny_model.py makes."""
    runpy.run_path(str(EXAMPLES / "tiny_model.py"))["main"](example, out, steps)
    return out


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "shown.py").write_text(SHOW)
    model = tiny_model(folder / "shown.py", tmp_path_factory.mktemp("model") / "adder", steps=300)
    (folder / "sums.py").write_text(SUMS)
    (folder / "sums.toml").write_text(CONFIG.replace("MODEL", str(model)))
    return folder


@pytest.fixture(scope="module")
def run(stranger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of it that was killed in its second generation, from another folder, and resumed."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    command = [sys.executable, "-m", "iterdeploy", "run", str(stranger / "sums.toml"), "--runs-dir", "runs"]
    process = subprocess.Popen(command, cwd=elsewhere, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (elsewhere / "runs" / "sums" / "generation-0" / "policy").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = iterdeploy("status", "sums", "--json", cwd=elsewhere)
    assert json.loads(killed.stdout)["state"] == "interrupted"
    done = iterdeploy("resume", "sums", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert_right_words(done.stdout + done.stderr)
    return elsewhere / "runs" / "sums"


def assert_right_words(text: str) -> None:
    found = WRONG.search(text)
    assert found is None, text[max(0, found.start() - 200) : found.end() + 200]


def test_every_command_speaks_of_sums_and_answers(run: Path, stranger: Path, tmp_path: Path) -> None:
    elsewhere = run.parents[1]
    for command in (
        ("run", stranger / "sums.toml", "--dry-run"),
        ("status", "sums"),
        ("traces", "sums"),
        ("traces", "sums", "--json"),
        ("report", "sums"),
        ("audit", "sums", "--features", stranger / "sums.py:digits"),
        ("compare", "sums", "--out", tmp_path / "compare.html"),
        ("export", "sums", "--generation", "1", "--to", tmp_path / "model"),
        ("export", "sums", "--traces", "--to", tmp_path / "traces"),
    ):
        done = iterdeploy(*command, cwd=elsewhere)
        assert done.returncode == 0, done.stderr
        assert_right_words(done.stdout + done.stderr)
    report = (run / "report.html").read_text()
    assert "sums of two numbers below 100" in report
    report += (tmp_path / "compare.html").read_text()
    program = re.compile(r"<script(?! type=\"application/json\").*?</script>|<style.*?</style>", re.DOTALL)
    assert_right_words(program.sub("", report).replace('"plan":[]', ""))
    for card in (tmp_path / "model" / "README.md", tmp_path / "traces" / "README.md"):
        assert_right_words(card.read_text())
    assert "sums of two numbers below 100" in (tmp_path / "model" / "README.md").read_text()
    assert_right_words((run / "config.toml").read_text())


def test_a_run_records_its_code_and_goes_on_with_other_code_only_if_that_is_accepted(
    run: Path, stranger: Path, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(run.parent, tmp_path / "runs"))
    (call, *_) = json.loads((runs / "sums" / "provenance.json").read_text())["calls"]
    assert list(call["code"]) == [str(stranger / "sums.py")]
    assert call["tasks"] == {"Tasks": "sums of two numbers below 100"}
    written = (stranger / "sums.py").read_text()
    (stranger / "sums.py").write_text(written.replace("first.values()", "first.values() or []"))
    try:
        assert_refused(iterdeploy("resume", "sums", "--runs-dir", runs), "sums.py changed", "--accept-code-change")
        done = iterdeploy("resume", "sums", "--runs-dir", runs, "--accept-code-change")
        assert done.returncode == 0, done.stderr
        done = iterdeploy("resume", "sums", "--runs-dir", runs)
        assert done.returncode == 0, "what was accepted once is known"
    finally:
        (stranger / "sums.py").write_text(written)
    calls = json.loads((runs / "sums" / "provenance.json").read_text())["calls"]
    assert len({call["code"][str(stranger / "sums.py")] for call in calls}) == 2


PLUGIN = """
[project]
name = "first-of-each"
version = "1.0"
[project.entry-points."iterdeploy.policies"]
first_of_each = "first_of_each.keep:first_of_each"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""


def test_the_code_of_an_installed_plug_in_is_recorded_like_that_of_a_file(tmp_path: Path) -> None:
    package = tmp_path / "source" / "first_of_each"
    package.mkdir(parents=True)
    (package.parent / "pyproject.toml").write_text(PLUGIN)
    (package / "__init__.py").touch()
    (package / "keep.py").write_text(SUMS[SUMS.index("def first_of_each") : SUMS.index("def digits")])
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", installed, package.parent], check=True)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    config = write_config(tmp_path, {"generations": 1, "curation.policies": ["valid", "first_of_each"]})
    runs = ["--runs-dir", str(tmp_path / "runs")]
    done = iterdeploy("run", config, *runs, env=environment)
    assert done.returncode == 0, done.stderr
    keep = installed / "first_of_each" / "keep.py"
    (call,) = json.loads((tmp_path / "runs" / "tiny" / "provenance.json").read_text())["calls"]
    assert call["code"][str(keep)] == sha256(keep.read_bytes()).hexdigest()
    keep.write_text(keep.read_text().replace("first.values()", "first.values() or []"))
    resume = ["resume", "tiny", *runs]
    assert_refused(iterdeploy(*resume, env=environment), "keep.py changed", "--accept-code-change")
    done = iterdeploy(*resume, "--accept-code-change", env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "feature"), [("arithmetic/arithmetic", "ends_in_zero"), ("json_extraction/extraction", "spaces")]
)
def test_the_examples_run_as_their_readme_says(name: str, feature: str, tmp_path: Path) -> None:
    folder, _, example = name.partition("/")
    shutil.copytree(EXAMPLES / folder, tmp_path / folder)
    where = tmp_path / folder
    tiny_model(where / f"{example}.py", where / "model", steps=600)
    done = iterdeploy("run", f"{example}.toml", "--set", "generations=1", cwd=where)
    assert done.returncode == 0, done.stderr
    assert_right_words(done.stdout + done.stderr)
    found = iterdeploy("audit", example, "--features", f"{example}.py:{feature}", cwd=where)
    assert found.returncode == 0, found.stderr
    assert feature in found.stdout
    if example == "extraction":
        (call,) = json.loads((where / "runs" / example / "provenance.json").read_text())["calls"]
        assert call["asks_for"] == {"answer_tokens": -1, "spaces": -1}
        assert not re.search(r"WARNING.*(spaces|answer_tokens)", found.stdout), "its policy says that it asks for fewer"
    assert_refused(
        iterdeploy("run", f"{example}.toml", "--set", "tasks.options.unknown=1", cwd=where), "tasks.options.unknown"
    )
