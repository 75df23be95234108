"""VAL, played by a small script that judges with the naive validator and writes what VAL would write."""

import sys
from pathlib import Path

from helpers.support import TESTS

SCRIPT = """#!{python}
import os, re, signal, sys, time
sys.path.insert(0, {tests!r})
from helpers.naive_pddl import Naive
domain, problem, plan = [open(name, encoding="utf-8").read() for name in sys.argv[1:]]
assert {library!r} in os.environ["LD_LIBRARY_PATH"].split(os.pathsep)
order = re.findall(r":predicates|:action|:parameters|:precondition|:effect", domain)
assert order[0] == ":predicates" and order[1:] == order[1:5] * (len(order) // 4), "VAL refuses this domain"
assert order[1:5] == [":action", ":parameters", ":precondition", ":effect"], "VAL refuses this domain"
assert ":effect ()" not in domain, "VAL refuses this domain"
steps = [tuple(line.strip("()").split()) for line in plan.splitlines()]
mood = {mood!r}
if mood == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if mood == "hang":
    time.sleep(60)
if mood == "grumble":
    print("Problem in domain definition!", file=sys.stderr)
    sys.exit(255)
print("Checking plan: plan")
valid, failed_step, cost = Naive(domain, problem).judge(steps)
if mood == "contrary":
    valid = not valid
if failed_step:
    print("Plan failed to execute\\n\\n\\nFailed plans:\\n plan ")
elif valid:
    print("Plan executed successfully - checking goal\\nPlan valid\\nFinal value: %d \\n" % len(steps))
    print("Successful plans:\\nValue: %d\\n plan %d" % (len(steps), len(steps)))
else:
    print("Plan executed successfully - checking goal")
    print("Goal not satisfied\\nPlan invalid\\n\\n\\nFailed plans:\\n plan ")
"""


def install(folder: Path, mood: str = "sane", name: str = "Validate") -> Path:
    """An executable in `folder` that is called as VAL is. It finds its libraries only where VAL would: there."""
    path = folder / name
    script = SCRIPT.format(python=sys.executable, tests=str(TESTS), mood=mood, library=str(folder.resolve()))
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return path
