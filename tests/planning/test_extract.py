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


def test_a_plan_block_wins_over_whatever_stands_around_it() -> None:
    assert extract_plan(f"(noop)\n{PLAN}\n```\n(noop)\n```\n1. (noop) - and more").steps == (PICK, STACK)


def test_tags_too_many_drop_no_step() -> None:
    assert extract_plan(f"I write a <plan> block.\n{PLAN}\nThat was the </plan>.").steps == (PICK, STACK)
    assert extract_plan("<plan>\n(pickup b1)\n<plan>\n<plan>\n(stack b1 b2)\n</plan>").steps is None
    assert extract_plan("<plan>\n(pickup b1)\n</plan>\n(stack b1 b2)\n</plan>\n</plan>").steps is None
    assert extract_plan("(pickup b1)\n(stack b1 b2)\n</plan>").steps is None


BARE = "1. (pickup b1)\n\n2. (stack b1 b2)\n"
FENCED = "```pddl\n(pickup b1)\n(stack b1 b2)\n```\n"
ACTIONS = {"pickup", "stack", "noop"}


@pytest.mark.parametrize("plan", [BARE, FENCED, "(plan\n(pickup b1)\n(stack b1 b2))\n", FENCED.replace("```", "~~~")])
@pytest.mark.parametrize(
    "before",
    ["", "I do:\n", "To reach (on b1 b2) I do this:\n", "## Plan\n", "**Plan**\n", "[PLAN]\n", "---\n",
     "1. Both blocks (b1 and b2) are free.\n2. So b1 goes onto b2.\n\nThe plan:\n", "I pick up b1 (a free block).\n"],
)  # fmt: skip
@pytest.mark.parametrize(
    "after",
    ["", "That works.", "Then (on b1 b2) holds!", "\n[PLAN END]\nIt works (see above).", "Is (this) right?",
     "Why this works:\n- b1 is free (at first).\n2. So is b2."],
)  # fmt: skip
def test_prose_around_a_plan_does_no_harm(before: str, plan: str, after: str) -> None:
    text = f"<think>\n(noop)\n</think>\n{before}{plan}{after}"
    assert extract_plan(text, ACTIONS).steps == (PICK, STACK)
    assert extract_plan(text).steps in ((PICK, STACK), None)


def test_without_names_of_actions_prose_without_parentheses_does_no_harm() -> None:
    assert extract_plan(f"I do:\n{BARE}That works.").steps == (PICK, STACK)
    assert extract_plan("<think>\n(pickup b1)\n</think>\nI give up.").steps is None


UNREADABLE = [
    "1. (pickup b1) - grab it first", "(pickup b1)\\", "(pickup b1)<br>", "3- (pickup b1)", "[(pickup b1),", "(plan",
    "(pickup b1 *)", "(pickup b1", "pickup b1)", "Pickup b1)", "- pickup b1", "1. pickup b1", "1. Take b1.",
    "- Take b1.", "First (pickup b1.",
    "pickup b1", "Step 1:", "Step 1: pickup b1.", "1.", "(pickup b1) # first", "(pickup b1) // first",
    "# (pickup b1)", "(pickup b1)...", "(pickup b1) [not needed]", "(pickup b1); (pickup b1)",
    "(pickup b1); then; 2. (pickup b1)", "(pickup (b1))", "{(pickup b1)}", "First (pickup b1).", "First: (pickup b1)",
    "First pickup(b1).", "...", "and so on...", "and then", ")", "(pickup,, b1)", "(pickup b1)x3",
    "~~(pickup b1)~~", "(pickup b1) (why?: it is free)",
]  # fmt: skip


@pytest.mark.parametrize("line", UNREADABLE)
def test_a_line_that_cannot_be_read_is_never_left_out_of_a_plan(line: str) -> None:
    for lines in ([line, "(stack b1 b2)"], ["(noop)", line, "(stack b1 b2)"], ["(noop)", line], ["(noop)", "", line]):
        plan = "\n".join(lines)
        for text in (plan, f"The plan:\n\n{plan}\n\nDone.", f"```\n{plan}\n```", f"<plan>\n{plan}\n</plan>"):
            assert extract_plan(text).steps is None, text
            assert extract_plan(text, ACTIONS).steps is None, text


@pytest.mark.parametrize(
    "between", ["Then:", "No, rather:", "This reaches the goal:", "Step two:", "---", "```", "```\n```"]
)
def test_two_plans_are_none_unless_they_are_the_same(between: str) -> None:
    for other in ("(noop)", "(stack b1 b2)\n(pickup b1)", "(pickup b1)", "(on b1 b2)"):
        for text in (f"{BARE}{between}\n{other}", f"{other}\n{between}\n{BARE}", f"{other}\n{between}\n{FENCED}"):
            assert extract_plan(text).steps is None, text
            assert extract_plan(text, ACTIONS).steps is None, text
    numberless = "(pickup b1)\n(stack b1 b2)\n"
    for text in (f"{BARE}{between}\n{BARE}", f"{BARE}{between}\n{numberless}", f"{numberless}{between}\n{BARE}"):
        assert extract_plan(text).steps == (PICK, STACK)
    for number in ("3", "1.5"):
        assert extract_plan(f"{BARE}{between}\n{BARE.replace('1.', number + '.')}").steps is None
    assert extract_plan(f"{numberless}{between}\n{numberless}").steps is None, "done twice, or written twice"


def test_a_plan_that_does_not_begin_with_its_first_step_is_none() -> None:
    for text in ("2. (stack b1 b2)", "Step 2: (stack b1 b2)", "1. Take b1.\n\nThen:\n2. (stack b1 b2)"):
        assert extract_plan(text).steps is None
    for number in ("0: ", "1. ", "01) ", "Step 1: ", "0.001: ", "17.5: ", ""):
        assert extract_plan(f"{number}(stack b1 b2)").steps == (STACK,)


def test_a_step_that_stands_in_the_prose_alone_is_not_left_out() -> None:
    for step in ("(noop)", "(pickup b1)", "noop(b1)"):
        assert extract_plan(f"First {step}, so that the arm is free.\n\nThen:\n\n{BARE}", ACTIONS).steps is None
        assert extract_plan(f"{BARE}That is all.\n\n{step} - which I forgot", ACTIONS).steps is None
    assert extract_plan(f"{BARE}That is all.\n\n(fly b1) - which I forgot", ACTIONS).steps is None
    assert extract_plan(f"First (of two steps).\n{BARE}", ACTIONS).steps == (PICK, STACK)


def test_facts_and_remarks_at_the_edge_of_a_plan_are_no_steps_of_it() -> None:
    for fact in ("(on b1 b2)", "- (arm-empty)", "(plan_end)", "(now b1 is on b2)"):
        for plan in (BARE + fact, f"{BARE}\n{fact}", f"{fact}\n{BARE}", f"```\n{BARE}{fact}\n```"):
            assert extract_plan(plan, ACTIONS).steps is None
    assert extract_plan(f"{BARE}(on b1 b2)\n(noop)", ACTIONS).steps == (PICK, STACK, ("on", "b1", "b2"), ("noop",))
    assert extract_plan("(fly b1)", ACTIONS).steps == (("fly", "b1"),), "an unknown action is the validator's business"


@pytest.mark.parametrize(
    "plan",
    ["(plan\n  (pickup b1)\n  (stack b1 b2)\n)", "(plan (pickup b1) (stack b1 b2))",
     "(:plan\n1. (pickup b1)\n(stack b1 b2))", "( PLAN (pickup b1)\n(stack b1, b2) ) "],
)  # fmt: skip
def test_a_plan_in_parentheses_of_its_own_is_read_alike_everywhere(plan: str) -> None:
    for text in (plan, f"Here:\n{plan}\n", f"```\n{plan}\n```", f"<plan>\n{plan}\n</plan>"):
        assert extract_plan(text).steps == (PICK, STACK)
        assert extract_plan(text.replace("(pickup b1)", "(pickup b1) first")).steps is None
        assert extract_plan(text.replace("(stack b1", "(stack (b1)")).steps is None
    assert extract_plan("(plan b1)").steps == (("plan", "b1"),)


def test_a_plan_in_the_reasoning_does_not_count() -> None:
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
        "```\n(pickup b1)\nand so on",
        "<plan>\n(pickup b1)\n...\n</plan>",
        "```\n(pickup b1)\nDone.\n```",
        "```pddl (pickup b1)\n(stack b1 b2)\n```",
        "```\n(pickup b1)\n\nThis reaches the goal:\n(on b1 b2)\n```",
    ],
)
def test_a_line_in_the_plan_that_is_not_a_step_makes_it_unreadable_not_shorter(text: str) -> None:
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
    assert extract_plan("<plan>\n; nothing to do (yet)\n</plan>").steps == ()
    assert not extract_plan("<plan></plan>").strict


@pytest.mark.parametrize("text", ["", "\n", "I cannot solve this.", "pick up b1, then stack it on b2", "</plan>"])
def test_without_a_plan_there_is_a_reason(text: str) -> None:
    extraction = extract_plan(text)
    assert extraction.steps is None and extraction.problem


def test_steps_that_several_share_a_line_are_all_read_or_refused() -> None:
    assert extract_plan("<plan>\n(pickup b1) (stack b1 b2)\n</plan>").steps == (PICK, STACK)
    assert extract_plan("1. (pickup b1), 2. (stack b1 b2).").steps == (PICK, STACK)


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
