"""All of the theory for one generation, and RUN/theory.json."""

import time
from typing import Any

from iterdeploy.record.run_dir import RunDir
from iterdeploy.theory import as_trained, proposition1, proposition2
from iterdeploy.theory.answers import Say, choose


def analyse(run_dir: RunDir, generation: int | None, traces: int, say: Say) -> dict[str, Any]:
    """About `traces` traces of the generation are looked at; UserError where the run has nothing to look at."""
    began = time.process_time()
    subject = choose(run_dir, generation, traces, say)
    return {
        "generation": subject.generation,
        "tasks": len(subject.tasks),
        "seed": subject.config.seed,
        "proposition1": proposition1.measure(subject),
        "as_trained": as_trained.measure(subject),
        "proposition2": proposition2.measure(subject.first_half),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def write_theory(run_dir: RunDir, entry: dict[str, Any]) -> None:
    """Adds the entry to RUN/theory.json under its generation, as text."""
    known = run_dir.files.find("theory.json") or {}
    known[str(entry["generation"])] = entry
    run_dir.files.write("theory.json", dict(sorted(known.items(), key=lambda item: int(item[0]))))
