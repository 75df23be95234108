"""Entries of theory.json as tables of text, for the terminal, the report and the documentation alike. Pure."""

from collections.abc import Iterator

from iterdeploy.tables import NOTHING, Table
from iterdeploy.theory.figures import clean, cosine, error, estimate, norm, number
from iterdeploy.theory.records import Condition, Entry, Theory
from iterdeploy.theory.twin_tables import of_twin

CONDITIONS = {
    "token_sum": "nothing: valid on-policy traces, summed over tokens",
    "batch_mean": "each step divided by its tokens, as this run trains",
    "sequence_mean": "each trace divided by its own tokens",
    "best_per_task": "only the best trace of each task",
    "bf16_sampling": "sampled in bfloat16",
    "int8_sampling": "sampled with weights rounded to int8",
    "temperature": "sampled at temperature 0.6",
    "own_temperature": "the same, against what is solved at 0.6",
    "generation_before": "traces of the generation before",
    "first_generation": "traces of generation 0",
}

MIXTURES = {
    "unweighted": "all valid traces of all generations, each counts 1",
    "mixture": "each counts 1 / w",
    "own_policy": "each counts pi / beta of the generation that sampled it",
    "no_normalisers": "each counts 1 / w, written without Z_pi / Z_beta",
    "best_unweighted": "the pool: the traces that curation kept, each counts 1",
    "best_weighted": "the pool, each counts 1 / w",
}

CLEAN = "the same, without its own noise"
EXPECTED = "cosine with the expected REINFORCE gradient"


def tables(theory: Theory) -> Iterator[Table]:
    """Of each generation Proposition 1, its training, and Proposition 2 where old traces are pooled; then the twins."""
    for entry in theory.generations.values():
        yield from of_generation(entry)
    for twin in theory.twins.values():
        yield from of_twin(twin)


def of_generation(entry: Entry) -> Iterator[Table]:
    yield _conditions(entry)
    yield _as_trained(entry)
    if entry.proposition2 is not None:
        yield _mixtures(entry)
        yield _sizes(entry)


def headline(entry: Entry) -> str:
    """What this run's fine-tuning is, in one sentence."""
    first = entry.as_trained.pool[0]
    reach = f" ({first.traces} on-policy traces would have about {first.ceiling:.2f})" if first.ceiling else ""
    return (
        f"The pool of generation {entry.generation}, as trained: cosine {cosine(first.against)} with the on-policy "
        f"REINFORCE gradient of generation {first.generation}, from whose weights training starts{reach}."
    )


def _conditions(entry: Entry) -> Table:
    found = entry.proposition1
    return Table(
        f"Proposition 1 at generation {entry.generation}: SFT against REINFORCE, one condition dropped at a time",
        ("dropped", "traces", "cosine on the same traces", EXPECTED, CLEAN, "norm ratio"),
        tuple(_condition(label, found.rows[key]) for key, label in CONDITIONS.items() if key in found.rows),
        tuple(_condition_notes(entry)),
    )


def _condition(label: str, row: Condition) -> tuple[str, ...]:
    length = norm(row.against) if row.same_ratio is None else f"{row.same_ratio:.3g}"
    cells = (number(row.same_cosine, 4), cosine(row.against), clean(row.against), length)
    return (label, str(row.traces), *cells)


def _condition_notes(entry: Entry) -> list[str]:
    found = entry.proposition1
    notes = []
    if found.temperature != 1:
        notes.append(
            f"This run samples at temperature {found.temperature:g}: what it deploys, measures and improves is the "
            "policy at that temperature, and REINFORCE is the gradient of what is solved there. Fine-tuning follows "
            "the log-probabilities at temperature 1: even with nothing else dropped the two are not the same."
        )
    notes.append(
        "With nothing dropped and sampled at temperature 1, the cosine on the same traces is 1 by algebra, and the "
        "norm ratio N / N+: true of every run, not a finding about this one."
    )
    notes.append(
        f"{found.valid} of {found.traces} traces on {entry.tasks} tasks are valid; {found.parameters:,} parameters, "
        f"{found.dtype}. Two fresh on-policy answers to each task have cosine {number(found.replicate_cosine)} with "
        "them. The length of the expected gradient is estimated without noise, from two halves of fresh answers. "
        "Plus-minus: one standard error, over groups of tasks. Estimates without noise may exceed 1 by their error."
    )
    return notes


def _as_trained(entry: Entry) -> Table:
    found = entry.as_trained
    rows = []
    for row in found.pool:
        where = f"at generation {row.generation}{', where training starts' if row is found.pool[0] else ''}"
        ceiling = number(row.ceiling)
        rows.append((f"the pool, as trained, {where}", str(row.traces), cosine(row.against), NOTHING, ceiling))
    for step in found.steps:
        label = f"traces of generation {found.starts_from} {_when(step.steps)}"
        for name, against in ((label, step.plain), (f"{label}, each counts pi / beta", step.weighted)):
            rows.append((name, str(step.traces), cosine(against), clean(against), NOTHING))
    ratios = ", ".join(f"{row.mean_ratio:.2f} {_when(row.steps)}" for row in found.steps)
    notes = [
        headline(entry),
        f"As trained: the mean step of the first epoch, objective {found.objective}, before clipping and AdamW.",
        f"Mean of pi / beta over all traces, valid or not: {ratios}. For a policy that they did not train it is 1 on "
        "average; far from beta a few rare traces would carry it, and a sample without them has less.",
    ]
    if (control := found.never_trained) is not None:
        notes.append(
            "Of the deployed tasks with a trace in the pool, validation keeps the same ones out in every generation: "
            f"{control.never_tasks} never trained this policy, which solves {estimate(control.never)} of their "
            f"samples; {control.trained_tasks} did, and it solves {estimate(control.trained)} of theirs."
        )
    return Table(
        f"The fine-tuning on the pool of generation {entry.generation}, against REINFORCE at the same weights",
        ("gradient of", "traces", EXPECTED, CLEAN, "as many on-policy traces"),
        tuple(rows),
        tuple(notes),
    )


def _when(steps: int | None) -> str:
    return "at the end of training" if steps is None else f"after {steps} step{'s' if steps > 1 else ''}"


def _mixtures(entry: Entry) -> Table:
    found = entry.proposition2
    assert found is not None
    old = ", ".join(
        f"{one.traces} of generation {one.generation} ({one.share_of_weight:.0%})" for one in found.by_generation
    )
    notes = [
        "w = sum over generations of n_i beta_i / pi. With weights 1 / w, or pi / beta, the expectation at temperature "
        "1 is the REINFORCE gradient, cosine 1 and norm ratio 1, for traces that did not train pi. Some of these did.",
        f"Effective sample size of {found.traces} traces: {found.effective_size['mixture']:.0f} with 1 / w (largest "
        f"share {found.largest_share['mixture']:.1%}), {found.effective_size['own_policy']:.0f} with pi / beta "
        f"({found.largest_share['own_policy']:.1%}).",
        f"Traces, with their share of the sum of 1 / w: {old}.",
        f"Solve rate by 1 / w {found.solve_rate_by_weights:.3f}, of fresh answers {found.solve_rate_fresh:.3f}, on "
        f"{found.tasks} tasks.",
        f"In {found.tied:.1%} of the solved tasks the best trace is as good as one with other tokens, and age decides.",
    ]
    if found.favoured is not None:
        notes.append(
            f"log(pi / beta) of traces that trained pi is {found.favoured.value:+.2f}{error(found.favoured.error)} "
            "nats larger than that of other valid traces of the same tasks: 0 if training on a trace did not favour it."
        )
    if found.gap is not None:
        notes.append(
            f"Log-probabilities of whole traces as recorded and as scored now differ by at most {found.gap:.1e}."
        )
    return Table(
        f"Proposition 2 at generation {entry.generation}: old traces, weighted",
        ("traces", "count", EXPECTED, CLEAN, "norm ratio"),
        tuple(
            (label, str(row.traces), cosine(row.against), clean(row.against), norm(row.against))
            for label, row in ((label, found.rows[key]) for key, label in MIXTURES.items())
        ),
        tuple(notes),
    )


def _sizes(entry: Entry) -> Table:
    found = entry.proposition2
    assert found is not None
    generations = tuple(f"Z of {i}" for i in range(entry.generation + 1))
    named = ("Z_beta", "Z_pi", "Z_pi / Z_beta", "in the pool", "in the pool / Z_pi", "1 / Z_pi")
    return Table(
        f"Solve rates and normalisers at generation {entry.generation}",
        ("domain, size", "tasks", *generations, *named),
        tuple(
            (
                row.name,
                str(row.tasks),
                *map(number, row.rates),
                *map(number, (row.z_beta, row.z_pi, row.correction, row.in_pool, row.task_weight, row.inverse_rate)),
            )
            for row in found.sizes
        ),
        (
            "Z_beta: of all stored samples. Z_pi: of the generation's stored and fresh samples. Where one trace of "
            "each solved task is kept, a task counts P(in the pool) = 1 - prod (1 - Z_i)^n_i, under REINFORCE Z_pi.",
        ),
    )
