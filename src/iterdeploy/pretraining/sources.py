"""Where demonstrations come from: built-in domains, plans for a user's PDDL files, or a file of tasks and answers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from iterdeploy.pddl import Domain
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.interactive import FAILED
from iterdeploy.pretraining.config import DemonstrationConfig
from iterdeploy.pretraining.demonstrations import Demonstration, Mixture, demonstrate
from iterdeploy.pretraining.planned import Planned
from iterdeploy.pretraining.tokenizer import END, words_in
from iterdeploy.sections import ConfigError
from iterdeploy.types import content_hash


class Source(Protocol):
    """A stream of demonstrations. Small enough to be sent to other processes."""

    @property
    def count(self) -> int:
        """Demonstrations in all."""
        ...

    @property
    def key(self) -> str:
        """Changes with everything that a demonstration follows from, the seed apart."""
        ...

    @property
    def sizes(self) -> Mapping[str, Sequence[int]]:
        """Domain -> the sizes of its tasks, ascending; nothing where tasks have no domain."""
        ...

    @property
    def contents(self) -> Sequence[str]:
        """Digests of the tasks that were shown, where these are a user's own."""
        ...

    def words(self) -> list[str]:
        """What is to be one token each."""
        ...

    def domain(self, index: int) -> str:
        """Every step of the optimiser has some of every domain."""
        ...

    def demonstration(self, seed: int, index: int) -> Demonstration: ...


def source_of(config: DemonstrationConfig, work_dir: Path) -> Source:
    """`work_dir` keeps a planner's plans. ConfigError, naming the file and the line, for what cannot be used."""
    if config.file:
        return Written.read(Path(config.file), config.count)
    if config.problem_files:
        return Planned.read(config, work_dir / "plans")
    return BuiltIn(config)


@dataclass(frozen=True)
class BuiltIn:
    """Synthetic demonstrations of the built-in domains, which take turns."""

    config: DemonstrationConfig
    contents: Sequence[str] = ()

    @property
    def count(self) -> int:
        return self.config.count

    @property
    def key(self) -> str:
        return self.config.model_dump_json(exclude={"domain_file", "problem_files", "plans", "file"})

    @property
    def sizes(self) -> Mapping[str, Sequence[int]]:
        return {domain: sorted(set(sizes)) for domain, sizes in self.config.sizes.items()}

    def words(self) -> list[str]:
        """Of an agent's demonstrations, the words that begin what it reads as well."""
        return vocabulary(self.config.sizes) + ([FAILED] if self.config.interactive else [])

    def domain(self, index: int) -> str:
        turns = [domain for domain in self.config.sizes for _ in range(self.config.turns.get(domain, 1))]
        return turns[index % len(turns)]

    def demonstration(self, seed: int, index: int) -> Demonstration:
        config, domain = self.config, self.domain(index)
        mixture = Mixture(config.sizes[domain], config.flawed, config.wasteful)
        return demonstrate(DOMAINS[domain], mixture, seed, index, interactive=config.interactive)


def vocabulary(domains: Iterable[str]) -> list[str]:
    """The words that are one token: PDDL's, the domains' with their object names, and the marks of an answer."""
    marks = ["<think>\n", "</think>\n", "<plan>\n", "</plan>", ")\n", ")", "\n", "goal"]
    keywords = ["define", "domain", "problem", "objects", "init", "and", "not"]
    words: dict[str, None] = dict.fromkeys(marks)
    for domain in map(DOMAINS.__getitem__, domains):
        parsed = Domain.parse(domain.pddl)
        words |= dict.fromkeys([*domain.marks, domain.name, *(f" {name}" for name in domain.names)])
        words |= dict.fromkeys(f"({name}" for name in [*parsed.predicates, *parsed.actions])
    return [*words, *(f"({word}" for word in keywords)]


@dataclass(frozen=True)
class Written:
    """The lines of a user's own file, as they stand, in turn."""

    pairs: tuple[tuple[str, str], ...]
    """(Prompt, answer)."""
    count: int
    sizes: Mapping[str, Sequence[int]]
    contents: Sequence[str] = ()

    @classmethod
    def read(cls, path: Path, count: int) -> "Written":
        """`count`: as many demonstrations; 0: as many as there are lines."""
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            where = f"(relative paths start from {Path.cwd()})"
            raise ConfigError(f"demonstrations.file: {path}: {error.strerror} {where}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"demonstrations.file: {path}: not a text file in UTF-8") from None
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if not lines:
            raise ConfigError(f"demonstrations.file: {path} is empty: write one JSON object a line")
        pairs = tuple([_pair(line, f"demonstrations.file: {path}: line {number}") for number, line in lines])
        return cls(pairs, count or len(pairs), {})

    @property
    def key(self) -> str:
        return content_hash("written", self.count, self.pairs)

    def words(self) -> list[str]:
        return words_in(text for pair in self.pairs for text in pair)

    def domain(self, index: int) -> str:
        return ""

    def demonstration(self, seed: int, index: int) -> Demonstration:
        prompt, answer = self.pairs[index % len(self.pairs)]
        return Demonstration(prompt, answer, 0, False)


def _pair(line: str, where: str) -> tuple[str, str]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f'{where}: expected an object such as {{"prompt": "2 + 3 =", "answer": " 5"}}')
    for key in ("prompt", "answer"):
        text = values.get(key)
        if not isinstance(text, str) or not text:
            found = f"must be text, and not empty, not {json.dumps(text)[:60]}" if key in values else "is missing"
            raise ConfigError(f"{where}: {key!r} {found}")
        if END in text:
            raise ConfigError(f"{where}: {key!r} holds {END}, which marks the end of an answer: leave it out")
    return values["prompt"], values["answer"]
