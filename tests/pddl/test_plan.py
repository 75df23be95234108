"""Plan files: what is accepted, what is refused, and that nothing is lost on the way."""

import time
from contextlib import suppress

import pytest

from iterdeploy.pddl import PlanSyntaxError, format_plan, parse_plan

STEPS = [("pick-up", "a"), ("stack", "a", "b_1"), ("wait",)]


@pytest.mark.parametrize(
    "text",
    [
        "(pick-up a)\n(stack a b_1)\n(wait)\n",
        "(pick-up a) (stack a b_1) (wait)",
        "(PICK-UP A)\r\n(Stack a B_1)\r\n(wait)",
        "\ufeff(pick-up a)\r(stack a b_1)\r(wait)",
        "\n\n ( pick-up\ta ) \n\n(stack  a\n b_1)\n( wait )\n\n",
        "; a plan\n(pick-up a);one\n(stack a b_1) ; (two)\n;(three)\n(wait)\n; cost = 3 (unit cost)",
        "0.0: (pick-up a) [1]\n1.0: (stack a b_1) [1]\n2.0: (wait) [1]",
        "0:(pick-up a)\n1 : (stack a b_1)[0.001]\n10: (wait) [ 1 ]",
        "2: (stack a b_1)\n3.5: (wait)\n1.25: (pick-up a)",
    ],
)
def test_spellings_of_one_plan(text):
    assert parse_plan(text) == STEPS


def test_written_plans_read_back():
    assert parse_plan(format_plan(STEPS)) == STEPS
    assert format_plan([]) == ""


@pytest.mark.parametrize("text", ["", "\n \t\r\n", "; nothing to do"])
def test_an_empty_plan_is_a_plan(text):
    assert parse_plan(text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(pick-up a)\npick-up b", "line 2: expected a step such as .pick-up a., not pick-up"),
        ("(pick-up a)\n()", "line 2: expected a step"),
        ("((pick-up a))", "line 1: expected a step"),
        ("(pick-up a", "line 1: expected a step"),
        ("(pick-up a))", "line 1: expected a step"),
        ("1. (pick-up a)", "line 1: expected a step"),
        ("- (pick-up a)", "line 1: expected a step"),
        ("Here is the plan:\n(pick-up a)", "line 1: expected a step such as .*, not here"),
        ("0: (pick-up a)\n(stack a b)", "some steps have a time stamp and some have none"),
        ("1: (pick-up a)\n1.0: (stack a b)", "have the same time stamp"),
        ("(pick-up a) [1] [2]", "line 1: expected a step"),
    ],
)
def test_what_is_not_a_plan_is_refused_with_words(text, message):
    with pytest.raises(PlanSyntaxError, match=message):
        parse_plan(text)


@pytest.mark.parametrize(
    "unit", ["(", ")", "1", "1 ", " ", "\n", "1:", "1 :", "(a", "( ", "[", "(a) [", "(a)  ", ";", "1.", "(a)\n"]
)
def test_no_repetition_takes_more_than_linear_time(unit):
    begin = time.perf_counter()
    for text in (unit * 100_000, unit * 100_000 + "x", "1" + unit * 100_000 + "("):
        with suppress(PlanSyntaxError):
            parse_plan(text)
    assert time.perf_counter() - begin < 3
