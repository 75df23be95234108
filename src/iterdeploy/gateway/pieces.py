"""The text of token ids that come one by one, in pieces that never change afterwards."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iterdeploy.models.chat import readable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""At the end of a text: more tokens are needed to know the sign."""


class Pieces:
    """Only the latest tokens are decoded each time, with those before them, on which their text may depend."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._start = self._said = 0
        self.text = ""
        """All that was said so far."""

    def more(self, ids: Sequence[int]) -> str:
        """What is new, given all ids so far; empty while a sign is not whole."""
        before = readable(self._tokenizer, ids[self._start : self._said])
        text = readable(self._tokenizer, ids[self._start :])
        if text.endswith(UNFINISHED) or not text.startswith(before):
            return ""
        self._start, self._said = self._said, len(ids)
        return self._say(text[len(before) :])

    def rest(self, text: str) -> str:
        """What is missing of the whole text."""
        return self._say(text[len(self.text) :]) if text.startswith(self.text) else ""

    def _say(self, piece: str) -> str:
        self.text += piece
        return piece
