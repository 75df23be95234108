"""Reads PDDL text into nested lists, and holds the errors that every other module here raises.

One compiled regular expression cuts the text and one loop without recursion nests it, so that a task of a megabyte
reads in a fraction of a second and a million opening parentheses are an error, not a stack overflow. Everything is
lower-cased at once: names in PDDL are case-insensitive.
"""

import re
from collections.abc import Iterable

MAX_DEPTH = 200
"""Levels of parentheses. Real domains stay below 20; everything that walks the lists may recurse this deep."""

TOKEN = re.compile(
    r"[()\n]"
    r"|[^\s()?+*/<>=-][^\s()?]*+"  # a name, a number or a keyword
    r"|[-+*/<>=]++(?=[^\W\d])"  # a sign glued to the name behind it, as in `a b -block` and `(=k ?x)`
    r"|\?[^\s()?]*+"  # a variable, which needs no space before it
    r"|[^\s()?]++"  # a sign, or a number with one
)
"""Cuts normalised text where VAL cuts it."""
_COMMENT = re.compile(r";[^\n]*")


class PddlError(ValueError):
    """The text is not what it should be; the message says where and how to fix it."""

    def __init__(self, message: str, line: int | None = None) -> None:
        message = short(message, 400)
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class NotSupported(PddlError):
    """The text may be right PDDL, but uses a feature that is not judged here: better no verdict than a wrong one."""

    def __init__(self, feature: str, line: int | None = None) -> None:
        super().__init__(f"not supported: {feature}" + ("" if line is None else f" (line {line})"))
        self.line = line


class Node(list["str | Node"]):
    """A parenthesised list that remembers the line on which it opens."""

    __slots__ = ("line",)
    line: int

    @staticmethod
    def empty(line: int) -> "Node":
        return Node.of((), line)

    @staticmethod
    def of(items: "Iterable[str | Node]", line: int) -> "Node":
        node = Node(items)
        node.line = line
        return node

    @property
    def head(self) -> str:
        """The first item where that is a name, else an empty string."""
        return self[0] if self and isinstance(self[0], str) else ""

    def __str__(self) -> str:
        return "(" + " ".join(map(str, self)) + ")"


def short(item: object, limit: int = 80) -> str:
    """Text for a message, cut where it is long."""
    text = str(item)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def normalise(text: str) -> str:
    """Lower case, plain line ends, and neither byte-order mark nor comments.

    >>> normalise("(A b) ; move\\r\\n(C)")
    '(a b) \\n(c)'
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").lower()
    return _COMMENT.sub("", text) if ";" in text else text


def read(text: str) -> Node:
    """The lists at the top of the text, as one list.

    >>> read("(at A (b c))")
    [['at', 'a', ['b', 'c']]]
    """
    current = root = Node()
    current.line = line = 1
    stack: list[Node] = []
    for token in TOKEN.findall(normalise(text)):
        if token == "(":
            if len(stack) == MAX_DEPTH:
                raise PddlError(f"more than {MAX_DEPTH} parentheses inside one another", line)
            child = Node()
            child.line = line
            current.append(child)
            stack.append(current)
            current = child
        elif token == ")":
            if not stack:
                raise PddlError("a ')' closes nothing: remove it, or look for a missing '(' above", line)
            current = stack.pop()
        elif token == "\n":
            line += 1
        else:
            current.append(token)
    if stack:
        raise PddlError(f"the '(' of this line is never closed: {len(stack)} ')' missing", current.line)
    return root


def read_define(text: str, kind: str) -> tuple[str, list[Node]]:
    """Name and sections of `(define (kind name) sections...)`."""
    root = read(text)
    if not root:
        raise PddlError(f"the text is empty: expected (define ({kind} name) ...)")
    define = root[0]
    if not isinstance(define, Node) or define.head != "define" or len(define) < 2:
        raise PddlError(f"expected (define ({kind} name) ...)", define.line if isinstance(define, Node) else 1)
    if len(root) > 1:
        raise PddlError("text after the end of (define ...): remove it, or look for an extra ')'", define.line)
    title, *sections = define[1:]
    if not isinstance(title, Node) or len(title) != 2 or title.head != kind or not isinstance(title[1], str):
        raise PddlError(f"expected ({kind} name) after 'define'", define.line)
    nodes: list[Node] = []
    for section in sections:
        if not isinstance(section, Node) or not section.head.startswith(":"):
            line = section.line if isinstance(section, Node) else define.line
            raise PddlError(f"expected a section such as (:{'predicates' if kind == 'domain' else 'init'} ...)", line)
        nodes.append(section)
    return title[1], nodes
