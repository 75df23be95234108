"""The plan in what a language model wrote: strict about where it stands, lenient about how it is written.

Where: the last <plan> block; failing that the last fenced block; failing that the last run of lines that read as
actions, after the reasoning. How: numbers, bullets, `0.0: (a b) [1]`, comments, upper case, commas and extra spaces are
accepted. A line inside the plan that cannot be read as an action makes the whole plan unparseable: it is never silently
shorter. A plan is *strict* when it has exactly the form that was asked for, and only then.
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


_STRICT = re.compile(
    r"(?:<think>.*?</think>\s*)?<plan>\n((?:\([a-z0-9_-]+(?: [a-z0-9_-]+)*\)\n)*)</plan>\s*", re.DOTALL
)
_PLAN_TAG = re.compile(r"<(/?)plan>", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:(?:step|action)\s+)?(?:[-*•+]\s+)?(?:\d+(?:\.\d+)?\s*[.:)]\s*)?", re.IGNORECASE)
_DURATION = re.compile(r"\[\s*[\d.]+\s*\]\s*$")
_ACTION = re.compile(r"\(\s*([^\s(),]+(?:[\s,]+[^\s(),]+)*)\s*,?\s*\)")
_CALL = re.compile(r"([^\s(),]+)\s*\(\s*([^()]*?)\s*\)")
_WORD = re.compile(r"[a-z0-9_@#.+-]+")


def extract_plan(text: str) -> Extraction:
    """
    >>> extract_plan("<think>\\nhm\\n</think>\\n<plan>\\n(pickup b1)\\n(stack b1 b2)\\n</plan>").steps
    (('pickup', 'b1'), ('stack', 'b1', 'b2'))
    >>> extract_plan("First:\\n1. (PICKUP B1)\\n2. (stack b1, b2)").strict
    False
    """
    strict = _STRICT.fullmatch(text)
    if strict is not None and "<plan>" not in text[: strict.start(1) - len("<plan>\n")]:
        steps = tuple(tuple(line[1:-1].split(" ")) for line in strict[1].splitlines())
        return Extraction(steps, True, "")
    body = text.rpartition("</think>")[2]
    if "<think>" in body.lower():
        return Extraction(None, False, "the reasoning never ends: no </think> after <think>")
    block = _last_plan_block(body)
    if block is None:
        block = _last_fenced_block(body)
    if block is not None:
        return _read_block(block)
    return _read_last_run(body)


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
    fences = [match.start() for match in re.finditer(r"^[ \t]*```", body, re.MULTILINE)]
    if len(fences) < 2:
        return None
    last = len(fences) - len(fences) % 2
    return body[fences[last - 2] : fences[last - 1]].partition("\n")[2]


def _read_block(block: str) -> Extraction:
    steps: list[Step] = []
    for number, line in enumerate(block.splitlines(), start=1):
        bare = _bare(line)
        if not bare or re.fullmatch(r"```\w*", bare):
            continue
        step = _read_step(bare)
        if step is None:
            return Extraction(None, False, f"line {number} of the plan cannot be read as an action: {bare[:80]!r}")
        steps.append(step)
    return Extraction(tuple(steps), False, "")


def _read_last_run(body: str) -> Extraction:
    run: list[Step] = []
    open_run = False
    for line in body.splitlines():
        bare = _bare(line)
        if not bare:
            continue
        step = _read_step(bare)
        if step is None:
            open_run = False
            continue
        if not open_run:
            run, open_run = [], True
        run.append(step)
    if not run:
        return Extraction(None, False, "no plan: neither a <plan> block nor a line that reads as an action")
    return Extraction(tuple(run), False, "")


def _bare(line: str) -> str:
    """The line without comment, number, bullet and duration."""
    line = line.partition(";")[0].strip().strip("`").strip()
    return _DURATION.sub("", _PREFIX.sub("", line)).strip().rstrip(",.").strip()


def _read_step(bare: str) -> Step | None:
    """(stack b1 b2) or stack(b1, b2); None if it is neither: words without parentheses may be prose."""
    if match := _ACTION.fullmatch(bare):
        words = re.split(r"[\s,]+", match[1])
    elif match := _CALL.fullmatch(bare):
        words = [match[1], *(word for word in re.split(r"[\s,]+", match[2]) if word)]
    else:
        return None
    words = [word.lower() for word in words]
    return tuple(words) if all(_WORD.fullmatch(word) for word in words) else None
