"""Fast Downward as an optional reference planner, only ever as a process of its own.

It comes with `pip install iterdeploy[downward]` (the package `up-fast-downward`, GPL; nothing of it is imported), or is
found on PATH as `fast-downward.py` or `fast-downward`.

    steps = reference_plan(domain_text, problem_text)
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from iterdeploy.pddl import parse_plan
from iterdeploy.planning.domain import Step
from iterdeploy.sections import UserError

UNSOLVABLE = (10, 11)
"""Exit statuses of the driver that say so."""


class DownwardError(UserError):
    """Fast Downward is not there, or found no plan."""


def find_downward() -> list[str]:
    """The command that starts it."""
    package = find_spec("up_fast_downward")
    if package is not None and package.origin is not None:
        driver = Path(package.origin).parent / "downward" / "fast-downward.py"
        if driver.is_file():
            return [sys.executable, str(driver)]
    for name in ("fast-downward.py", "fast-downward"):
        if found := shutil.which(name):
            return [found]
    raise DownwardError(
        "Fast Downward is not installed: pip install 'iterdeploy[downward]' (or up-fast-downward), or put "
        "fast-downward.py on PATH"
    )


def reference_plan(domain_text: str, problem_text: str, alias: str = "lama-first", timeout: float = 60.0) -> list[Step]:
    """A plan by the named configuration, which must stop at its first plan; `timeout` is in seconds.

    DownwardError where there is none.
    """
    command = [*find_downward(), "--alias", alias, "--plan-file", "plan", "domain.pddl", "problem.pddl"]
    with tempfile.TemporaryDirectory(prefix="downward-") as folder:
        Path(folder, "domain.pddl").write_text(domain_text, encoding="utf-8")
        Path(folder, "problem.pddl").write_text(problem_text, encoding="utf-8")
        result = _run(command, folder, timeout)
        plan = Path(folder, "plan")
        if plan.is_file():
            return parse_plan(plan.read_text(encoding="utf-8"))
    if result.returncode in UNSOLVABLE:
        raise DownwardError("Fast Downward: the task is unsolvable")
    said = " ".join(result.stdout.split())
    raise DownwardError(f"Fast Downward found no plan (exit status {result.returncode}): {said[-400:]}")


def _run(command: list[str], folder: str, timeout: float) -> "subprocess.CompletedProcess[str]":
    """The command's end. It has a session of its own, so that its children never outlive it or us."""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise DownwardError(f"Fast Downward found no plan within {timeout:g} seconds") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, said)
