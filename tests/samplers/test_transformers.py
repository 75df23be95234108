"""Sampling with the real embedded model: ids as sampled, log-probabilities of a plain forward pass, seeds, ends."""

import inspect
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from helpers.support import config_with
from iterdeploy.models.loading import Loaded, base_policy, load, model_folder
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers import room
from iterdeploy.samplers.room import keyword
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.samplers.truncation import narrowed
from iterdeploy.types import Completion

CONFIG = config_with({"tasks.sizes": "2-4", "tasks.held_out": 0})
PROMPTS = [task.prompt for task in PlanningTasks(CONFIG.tasks, 1).deployed(0)]


@pytest.fixture(scope="module")
def sampler() -> Iterator[TransformersSampler]:
    with TransformersSampler(base_policy(model_folder(CONFIG.model)), CONFIG) as one:
        yield one


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    import torch

    return load(base_policy(model_folder(CONFIG.model)), CONFIG.model, torch.float32)


@pytest.fixture(scope="module")
def sampled(sampler: TransformersSampler) -> list[Completion]:
    """Answers to prompts of different lengths, in one batch."""
    return sampler.sample(PROMPTS, 11)


def plain_logprobs(loaded: Loaded, said: Completion) -> list[float]:
    """log p of each sampled id from one forward pass over the unpadded sequence, without a cache."""
    import torch

    ids = torch.tensor([said.prompt_token_ids + said.token_ids])
    model: Any = loaded.model
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits[0]
    first = len(said.prompt_token_ids)
    table = logits[first - 1 : -1].log_softmax(-1)
    values: list[float] = table.gather(1, ids[0, first:, None])[:, 0].tolist()
    return values


def test_at_temperature_0_every_token_is_the_likeliest(loaded: Loaded) -> None:
    import torch

    sampling = CONFIG.sampling.model_copy(update={"temperature": 0.0})
    greedy = CONFIG.model_copy(update={"sampling": sampling})
    with TransformersSampler(base_policy(model_folder(CONFIG.model)), greedy) as one:
        answers = one.sample(PROMPTS[:4], 1)
        assert answers == one.sample(PROMPTS[:4], 2)
    model: Any = loaded.model
    for said in answers:
        ids = torch.tensor([said.prompt_token_ids + said.token_ids])
        with torch.no_grad():
            likeliest = model(input_ids=ids, use_cache=False).logits[0].argmax(-1)
        assert tuple(likeliest[len(said.prompt_token_ids) - 1 : -1].tolist()) == said.token_ids
        assert said.logprobs == pytest.approx(plain_logprobs(loaded, said), abs=1e-4)


def test_the_prompt_ids_are_the_tokenizer_s_and_carry_no_padding(loaded: Loaded, sampled: list[Completion]) -> None:
    assert len({len(said.prompt_token_ids) for said in sampled}) > 2
    for prompt, said in zip(PROMPTS, sampled, strict=True):
        assert list(said.prompt_token_ids) == loaded.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert loaded.tokenizer.decode(said.prompt_token_ids) == prompt


def test_the_text_is_the_sampled_ids_without_the_end_mark(loaded: Loaded, sampled: list[Completion]) -> None:
    for said in sampled:
        body = said.token_ids[:-1] if said.finish_reason == "stop" else said.token_ids
        assert loaded.tokenizer.decode(body) == said.text
        assert not loaded.end_ids & set(body)
        assert (said.token_ids[-1] in loaded.end_ids) == (said.finish_reason == "stop")
        assert loaded.pad_id not in said.token_ids


def test_the_recorded_logprobs_are_those_of_a_plain_forward_pass(loaded: Loaded, sampled: list[Completion]) -> None:
    for said in sampled:
        assert said.logprobs is not None and len(said.logprobs) == len(said.token_ids)
        assert said.logprobs == pytest.approx(plain_logprobs(loaded, said), abs=1e-4)


def test_at_another_temperature_the_logprobs_are_still_those_at_temperature_1(loaded: Loaded) -> None:
    config = config_with({"sampling.temperature": 0.5, "tasks.held_out": 0})
    with TransformersSampler(base_policy(model_folder(config.model)), config) as cool:
        for said in cool.sample(PROMPTS[:4], 3):
            assert said.logprobs == pytest.approx(plain_logprobs(loaded, said), abs=1e-4)


def test_reasoning_tokens_reach_to_the_end_of_the_reasoning(loaded: Loaded, sampled: list[Completion]) -> None:
    finished = [said for said in sampled if "</think>" in said.text]
    assert finished
    for said in finished:
        upto = loaded.tokenizer.decode(said.token_ids[: said.reasoning_tokens])
        assert upto.rstrip("\n").endswith("</think>") and upto.count("</think>") == 1


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(
    sampler: TransformersSampler, sampled: list[Completion]
) -> None:
    assert sampler.sample(PROMPTS, 11) == sampled
    assert [said.token_ids for said in sampler.sample(PROMPTS, 12)] != [said.token_ids for said in sampled]


def test_the_limit_is_kept_and_told(loaded: Loaded) -> None:
    config = config_with({"sampling.max_new_tokens": 7, "tasks.held_out": 0})
    with TransformersSampler(base_policy(model_folder(config.model)), config) as brief:
        for said in brief.sample(PROMPTS, 1):
            assert len(said.token_ids) == 7 and said.finish_reason == "length"
            assert said.logprobs is not None and len(said.logprobs) == 7


def test_every_end_token_of_the_generation_configuration_ends_an_answer(sampler: TransformersSampler) -> None:
    """With the line's end as a second end token, an answer is over after its first line."""
    config = config_with({"tasks.held_out": 0})
    with TransformersSampler(base_policy(model_folder(config.model)), config) as other:
        here = other._loaded
        assert here is not None
        mark = here.tokenizer("<think>\n", add_special_tokens=False)["input_ids"]
        assert len(mark) == 1
        other._loaded = replace(here, end_ids=here.end_ids | set(mark))
        answers = other.sample(PROMPTS, 11)
    ended = [said for said in answers if said.token_ids[-1] == mark[0]]
    assert ended, "the embedded model begins its answers with <think>"
    for said in ended:
        assert said.finish_reason == "stop" and "<think>" not in said.text


@pytest.mark.slow
def test_first_tokens_are_as_frequent_as_the_model_says() -> None:
    """Pearson's chi-square of sampled tokens against the softmax, at temperature 1 and 2.

    The distribution of the second token (which block is named first) is spread over many names, so it is measured on
    the tokens after a fixed beginning. A top-k or top-p left at a default would fail here.
    """
    import torch

    prompt = PROMPTS[2] + "<think>\ntake"
    batch, draws = 120, 1200
    for temperature in (1.0, 2.0):
        config = config_with({"sampling.max_new_tokens": 1, "sampling.temperature": temperature, "tasks.held_out": 0})
        with TransformersSampler(base_policy(model_folder(config.model)), config) as one:
            counts = Counter(
                said.token_ids[0] for seed in range(draws // batch) for said in one.sample([prompt] * batch, seed)
            )
            here = one._loaded
            assert here is not None
            model: Any = here.model
            ids = torch.tensor([here.tokenizer(prompt, add_special_tokens=False)["input_ids"]])
            with torch.no_grad():
                expected = (model(input_ids=ids).logits[0, -1] / temperature).softmax(-1) * draws
        common = [token for token in range(len(expected)) if expected[token] >= 5]
        rest = draws - sum(float(expected[token]) for token in common)
        cells = [(counts[token], float(expected[token])) for token in common]
        if rest > 1:
            cells.append((draws - sum(counts[token] for token in common), rest))
        assert len(cells) > 1, "the distribution must have something to tell apart"
        statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in cells)
        freedom = len(cells) - 1
        assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 10, (temperature, statistic, freedom)


def test_memory_with_room_gives_the_answers_of_a_cache_that_is_joined_anew(
    sampler: TransformersSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little room, so that layers grow many times, while ended rows leave the batch."""
    from transformers import DynamicCache

    monkeypatch.setattr(room, "ROOM", 3)
    ours = sampler.sample(PROMPTS, 8)
    monkeypatch.setattr("iterdeploy.samplers.transformers.with_room", lambda config: DynamicCache(config=config))
    assert sampler.sample(PROMPTS, 8) == ours
    assert len({len(answer.token_ids) for answer in ours}) > 3


@pytest.mark.parametrize("name", ["past_key_values", "cache"])
def test_the_cache_is_passed_under_the_name_that_the_model_gives_it(
    sampler: TransformersSampler, sampled: list[Completion], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Versions of `transformers` differ in it, and some warn of the other name."""
    own = keyword(sampler._here.model)
    forward = type(sampler._here.model).forward

    def renamed(self: Any, **arguments: Any) -> Any:
        assert {"cache", "past_key_values"} & set(arguments) == {name}
        return forward(self, **{own: arguments.pop(name)}, **arguments)

    parameters = [
        parameter.replace(name=name if parameter.name == own else parameter.name)
        for parameter in inspect.signature(forward).parameters.values()
    ]
    renamed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    monkeypatch.setattr(type(sampler._here.model), "forward", renamed)
    assert sampler.sample(PROMPTS, 11) == sampled


def test_top_k_and_top_p_leave_the_likeliest_tokens_and_nothing_is_left_out_by_default() -> None:
    import torch

    logits = torch.tensor([[0.5, 0.1, 0.25, 0.15], [0.1, 0.6, 0.2, 0.1]]).log()

    def kept(**keys: float) -> list[list[int]]:
        out = narrowed(logits, config_with({f"sampling.{key}": value for key, value in keys.items()}).sampling)
        return [row.isfinite().nonzero()[:, 0].tolist() for row in out]

    assert kept() == [[0, 1, 2, 3]] * 2
    assert kept(top_k=2) == [[0, 2], [1, 2]]
    assert kept(top_p=0.55) == [[0, 2], [1]]
    assert kept(top_p=0.01) == [[0], [1]], "the likeliest one stays"
    assert kept(top_k=3, top_p=0.8) == [[0, 2], [1, 2]], "top-p counts what top-k left: 0.5 / 0.9 is below 0.8"


def test_with_top_k_1_the_likeliest_tokens_are_sampled_and_their_log_probabilities_are_those_of_all() -> None:
    def answers(**keys: float) -> list[Completion]:
        config = config_with({f"sampling.{key}": value for key, value in keys.items()})
        with TransformersSampler(base_policy(model_folder(config.model)), config) as sampler:
            return sampler.sample(PROMPTS[:3], 3)

    warm = answers(top_k=1)
    assert [one.token_ids for one in warm] == [one.token_ids for one in answers(temperature=0.01)]
    assert any(value < -1e-3 for one in warm for value in one.logprobs or ())


@pytest.mark.parametrize("key", [{"sampling.top_p": 0.95}, {"sampling.top_k": 20}])
def test_importance_weights_need_the_whole_distribution(key: dict[str, float]) -> None:
    assert config_with(key).sampling.narrowed
    with pytest.raises(ValueError, match=r"iw_sft.*sampling\.top_p = 1 and sampling\.top_k = 0"):
        config_with({**key, "training.objective": "iw_sft"})
