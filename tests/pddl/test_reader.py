"""Parentheses, comments and line numbers, and what happens to text that has too many of any of them."""

import time

import pytest

from iterdeploy.pddl import Domain, PddlError
from iterdeploy.pddl.reader import MAX_DEPTH, read, short


def test_names_are_lower_case_and_comments_vanish():
    assert read("\ufeff(Define (A b) ; (not this)\r\n c)\r(d)") == [["define", ["a", "b"], "c"], ["d"]]


def test_lists_remember_their_line():
    root = read("(a\n  ; comment\n  (b)\r\n  (c))")
    assert [node.line for node in (root[0], root[0][1], root[0][2])] == [1, 3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(a\n(b)", "line 1: the '(' of this line is never closed: 1 ')' missing"),
        ("(a)\n(b))", "line 2: a ')' closes nothing"),
        ("\n" + "(" * (MAX_DEPTH + 1), f"line 2: more than {MAX_DEPTH} parentheses inside one another"),
    ],
)
def test_wrong_parentheses_are_named_with_their_line(text, message):
    with pytest.raises(PddlError, match="^" + message.replace("(", r"\(").replace(")", r"\)")):
        read(text)


@pytest.mark.parametrize("text", ["(" * 1_000_000, ")" * 1_000_000, "()" * 500_000, "((" * 250_000 + "))" * 250_000])
def test_a_million_parentheses_are_an_error_not_a_crash(text):
    begin = time.perf_counter()
    with pytest.raises(PddlError):
        Domain.parse(text)
    assert time.perf_counter() - begin < 5


def test_nesting_up_to_the_limit_works():
    deep = MAX_DEPTH - 3
    domain = Domain.parse(
        "(define (domain deep) (:predicates (p))"
        f"(:action go :precondition {'(not ' * deep}(p){')' * deep} :effect {'(and ' * deep}(p){')' * deep}))"
    )
    assert str(domain.actions["go"]) == "(go)"


def test_messages_stay_short():
    assert short("x" * 1000) == "x" * 77 + "..."
    with pytest.raises(PddlError) as caught:
        Domain.parse("(define (domain d) (:predicates (p ?x - " + "x" * 100_000 + ")))")
    assert len(str(caught.value)) < 500
