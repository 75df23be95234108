"""A word-level tokenizer for PDDL text that falls back to bytes.

Every word of the given vocabulary is one token, with the space or the opening parenthesis before it; a closing
parenthesis takes the end of its line along. Any other text is written byte by byte, so nothing is ever lost and any
domain can be written. Built on the byte-level BPE of `tokenizers` without merges: a piece is in the vocabulary or it
falls apart into bytes.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PIECES = r"</?[a-z]+>\n?|\)\n?| ?\(?[A-Za-z_][A-Za-z0-9_-]*|\s|."
END = "<|end|>"
PAD = "<|pad|>"
MOST_WORDS = 8000
"""In a vocabulary that is taken from texts: the most frequent ones."""


def words_in(texts: Iterable[str]) -> list[str]:
    """The pieces of the texts that deserve a token of their own.

    >>> words_in(["(at van) (at box)"])
    ['(at', ' van', ' (at', ' box']
    """
    counts = Counter(piece for text in texts for piece in re.findall(PIECES, text) if len(piece) > 1)
    return [piece for piece, _ in counts.most_common(MOST_WORDS)]


def build_tokenizer(words: Iterable[str]) -> "PreTrainedTokenizerFast":
    """A tokenizer whose pieces (text exactly as it stands, such as " b1" or "(stack") are single tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bytes_as_text = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary = {END: 0, PAD: 1}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    for word in words:
        (piece, _), *rest = bytes_as_text.pre_tokenize_str(word)
        assert not rest
        vocabulary.setdefault(piece, len(vocabulary))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PIECES), behavior="isolated"), bytes_as_text]
    )
    core.decoder = decoders.ByteLevel()
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    return tokenizer
