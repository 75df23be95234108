"""An entry of theory.json as tables of text, for the terminal, the report and the documentation alike. Pure."""

from collections.abc import Mapping
from typing import Any

from iterdeploy.tables import Table

Entry = Mapping[str, Any]


CONDITIONS = {
    "token_sum": "nothing: valid on-policy traces, summed over tokens",
    "batch_mean": "each step divided by its tokens, as this run trains",
    "sequence_mean": "each trace divided by its own tokens",
    "best_per_task": "only the best trace of each task",
    "bf16_sampling": "sampled in bfloat16",
    "int8_sampling": "sampled with weights rounded to int8",
    "temperature": "sampled at temperature 0.6",
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


def tables(entry: Entry) -> list[Table]:
    """Those of one generation: Proposition 1, the run's own training, and Proposition 2 where old traces are pooled."""
    out = [_conditions(entry), _as_trained(entry)]
    if entry["proposition2"]:
        out += [_mixtures(entry), _sizes(entry)]
    return out


def headline(entry: Entry) -> str:
    """What this run's fine-tuning is, in one sentence."""
    first = entry["as_trained"]["pool"][0]
    reach = f" ({first['traces']} on-policy traces would have about {first['ceiling']:.2f})" if first["ceiling"] else ""
    return (
        f"The pool of generation {entry['generation']}, as trained: cosine {_pm(first, 'cosine')} with the on-policy "
        f"REINFORCE gradient of generation {first['generation']}, from whose weights training starts{reach}."
    )


def _conditions(entry: Entry) -> Table:
    found = entry["proposition1"]
    rows = []
    for key, label in CONDITIONS.items():
        if key in found["rows"]:
            row = found["rows"][key]
            cells = [_number(row.get("same_cosine"), 4), _pm(row, "cosine"), _pm(row, "clean_cosine"), _ratio(row)]
            rows.append((label, str(row["traces"]), *cells))
    return Table(
        f"Proposition 1 at generation {entry['generation']}: SFT against REINFORCE, one condition dropped at a time",
        ("dropped", "traces", "cosine on the same traces", EXPECTED, CLEAN, "norm ratio"),
        tuple(rows),
        tuple(_condition_notes(entry)),
    )


def _condition_notes(entry: Entry) -> list[str]:
    found, exact = entry["proposition1"], entry["proposition1"]["identity"]
    notes = []
    if found["temperature"] != 1:
        notes.append(
            f"This run samples at temperature {found['temperature']:g}: its traces are not those of the policy whose "
            "gradient is taken, so Proposition 1 does not apply to it. On the same traces the two sums are still "
            "equal, but neither is the policy gradient: the columns with expectations say by how much."
        )
    notes += [
        f"The identity on {exact['traces']} traces in {found['dtype']}: cosine 1 to within "
        f"{_tiny(1 - exact['cosine'])}, norm ratio N / N+ = {exact['expected_ratio']:.4f} to within "
        f"{_tiny(exact['ratio_error'])}. One token mean over all traces has the same direction.",
        f"{found['valid']} of {found['traces']} traces on {entry['tasks']} tasks are valid; {found['parameters']:,} "
        f"parameters. Two fresh on-policy answers to each task have cosine {_number(found['replicate_cosine'])} "
        "with them. The length of the expected gradient is estimated without noise, from two halves of fresh answers. "
        "Plus-minus: one standard error, over groups of tasks. Estimates without noise may exceed 1 by their error.",
    ]
    return notes


def _as_trained(entry: Entry) -> Table:
    found, rows = entry["as_trained"], []
    for row in found["pool"]:
        where = f"at generation {row['generation']}"
        if row is found["pool"][0]:
            where += ", where training starts"
        rows.append(
            (f"the pool, as trained, {where}", str(row["traces"]), _pm(row, "cosine"), "-", _number(row["ceiling"]))
        )
    for row in found["steps"]:
        when = "at the end of training" if row["steps"] is None else _steps(row["steps"])
        told = f"traces of generation {found['starts_from']} {when}"
        for how in ("plain", "weighted"):
            label = told if how == "plain" else f"{told}, each counts pi / beta"
            cells = (_pm(row[how], "cosine"), _pm(row[how], "clean_cosine"))
            rows.append((label, str(row["traces"]), *cells, "-"))
    ratios = ", ".join(
        f"{row['mean_ratio']:.2f} {'at the end' if row['steps'] is None else _steps(row['steps'])}"
        for row in found["steps"]
    )
    return Table(
        f"The fine-tuning on the pool of generation {entry['generation']}, against REINFORCE at the same weights",
        ("gradient of", "traces", EXPECTED, CLEAN, "as many on-policy traces"),
        tuple(rows),
        (
            headline(entry),
            f"As trained: the mean step of the first epoch, objective {found['objective']}, before clipping and AdamW.",
            f"Mean of pi / beta over all traces, valid or not: {ratios}. For a policy that they did not train it is 1 "
            "on average; far from beta a few rare traces would carry it, and a sample without them has less.",
        ),
    )


def _steps(count: int) -> str:
    return f"after {count} step{'s' if count > 1 else ''}"


def _mixtures(entry: Entry) -> Table:
    found = entry["proposition2"]
    sizes, shares = found["effective_size"], found["largest_share"]
    rows = []
    for key, label in MIXTURES.items():
        row = found["rows"][key]
        cells = (_pm(row, "cosine"), _pm(row, "clean_cosine"), _pm(row, "norm_ratio"))
        rows.append((label, str(row["traces"]), *cells))
    old = ", ".join(
        f"{one['traces']} of generation {one['generation']} ({one['share_of_weight']:.0%})"
        for one in found["by_generation"]
    )
    return Table(
        f"Proposition 2 at generation {entry['generation']}: old traces, weighted",
        ("traces", "count", EXPECTED, CLEAN, "norm ratio"),
        tuple(rows),
        (
            "w = sum over generations of n_i beta_i / pi. With weights 1 / w, or pi / beta, the expectation is the "
            "REINFORCE gradient, cosine 1 and norm ratio 1, for traces that did not train pi. Some of these did.",
            f"Effective sample size of {found['traces']} traces: {sizes['mixture']:.0f} with 1 / w (largest share "
            f"{shares['mixture']:.1%}), {sizes['own_policy']:.0f} with pi / beta ({shares['own_policy']:.1%}).",
            f"Traces, with their share of the sum of 1 / w: {old}.",
            f"Solve rate by 1 / w {found['solve_rate']['by_weights']:.3f}, of fresh answers "
            f"{found['solve_rate']['fresh']:.3f}, on {found['tasks']} tasks.",
            *_gap(found["gap"]),
        ),
    )


def _gap(gap: float | None) -> list[str]:
    if gap is None:
        return []
    return [f"Log-probabilities of whole traces as recorded and as scored now differ by at most {gap:.1e} nats."]


RATES = {
    "z_beta": "Z_beta",
    "z_pi": "Z_pi",
    "correction": "Z_pi / Z_beta",
    "in_pool": "in the pool",
    "task_weight": "in the pool / Z_pi",
    "inverse_rate": "1 / Z_pi",
}


def _sizes(entry: Entry) -> Table:
    generations = tuple(f"Z of {i}" for i in range(entry["generation"] + 1))
    return Table(
        f"Solve rates and normalisers at generation {entry['generation']}",
        ("domain, size", "tasks", *generations, *RATES.values()),
        tuple(
            (row["name"], str(row["tasks"]), *map(_number, row["rates"]), *(_number(row[key]) for key in RATES))
            for row in entry["proposition2"]["sizes"]
        ),
        (
            "Z_beta: of all stored samples. Z_pi: of the generation's stored and fresh samples. Where one trace of "
            "each solved task is kept, a task counts P(in the pool) = 1 - prod (1 - Z_i)^n_i, under REINFORCE Z_pi.",
        ),
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _tiny(error: float) -> str:
    """An error of rounding; what is below the last digit of float64 is shown as that digit."""
    return f"{max(abs(error), 2e-16):.0e}"


def _pm(row: Mapping[str, Any], key: str) -> str:
    """Value and standard error, "-" where there is none."""
    value, error = row.get(key), row.get(f"{key}_error")
    return "-" if value is None else f"{value:.2f} ± {error:.2f}"


def _ratio(row: Mapping[str, Any]) -> str:
    """On the same traces where it can be."""
    if row.get("same_ratio") is None:
        return _pm(row, "norm_ratio")
    return f"{row['same_ratio']:.3g}"
