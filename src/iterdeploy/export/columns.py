"""What is said of a trace and of a task outside of the store: the columns of exported tables and of `traces --json`."""

import json
from typing import Any

from iterdeploy.config import RunConfig
from iterdeploy.planning.plans import plan_of
from iterdeploy.record.run_dir import RunDir
from iterdeploy.types import Task, Trace

Columns = dict[str, tuple[str, str]]
"""Column -> (type, what it is)."""
Row = dict[str, Any]

COLUMNS: Columns = {
    "id": ("string", "content hash of the trace"),
    "task_id": ("string", "content hash of the task, as in `tasks`"),
    "domain": ("string", "the task's domain"),
    "size": ("int64", "in the domain's own unit"),
    "split": ("string", "`deployed` tasks may train, `held_out` tasks only measure"),
    "generation": ("int64", "of the policy that answered; 0 is the base model"),
    "sample_index": ("int64", "from 0; (task_id, generation, sample_index) is unique"),
    "policy_id": ("string", "content hash of the policy that answered"),
    "status": ("string", "valid, invalid, unparseable, truncated, or error (nothing is known of the answer)"),
    "reason": ("string", "the verdict in words; empty for a valid answer"),
    "failed_step": ("int64", "the first step that cannot be done, from 1; null if there is none"),
    "reward": ("double", "how good the answer is, in the task set's own measure; 1 and 0 unless it says more"),
    "answer": ("string", "JSON: what was read in the answer"),
    "facts": ("string", "JSON: numbers that came with the verdict, by name"),
    "calls": ("int64", "calls of the model that made the answer; what follows is of the last one"),
    "plan": ("list<string>", "the steps read in the answer, such as (pickup b1)"),
    "cost": ("double", "of a valid plan; without action costs its number of steps"),
    "strict": ("bool", "the answer had exactly the required form"),
    "validator": ("string", "who judged"),
    "prompt": ("string", "the task as text, before any chat template"),
    "text": ("string", "the answer as text"),
    "prompt_token_ids": ("list<int64>", "what the model was given"),
    "token_ids": ("list<int64>", "what the model sampled, never re-tokenised, with the end mark if there was one"),
    "logprobs": ("list<float>", "log p of each sampled token at temperature 1, in nats; null if not recorded"),
    "tokens": ("int64", "how many were sampled"),
    "finish_reason": (
        "string",
        "`stop`; `stop_text`, of sampling.stop; `length`: the token limit; `error`: no answer",
    ),
    "reasoning_tokens": ("int64", "sampled tokens up to the end of the reasoning; 0 without one"),
    "temperature": ("double", "of sampling"),
    "max_new_tokens": ("int64", "the token limit"),
    "dtype": ("string", "precision of sampling"),
    "source": ("string", "name of the sampler"),
    "trained": ("list<int64>", "generations whose training pool held this trace"),
}

OF_PLANS = ("failed_step", "plan", "cost", "strict")
"""Columns that only planning has."""

IN_TOKENS = ("prompt_token_ids", "token_ids", "logprobs")
"""Columns with a number for every token: most of a trace's bytes, and nothing for human eyes."""

TASK_COLUMNS: Columns = {
    "id": ("string", "content hash of the task"),
    "domain": ("string", "the task's domain"),
    "size": ("int64", "in the domain's own unit"),
    "split": ("string", "deployed or held_out"),
    "prompt": ("string", "the task as text"),
    "payload": ("string", "JSON: the task set's own data"),
}


def trace_columns(config: RunConfig) -> Columns:
    """The columns in which the run's traces have something to say."""
    return {name: column for name, column in COLUMNS.items() if config.tasks.of_plans or name not in OF_PLANS}


def trace_row(trace: Trace, prompt: str, trained: list[int]) -> Row:
    """`prompt`: of its task. `trained`: generations whose training pool held it."""
    said, verdict, sampling, facts = trace.completions[-1], trace.verdict, trace.sampling, trace.verdict.facts
    return {
        "id": trace.id,
        "task_id": trace.task_id,
        "domain": trace.domain,
        "size": trace.size,
        "split": trace.split.value,
        "generation": trace.generation,
        "sample_index": trace.sample_index,
        "policy_id": trace.policy_id,
        "status": verdict.status.value,
        "reason": verdict.reason,
        "failed_step": int(facts["failed_step"]) if "failed_step" in facts else None,
        "reward": verdict.reward,
        "answer": json.dumps(verdict.answer),
        "facts": json.dumps(dict(facts)),
        "calls": trace.totals.calls,
        "plan": [f"({' '.join(step)})" for step in plan_of(verdict)],
        "cost": facts.get("cost"),
        "strict": bool(facts.get("strict")),
        "validator": verdict.validator,
        "prompt": prompt,
        "text": said.text,
        "prompt_token_ids": list(said.prompt_token_ids),
        "token_ids": list(said.token_ids),
        "logprobs": None if said.logprobs is None else list(said.logprobs),
        "tokens": trace.totals.tokens,
        "finish_reason": said.finish_reason,
        "reasoning_tokens": trace.totals.reasoning_tokens,
        "temperature": sampling.temperature,
        "max_new_tokens": sampling.max_new_tokens,
        "dtype": sampling.dtype,
        "source": trace.source,
        "trained": trained,
    }


def task_row(task: Task) -> Row:
    return {
        "id": task.id,
        "domain": task.domain,
        "size": task.size,
        "split": task.split.value,
        "prompt": task.prompt,
        "payload": json.dumps(dict(task.payload)),
    }


def trained_by(run_dir: RunDir) -> dict[str, list[int]]:
    """Trace id -> the generations that it trained."""
    out: dict[str, list[int]] = {}
    for generation in range(1, run_dir.config.generations + 1):
        pool = run_dir.pool(generation - 1)
        for trace_id in pool.weights if pool else ():
            out.setdefault(trace_id, []).append(generation)
    return out
