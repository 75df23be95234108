"""Plan extraction: strict about where the plan stands, lenient about how it is written, never silently shorter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iterdeploy.planning.extract import extract_plan

PICK, STACK = ("pickup", "b1"), ("stack", "b1", "b2")
PLAN = "<plan>\n(pickup b1)\n(stack b1 b2)\n</plan>"


@pytest.mark.parametrize(
    "text", [PLAN, f"<think>\nhm\n</think>\n{PLAN}", f"{PLAN}\n", f"<think>\n(a b)\n1. x\n</think>\n\n{PLAN}  \n"]
)
def test_exactly_the_asked_form_is_strict(text: str) -> None:
    assert extract_plan(text).steps == (PICK, STACK)
    assert extract_plan(text).strict


@pytest.mark.parametrize(
    "text",
    [
        f"Here is the plan:\n{PLAN}",
        f"{PLAN}\nDone!",
        PLAN.replace("pickup", "PICKUP"),
        PLAN.replace("(pickup b1)", "1. (pickup b1)"),
        PLAN.replace("b1 b2", "b1, b2"),
        PLAN.replace("b1 b2", "b1  b2"),
        PLAN.replace("<plan>\n", "<plan>"),
        PLAN.replace("\n</plan>", "</plan>"),
        PLAN.replace("</plan>", ""),
        PLAN.replace("(pickup b1)", "(pickup b1) ; first"),
        PLAN.replace("(pickup b1)", "( pickup b1 )"),
        PLAN.replace("<plan>", "<PLAN>").replace("</plan>", "</PLAN>"),
        PLAN.replace("(pickup b1)\n", "(pickup b1)\n\n\n"),
        f"<plan>\n(noop)\n</plan>\n{PLAN}",
    ],
)
def test_any_other_form_is_read_but_not_strict(text: str) -> None:
    assert extract_plan(text).steps == (PICK, STACK)
    assert not extract_plan(text).strict


@pytest.mark.parametrize(
    "line",
    [
        "(stack b1 b2)",
        "  (STACK B1 B2)  ",
        "3. (stack b1 b2)",
        "3) (stack b1 b2)",
        "3: (stack b1 b2)",
        "- (stack b1 b2)",
        "* (stack b1 b2)",
        "• (stack b1 b2)",
        "Step 3: (stack b1 b2)",
        "0.0: (stack b1 b2) [1]",
        "12.500: (stack b1 b2) [1.000]",
        "(stack b1 b2) ; puts one on the other",
        "(stack, b1, b2)",
        "(stack b1,b2),",
        "(stack b1 b2).",
        "stack(b1, b2)",
        "stack(b1 b2)",
        "`(stack b1 b2)`",
        "\t(stack\tb1\tb2)",
    ],
)
def test_the_ways_to_write_a_step(line: str) -> None:
    for text in (f"<plan>\n(pickup b1)\n{line}\n</plan>", f"```\n(pickup b1)\n{line}\n```"):
        assert extract_plan(text).steps == (PICK, STACK), text


def test_names_keep_their_hyphens_and_underscores() -> None:
    assert extract_plan("<plan>\n(pick-up b_1)\n(pick_up b-1)\n</plan>").steps == (
        ("pick-up", "b_1"),
        ("pick_up", "b-1"),
    )


def test_the_last_plan_block_wins() -> None:
    text = f"<plan>\n(noop)\n</plan>\nNo, wait.\n{PLAN}\nThat is it."
    assert extract_plan(text).steps == (PICK, STACK)


def test_a_plan_block_wins_over_a_later_fenced_one_and_a_fenced_one_over_later_lines() -> None:
    assert extract_plan(f"{PLAN}\n```\n(noop)\n```").steps == (PICK, STACK)
    assert extract_plan("```pddl\n(pickup b1)\n(stack b1 b2)\n```\nor\n(noop)").steps == (PICK, STACK)


def test_the_last_fenced_block_wins() -> None:
    assert extract_plan("```\n(noop)\n```\nbetter:\n```\n(pickup b1)\n(stack b1 b2)\n```\n").steps == (PICK, STACK)


def test_without_a_block_the_last_run_of_steps_after_the_reasoning_counts() -> None:
    text = "<think>\n(noop)\n(noop)\n</think>\n(noop)\nno, rather:\n1. (pickup b1)\n\n2. (stack b1 b2)\nThat works."
    assert extract_plan(text).steps == (PICK, STACK)
    assert extract_plan("<think>\n(pickup b1)\n</think>\nI give up.").steps is None


def test_a_plan_in_the_reasoning_is_no_plan() -> None:
    assert extract_plan(f"<think>\n{PLAN}\n</think>\n").steps is None
    assert extract_plan(f"<think>\n{PLAN}\n</think>\n<plan>\n(noop)\n</plan>").steps == (("noop",),)


@pytest.mark.parametrize(
    "text",
    [
        "<plan>\n(pickup b1)\nthen I stack it\n(stack b1 b2)\n</plan>",
        "<plan>\nFirst:\n(pickup b1)\n</plan>",
        "<plan>\n(pickup b1)\nthen I stack it\n(stack b1 b2)",
        "<plan>\n(pickup b1\n(stack b1 b2)\n</plan>",
        "<plan>\n(pickup b1) (stack b1 b2) done\n</plan>",
        "<plan>\n()\n</plan>",
        "<plan>\n(and (pickup b1) (stack b1 b2))\n</plan>",
        "```\n(pickup b1)\nand so on\n```",
        "<plan>\n(pickup b1)\n...\n</plan>",
    ],
)
def test_a_line_in_the_plan_that_is_no_step_makes_it_unreadable_not_shorter(text: str) -> None:
    extraction = extract_plan(text)
    assert extraction.steps is None and not extraction.strict
    assert extraction.problem


@pytest.mark.parametrize(
    "text", ["<think>\n(pickup b1)\n", f"<think>\n{PLAN}", f"{PLAN}\n<think>\nhm", "<THINK>\n" + PLAN]
)
def test_reasoning_that_never_ends_leaves_no_plan(text: str) -> None:
    extraction = extract_plan(text)
    assert extraction.steps is None and "reasoning" in extraction.problem


def test_an_empty_plan_block_is_the_empty_plan() -> None:
    assert extract_plan("<plan>\n</plan>").steps == ()
    assert extract_plan("<plan>\n</plan>").strict
    assert extract_plan("<plan></plan>").steps == ()
    assert extract_plan("<plan>\n; nothing to do\n</plan>").steps == ()
    assert not extract_plan("<plan></plan>").strict


@pytest.mark.parametrize("text", ["", "\n", "I cannot solve this.", "pick up b1, then stack it on b2", "</plan>"])
def test_without_a_plan_there_is_a_reason(text: str) -> None:
    extraction = extract_plan(text)
    assert extraction.steps is None and extraction.problem


def test_steps_that_several_share_a_line_are_all_read_or_refused() -> None:
    steps = extract_plan("<plan>\n(pickup b1) (stack b1 b2)\n</plan>").steps
    assert steps in (None, (PICK, STACK))


PIECES = st.sampled_from(
    ["<think>", "</think>", "<plan>", "</plan>", "<PLAN>", "```", "```pddl", "\n", " ", "(pickup b1)", "(", ")", "()",
     "1. ", "- ", "0.0: ", "[1]", ";", ",", "prose", "stack(b1,b2)", "step ", "\x00", "é", "\u2028", "\r"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)))
def test_no_text_makes_it_raise_and_the_result_is_consistent(text: str) -> None:
    extraction = extract_plan(text)
    if extraction.steps is None:
        assert extraction.problem and not extraction.strict
    else:
        assert not extraction.problem
        assert all(step and all(word and word == word.lower() for word in step) for step in extraction.steps)


WORD = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(WORD, min_size=1, max_size=4), max_size=12), st.text(alphabet="abc ()\n", max_size=40))
def test_whatever_is_written_in_the_asked_form_comes_back(steps: list[list[str]], thought: str) -> None:
    lines = "".join(f"({' '.join(step)})\n" for step in steps)
    extraction = extract_plan(f"<think>\n{thought}</think>\n<plan>\n{lines}</plan>")
    assert extraction.strict and extraction.steps == tuple(map(tuple, steps))
