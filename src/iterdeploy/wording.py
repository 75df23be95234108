"""Words on a terminal: what somebody probably meant, and text of others that must not do anything there."""

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable

HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, invisible marks (bidirectional ones among them), halves of characters,
and separators of lines that most programs do not take for one."""


def plain(text: str) -> str:
    r"""The text as one line, with everything that is not seen written out.

    >>> plain("a\x1b[31mb\u202ec\n")
    'a\\x1b[31mb\\u202ec\\n'
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def plain_lines(text: str) -> str:
    r"""The text with everything that is not seen written out, but ends of lines and tabs left as they are.

    >>> plain_lines("a\r\n\tb\x07")
    'a\n\tb\\x07'
    """
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.replace("\r\n", "\n").split("\n"))


def say(text: object = "", *, error: bool = False, end: str = "\n", flush: bool = False) -> None:
    """Prints what anybody may have written: the one way in which this package writes to a terminal."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    line = plain_lines(str(text)).encode(encoding, "backslashreplace").decode(encoding)
    print(line, file=stream, end=end, flush=flush)


def tell(sentence: str, *, error: bool = False) -> None:
    """Prints a sentence, on a terminal broken between words."""
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        sentence = textwrap.fill(sentence, max(20, shutil.get_terminal_size().columns - 1), break_on_hyphens=False)
    say(sentence, error=error)


def show_warnings() -> None:
    """Prints what this package logs to standard error; else it goes to whoever listens to the logger `iterdeploy`."""
    import logging

    class Terminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
            say(f"iterdeploy: {level}{plain(record.getMessage())}", error=True)

    logger = logging.getLogger("iterdeploy")
    if not logger.handlers:
        logger.addHandler(Terminal())
        logger.setLevel(logging.INFO)


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
    from difflib import get_close_matches

    close = get_close_matches(given, list(known), n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def did_you_mean_key(given: str, known: Iterable[str]) -> str:
    """What a dotted key meant: one of that name elsewhere, else one like it in the same section, else any like it.

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
