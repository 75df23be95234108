"""Traces and tasks as plain data for the page: the same in the report's file and from `iterdeploy view`."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from iterdeploy.planning.plans import Plan, plan_of
from iterdeploy.record.store import TraceSummary
from iterdeploy.report.facts.playback import Scene, moves_of
from iterdeploy.tasks.environment import observations_of
from iterdeploy.types import Task, Trace, TrainingPool


def entry(listed: TraceSummary, trained: Collection[int]) -> dict[str, Any]:
    """What a list says of a trace. `trained`: the generations whose pools hold it."""
    row = asdict(listed)
    facts = row.pop("facts")
    return {**row, "steps": int(facts.get("plan_length", 0)), "trained": sorted(trained)}


def opened(trace: Trace, task: Task, scene: Scene | str, longest_text: int) -> dict[str, Any]:
    """The rest of it; of its text up to `longest_text` characters and how many are left out."""
    verdict, text, plan = trace.verdict, trace.text, plan_of(trace.verdict)
    moves = moves_of(task.payload, scene, plan) if isinstance(scene, Scene) and plan else None
    return {
        "reason": verdict.reason,
        "text": text[:longest_text],
        "left_out": max(0, len(text) - longest_text),
        "turns": _turns(trace, longest_text),
        "plan": plan,
        "said": _as_said(plan, task),
        "failed": whole(verdict.facts.get("failed_step")),
        "cost": verdict.facts.get("cost"),
        "strict": bool(verdict.facts.get("strict")),
        "validator": verdict.validator,
        "policy": trace.policy_id,
        "temperature": trace.sampling.temperature,
        "tokens": trace.totals.tokens,
        "reasoning_tokens": trace.totals.reasoning_tokens,
        "moves": moves and asdict(moves),
    }


def asked(task: Task, scene: Scene | str, longest_text: int) -> dict[str, Any]:
    """What all answers to a task share."""
    return {
        "prompt": task.prompt[:longest_text],
        "left_out": max(0, len(task.prompt) - longest_text),
        "scene": asdict(scene) if isinstance(scene, Scene) else None,
        "no_scene": "" if isinstance(scene, Scene) else scene,
        "course": json.loads(task.payload["drawing"]) if "course" in task.payload else None,
    }


def _turns(trace: Trace, longest_text: int) -> list[dict[str, str]]:
    """Of an episode: what the model wrote in each turn, and what it read then. The first one is what it read before
    its first. Nothing where there was no environment."""
    observed, said = observations_of(trace.verdict), [""]
    if not observed:
        return []
    said += [call.text for call in trace.completions]
    longest = longest_text // len(said)
    return [
        {"said": text[:longest], "observed": observation[:longest]}
        for text, observation in zip_longest(said, observed, fillvalue="")
    ]


def whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _as_said(plan: Plan, task: Task) -> list[list[str]] | None:
    """The plan in the words of the answer, where the task was asked under random names; else None."""
    if "true_names" not in task.payload:
        return None
    random_names = {name: word for word, name in json.loads(task.payload["true_names"]).items()}
    return [[random_names.get(word, word.removeprefix("?")) for word in step] for step in plan]


def trained_by(pools: Mapping[int, TrainingPool]) -> dict[str, list[int]]:
    """Trace id -> the generations that it trained. `pools`: generation -> the pool that trains it."""
    out: dict[str, list[int]] = {}
    for generation, pool in pools.items():
        for trace_id in pool.weights:
            out.setdefault(trace_id, []).append(generation)
    return out


def page_json(value: object) -> str:
    """JSON that stays text wherever a page holds it: ASCII alone, without the signs that mean something in HTML.

    >>> page_json({"a": "</script>" + chr(0x2028)})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u2028"}'
    """
    text = json.dumps(value, separators=(",", ":"), default=list)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
