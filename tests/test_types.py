"""The records: frozen, and ids that depend on content alone."""

import dataclasses
import hashlib

import pytest

from helpers.support import trace
from iterdeploy import types
from iterdeploy.types import Split, Status, content_hash


def test_content_hash_never_changes_and_ignores_the_order_of_keys() -> None:
    assert content_hash("a", 1) == hashlib.sha256(b'["a",1]').hexdigest()[:16]
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash(("x", "y")) == content_hash(["x", "y"])


def test_content_hash_tells_apart_what_concatenation_would_mix_up() -> None:
    assert len({content_hash("ab", "c"), content_hash("a", "bc"), content_hash("abc"), content_hash(["ab", "c"])}) == 4
    assert content_hash(1) != content_hash("1")


@pytest.mark.parametrize(
    "record", [one for one in vars(types).values() if isinstance(one, type) and dataclasses.is_dataclass(one)]
)
def test_every_record_is_frozen_and_has_slots(record: type) -> None:
    assert record.__dataclass_params__.frozen, record  # type: ignore[attr-defined]
    assert "__slots__" in vars(record), record


def test_a_trace_knows_its_key_and_whether_it_is_valid() -> None:
    one = trace("t9", generation=3, index=1, length=4)
    assert one.key == ("t9", 3, 1)
    assert [trace(status=status).valid for status in Status] == [status is Status.VALID for status in Status]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.generation = 4  # type: ignore[misc]


def test_splits_and_statuses_are_the_words_that_the_store_and_the_command_line_use() -> None:
    assert {split.value for split in Split} == {"deployed", "held_out"}
    assert {status.value for status in Status} == {"valid", "invalid", "unparseable", "truncated", "error", "unjudged"}
