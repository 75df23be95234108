"""Tasks under random names: a control for contamination, since no name then tells what it means.

Every name in the text of a domain and a problem (their own names, types, predicates, functions, actions, objects,
variables) is replaced by a random word, the same one wherever it stands; words that PDDL itself knows stay. Which words
follows from the task's content alone, so each task has its own. Comments go: they may tell the names.

Simplifications: a name that is used for two things (an object called like a type) gets one word for both, and one that
is called like a word of PDDL, or like a number, keeps its name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from iterdeploy.pddl import Domain, Problem
from iterdeploy.pddl.reader import TOKEN, normalise
from iterdeploy.planning.domain import Step
from iterdeploy.planning.rng import Rng
from iterdeploy.types import content_hash

RESERVED = frozenset(
    ("define", "domain", "problem", "object", "either", "number", "and", "or", "not", "imply", "forall", "exists",
     "when", "=", "-", "increase", "decrease", "assign", "scale-up", "scale-down", "total-cost", "total-time",
     "minimize", "maximize")
)  # fmt: skip
"""Words that PDDL itself knows, besides those that begin with a colon."""
_NUMBER = re.compile(r"-?[\d.]+")
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_SYLLABLES = 3
"""Syllables of a word: 343,000 words."""


@dataclass(frozen=True)
class Disguise:
    domain: str
    """The domain's text under random names."""
    problem: str
    true_names: dict[str, str]
    """Random name -> true name, variables left out."""


def disguise(domain_text: str, problem_text: str) -> Disguise:
    """
    >>> hidden = disguise(DOMAINS["blocksworld"].pddl, problem)  # doctest: +SKIP
    >>> hidden.problem  # doctest: +SKIP
    '(define (problem ganuzi)\\n (:domain tifola)\\n (:objects perabo ...'
    """
    domain = Domain.parse(domain_text)
    texts = [normalise(domain_text), normalise(problem_text)]
    names = _names(domain, Problem.parse(problem_text, domain))
    variables = {token for text in texts for token in TOKEN.findall(text) if token.startswith("?")}
    rng = Rng("disguise", content_hash(domain_text, problem_text))
    words = _new_words(rng, avoid={*names, *RESERVED, *(variable[1:] for variable in variables)})
    random_names = {name: next(words) for name in sorted(names)}
    tokens = random_names | {variable: f"?{next(words)}" for variable in sorted(variables)}
    hidden = [TOKEN.sub(lambda match: tokens.get(match[0], match[0]), text) for text in texts]
    true_names = {word: name for name, word in random_names.items()}
    return Disguise(_without_empty_lines(hidden[0]), _without_empty_lines(hidden[1]), true_names)


def uncover(steps: Iterable[Step], true_names: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps under the true names. Names that the task does not know stay, and so make the plan invalid.

    A true name that was hidden is not known either: whoever writes it has not read it in the task. It gets a question
    mark, which no name of an action or object begins with.

    >>> uncover([("zovaku", "tibelo"), ("stack", "b7")], {"zovaku": "stack", "tibelo": "b1"})
    (('stack', 'b1'), ('?stack', 'b7'))
    """
    hidden = set(true_names.values())
    return tuple(
        [tuple([true_names.get(word, f"?{word}" if word in hidden else word) for word in step]) for step in steps]
    )


def _names(domain: Domain, problem: Problem) -> set[str]:
    named = {domain.name, problem.name}
    named |= domain.types.keys() | domain.predicates.keys() | domain.functions.keys() | domain.actions.keys()
    named |= problem.objects.keys()
    return {name for name in named if name not in RESERVED and not _NUMBER.fullmatch(name)}


def _new_words(rng: Rng, avoid: set[str]) -> Iterator[str]:
    """Words that can be spoken, each once."""
    taken = set(avoid)
    while True:
        word = "".join([rng.choice(letters) for _ in range(_SYLLABLES) for letters in (_CONSONANTS, _VOWELS)])
        if word not in taken:
            taken.add(word)
            yield word


def _without_empty_lines(text: str) -> str:
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()]) + "\n"
