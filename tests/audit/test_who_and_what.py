"""Tastes that no feature measures, and who has which taste."""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.test_audit import answers
from iterdeploy.audit.curators import Judgement, curators, of_feedback, read_judgements
from iterdeploy.audit.decisions import decisions
from iterdeploy.audit.discovery import benjamini_hochberg, discover, phrases
from iterdeploy.audit.observe import keep_matrix, observe
from iterdeploy.audit.questions import published
from iterdeploy.audit.records import Discovery
from iterdeploy.curation.features import FEATURES
from iterdeploy.sections import ConfigError
from iterdeploy.types import Feedback, Trace

WORDS = ("then", "now", "take", "put", "clear", "table", "hand", "block")


def talkative(seed: int = 0, tasks: int = 300) -> list[tuple[Trace, str]]:
    """Answers with a text of twelve words drawn at random, and a name."""
    dice = random.Random(seed)
    return [(one, " ".join((*dice.choices(WORDS, k=12), "b7"))) for one in answers((0.3, 0.3), seed=seed, tasks=tasks)]


def discovered(said: Sequence[tuple[Trace, str]], taste: float) -> Discovery:
    """Users who like "take put", and do not say so."""
    dice = random.Random(1)
    kept = {
        one.id
        for one, text in said
        if one.valid and dice.random() < 1 / (1 + math.exp(-taste * (("take put" in text) - 0.5)))
    }
    seen = observe([one for one, _ in said], FEATURES)
    pools = keep_matrix(seen, [kept, kept])
    question = published(seen, decisions(seen, pools, None))
    return discover(seen, question, lambda: [(one.id, text) for one, text in said])


def test_names_and_numbers_are_masked_in_phrases() -> None:
    assert phrases("Put b27 down") == {"put", "#", "down", "put #", "# down", "put # down"}


def test_a_phrase_that_nobody_thought_of_is_found_on_the_other_half_of_the_tasks() -> None:
    found = discovered(talkative(), 3.0)
    assert found.tried > 50 and found.tested <= 40
    assert found.phrases[0].text == "take put" and found.phrases[0].q < 1e-6
    difference = found.phrases[0].difference
    assert difference.low < 2 / (1 + math.exp(-1.5)) - 1 < difference.high
    assert not any("take put" in one.text for one in found.phrases[1:]), "longer ones that hold it say nothing new"


def test_without_a_taste_hardly_any_phrase_is_reported() -> None:
    assert sum(bool(discovered(talkative(seed, 100), 0.0).phrases) for seed in range(8)) <= 1


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    """The example of their paper (1995, section 3.2): four of fifteen hypotheses are rejected at 5%."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0]  # fmt: skip
    assert [q < 0.05 for q in benjamini_hochberg(p)] == [True] * 4 + [False] * 11


def judged(traces: Sequence[Trace], people: int, biased: int, taste: float) -> list[Judgement]:
    """Each valid answer is judged by one of so many people, of whom the first few like detours."""
    dice, out = random.Random(5), []
    for one in traces:
        who = dice.randrange(people)
        strength = taste if who < biased else 0.0
        kept = dice.random() < 1 / (1 + math.exp(-strength * (FEATURES["detour"](one) - 0.5)))
        out.append(Judgement(f"user {who:03}", one.id, kept))
    return out


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    return [one for one in answers((0.3, 0.3, 0.3), tasks=300) if one.valid]


def named(found: Any) -> set[tuple[str, str]]:
    return {(one.name, feature) for one in found.curators for feature, taste in one.tastes.items() if taste.named}


def test_a_few_people_with_a_taste_are_named_and_nobody_else(traces: list[Trace]) -> None:
    found = curators(observe(traces, FEATURES), judged(traces, 40, 3, 8.0))
    assert {name for name, _ in named(found)} == {"user 000", "user 001", "user 002"}
    assert {(f"user {who:03}", "detour") for who in range(3)} <= named(found)
    assert found.differ["detour"] < 0.02
    assert found.judgements == len(traces) and sum(one.judged for one in found.curators) == len(traces)


def test_people_of_whom_none_judges_enough_are_seen_to_differ(traces: list[Trace]) -> None:
    found = curators(observe(traces, FEATURES), judged(traces, 700, 100, 8.0))
    assert not named(found) and found.differ["detour"] < 0.05


def test_a_taste_that_all_share_is_not_a_difference_between_them(traces: list[Trace]) -> None:
    found = curators(observe(traces, FEATURES), judged(traces, 40, 40, 2.0))
    assert found.differ["detour"] > 0.05


def test_influences_add_up_to_what_selection_did(traces: list[Trace]) -> None:
    judgements = judged(traces, 10, 2, 6.0)
    found = curators(observe(traces, FEATURES), judgements)
    kept = {one.trace_id for one in judgements if one.kept}
    rates = [
        sum(map(FEATURES["detour"], some)) / len(some) for some in ([one for one in traces if one.id in kept], traces)
    ]
    assert sum(one.influence["detour"] for one in found.curators) == pytest.approx(rates[0] - rates[1])
    assert sum(one.share for one in found.curators) == pytest.approx(1)
    most = max(found.curators, key=lambda one: one.influence["detour"])
    assert most.name in {"user 000", "user 001"}


def test_judgements_of_unknown_answers_are_left_out(traces: list[Trace]) -> None:
    unknown = [replace(one, trace_id="none") for one in judged(traces, 4, 0, 0.0)]
    assert curators(observe(traces, FEATURES), unknown).judgements == 0


def test_what_users_said_in_the_store_are_judgements_of_which_the_latest_counts() -> None:
    def said(number: int, user: str, judgement: str) -> Feedback:
        return Feedback(f"f{number}", "t1", user, judgement, None, {}, "", "2026-01-01T00:00:00Z", "train")

    found = of_feedback([said(1, "ann", "publish"), said(2, "ben", "metric"), said(3, "ann", "reject")])
    assert found == [Judgement("ann", "t1", False)]


def test_the_command_reads_who_kept_what_and_says_which_line_is_wrong(
    finished_copy: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    from iterdeploy.record.run_dir import RunDir

    run_dir = RunDir.read(finished_copy)
    ids = [one.id for one in run_dir.store.traces() if one.valid]
    run_dir.close()
    file = tmp_path / "who.jsonl"
    file.write_text("".join(json.dumps({"curator": "ann", "trace_id": one, "kept": True}) + "\n" for one in ids))
    arguments = ("--curators", file, "--power", "--discover", "--runs-dir", finished_copy.parent)
    shown = " ".join(run_cli("audit", "tiny", *arguments).stdout.split())
    assert f"Curators: 1 with {len(ids)} judgements" in shown and "Phrases that nobody thought of" in shown
    assert "What could have been found" in shown and "Looking after every generation" in shown
    file.write_text('{"curator": "ann", "kept": true}\n')
    with pytest.raises(ConfigError, match=r"line 1 of .*who\.jsonl is not a judgement"):
        read_judgements(file)
