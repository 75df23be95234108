"""Scoring given answers with the real embedded model, held against what the sampler recorded."""

import itertools

import pytest

from iterdeploy.models.loading import Loaded, base_policy, load, model_folder
from iterdeploy.models.scoring import _batches, sequence_logprobs, token_logprobs
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.types import Completion
from support import config_with

CONFIG = config_with({"tasks.sizes": "2-4", "tasks.held_out": 0})


@pytest.fixture(scope="module")
def sampled() -> list[Completion]:
    """Answers of different lengths to prompts of different lengths."""
    prompts = [task.prompt for task in PlanningTasks(CONFIG.tasks, 1).deployed(0)]
    with TransformersSampler(base_policy(model_folder(CONFIG.model)), CONFIG) as sampler:
        return sampler.sample(prompts, 11)


def loaded(dtype: str) -> Loaded:
    import torch

    return load(base_policy(model_folder(CONFIG.model)), CONFIG.model, getattr(torch, dtype))


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
