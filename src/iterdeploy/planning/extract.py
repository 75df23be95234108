"""The plan in what a language model wrote: strict about where it stands, lenient about how it is written.

Where: the last <plan> block, whatever stands around it. Without one, in a fence or not, the lines that read as actions
must stand together, between plain prose that names no step. The same plan written twice, with numbers and without or
numbered anew, is one plan. Anything else is none: the text does not show whether a second run of lines replaces the
first (a final plan after a draft), goes on from it, or is not a plan (facts in parentheses). How: numbers, bullets,
`0.0: (a b) [1]`, comments, `(plan ...)` around the steps, upper case, commas and extra spaces are accepted, and so is
`a(b, c)`. A line inside the plan or next to it that cannot be read makes the whole plan unparseable: it is never
silently shorter. A plan is *strict* when the answer has exactly the form that was asked for (reasoning up to </think>,
if any, then one <plan> block and nothing else), and only then: every answer is read strictly, leniently or not at all.

Whatever repeats in a regular expression here is possessive, so that reading takes time linear in the text.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

Step = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    steps: tuple[Step, ...] | None
    """None: no plan could be read."""
    strict: bool
    problem: str
    """Why there is no plan, in words; empty if there is one."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line outside any <plan> block that is not empty."""

    number: int
    """Counted from 1."""
    text: str
    steps: list[Step] | None
    """None where the line holds anything but actions."""
    is_border: bool
    """A plan may begin after the line and end before it."""


_NAME = r"[\w@#.+/:%$&'!=~^|-]++"
_WORD = re.compile(_NAME)
_STRICT_BLOCK = re.compile(rf"\s*+<plan>\n((?:\({_NAME}(?: {_NAME})*+\)\n)*+)</plan>\s*+")
_REASONING_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
_PLAN_TAG = re.compile(r"<(/?)plan>", re.IGNORECASE)
_WRAPPED = re.compile(r"\(\s*+:?plan(?=[\s(])((?:[^()]*+\([^()]*+\))++[^()]*+)\)", re.IGNORECASE)
_FENCE = re.compile(r"\s*+(?:```|~~~)[`~]*+\w*+\s*+")
_BULLET = r"(?:[-*•+]\s++)?+"
_NUMBER = r"(?:(?P<number>\d++)(?P<decimals>\.\d++)?+\s*+(?:[.:)]\s*+|(?=\()))?+"
_PREFIX = re.compile(rf"(?P<bullet>{_BULLET})(?:(?:step|action)\s++)?+{_BULLET}{_NUMBER}", re.IGNORECASE)
_GROUP = re.compile(r"([^\s(),]*+)\(([^()]*+)\)")
_MENTION = re.compile(r"(?<![\w-])([\w-]*+)\(([^()]*+)\)")
_AFTER = re.compile(r"\s*+(?:\[\s*+\d++(?:\.\d*+)?+\s*+\])?+\s*+[,.]?+\s*+")
_BETWEEN = re.compile(r"\s*+,\s*+|\s++")
_OPENING = re.compile(r"[^\w(]*+\(")
_BORDER = re.compile(r"---++|\*\*\*++|___++|===++|\[/?(?:\w+[ _])?plan(?:[ _]end)?\]", re.IGNORECASE)
"""A rule, or a tag such as [PLAN] or [PLAN END]."""


def extract_plan(text: str, actions: Collection[str] | None = None) -> Extraction:
    """The plan of an answer to a task with these `actions` (their names); None: any name may be an action's.

    >>> extract_plan("<think>\\nhm\\n</think>\\n<plan>\\n(pickup b1)\\n(stack b1 b2)\\n</plan>").steps
    (('pickup', 'b1'), ('stack', 'b1', 'b2'))
    >>> extract_plan("First:\\n1. (PICKUP B1)\\n2. (stack b1, b2)").strict
    False
    """
    body = _after_reasoning(text)
    if body is None:
        return _no_plan("the reasoning never ends: no </think> after <think>")
    steps = _strict_steps(body)
    if steps is not None:
        return Extraction(steps, True, "")
    block = _last_plan_block(body)
    return _read_unmarked(body, actions) if block is None else _read_block(block)


def _after_reasoning(text: str) -> str | None:
    """What follows the last </think>: prompts of thinking models open the reasoning themselves. None: it never ends."""
    end = 0
    for tag in _REASONING_TAG.finditer(text):
        end = tag.end() if tag[1] else -1
    return None if end < 0 else text[end:]


def _strict_steps(body: str) -> tuple[Step, ...] | None:
    """The steps if there is nothing but one plan block, one action a line, lower case, single spaces."""
    found = _STRICT_BLOCK.fullmatch(body)
    if found is None or found[1] != found[1].lower():
        return None
    return tuple([tuple(line[1:-1].split(" ")) for line in found[1].split("\n")[:-1]])


def _last_plan_block(body: str) -> str | None:
    """What stands in the last <plan> block; an opened block that is never closed reaches to the end.

    A second <plan> before the first is closed opens the block anew, and a second </plan> changes nothing, unless
    something in parentheses would be lost: then the block goes on, with a tag in it that makes it unreadable.
    """
    begin: int | None = None
    block: tuple[int, int] | None = None
    before = 0
    for tag in _PLAN_TAG.finditer(body):
        if not tag[1]:
            begin = tag.end() if begin is None or body.find("(", begin, tag.start()) < 0 else begin
        elif begin is not None:
            block, begin = (begin, tag.start()), None
        elif block and body.find("(", before, tag.start()) >= 0:
            block = (block[0], tag.start())
        before = tag.end()
    if begin is not None:
        return body[begin:]
    return body[slice(*block)] if block else None


def _read_block(block: str) -> Extraction:
    steps: list[Step] = []
    for number, line in enumerate(_unwrapped(block).removeprefix("\n").splitlines(), start=1):
        found = [] if _FENCE.fullmatch(line) else _read_line(line)
        if found is None:
            return _no_plan(f"line {number} of the plan cannot be read as an action: {line.strip()[:80]!r}")
        steps += found
    return Extraction(tuple(steps), False, "")


def _read_unmarked(body: str, actions: Collection[str] | None) -> Extraction:
    """The one plan that an answer without a <plan> block shows."""
    lines = list(_lines(_unwrapped(body)))
    for pair in pairwise(lines):
        outside = [line for line in pair if line.steps is None]
        if len(outside) == 1 and not outside[0].is_border:
            return _no_plan(f"{_named(outside[0])} stands next to the plan and cannot be read as an action")
    runs = [list(run) for read, run in groupby(lines, key=lambda line: line.steps is not None) if read]
    plans = [tuple([step for line in run for step in line.steps or ()]) for run in runs]
    if not plans:
        return _no_plan("no plan: neither a <plan> block nor a line that reads as an action")
    plan, number = plans[0], _number(runs[0][0].text)
    if number.isdecimal() and number.lstrip("0") not in ("", "1"):
        return _no_plan(f"the plan begins in the middle: {_named(runs[0][0])}")
    for other, run in zip(plans[1:], runs[1:], strict=True):
        again = _number(run[0].text)
        restarts = again == number if again and number else again != number
        if other != plan or not restarts:
            return _no_plan(f"more than one plan without <plan> and </plan>: {_named(run[0])} begins another one")
    for line in lines:
        if line.steps is None and _names_step(line.text, actions):
            return _no_plan(f"{_named(line)} may hold a step of the plan")
    if actions is not None and any([step[0] in actions for step in plan]):
        for line, step in ((runs[0][0], plan[0]), (runs[0][-1], plan[-1])):
            if step[0] not in actions:
                return _no_plan(f"{_named(line)} is a fact, a remark or an unknown action")
    return Extraction(plan, False, "")


def _lines(body: str) -> Iterator[_Line]:
    fenced = False
    for number, text in enumerate(body.splitlines(), start=1):
        if _FENCE.fullmatch(text):
            fenced = not fenced
            yield _Line(number, text, None, is_border=True)
        elif (steps := _read_line(text)) != []:
            yield _Line(number, text, steps, is_border=not fenced and _is_prose(text))


def _is_prose(text: str) -> bool:
    """Whether the line is a sentence, a heading, a rule or a tag, and not an item of a list or anything like a step."""
    line = text.strip()
    if _BORDER.fullmatch(line):
        return True
    prefix = _PREFIX.match(line)
    if prefix is None or prefix["bullet"] or prefix["number"] or _opens_like_step(line):
        return False
    said = line.rstrip("*_\"'`)")
    sentence = said.endswith(tuple(".:!?")) and not said.endswith(("..", "…"))
    heading = line.startswith("#") or (line.startswith("**") and line.endswith("**"))
    return (sentence or heading) and line.count("(") == line.count(")") and bool(_WORD.search(line))


def _opens_like_step(line: str) -> bool:
    prefix = _PREFIX.match(line)
    return bool(_OPENING.match(line, prefix.end() if prefix else 0))


def _number(line: str) -> str:
    """The number or time stamp before the first step of a line; empty if there is none."""
    prefix = _PREFIX.match(_plain(line))
    return (prefix["number"] or "") + (prefix["decimals"] or "") if prefix else ""


def _names_step(line: str, actions: Collection[str] | None) -> bool:
    """Whether a line that is not a step opens like one, or names an action with its objects."""
    groups = [_words(found) for found in _MENTION.finditer(_plain(line))]
    return _opens_like_step(line) or any([actions is None or group[0] in actions for group in groups])


def _unwrapped(text: str) -> str:
    """The text without the parentheses of `(plan (a b) (c))`."""
    return _WRAPPED.sub(r" \1 ", text)


def _read_line(line: str) -> list[Step] | None:
    """The actions of one line, (stack b1 b2) or stack(b1, b2); none of an empty line. None if it holds anything else.

    Words without parentheses are not an action: they may be prose. What looks like actions behind a `;` may be some.
    """
    line, *comments = line.split(";")
    steps = _read_steps(line)
    return None if steps and any([_read_steps(comment) for comment in comments]) else steps


def _read_steps(text: str) -> list[Step] | None:
    text = _plain(text)
    steps: list[Step] = []
    at = 0
    while at < len(text):
        prefix = _PREFIX.match(text, at)
        found = _GROUP.match(text, prefix.end() if prefix else at)
        step = _words(found) if found else ()
        if found is None or not all([_WORD.fullmatch(word) for word in step]):
            return None
        steps.append(step)
        after = _AFTER.match(text, found.end())
        at = after.end() if after else found.end()
    return steps


def _words(group: re.Match[str]) -> Step:
    """The words of (a b, c) or a(b, c); an empty one where there is nothing between two commas, or nothing at all."""
    inner = group[2].strip().lower()
    words = _BETWEEN.split(inner) if inner or not group[1] else []
    return (group[1].lower(), *words) if group[1] else tuple(words)


def _plain(line: str) -> str:
    return line.replace("`", "").replace("**", "").strip()


def _named(line: _Line) -> str:
    return f"line {line.number} ({line.text.strip()[:80]!r})"


def _no_plan(problem: str) -> Extraction:
    return Extraction(None, False, problem)
