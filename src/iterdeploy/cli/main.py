"""The command line: parses and prints, no logic. Everything heavy is imported by the command that needs it.

Exit status: 0 done; 1 an invalid plan (`validate`); 2 something in the input or the machine to fix; 3 the run stopped
by itself in a named state; 75 a run was terminated by a signal and can be resumed; 130 interrupted.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from iterdeploy.cli.parser import RUNNING, parser
from iterdeploy.wording import say, show_warnings

EXIT_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: what a scheduler may put back into its queue."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as schedulers send it before they take a machine away: the run ends in good order, as after Ctrl-C."""


def _terminated(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not break into the good order
    raise Terminated


@contextmanager
def _ending_in_good_order(command: str) -> Iterator[None]:
    """Around a command that makes a run."""
    if command not in RUNNING or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: Sequence[str] | None = None) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from iterdeploy.cli.completion import complete

        complete(parser())
    arguments = parser().parse_args(argv)
    show_warnings()
    try:
        with _ending_in_good_order(arguments.name_of_command):
            return int(arguments.command(arguments))
    except Terminated:
        say("terminated; `iterdeploy resume` continues, nothing that was stored is lost", error=True)
        return EXIT_AGAIN
    except KeyboardInterrupt:
        say("interrupted; `iterdeploy resume` continues, nothing that was stored is lost", error=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from iterdeploy.cli.failures import explain
        from iterdeploy.redaction import without_keys
        from iterdeploy.wording import plain

        explanation = explain(error, arguments.name_of_command)
        if explanation is None:
            raise
        say(f"iterdeploy: {plain(without_keys(explanation))}", error=True)
        return 2
