"""Scoring given answers with the real embedded model, held against what the sampler recorded; and with large
vocabularies, in pieces."""

import itertools
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.fitting import DRAW
from helpers.random_models import MODELS, OTHER_LOGITS, largest_tensor, random_model
from helpers.support import config_with
from iterdeploy.models import scoring
from iterdeploy.models.loading import Loaded, base_policy, load, model_folder
from iterdeploy.models.output_layer import LOGITS_AT_ONCE, logprobs_in_pieces
from iterdeploy.models.scoring import _batches, policy_logprobs, sequence_logprobs, token_logprobs
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.types import Completion

CONFIG = config_with({"tasks.sizes": "2-4", "tasks.held_out": 0})
BASE = base_policy(model_folder(CONFIG.model))


@pytest.fixture(scope="module")
def sampled() -> list[Completion]:
    """Answers of different lengths to prompts of different lengths."""
    prompts = [task.prompt for task in PlanningTasks(CONFIG.tasks, 1).deployed(0)]
    with TransformersSampler(BASE, CONFIG) as sampler:
        return sampler.sample(prompts, 11)


def loaded(dtype: str) -> Loaded:
    import torch

    return load(BASE, CONFIG.model, getattr(torch, dtype))


def rows_of(sampled: list[Completion]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(said.prompt_token_ids, said.token_ids) for said in sampled]


@pytest.mark.parametrize("tokens_per_batch", [1, 300, 10_000])
def test_the_scores_are_what_the_sampler_recorded(sampled: list[Completion], tokens_per_batch: int) -> None:
    scored = token_logprobs(loaded("float32"), rows_of(sampled), tokens_per_batch)
    assert len({len(said.token_ids) for said in sampled}) > 2
    for said, values in zip(sampled, scored, strict=True):
        assert said.logprobs is not None
        assert values.tolist() == pytest.approx(said.logprobs, abs=1e-4)


def test_in_float64_the_batches_do_not_matter(sampled: list[Completion]) -> None:
    here, rows = loaded("float64"), rows_of(sampled)
    alone, together = (sequence_logprobs(here, rows, tokens) for tokens in (1, 10_000))
    assert alone == pytest.approx(together, abs=1e-10)
    assert alone == pytest.approx([sum(said.logprobs or ()) for said in sampled], abs=1e-3)


def test_a_model_in_bfloat16_is_scored_in_bfloat16(sampled: list[Completion]) -> None:
    exact, rounded = (sequence_logprobs(loaded(dtype), rows_of(sampled), 4096) for dtype in ("float64", "bfloat16"))
    assert rounded == pytest.approx(exact, abs=2)
    assert abs(rounded - exact).max() > 1e-3


def test_one_token_after_a_prompt_is_a_distribution_at_any_temperature(sampled: list[Completion]) -> None:
    """The probabilities of all possible next tokens sum to 1, and cooling sharpens them."""
    import numpy as np

    here, prompt = loaded("float64"), sampled[0].prompt_token_ids
    vocabulary = here.model.get_input_embeddings().weight.shape[0]
    rows = [(prompt, (token,)) for token in range(vocabulary)]
    plain, cool = (np.exp(sequence_logprobs(here, rows, 8192, temperature)) for temperature in (1.0, 0.5))
    assert plain.sum() == pytest.approx(1, abs=1e-9) and cool.sum() == pytest.approx(1, abs=1e-9)
    assert cool == pytest.approx(plain**2 / (plain**2).sum(), abs=1e-9)


def test_an_empty_completion_has_no_scores_and_probability_one(sampled: list[Completion]) -> None:
    rows = [(sampled[0].prompt_token_ids, ()), rows_of(sampled)[1]]
    here = loaded("float32")
    assert [len(values) for values in token_logprobs(here, rows, 4096)] == [0, len(sampled[1].token_ids)]
    assert sequence_logprobs(here, rows, 4096)[0] == 0


def test_batches_hold_every_row_once_within_the_limit() -> None:
    rows = [(range(length), range(length % 3)) for length in (5, 50, 7, 30, 6, 2)]
    found = _batches(rows, 40)
    assert sorted(itertools.chain(*found)) == list(range(6))
    for batch in found:
        longest = max(len(rows[i][0]) + len(rows[i][1]) for i in batch)
        assert longest * len(batch) <= 40 or len(batch) == 1


def test_a_policy_is_loaded_for_its_scores_in_the_precision_asked_for_and_given_back(
    sampled: list[Completion], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    loads: list[tuple[weakref.ref[Any], torch.dtype]] = []

    def watched(*args: Any) -> Loaded:
        here = load(*args)
        loads.append((weakref.ref(here.model), here.model.dtype))
        return here

    monkeypatch.setattr(scoring, "load", watched)
    rows, expected = rows_of(sampled), {kind: loaded(kind) for kind in ("float32", "bfloat16")}
    for kind, asked in (("float32", None), ("bfloat16", "bfloat16")):
        found = policy_logprobs(BASE, rows, CONFIG, asked, temperature=0.5)
        wanted = token_logprobs(expected[kind], rows, CONFIG.training.tokens_per_batch, 0.5)
        assert [one.tolist() for one in found] == [one.tolist() for one in wanted]
    assert [(model(), dtype) for model, dtype in loads] == [(None, torch.float32), (None, torch.bfloat16)]


# Large vocabularies


def here_with(model: Any) -> Loaded:
    return SimpleNamespace(model=model.eval(), device="cpu", pad_id=0)  # type: ignore[return-value]


def ids(vocabulary: int, count: int) -> list[int]:
    return [DRAW.randrange(vocabulary) for _ in range(count)]


@pytest.mark.parametrize("kind", [*MODELS, *OTHER_LOGITS])
def test_in_pieces_the_scores_are_those_of_all_logits_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = here_with((MODELS | OTHER_LOGITS)[kind]())
    rows = [(ids(61, prompt), ids(61, answer)) for prompt, answer in [(1, 5), (9, 30), (4, 0), (12, 13), (3, 22)]]
    whole = token_logprobs(here, rows, 90, 0.7)
    pieces: list[int] = []

    def counted(*args: Any) -> Any:
        pieces.append(args[4])
        return logprobs_in_pieces(*args)

    monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", 61 * 7)
    monkeypatch.setattr(scoring, "logprobs_in_pieces", counted)
    for found, wanted in zip(token_logprobs(here, rows, 90, 0.7), whole, strict=True):
        assert found == pytest.approx(wanted, rel=1e-11)
    assert set(pieces) == ({7} if kind in MODELS else set())


def test_the_logits_of_a_long_answer_never_exist_at_once() -> None:
    shape = {"vocab_size": 40_000, "max_position_embeddings": 2048, "tie_word_embeddings": True}
    here = here_with(random_model("qwen3", **shape).float())
    with largest_tensor() as seen:
        (found,) = token_logprobs(here, [(ids(40_000, 100), ids(40_000, 1400))], 512)
    assert 40_000 * 16 <= seen[0] <= LOGITS_AT_ONCE < 40_000 * 1400
    assert len(found) == 1400 and (found < 0).all()
