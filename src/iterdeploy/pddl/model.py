"""Domains and problems: plain records, read from PDDL text and checked for what can be checked without a plan.

Simplification: `:requirements` are not enforced, because published files are careless about them. Every predicate,
type, object and variable must be declared, and every atom must have the right number of arguments; the types of the
arguments inside atoms are not checked, only those of an action's objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from iterdeploy.pddl.conditions import And, Atom, Condition, Effect, Not, Number, TypedName, conjuncts, show
from iterdeploy.pddl.declarations import (
    Members,
    Types,
    read_functions,
    read_objects,
    read_signatures,
    read_types,
    read_variables,
)
from iterdeploy.pddl.dialects import refuse_dialect
from iterdeploy.pddl.parsing import (
    Scope,
    as_list,
    read_atom,
    read_condition,
    read_effect,
    read_function,
    read_number,
)
from iterdeploy.pddl.reader import Node, NotSupported, PddlError, read_define, short

GroundAtom = tuple[str, ...]
"""A predicate and its objects: ("on", "b1", "b2")."""


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    parameters: tuple[TypedName, ...]
    precondition: Condition
    effects: tuple[Effect, ...]
    """The first is what always happens; the others are conditional or quantified."""

    def __str__(self) -> str:
        return f"({' '.join([self.name, *[f'{p.name} - {p.type_text}' for p in self.parameters]])})"


@dataclass(frozen=True, eq=False)
class Domain:
    name: str
    types: dict[str, Types]
    """Every type with its direct supertypes; "object" is among the keys."""
    constants: dict[str, str]
    """Name to type, as in `Problem.objects`."""
    predicates: dict[str, tuple[TypedName, ...]]
    functions: dict[str, tuple[TypedName, ...]]
    """Numeric functions: total-cost, and those that give the costs of actions."""
    actions: dict[str, Action]
    constant_types: dict[str, Types]

    @staticmethod
    def parse(text: str) -> "Domain":
        """The domain in the text of a domain file; `PddlError` says what is wrong with it."""
        name, sections = read_define(text, "domain")
        parts = _sorted(sections, (":requirements", ":types", ":constants", ":predicates", ":functions", ":action"))
        types = read_types(parts[":types"])
        constants = read_objects(parts[":constants"], types, {})
        predicates = read_signatures(parts[":predicates"], types)
        functions = read_functions(parts[":functions"], types)
        scope = Scope(_arities(predicates), _arities(functions), types, constants, {}, 0)
        nodes: dict[str, Node] = {}
        actions: dict[str, Action] = {}
        for node in parts[":action"]:
            action = _read_action(node, scope)
            if nodes.setdefault(action.name, node) != node:
                raise PddlError(f"action {action.name} is defined twice, differently: rename or remove one", node.line)
            actions[action.name] = action
        return Domain(name, types, _type_texts(constants), predicates, functions, actions, constants)


@dataclass(frozen=True, eq=False)
class Problem:
    name: str
    objects: dict[str, str]
    """Name to type in file order, the domain's constants first; "(either a b)" where the file says so."""
    members: Members
    """Every type with its objects, those of its subtypes included, in file order."""
    init_list: tuple[GroundAtom, ...]
    """In file order."""
    init: frozenset[GroundAtom]
    values: dict[GroundAtom, Number]
    """Initial values of functions: {("road-length", "a", "b"): 7}."""
    goal: Condition

    @staticmethod
    def parse(text: str, domain: Domain) -> "Problem":
        """The problem in the text of a problem file; `PddlError` says what is wrong with it."""
        name, sections = read_define(text, "problem")
        known = (":domain", ":requirements", ":objects", ":init", ":goal", ":metric", ":length")
        parts = _sorted(sections, known)
        _check_domain(parts[":domain"], domain.name)
        objects = read_objects(parts[":objects"], domain.types, domain.constant_types)
        scope = Scope(_arities(domain.predicates), _arities(domain.functions), domain.types, objects, {}, 0)
        init, values = _read_init(parts[":init"], scope)
        for node in parts[":metric"]:
            if [str(item) for item in node[2:]] not in (["(total-cost)"], ["total-cost"], ["(total-time)"]):
                raise NotSupported(f"metrics other than total-cost: {short(node)}", node.line)
        if len(parts[":goal"]) != 1:
            raise PddlError(f"a problem has one (:goal ...), not {len(parts[':goal'])}")
        goal = parts[":goal"][0]
        if len(goal) > 2:
            raise PddlError("(:goal ...) holds one condition: put (and ...) around several", goal.line)
        return Problem(
            name=name,
            objects=_type_texts(objects),
            members=Members(objects, domain.types),
            init_list=tuple(init),
            init=frozenset(init),
            values=values,
            goal=read_condition(as_list(goal[1], goal), scope) if len(goal) == 2 else And(),
        )

    def goal_atoms(self) -> list[GroundAtom]:
        """The positive atoms of a goal that is a conjunction of literals, in file order."""
        atoms: list[GroundAtom] = []
        for part in conjuncts(self.goal):
            if isinstance(part, Atom):
                atoms.append(_ground(part))
            elif not (isinstance(part, Not) and isinstance(part.part, Atom)):
                raise PddlError(f"the goal is not a conjunction of literals: it holds {show(part)}")
        return atoms


def _sorted(sections: list[Node], known: tuple[str, ...]) -> dict[str, list[Node]]:
    """Sections by their keyword, so that their order in the file does not matter."""
    parts: dict[str, list[Node]] = {keyword: [] for keyword in known}
    for section in sections:
        if section.head not in parts:
            refuse_dialect(section.head, section.line)
            raise PddlError(f"unknown section {section.head}: expected one of {', '.join(known)}", section.line)
        parts[section.head].append(section)
    return parts


def _check_domain(sections: list[Node], name: str) -> None:
    """A problem of another domain may parse by chance, and would get a verdict that says nothing."""
    for section in sections:
        if section[1:] != [name]:
            advice = f"take the domain file that belongs to it, or write (:domain {name})"
            raise PddlError(f"{short(section)} is not the domain, whose name is {name}: {advice}", section.line)


def _arities(signatures: Mapping[str, tuple[TypedName, ...]]) -> dict[str, int]:
    return {name: len(parameters) for name, parameters in signatures.items()}


def _type_texts(objects: Mapping[str, Types]) -> dict[str, str]:
    return {name: TypedName(name, types).type_text for name, types in objects.items()}


def _read_action(node: Node, scope: Scope) -> Action:
    if len(node) < 2 or not isinstance(node[1], str) or len(node) % 2:
        raise PddlError("expected (:action name :parameters (...) :precondition (...) :effect (...))", node.line)
    fields: dict[str, str | Node] = {}
    for key, value in zip(node[2::2], node[3::2], strict=True):
        if key not in (":parameters", ":precondition", ":effect") or key in fields:
            refuse_dialect(str(key), node.line)
            raise PddlError(f"action {node[1]}: {short(key)} is not expected here", node.line)
        fields[str(key)] = value
    nothing = Node.empty(node.line)
    parameters = read_variables(fields.get(":parameters", nothing), scope.types, node.line)
    scope = scope.inside(parameters)
    precondition = read_condition(as_list(fields.get(":precondition", nothing), node), scope)
    effects = read_effect(as_list(fields.get(":effect", nothing), node), scope)
    return Action(node[1], parameters, precondition, effects)


def _read_init(sections: list[Node], scope: Scope) -> tuple[list[GroundAtom], dict[GroundAtom, Number]]:
    arities, objects = scope.predicates, scope.objects
    atoms: list[GroundAtom] = []
    values: dict[GroundAtom, Number] = {}
    for section in sections:
        for item in section[1:]:
            node = as_list(item, section)
            head = node.head
            if head == "=" and len(node) == 3:
                function, value = node[1:]
                if isinstance(value, Node):
                    raise NotSupported(f"values that are not numbers: {short(node)}", node.line)
                values[_ground(read_function(function, scope, node))] = read_number(value, node.line)
            elif head == "at" and len(node) == 3 and isinstance(node[2], Node):
                raise NotSupported(f"timed initial literals such as {short(node)}", node.line)
            elif head == "not" and len(node) == 2:
                read_atom(as_list(node[1], node), scope)  # false already, as all that is not listed
            elif arities.get(head) == len(node) - 1 and all([isinstance(o, str) and o in objects for o in node[1:]]):
                atoms.append(tuple(node))  # type: ignore[arg-type]
            else:
                atoms.append(_ground(read_atom(node, scope)))
    return atoms, values


def _ground(atom: Atom) -> GroundAtom:
    return (atom.predicate, *[str(term) for term in atom.terms])
