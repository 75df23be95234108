"""Arguments that several commands share, and how a command finds its function."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from iterdeploy.wording import short


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def number(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,15}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least:,} to {most:,}, not {short(text)!r}")
        return int(text)

    return number


def margin(text: str) -> float:
    """Percentage points, as a share."""
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text) or not float(text):
        raise argparse.ArgumentTypeError(f"percentage points above 0 and below 100, such as 3, not {short(text)!r}")
    return float(text) / 100


def share(text: str) -> float:
    """A share, as a number from 0 to 1 or in per cent."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"a share such as 5% or 0.05, not {short(text)!r}")
    return share


def temperature(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) or not (
        text.strip("0.") == "" or 0.01 <= float(text) <= 100
    ):
        raise argparse.ArgumentTypeError(f"0, or a number from 0.01 to 100, not {short(text)!r}")
    return float(text)


GENERATION = whole(0, 10_000)
SEED = whole(0, 10**12)


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the run's name")


def add_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scopes", default="ask,judge", metavar="A,B", help="of ask, judge, administer (default: ask and judge)"
    )
    parser.add_argument("--user", default="", metavar="USER", help="the only user it stands for")
    parser.add_argument("--train", choices=["yes", "no"], help="whether its users agree that their answers train")
    parser.add_argument("--retention", type=whole(1, 36_500), metavar="DAYS", help="how long they may")


def add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust", action="store_true", help="let the run's configuration start programs, though somebody else wrote it"
    )


def add_accept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-code-change", action="store_true", help="go on although Python files that the run uses have changed"
    )


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept")


def add_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="DIR",
        help="also write every figure as SVG and PDF for a paper, 3.3 and 6.8 inches wide",
    )


def add_json(parser: argparse.ArgumentParser, help_text: str = "print JSON") -> None:
    parser.add_argument("--json", action="store_true", help=help_text)


def later(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """The function of `cli/MODULE.py`, imported when it is called: `--help` must answer at once."""

    def call(arguments: argparse.Namespace) -> int:
        from importlib import import_module

        return int(getattr(import_module(f"iterdeploy.cli.{module}"), function)(arguments))

    return call
