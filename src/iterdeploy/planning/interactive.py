"""Planning one action at a time: the agent acts, and reads what changed or why nothing did.

An observation is a word and facts, one a line. After an action that was done, "+" stands before what is true now and
was not known to be, "-" before what was known and is true no longer. After one that cannot be done, "failed" comes
first, then what does not hold. Under `tasks.hidden` only what is seen counts, and a failure tells what it tells.

An episode is valid when the goal holds. The plan is the actions that were done, and is judged as every plan is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from iterdeploy.config import TasksConfig
from iterdeploy.pddl import validate_steps
from iterdeploy.pddl.model import GroundAtom
from iterdeploy.planning.domain import Step
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.hidden import Rules, seen
from iterdeploy.planning.judge import Judge, action_names
from iterdeploy.planning.obfuscate import uncover
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.tasks.environment import Episodes
from iterdeploy.tasks.judging import Judges, LocalJudges
from iterdeploy.types import Observation, Status, Task, Verdict

FAILED, UNREADABLE = "failed", "unreadable"


def judges_of(tasks: TasksConfig, judge: Judge, turns: int) -> Judges:
    """Who judges planning tasks: their plans, or the agent's actions one at a time."""
    if not tasks.interactive:
        return LocalJudges(judge.judge)
    return LocalJudges(Episodes(lambda: PlanningEnvironment(judge), turns, 1.0).reply, turns)


class PlanningEnvironment:
    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def reset(self, task: Task) -> Observation:
        """Nothing is to be read: what is seen at the start stands in the task's prompt."""
        self._task = task
        self._texts = (task.payload["domain"], task.payload["problem"])
        self._rules: Rules = json.loads(task.payload.get("hidden", "{}"))
        self._true_names: dict[str, str] = json.loads(task.payload.get("true_names", "{}"))
        self._shown = {name: word for word, name in self._true_names.items()}
        self._plan: list[Step] = []
        self._failures = self._unreadable = 0
        self._known = seen(*self._texts, (), self._rules)
        return Observation()

    def step(self, action: str) -> Observation:
        extraction = extract_plan(action, action_names(self._texts[0], self._true_names))
        if extraction.steps is None or len(extraction.steps) != 1:
            self._unreadable += 1
            return Observation(f"{UNREADABLE}\n{extraction.problem or 'one action in each turn'}\n")
        (step,) = uncover(extraction.steps, self._true_names)
        domain, problem = domain_of(self._texts[0]), problem_of(self._texts[1], self._texts[0])
        judged = validate_steps(domain, problem, [*self._plan, step])
        if judged.failed_step is not None:
            self._failures += 1
            why = judged.unmet or (judged.reason.partition("): ")[2] or judged.reason,)
            return Observation("\n".join([FAILED, *(self._said(part) for part in why), ""]))
        self._plan.append(step)
        return Observation(self._changes(), reward=float(judged.valid), done=judged.valid)

    def verdict(self) -> Verdict:
        turns = len(self._plan) + self._failures + self._unreadable
        facts = {"turns": float(turns), "failed_actions": float(self._failures), "unreadable": float(self._unreadable)}
        if self._unreadable == turns:
            return replace(Verdict.unparseable(f"no action could be read in {turns} turns"), facts=facts)
        judged = self._judge.judge_plan(self._task, tuple(self._plan))
        reason = judged.reason and f"not done after {turns} turns: {judged.reason}"
        if judged.status is Status.ERROR:
            reason = judged.reason
        return replace(judged, reason=reason, answer={"plan": judged.answer}, facts={**judged.facts, **facts})

    def _changes(self) -> str:
        """What is seen that was not known, and what was known and has ended."""
        everything = seen(*self._texts, self._plan, {})
        now = seen(*self._texts, self._plan, self._rules)
        new, gone = now - self._known, self._known - everything
        self._known = (self._known | now) - gone
        return "".join(
            f"{sign}{self._atom(atom)}\n" for sign, atoms in (("+", new), ("-", gone)) for atom in sorted(atoms)
        )

    def _atom(self, atom: GroundAtom) -> str:
        return self._said(f"({' '.join(atom)})")

    def _said(self, text: str) -> str:
        """PDDL under the names that the model was given."""
        return renamed(text, self._shown) if self._shown else text


def renamed(text: str, names: Mapping[str, str]) -> str:
    words: Sequence[str] = text.replace("(", " ( ").replace(")", " ) ").split()
    return " ".join(names.get(word, word) for word in words).replace("( ", "(").replace(" )", ")")
