"""Reads what a domain or problem declares: types, objects, predicates, functions and lists of variables."""

from collections.abc import Container, Mapping, Sequence

from iterdeploy.pddl.conditions import TypedName
from iterdeploy.pddl.reader import Node, NotSupported, PddlError, short

Types = tuple[str, ...]
"""The alternatives of a variable, or all the types of an object: more than one only after `either`."""

MAX_TYPES = 100
"""Alternatives in one `either`, or direct types of one object or type. Each of the names before the '-' keeps them."""


class Members(dict[str, tuple[str, ...]]):
    """Every type with its objects, those of its subtypes included, in file order.

    Filled on first use: a deep hierarchy with many objects would take a table of the product of both.

    >>> Members({"rex": ("dog",), "tom": ("cat",)}, {"dog": ("animal",), "cat": ("animal",)})["animal"]
    ('rex', 'tom')
    """

    def __init__(self, objects: Mapping[str, Types], parents: Mapping[str, Types]) -> None:
        super().__init__()
        self._objects = objects
        self._children: dict[str, list[str]] = {"object": []}
        for name, above in parents.items():
            self._children.setdefault(name, [])
            for parent in above:
                self._children.setdefault(parent, []).append(name)

    def __missing__(self, kind: str) -> tuple[str, ...]:
        below: set[str] = set()
        waiting = [kind]
        while waiting:
            name = waiting.pop()
            if name not in below:
                below.add(name)
                waiting += self._children[name]
        everything = kind == "object"
        self[kind] = tuple([name for name, types in self._objects.items() if everything or not below.isdisjoint(types)])
        return self[kind]


def read_typed(items: Sequence[str | Node], types: Container[str] | None, line: int) -> tuple[TypedName, ...]:
    """`a b - t c` as typed names; `types` are those declared (None: not known yet)."""
    result: list[TypedName] = []
    untyped: list[str] = []
    rest = iter(items)
    for item in rest:
        if isinstance(item, Node):
            raise PddlError(f"expected a name, not {short(item)}", item.line)
        if item != "-":
            untyped.append(_checked(item, line))
            continue
        kind = next(rest, None)
        names = kind[1:] if isinstance(kind, Node) and kind.head == "either" else [kind]
        if not names or not all([isinstance(name, str) for name in names]):
            raise PddlError("expected a type after '-': a name, or (either name name)", line)
        known = tuple(dict.fromkeys([_checked(name, line, "types") for name in names if isinstance(name, str)]))
        _check_count(known, line)
        for name in known:
            if types is not None and name not in types:
                raise PddlError(f"type {name} is not declared: add it to :types", line)
        result += [TypedName(name, known) for name in untyped]
        untyped.clear()
    return (*result, *map(TypedName, untyped))


def _checked(name: str, line: int, what: str = "") -> str:
    """The name, which must not be a sign; nor a variable, where it stands for `what`."""
    if name[0] in "-+*/<>=" or name == "?":
        raise PddlError(f"expected a name, not {short(name)}: names do not begin with a sign", line)
    if what and name[0] == "?":
        raise PddlError(f"{short(name)} is a variable: {what} do not begin with '?'", line)
    return name


def read_variables(items: str | Node, types: Container[str], line: int) -> tuple[TypedName, ...]:
    """The variables in the brackets of :parameters, `forall` and `exists`."""
    if isinstance(items, str):
        raise PddlError(f"expected a list of variables such as (?x - block), not {items}", line)
    variables = read_typed(items, types, items.line)
    seen: set[str] = set()
    for variable in variables:
        if not variable.name.startswith("?"):
            raise PddlError(f"{variable.name} is not a variable: variables begin with '?'", items.line)
        if variable.name in seen:
            raise PddlError(f"variable {variable.name} stands twice in one list: rename one", items.line)
        seen.add(variable.name)
    return variables


def read_types(sections: Sequence[Node]) -> dict[str, Types]:
    """Every type with its direct supertypes; a type that is only named as a supertype counts as declared."""
    parents: dict[str, list[str]] = {"object": []}
    for section in sections:
        for typed in read_typed(section[1:], None, section.line):
            parents.setdefault(_checked(typed.name, section.line, "types"), []).extend(typed.types)
            _check_count(parents[typed.name], section.line)
            for name in typed.types:
                parents.setdefault(name, [])
    return {name: tuple(dict.fromkeys(above)) for name, above in parents.items()}


def read_objects(sections: Sequence[Node], types: Container[str], constants: Mapping[str, Types]) -> dict[str, Types]:
    """The constants and the objects. What is declared twice is of both types, as it is for VAL."""
    objects = dict(constants)
    for section in sections:
        for typed in read_typed(section[1:], types, section.line):
            known = objects.get(_checked(typed.name, section.line, "objects"), ())
            if not known or typed.types != ("object",):
                objects[typed.name] = tuple(dict.fromkeys((*known, *typed.types))) if known else typed.types
                _check_count(objects[typed.name], section.line)
    return objects


def _check_count(types: Sequence[str], line: int) -> None:
    if len(types) > MAX_TYPES:
        raise PddlError(f"more than {MAX_TYPES} types of one thing: give them a common supertype", line)


def read_signatures(sections: Sequence[Node], types: Container[str]) -> dict[str, tuple[TypedName, ...]]:
    """Predicates, or functions, with their parameters."""
    signatures: dict[str, tuple[TypedName, ...]] = {}
    for section in sections:
        for node in section[1:]:
            if isinstance(node, str) or not node.head:
                raise PddlError(f"expected a declaration such as (on ?x ?y), not {short(node)}", section.line)
            parameters = read_typed(node[1:], types, node.line)
            if len(signatures.setdefault(node.head, parameters)) != len(parameters):
                raise PddlError(f"{node.head} is declared twice, with different arguments: remove one", node.line)
    return signatures


def read_functions(sections: Sequence[Node], types: Container[str]) -> dict[str, tuple[TypedName, ...]]:
    """Numeric functions, with or without `- number` after them; total-cost is always among them."""
    declarations: list[Node] = []
    for section in sections:
        plain = Node.empty(section.line)
        rest = iter(section)
        for item in rest:
            if item != "-":
                plain.append(item)
            elif (kind := next(rest, None)) != "number":
                raise NotSupported(f"functions that are not numbers, but of type {short(kind)}", section.line)
        declarations.append(plain)
    return {"total-cost": (), **read_signatures(declarations, types)}
