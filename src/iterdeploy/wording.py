"""Words on a terminal: what somebody probably meant, and text of others that must not do anything there."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, invisible marks (bidirectional ones among them), halves of characters,
and separators of lines that most programs do not take for one."""


def plain(text: str) -> str:
    r"""The text as one line, with everything that is not seen written out.

    >>> plain("a\x1b[31mb\u202ec\n")
    'a\\x1b[31mb\\u202ec\\n'
    """
    return "".join(_seen(character) for character in text)


def plain_lines(text: str) -> str:
    r"""The same, with ends of lines and tabs left as they are.

    >>> plain_lines("a\r\n\tb\x07")
    'a\n\tb\\x07'
    """
    return "".join(c if c in "\n\t" else _seen(c) for c in text.replace("\r\n", "\n"))


def short(text: str) -> str:
    """The beginning and the end of a text that is too long for a message."""
    return text if len(text) <= 100 else f"{text[:60]} ... {text[-30:]}"


def _seen(character: str) -> str:
    if unicodedata.category(character) not in HARMFUL:
        return character
    return character.encode("unicode_escape").decode()


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The end of an error message; empty where nothing is close.

    >>> did_you_mean("epoch", ["steps", "epochs"]), did_you_mean("top_k", ["steps"])
    ('; did you mean epochs?', '')
    """
    close = get_close_matches(given, list(known), n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def did_you_mean_key(given: str, known: Iterable[str]) -> str:
    """The same for a dotted key: one of that name elsewhere, else one like it in the same section, else any like it.

    >>> did_you_mean_key("model.temperature", ["model.name", "sampling.temperature"])
    '; did you mean sampling.temperature?'
    """
    keys = list(known)
    section, _, name = given.rpartition(".")
    if elsewhere := [key for key in keys if key.rpartition(".")[2] == name]:
        return f"; did you mean {' or '.join(elsewhere)}?"
    near = did_you_mean(name, [last for key in keys for before, _, last in [key.rpartition(".")] if before == section])
    if near and section:
        near = near.replace("mean ", f"mean {section}.").replace(" or ", f" or {section}.")
    return near or did_you_mean(given, keys)
