"""All of the theory for one generation, and RUN/theory.json."""

import time
from dataclasses import replace

from iterdeploy.record.run_dir import RunDir
from iterdeploy.theory import as_trained, proposition1, proposition2
from iterdeploy.theory.answers import Say, choose
from iterdeploy.theory.records import THEORY, Entry, Theory, Twin

FILE = "theory.json"


def analyse(run_dir: RunDir, generation: int | None, traces: int, say: Say) -> Entry:
    """About `traces` traces of the generation are looked at; UserError where the run has nothing to look at."""
    began = time.process_time()
    subject = choose(run_dir, generation, traces, say)
    return Entry(
        generation=subject.generation,
        tasks=len(subject.tasks),
        seed=subject.config.seed,
        proposition1=proposition1.measure(subject),
        as_trained=as_trained.measure(subject),
        proposition2=proposition2.measure(subject.first_half),
        cpu_seconds=round(time.process_time() - began, 1),
    )


def read_theory(run_dir: RunDir) -> Theory | None:
    return THEORY.read(run_dir.files.find(FILE))


def write_theory(run_dir: RunDir, entry: Entry | Twin) -> None:
    """Adds it to RUN/theory.json under its generation."""
    known = read_theory(run_dir) or Theory({}, {})
    if isinstance(entry, Entry):
        known = replace(known, generations=dict(sorted({**known.generations, entry.generation: entry}.items())))
    else:
        known = replace(known, twins=dict(sorted({**known.twins, entry.generation: entry}.items())))
    run_dir.files.write(FILE, THEORY.values(known))
