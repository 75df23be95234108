"""Partial observability: which facts of a state an agent sees.

`tasks.hidden` names facts and says under which condition each is seen, both in PDDL over the same variables:

    [tasks.hidden]
    "(on ?x ?y)" = "(clear ?x)"                          # what stands on what is seen of a tower's top block alone
    "(at ?b ?c)" = "(exists (?r ?d) (and (at-robot ?r) (adjacent ?r ?c ?d)))"       # boxes next to the robot

The condition may look at anything in the state: at where the agent is, or at a fact that a sensing action
domain adds. All other facts are always seen. The rules become one action that looks: of each hidden fact whose
condition holds, it adds a copy. So they are read, checked and tested as every precondition is.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from iterdeploy.config import TasksConfig
from iterdeploy.pddl import Domain, PddlError, states
from iterdeploy.pddl.model import GroundAtom
from iterdeploy.pddl.reader import normalise
from iterdeploy.planning.domain import Step
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.sections import ConfigError

LOOK, SEEN = "look--around", "seen--"
"""The action's name, and what the name of a copy begins with; two hyphens keep them apart from anybody's names."""

Rules = Mapping[str, str]
"""A fact with variables -> the condition under which it is seen."""


def check_rules(rules: Rules, domain_text: str) -> None:
    """ConfigError for rules that do not fit the domain."""
    for fact, condition in rules.items():
        try:
            domain_of(_looking(domain_text, ((fact, condition),)))
        except (PddlError, KeyError) as error:
            raise ConfigError(
                f"tasks.hidden: {fact!r} = {condition!r}: {error}; a rule reads like '(on ?x ?y)' = '(clear ?x)'"
            ) from None


def check_hidden(tasks: TasksConfig, domain_texts: Iterable[str]) -> None:
    """ConfigError for rules that do not fit the domains, or other keys."""
    if tasks.hidden and not tasks.interactive:
        raise ConfigError("tasks.hidden: needs tasks.interactive = true: what is hidden is seen while acting")
    if tasks.hidden and (tasks.obfuscate or tasks.names != "own"):
        raise ConfigError(
            "tasks.hidden: cannot be used with tasks.obfuscate or tasks.names, whose names it does not know"
        )
    for text in domain_texts:
        check_rules(tasks.hidden, text)


def seen(domain_text: str, problem_text: str, plan: Sequence[Step], rules: Rules) -> frozenset[GroundAtom]:
    """The facts that are seen after the steps, all of which can be done."""
    hidden = {_words(fact)[0] for fact in rules}
    text = _looking(domain_text, tuple(rules.items())) if rules else domain_text
    steps = [*plan, (LOOK,)] if rules else plan
    *_, after = states(domain_of(text), problem_of(problem_text, text), steps)
    return frozenset(
        (atom[0].removeprefix(SEEN), *atom[1:]) for atom in after if atom[0].startswith(SEEN) or atom[0] not in hidden
    )


@lru_cache(maxsize=64)
def _looking(domain_text: str, rules: tuple[tuple[str, str], ...]) -> str:
    """The domain's text with an action that looks."""
    domain = domain_of(domain_text)
    copies = [_copy(domain, fact, condition) for fact, condition in rules]
    predicates = " ".join(declared for declared, _ in copies)
    effects = " ".join(effect for _, effect in copies)
    look = f"(:predicates {predicates}) (:action {LOOK} :parameters () :effect (and {effects}))"
    return normalise(domain_text).rstrip()[:-1] + look + ")"


def _copy(domain: Domain, fact: str, condition: str) -> tuple[str, str]:
    """What declares the copies of a fact, and the effect that makes them."""
    name, *variables = _words(fact)
    parameters = domain.predicates.get(name)
    if parameters is None:
        raise PddlError(f"there is no predicate {name}: there are {', '.join(domain.predicates)}")
    if len(parameters) != len(variables) or not all(word.startswith("?") for word in variables):
        raise PddlError(f"{name} takes {len(parameters)} variables, such as (on ?x ?y)")
    typed = " ".join(f"{word} - {parameter.type_text}" for word, parameter in zip(variables, parameters, strict=True))
    copy = f"({SEEN}{name} {' '.join(variables)})"
    when = f"(when (and {fact} {condition}) {copy})"
    return f"({SEEN}{name} {typed})", f"(forall ({typed}) {when})" if variables else when


def _words(fact: str) -> list[str]:
    return fact.lower().replace("(", " ").replace(")", " ").split() or [""]
