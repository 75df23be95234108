"""The plan in what a language model wrote: strict about where it stands, lenient about how it is written.

Where: the last <plan> block; failing that the last fenced block; failing that the last run of lines that read as
actions, after the reasoning. How: numbers, bullets, `0.0: (a b) [1]`, comments, upper case, commas and extra spaces are
accepted, and so is `a(b, c)`. A line inside the plan that cannot be read as actions makes the whole plan unparseable:
it is never silently shorter. A plan is *strict* when the answer has exactly the form that was asked for (reasoning up
to </think>, if any, then one <plan> block and nothing else), and only then: every answer is read strictly, leniently or
not at all.

Whatever repeats in a regular expression here is possessive, so that reading takes time linear in the text.
"""

import re
from dataclasses import dataclass

Step = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    steps: tuple[Step, ...] | None
    """None: no plan could be read."""
    strict: bool
    problem: str
    """Why there is no plan, in words; empty if there is one."""


_NAME = r"[\w@#.+/:%$&'!=~^|-]++"
_WORD = re.compile(_NAME)
_STRICT_BLOCK = re.compile(rf"\s*+<plan>\n((?:\({_NAME}(?: {_NAME})*+\)\n)*+)</plan>\s*+")
_REASONING_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
_PLAN_TAG = re.compile(r"<(/?)plan>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*+```", re.MULTILINE)
_FENCE_LINE = re.compile(r"\s*+```\w*+\s*+")
_BULLET = r"(?:[-*•+]\s++)?+"
_NUMBER = r"(?:\d++(?:\.\d++)?+\s*+(?:[.:)]\s*+|(?=\()))?+"
_PREFIX = re.compile(rf"{_BULLET}(?:(?:step|action)\s++)?+{_BULLET}{_NUMBER}", re.IGNORECASE)
_ACTION = re.compile(r"([^\s(),]*+)\(([^()]*+)\)\s*+(?:\[[^\[\]()]*+\])?+[\s,.]*+")
_BETWEEN = re.compile(r"[\s,]++")


def extract_plan(text: str) -> Extraction:
    """
    >>> extract_plan("<think>\\nhm\\n</think>\\n<plan>\\n(pickup b1)\\n(stack b1 b2)\\n</plan>").steps
    (('pickup', 'b1'), ('stack', 'b1', 'b2'))
    >>> extract_plan("First:\\n1. (PICKUP B1)\\n2. (stack b1, b2)").strict
    False
    """
    body = _after_reasoning(text)
    if body is None:
        return Extraction(None, False, "the reasoning never ends: no </think> after <think>")
    steps = _strict_steps(body)
    if steps is not None:
        return Extraction(steps, True, "")
    block = _last_plan_block(body)
    if block is None:
        block = _last_fenced_block(body)
    return _read_last_run(body) if block is None else _read_block(block)


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
    """What stands in the last <plan> block; an opened block that is never closed reaches to the end."""
    begin: int | None = None
    block: str | None = None
    for tag in _PLAN_TAG.finditer(body):
        if not tag[1]:
            begin = tag.end()
        elif begin is not None:
            block, begin = body[begin : tag.start()], None
    return body[begin:] if begin is not None else block


def _last_fenced_block(body: str) -> str | None:
    """What stands between the last pair of ``` lines, without the language's name."""
    fences = [match.start() for match in _FENCE.finditer(body)]
    if len(fences) < 2:
        return None
    last = len(fences) - len(fences) % 2
    return body[fences[last - 2] : fences[last - 1]].partition("\n")[2]


def _read_block(block: str) -> Extraction:
    steps: list[Step] = []
    for number, line in enumerate(block.removeprefix("\n").splitlines(), start=1):
        found = [] if _FENCE_LINE.fullmatch(line) else _read_line(line)
        if found is None:
            shown = line.strip()[:80]
            return Extraction(None, False, f"line {number} of the plan cannot be read as an action: {shown!r}")
        steps += found
    return Extraction(tuple(steps), False, "")


def _read_last_run(body: str) -> Extraction:
    run: list[Step] = []
    open_run = False
    for line in body.splitlines():
        found = _read_line(line)
        if found is None:
            open_run = False
        elif found:
            if not open_run:
                run, open_run = [], True
            run += found
    if not run:
        return Extraction(None, False, "no plan: neither a <plan> block nor a line that reads as an action")
    return Extraction(tuple(run), False, "")


def _read_line(line: str) -> list[Step] | None:
    """The actions of one line, (stack b1 b2) or stack(b1, b2); none of an empty line. None if it holds anything else.

    Words without parentheses are no action: they may be prose.
    """
    line = line.partition(";")[0].replace("`", "").replace("**", "").strip()
    steps: list[Step] = []
    at = 0
    while at < len(line):
        prefix = _PREFIX.match(line, at)
        found = _ACTION.match(line, prefix.end() if prefix else at)
        words = [word for word in (found[1], *_BETWEEN.split(found[2])) if word] if found else []
        if found is None or not words or not all([_WORD.fullmatch(word) for word in words]):
            return None
        steps.append(tuple([word.lower() for word in words]))
        at = found.end()
    return steps
