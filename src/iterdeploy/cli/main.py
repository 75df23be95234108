"""The command line: parses and prints, no logic. Everything heavy is imported by the command that needs it.

Exit status: 0 done; 1 an invalid plan (`validate`); 2 something in the input or the machine to fix; 3 the run stopped
by itself in a named state; 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence

from iterdeploy.cli.parser import parser
from iterdeploy.wording import say, show_warnings


def main(argv: Sequence[str] | None = None) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from iterdeploy.cli.completion import complete

        complete(parser())
    arguments = parser().parse_args(argv)
    show_warnings()
    try:
        return int(arguments.command(arguments))
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
