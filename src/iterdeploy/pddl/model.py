"""Domains and problems: plain records, read from PDDL text and checked for what can be checked without a plan.

Simplification: `:requirements` are not enforced, because published files are careless about them. Every predicate,
type, object and variable must be declared, and every atom must have the right number of arguments; the types of the
arguments inside atoms are not checked, only those of an action's objects.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from iterdeploy.pddl.conditions import (
    And,
    Atom,
    Axiom,
    Condition,
    Effect,
    Metric,
    Not,
    Number,
    TypedName,
    conjuncts,
    show,
)
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
from iterdeploy.pddl.expressions import read_expression, read_function, read_number
from iterdeploy.pddl.parsing import as_list, read_atom, read_condition, read_effect
from iterdeploy.pddl.reader import Node, NotSupported, PddlError, read_define, short
from iterdeploy.pddl.scope import Scope
from iterdeploy.pddl.strata import stratify

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
    """Numeric functions, total-cost among them."""
    actions: dict[str, Action]
    constant_types: dict[str, Types]
    axioms: tuple[Axiom, ...] = ()

    @staticmethod
    def parse(text: str) -> "Domain":
        """The domain in the text of a domain file; `PddlError` says what is wrong with it."""
        name, sections = read_define(text, "domain")
        known = (":requirements", ":types", ":constants", ":predicates", ":functions", ":derived", ":action")
        parts = _sorted(sections, known)
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
        axioms = tuple([_read_axiom(node, scope) for node in parts[":derived"]])
        _check_derived(axioms, actions.values())
        return Domain(name, types, _type_texts(constants), predicates, functions, actions, constants, axioms)


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
    metric: Metric | None = None

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
        derived = {axiom.predicate for axiom in domain.axioms}
        if wrong := [atom for atom in init if atom[0] in derived]:
            raise PddlError(f"{wrong[0][0]} is a derived predicate: it cannot stand in :init")
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
            metric=_read_metric(parts[":metric"], scope),
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


def _read_axiom(node: Node, scope: Scope) -> Axiom:
    if len(node) != 3 or not isinstance(node[1], Node) or not isinstance(node[2], Node):
        raise PddlError(f"expected (:derived (predicate variables) condition), not {short(node)}", node.line)
    head = node[1]
    parameters = read_variables(Node.of(head[1:], head.line), scope.types, head.line)
    scope = scope.inside(parameters)
    read_atom(Node.of([*head[:1], *[parameter.name for parameter in parameters]], head.line), scope)
    return Axiom(head.head, parameters, read_condition(node[2], scope))


def _check_derived(axioms: Collection[Axiom], actions: Iterable[Action]) -> None:
    stratify(axioms)
    derived = {axiom.predicate for axiom in axioms}
    for action in actions:
        for effect in action.effects:
            for atom in (*effect.adds, *effect.deletes):
                if atom.predicate in derived:
                    raise PddlError(f"action {action.name}: {atom.predicate} is derived and cannot be an effect")


def _read_metric(sections: list[Node], scope: Scope) -> Metric | None:
    """The last one that the problem names."""
    functions = {**scope.functions, "total-time": scope.functions.get("total-time", 0)}
    metric = None
    for node in sections:
        if len(node) != 3 or node[1] not in ("minimize", "maximize"):
            raise PddlError(f"expected (:metric minimize expression), not {short(node)}", node.line)
        metric = Metric(node[1] == "maximize", read_expression(node[2], replace(scope, functions=functions), node))
    return metric


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
                number = read_number(value, node.line)
                read = read_function(function, scope, node)
                values[_ground(Atom(read.name, read.terms))] = number
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
