"""The tables of a twin: the training after one generation, done again in other ways."""

from collections.abc import Iterator

from iterdeploy.tables import Table
from iterdeploy.theory.figures import error, number
from iterdeploy.theory.records import Implied, Twin

PHASES = {
    "run": "the run: the curated pool",
    "rerun": "the same, batches in another order",
    "reinforce": "REINFORCE twin: all valid traces so far",
    "on_policy": "REINFORCE twin: valid traces of this generation",
    "everything": "no selection: all traces so far",
}


def of_twin(twin: Twin) -> Iterator[Table]:
    names = list(twin.phases)
    first, before = twin.phases[names[0]], twin.generation
    yield Table(
        f"The training after generation {before}, done again in other ways: cosines of the changes of all weights",
        ("phase", "traces", "length", *(f"with {name.replace('_', ' ')}" for name in names)),
        tuple(
            (PHASES[name], str(one.traces), f"{one.length:.3g}", *(number(one.cosines[other]) for other in names))
            for name, one in twin.phases.items()
        ),
        (f"All start from generation {twin.starts_from} and take {first.steps} optimiser steps.",),
    )
    yield Table(
        f"The reward that it implies: log pi({before + 1}) - log pi({before}) of held-out answers",
        (
            "phase",
            "KL an answer, nats",
            "AUC against validity",
            "AUC, mean of tokens",
            "correlation with the run's",
            "a token of reasoning",
            "any other token",
        ),
        tuple((PHASES[name], *_implied(one.implied)) for name, one in twin.phases.items()),
        (
            f"{twin.answers} held-out answers of generation {before}, {twin.valid} of them valid; none was trained on.",
            "KL(before || after). AUC: the chance that the reward of a valid answer is larger than that of an invalid "
            "one; 0.5 if validity has nothing to do with it. The last two columns: its mean over tokens, in nats.",
        ),
    )


def _implied(one: Implied) -> tuple[str, ...]:
    return (
        f"{one.kl.per_answer.value:.2f}{error(one.kl.per_answer.error)}",
        number(one.auc) + error(one.auc_error),
        number(one.auc_per_token) + error(one.auc_per_token_error),
        number(one.correlation),
        number(one.reasoning, 3),
        number(one.rest, 3),
    )
