"""Texts that end an answer, for models that go on where the answer is over, such as after </plan>."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PART = "\ufffd"
"""What a tokenizer writes for a token that is not a whole character."""


class StopTexts:
    """Looks for the texts at the end of an answer that grows token by token."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._texts = texts
        # A token has at least one byte, so this many at the end hold a text that the last one completes.
        self._longest = max((len(text.encode()) for text in texts), default=0)
        self._may_complete = cache(self._completes)

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether one of the texts stands in the answer since its last token."""
        if not self._texts or not self._may_complete(tokens[-1]):
            return False
        end = self._read(tokens[-self._longest :])
        return any(text in end for text in self._texts)

    def _completes(self, token: int) -> bool:
        piece = self._read([token])
        return PART in piece or any(text[-1] in piece for text in self._texts)

    def _read(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))
