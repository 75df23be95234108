"""Tasks from elsewhere under the names that the embedded models know.

A domain file that says the same as a built-in domain in other words is recognised by structure: predicates and actions
are matched so that every action has the same preconditions and effects, argument by argument. Objects get names from
the pool that pretraining drew from, at random but as the task's content says. The order of facts stays the file's.
Plans are put back under the file's names and judged by the file's PDDL.

Where a domain is its own mirror image (soil and rock in Rovers), several matches are equally right; the one that keeps
most names is taken, then the first. Simplifications: conjunctions of literals alone, no numbers but the costs of
actions, and arguments in the same order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, permutations

from iterdeploy.pddl import Action, Domain, Problem
from iterdeploy.pddl.conditions import Atom, Not, conjuncts, show
from iterdeploy.planning.domain import PlanningDomain
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.domains.common import problem_text
from iterdeploy.planning.obfuscate import Disguise
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.types import content_hash

MOST_MATCHES = 1000
"""Matches with one domain among which the best is looked for."""
Literal = tuple[str, tuple[int | str, ...]]
"""How an action uses a predicate ("needs", "forbids", "adds", "deletes") and with which of its parameters."""


@dataclass(frozen=True)
class Match:
    """The names of a domain file and what they are called in one of our domains."""

    domain: PlanningDomain
    predicates: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def unchanged(self) -> int:
        return sum(old == new for names in (self.predicates, self.actions) for old, new in names.items())


def match(domain: Domain, table: Mapping[str, str]) -> Match:
    """The one built-in domain that says the same; `table`: names of the file -> ours, where structure is not enough.

    ConfigError where there is none, or more than one.
    """
    known_domains = [ours for ours in DOMAINS.values() if not ours.numeric]
    known = {name for ours in known_domains for name in _names(domain_of(ours.pddl))}
    for old, new in table.items():
        if old not in _names(domain) or new not in known:
            where = f"{domain.name} has no" if old not in _names(domain) else "none of our domains has a"
            raise ConfigError(f"tasks.names: {old} = {new!r}: {where} name {old if old not in _names(domain) else new}")
    best = []
    for ours in known_domains:
        found = list(islice(_matches(domain, ours, table), MOST_MATCHES))
        best += [max(found, key=lambda match: match.unchanged)] if found else []
    if len(best) != 1:
        wrong = " and ".join(match.domain.name for match in best) or "none of " + ", ".join(DOMAINS)
        raise ConfigError(
            f"tasks.names: by its actions and predicates {domain.name} is {wrong}; "
            'name what is called otherwise in a table [tasks.names], or leave names = "own"'
        )
    return best[0]


def mapped(domain_text: str, problem_text_: str, table: Mapping[str, str]) -> Disguise:
    """The task as one of our domains would say it. ConfigError for a task that cannot be said so."""
    found = _match(domain_text, tuple(table.items()))
    ours, problem = domain_of(found.domain.pddl), problem_of(problem_text_, domain_text)
    constants = {name: table.get(name, name) for name in problem.objects}
    said = Problem.parse(_text(found, ours, problem, constants), ours)
    try:
        renamed = found.domain.rename(said, Rng("names", content_hash(domain_text, problem_text_)))
    except (ValueError, LookupError) as error:
        raise ConfigError(f"tasks.names: {problem.name}: its objects cannot be renamed: {error}") from None
    objects = {name: renamed.get(known, known) for name, known in constants.items()}
    true_names = {new: old for names in (found.actions, objects) for old, new in names.items()}
    return Disguise(found.domain.pddl, _text(found, ours, problem, objects), true_names)


@lru_cache(maxsize=64)
def _match(domain_text: str, table: tuple[tuple[str, str], ...]) -> Match:
    return match(domain_of(domain_text), dict(table))


def _text(found: Match, ours: Domain, problem: Problem, objects: Mapping[str, str]) -> str:
    goal: list[tuple[str, ...]] = []
    for part in conjuncts(problem.goal):
        if not isinstance(part, Atom):
            raise ConfigError(f"tasks.names: {problem.name}: a goal {show(part)} asks for more than facts that hold")
        goal.append((part.predicate, *map(str, part.terms)))
    initial, wanted = (
        [(found.predicates[predicate], *(objects[name] for name in names)) for predicate, *names in atoms]
        for atoms in (problem.init_list, goal)
    )
    things = [
        ([objects[name]], found.types.get(kind, kind))
        for name, kind in problem.objects.items()
        if objects[name] not in ours.constants
    ]
    return problem_text(problem.name, ours.name, things, initial, wanted)


def _names(domain: Domain) -> set[str]:
    return {*domain.predicates, *domain.actions, *domain.constants}


def _matches(theirs: Domain, known: PlanningDomain, table: Mapping[str, str]) -> Iterator[Match]:
    ours = domain_of(known.pddl)
    if len(theirs.predicates) != len(ours.predicates) or len(theirs.actions) != len(ours.actions):
        return
    if any(table.get(name, name) not in ours.constants for name in theirs.constants):
        return
    yield from _extended(list(theirs.actions.values()), theirs, ours, Match(known), table)


def _extended(
    left: list[Action], theirs: Domain, ours: Domain, so_far: Match, table: Mapping[str, str]
) -> Iterator[Match]:
    """The match with each action that is left, and then the predicates that no action uses."""
    if not left:
        yield from _with_unused(theirs, ours, so_far, table)
        return
    action, *rest = left
    for candidate in ours.actions.values():
        if candidate.name in so_far.actions.values() or table.get(action.name, candidate.name) != candidate.name:
            continue
        types = _paired(
            [parameter.type_text for parameter in action.parameters],
            [parameter.type_text for parameter in candidate.parameters],
            so_far.types,
        )
        if types is None:
            continue
        actions = {**so_far.actions, action.name: candidate.name}
        for predicates in _predicates(_uses(action, table), _uses(candidate, {}), so_far.predicates, table):
            yield from _extended(rest, theirs, ours, Match(so_far.domain, predicates, actions, types), table)


def _with_unused(theirs: Domain, ours: Domain, so_far: Match, table: Mapping[str, str]) -> Iterator[Match]:
    unused = [name for name in theirs.predicates if name not in so_far.predicates]
    free = [name for name in ours.predicates if name not in so_far.predicates.values()]
    for order in permutations(free):
        pairs = dict(zip(unused, order, strict=True))
        if all(
            len(theirs.predicates[old]) == len(ours.predicates[new]) and table.get(old, new) == new
            for old, new in pairs.items()
        ):
            yield Match(so_far.domain, {**so_far.predicates, **pairs}, so_far.actions, so_far.types)


def _uses(action: Action, constants: Mapping[str, str]) -> dict[Literal, list[str]]:
    """The predicates that stand in each place of an action; a key of its own for what is not a literal."""
    uses: dict[Literal, list[str]] = {}

    def add(role: str, atom: Atom) -> None:
        terms = tuple([constants.get(term, term) if isinstance(term, str) else term for term in atom.terms])
        uses.setdefault((role, terms), []).append(atom.predicate)

    for part in conjuncts(action.precondition):
        if isinstance(part, Atom):
            add("needs", part)
        elif isinstance(part, Not) and isinstance(part.part, Atom):
            add("forbids", part.part)
        else:
            uses[(repr(part), ())] = []
    for index, effect in enumerate(action.effects):
        for atom in effect.adds:
            add("adds", atom)
        for atom in effect.deletes:
            add("deletes", atom)
        if index or any(update.function.name != "total-cost" for update in effect.updates):
            uses[(repr(effect), ())] = []
    return uses


def _predicates(
    theirs: dict[Literal, list[str]], ours: dict[Literal, list[str]], known: Mapping[str, str], table: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """All ways to go on with the predicates known so far so that both actions say the same."""
    if Counter({use: len(names) for use, names in theirs.items()}) != Counter(
        {use: len(names) for use, names in ours.items()}
    ):
        return
    if not theirs:
        yield dict(known)
        return
    use = next(iter(theirs))
    rest = {other: names for other, names in theirs.items() if other != use}
    for order in permutations(ours[use]):
        pairs = _paired(theirs[use], order, known)
        if pairs is not None and all(table.get(old, new) == new for old, new in pairs.items()):
            yield from _predicates(rest, {other: ours[other] for other in rest}, pairs, table)


def _paired(old: list[str], new: list[str] | tuple[str, ...], known: Mapping[str, str]) -> dict[str, str] | None:
    """`known` with old -> new, one to one; None if that contradicts it or their numbers differ."""
    if len(old) != len(new):
        return None
    pairs = dict(known)
    for first, second in zip(old, new, strict=True):
        if pairs.setdefault(first, second) != second:
            return None
    return pairs if len(set(pairs.values())) == len(pairs) else None
