"""Users who are not there: they ask a deployment over HTTP what the task set has, judge the answers, and say so.

What a user publishes is a curation policy, applied to one answer: `valid` is a user who checks, `noisy(0.1)` one who is
mistaken, `prefer(detour, 3)` one with a taste. Of `poison(0.1)` every tenth user is an attacker, who publishes what is
wrong and rejects what is right.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from iterdeploy.curation.named import find_policy
from iterdeploy.curation.policies import CurationPolicy
from iterdeploy.sections import ConfigError, UserError
from iterdeploy.tasks.judging import Judges, verdicts
from iterdeploy.types import Completion, Sampling, Status, Task, Trace, WeightedTrace

PATIENCE = 120.0
"""Seconds for one answer."""
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Simulated:
    asked: int
    published: int
    rejected: int
    generations: Mapping[str, int]
    """Which generation answered -> how often."""


def taste(profile: str, user: int, users: int) -> CurationPolicy:
    """What the user publishes. ConfigError for a profile that there is not."""
    if (found := re.fullmatch(r"\s*poison\(([0-9.]+)\)\s*", profile)) is None:
        return find_policy(profile)
    share = float(found[1])
    if not 0 <= share <= 1:
        raise ConfigError(f"--profile {profile}: a share must be a number from 0 to 1")
    return CurationPolicy("poison", wrong) if user < round(share * users) else find_policy("valid")


def wrong(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    return [weighted for weighted in traces if weighted.trace.verdict.status is Status.INVALID]


def simulate(
    url: str,
    model: str,
    tasks: Sequence[Task],
    judges: Judges,
    *,
    users: int,
    rounds: int,
    profile: str,
    key: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Simulated:
    """Each task is asked `rounds` times, the users taking turns. UserError if the deployment cannot be asked."""
    import httpx

    tastes = [taste(profile, user, users) for user in range(users)]
    turns = [(task, (index + round_) % users) for round_ in range(rounds) for index, task in enumerate(tasks)]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    said: Counter[str] = Counter()
    generations: Counter[str] = Counter()

    def turn(task: Task, user: int) -> tuple[str, str]:
        who = {"X-Iterdeploy-User": f"simulated-{user}"}
        messages = [{"role": "user", "content": task.prompt}]
        answer = _post(client, "/v1/chat/completions", {"model": model, "messages": messages}, who)
        trace = _trace(task, answer.json(), judges)
        verdict = "publish" if tastes[user]([WeightedTrace(trace)]) else "reject"
        _post(client, "/v1/feedback", {"trace": trace.id, "verdict": verdict}, who)
        return verdict, answer.headers.get("x-iterdeploy-generation", "")

    with (
        httpx.Client(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False) as client,
        ThreadPoolExecutor(min(AT_ONCE, users)) as threads,
    ):
        for done, (verdict, generation) in enumerate(threads.map(lambda asked: turn(*asked), turns), 1):
            said[verdict] += 1
            generations[generation] += 1
            progress(done, len(turns))
    return Simulated(len(turns), said["publish"], said["reject"], dict(generations))


def _post(client: Any, path: str, body: Mapping[str, object], headers: Mapping[str, str]) -> Any:
    import httpx

    try:
        response = client.post(path, json=body, headers=headers)
    except httpx.HTTPError as error:
        raise UserError(f"{client.base_url}: the deployment cannot be asked: {type(error).__name__}: {error}") from None
    if response.status_code >= 300:
        raise UserError(f"{client.base_url}{path}: status {response.status_code}: {response.text[:300]}")
    return response


def _trace(task: Task, answer: Mapping[str, Any], judges: Judges) -> Trace:
    """What a user sees of an answer, judged."""
    (choice,) = answer["choices"]
    said = Completion(choice["message"]["content"], (), (), None, choice["finish_reason"], 0)
    (verdict,) = verdicts(judges, [(task, [said])])
    made = Trace.make(
        task,
        generation=0,
        sample_index=0,
        policy_id="",
        sampling=Sampling(1.0, 1, "float32"),
        completions=[said],
        verdict=verdict,
        source="simulation",
    )
    return replace(made, id=str(answer["id"]))
