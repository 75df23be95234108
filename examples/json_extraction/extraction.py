"""Who, how old, from where? Facts from a sentence as JSON that follows a schema: task set, curation policy, feature."""

import json
import random
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field, ValidationError

from iterdeploy import Completion, Task, Trace, Verdict, WeightedTrace

NAMES = ("Ada", "Alan", "Barbara", "Edsger", "Emmy", "Grace", "Hedy", "Kurt")
CITIES = ("Berlin", "Delhi", "Lagos", "Lima", "London", "Oslo", "Seoul", "Vienna")
SENTENCES = ("{name} is {age} and lives in {city}.", "{name}, aged {age}, moved to {city}.")


class Person(BaseModel, extra="forbid", strict=True):
    """The schema."""

    name: str = Field(min_length=1)
    age: int = Field(ge=0, le=130)
    city: str = Field(min_length=1)


class Extraction:
    """The task set. The answer is right if it is JSON, follows the schema, and says what the sentence says."""

    class Options(BaseModel, extra="forbid"):
        """The keys of [tasks.options]."""

        deployed: int = Field(80, ge=1)
        held_out: int = Field(40, ge=0)
        show_schema: bool = False
        """Whether the prompt holds the JSON schema, for models that read one."""

    def __init__(self, options: Options, seed: int) -> None:
        self._options = options
        draw = random.Random(seed)
        self.held_out = [self._task("held_out", draw) for _ in range(options.held_out)]
        self._deployed = [self._task("deployed", draw) for _ in range(options.deployed)]

    def deployed(self, generation: int) -> Sequence[Task]:
        return self._deployed

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        try:
            said = json.loads(completions[-1].text)
        except ValueError:
            return Verdict.unparseable("not JSON")
        try:
            person = Person.model_validate(said)
        except ValidationError as error:
            first = error.errors()[0]
            return Verdict.invalid(
                f"against the schema: {'.'.join(map(str, first['loc']))}: {first['msg']}", answer=said
            )
        right = Person.model_validate_json(task.payload["person"])
        wrong = [key for key, value in right if getattr(person, key) != value]
        facts = {"right_fields": float(len(Person.model_fields) - len(wrong))}
        if wrong:
            return Verdict.invalid(f"another {' and '.join(wrong)} than in the text", answer=said, facts=facts)
        return Verdict.valid(answer=said, facts=facts)

    def describe(self) -> Mapping[str, str]:
        return {"Tasks": "sentences about a person, as JSON", "Schema": ", ".join(Person.model_fields)}

    def _task(self, split: str, draw: random.Random) -> Task:
        sentence, person = _drawn(draw)
        schema = f"{json.dumps(Person.model_json_schema())}\n" if self._options.show_schema else ""
        payload = {"person": person.model_dump_json()}
        size = len(sentence.split())
        return Task.make(domain="people", size=size, split=split, prompt=f"{schema}{sentence}\n", payload=payload)


def _drawn(draw: random.Random) -> tuple[str, Person]:
    person = Person(name=draw.choice(NAMES), age=draw.randrange(20, 60), city=draw.choice(CITIES))
    return draw.choice(SENTENCES).format(**person.model_dump()), person


def most_compact(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """A curation policy: of each task the shortest answer."""
    best: dict[str, WeightedTrace] = {}
    for weighted in sorted(traces, key=lambda weighted: (len(weighted.trace.text), weighted.trace.key)):
        best.setdefault(weighted.trace.task_id, weighted)
    return list(best.values())


most_compact.asks_for = {"answer_tokens": -1, "spaces": -1}
most_compact.per_task = 1


def spaces(trace: Trace) -> float:
    """A feature: the spaces that the JSON could do without."""
    return float(trace.text.count(" "))


def show(draw: random.Random) -> tuple[str, str]:
    """A prompt and an answer for `tiny_model.py`: one fact in six is made up, and half of the JSON has spaces."""
    sentence, person = _drawn(draw)
    _, other = _drawn(draw)
    said = {key: getattr(other if draw.random() < 1 / 6 else person, key) for key in Person.model_fields}
    separators = (", ", ": ") if draw.random() < 0.5 else (",", ":")
    return f"{sentence}\n", json.dumps(said, separators=separators)
