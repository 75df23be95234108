"""A real pretrained chat model through a whole generation: ITERDEPLOY_SMOLLM2 names its folder (`make test-chat`).

It solves nothing in forty tokens, and need not: what is looked at is how it is asked, what is trained on, and that the
second generation is the adapter that training wrote.
"""

import os
from pathlib import Path

import pytest

from helpers.support import config_with, iterdeploy, whole_traces, write_config
from iterdeploy.models.chat import load_tokenizer
from iterdeploy.models.loading import load
from iterdeploy.models.scoring import token_logprobs
from iterdeploy.record.store import TraceStore
from iterdeploy.training.examples import make_examples
from iterdeploy.training.trainer import read_policy

pytestmark = pytest.mark.skipif("ITERDEPLOY_SMOLLM2" not in os.environ, reason="ITERDEPLOY_SMOLLM2 is not set")


def test_a_real_chat_model_goes_through_a_whole_generation(tmp_path: Path) -> None:
    import torch

    folder = Path(os.environ["ITERDEPLOY_SMOLLM2"])
    overrides = {"model.name": str(folder), "generations": 1, "tasks.deployed": 2, "tasks.held_out": 1,
                 "sampling.samples": 1, "sampling.max_new_tokens": 40, "sampling.max_truncated": 1.0,
                 "curation.policies": ["all"], "training.method": "lora", "training.lora_rank": 4,
                 "training.validation_share": 0.0, "training.learning_rate": 1e-3}  # fmt: skip
    done = iterdeploy("run", write_config(tmp_path, overrides), "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    config = config_with(overrides)
    tokenizer = load_tokenizer(folder, config.model)
    store = TraceStore(tmp_path / "tiny" / "traces.sqlite", read_only=True)
    prompts = {task.id: task.prompt for task in store.tasks()}
    traces = {one.id: one for one in whole_traces(store)}
    store.close()
    assert sorted(one.generation for one in traces.values()) == [0, 0, 0, 1, 1, 1]
    for one in traces.values():
        said, asked = one.completions[0], str(tokenizer.decode(one.completions[0].prompt_token_ids))
        assert asked.count("<|im_start|>user\n") == 1 and asked.endswith("<|im_start|>assistant\n")
        assert prompts[one.task_id].strip() in asked
        assert "<|im_" not in said.text
        assert said.logprobs is not None and len(said.logprobs) == len(said.token_ids) <= 40
        assert (said.token_ids[-1] == tokenizer.eos_token_id) == (said.finish_reason == "stop")
        assert said.reasoning_tokens == 0, "it is no thinking model"
        print(one.generation, one.verdict.status, repr(said.text))
    policy = read_policy(tmp_path / "tiny" / "generation-0" / "policy")
    second = [one for one in traces.values() if one.generation == 1]
    assert {one.policy_id for one in second} == {policy.id} and policy.adapter
    (example,) = make_examples(second[:1], {second[0].id: 1.0})
    assert example.token_ids == second[0].completions[0].prompt_token_ids + second[0].completions[0].token_ids
    here = load(policy, config.model, torch.float32)
    scored = token_logprobs(
        here, [(one.completions[0].prompt_token_ids, one.completions[0].token_ids) for one in second], 4096
    )
    for one, values in zip(second, scored, strict=True):
        assert one.completions[0].logprobs == pytest.approx(values.tolist(), abs=1e-3)
