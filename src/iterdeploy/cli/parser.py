"""The command line's grammar: which commands there are and what each takes. Imports nothing that takes time."""

import argparse
import re
from pathlib import Path
from typing import NoReturn

from iterdeploy import __version__
from iterdeploy.cli.arguments import (
    GENERATION,
    SEED,
    add_accept,
    add_figures,
    add_json,
    add_run,
    add_runs_dir,
    add_trust,
    later,
    margin,
    temperature,
    whole,
)
from iterdeploy.cli.deployment import add_deployment
from iterdeploy.wording import did_you_mean, plain

RUNNING = ("run", "resume", "extend")
"""Commands that make a run, after which it can be resumed."""
EXAMPLES = """examples:
  iterdeploy run quickstart                      the demo: five generations of an embedded model, on a CPU
  iterdeploy run my.toml --set training.epochs=3 --name longer
  iterdeploy resume longer                       go on where it stopped, however it stopped
  iterdeploy extend longer --generations 8       go on beyond its end
  iterdeploy status longer --json                coverage, diversity, pools, verdicts, seconds
  iterdeploy view longer                         its report from the store, while it runs
  iterdeploy measure longer --temperature 0      what it does when it is decoded greedily
  iterdeploy compare quickstart longer           runs and seeds side by side
  iterdeploy audit longer                        what its curation really rewards
  iterdeploy reverify longer --validator both    its stored answers judged again
  iterdeploy validate domain.pddl problem.pddl plan.txt
"""


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="iterdeploy",
        description="Iterative deployment: a model answers tasks, a validator judges, curation keeps what users would "
        "publish, the next model is trained on it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"iterdeploy {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="name_of_command")

    def command(name: str, summary: str, module: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        sub.set_defaults(command=later(module or name, name))
        return sub

    run = command("run", "start a run, or continue it if it exists with the same configuration")
    run.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of a packaged configuration")
    run.add_argument("--name", help="the run's name (default: the configuration's)")
    run.add_argument(
        "--seeds",
        type=whole(1, 10_000),
        metavar="N",
        help="N runs, one after another, with the seeds S, S + 1, ...: NAME-S, ...",
    )
    run.add_argument("--dry-run", action="store_true", help="check everything and say what would be done")
    run.add_argument("--gpu", metavar="NAME", help="with --dry-run: estimate the hours on h100, a100, 4090, ...")
    run.add_argument(
        "--gpus", type=whole(1, 100_000), default=1, metavar="N", help="with --gpu: how many of them (default: 1)"
    )
    run.add_argument(
        "--answer-tokens",
        type=whole(1, 10_000_000),
        metavar="N",
        help="with --dry-run: mean length of an answer to reckon with (default: half of sampling.max_new_tokens)",
    )
    run.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key, such as training.epochs=3"
    )
    add_accept(run)
    add_runs_dir(run)

    resume = command("resume", "continue a run where it stopped, with the configuration it was started with")
    add_run(resume)
    resume.add_argument("--from", dest="copy", metavar="URL", help="elsewhere: the mirror.url that the run had")
    add_trust(resume)
    add_accept(resume)
    add_runs_dir(resume)

    extend = command("extend", "continue a run to more generations than it was started with")
    add_run(extend)
    extend.add_argument("--generations", type=GENERATION, required=True, metavar="N", help="how many in all")
    add_trust(extend)
    add_accept(extend)
    add_runs_dir(extend)

    status = command("status", "show a run's state and its generations")
    add_run(status)
    status.add_argument("--wide", action="store_true", help="every number, for a terminal of 180 columns")
    status.add_argument(
        "--against", type=GENERATION, default=0, metavar="G", help="compare all generations with this one (default: 0)"
    )
    add_json(status)
    add_runs_dir(status)

    measure = command("measure", "ask a run its held-out tasks at another temperature, or more often")
    add_run(measure)
    measure.add_argument(
        "--temperature", type=temperature, required=True, metavar="T", help="0: the likeliest token at every step"
    )
    measure.add_argument(
        "--samples", type=whole(1, 100_000), default=1, metavar="K", help="answers to each task (default: 1)"
    )
    measure.add_argument("--generation", type=GENERATION, metavar="G", help="only this one (default: all)")
    add_trust(measure)
    add_json(measure, "print what `status --json` does")
    add_runs_dir(measure)

    report = command("report", "write a run's report.html")
    add_run(report)
    report.add_argument("--out", type=Path, metavar="FILE", help="the page (default: report.html in the run's folder)")
    add_figures(report)
    add_runs_dir(report)

    compare = command("compare", "write a page that shows runs side by side; seeds of one configuration as one")
    compare.add_argument("runs", metavar="RUN", nargs="+", help="the runs' names")
    compare.add_argument(
        "--margin", type=margin, metavar="POINTS", help="say which runs are equivalent: differ by less than this"
    )
    compare.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (default: compare.html in the runs' folder)"
    )
    add_figures(compare)
    add_json(compare)
    add_runs_dir(compare)

    view = command("view", "serve a run's report from its store, while it goes on and whatever its size")
    add_run(view)
    view.add_argument("--host", default="127.0.0.1", metavar="H", help="where to serve (default: to this machine only)")
    view.add_argument("--port", type=whole(0, 65_535), default=8765, metavar="P", help="(default: 8765; 0: any)")
    add_runs_dir(view)

    add_deployment(command)

    traces = command("traces", "print a run's traces, with what the model wrote")
    add_run(traces)
    traces.add_argument("--generation", type=GENERATION, metavar="G", help="only this generation")
    traces.add_argument(
        "--status", choices=["valid", "invalid", "unparseable", "truncated", "error"], help="only this verdict"
    )
    traces.add_argument("--split", choices=["deployed", "held_out"], help="only this split")
    traces.add_argument("--task", metavar="ID", help="only the answers to this task")
    traces.add_argument("--limit", type=whole(1, 10**9), metavar="N", help="at most N, the first ones")
    add_json(traces, "one JSON object a line, with prompt, text and verdict")
    add_runs_dir(traces)

    audit = command("audit", "show what a run's curation rewards, and whether the model comes to do it")
    add_run(audit)
    audit.add_argument("--against", metavar="RUN2", help="another run, to say which effects differ")
    audit.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help="a Python file with features of your own; FILE:NAME,NAME: these of its functions",
    )
    audit.add_argument("--power", action="store_true", help="also say what so many answers could have shown")
    audit.add_argument("--discover", action="store_true", help="also look for phrases that nobody thought of")
    audit.add_argument(
        "--curators", type=Path, metavar="FILE", help="who kept what, as JSON lines: also one audit for each curator"
    )
    add_json(audit)
    add_runs_dir(audit)

    theory = command("theory", "measure how much of a run's fine-tuning is REINFORCE")
    add_run(theory)
    add_trust(theory)
    theory.add_argument("--generation", type=GENERATION, metavar="G", help="whose pool (default: the last one)")
    theory.add_argument(
        "--traces",
        type=whole(1, 1_000_000),
        default=300,
        metavar="N",
        help="look at about so many traces of it (default: 300)",
    )
    theory.add_argument(
        "--twin",
        action="store_true",
        help="train every phase (or --generation G's) again as REINFORCE would, and compare",
    )
    add_json(theory, "print what was written to RUN/theory.json")
    add_runs_dir(theory)

    reverify = command("reverify", "judge a run's stored answers again, and say what would be otherwise")
    add_run(reverify)
    add_trust(reverify)
    reverify.add_argument(
        "--validator", choices=["iterdeploy", "val", "both"], help="who judges plans (default: as the run was started)"
    )
    add_json(reverify)
    add_runs_dir(reverify)

    validate = command("validate", "judge a plan file: exit status 0 valid, 1 invalid, 2 it could not be judged")
    validate.add_argument("domain", metavar="DOMAIN", type=Path, help="PDDL domain file")
    validate.add_argument("problem", metavar="PROBLEM", type=Path, help="PDDL problem file")
    validate.add_argument("plan", metavar="PLAN", type=Path, help="plan file, one action a line")
    add_json(validate)
    validate.add_argument(
        "--oracle",
        choices=["val", "both"],
        help="ask an installed VAL instead, or both (VAL from ITERDEPLOY_VAL or PATH)",
    )

    tasks = command("tasks", "make or show planning tasks").add_subparsers(
        required=True, metavar="ACTION", dest="action"
    )
    make = tasks.add_parser("make", help="write seeded tasks as PDDL files", description="Write seeded PDDL tasks.")
    make.set_defaults(command=later("tasks", "make"))
    make.add_argument("domain", metavar="DOMAIN", help="one of the planning domains")
    make.add_argument("--count", type=whole(1, 1_000_000), default=10, metavar="N")
    make.add_argument("--seed", type=SEED, default=0, metavar="S")
    make.add_argument(
        "--size", default="2-4", metavar="A-B", help="sizes in the domain's unit, such as 2-8 or 3,5, or a ramp: easy"
    )
    make.add_argument("--out", type=Path, required=True, metavar="DIR")
    show = tasks.add_parser("show", help="print one task as a model sees it", description="Print a task's prompt.")
    show.set_defaults(command=later("tasks", "show"))
    show.add_argument("domain", metavar="DOMAIN", help="one of the planning domains, or a domain file")
    show.add_argument("problem", metavar="PROBLEM", type=Path, nargs="?", help="with a domain file: a problem file")
    show.add_argument("--size", type=whole(1, 10_000), default=4, metavar="A", help="in the domain's unit")
    show.add_argument("--seed", type=SEED, default=0, metavar="S")
    show.add_argument("--prompt", choices=["compact", "full"], default="compact", help="as tasks.prompt")
    show.add_argument("--obfuscate", action="store_true", help="as tasks.obfuscate: under random names")
    show.add_argument("--pddl", action="store_true", help="print the PDDL of domain and task instead")

    export = command("export", "write a generation's model, or the traces, as a folder for other programs")
    add_run(export)
    add_trust(export)
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--generation", type=GENERATION, metavar="G", help="the model of this generation")
    what.add_argument("--traces", action="store_true", help="all traces, as JSONL and Parquet that `datasets` reads")
    export.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to make")
    export.add_argument("--merge", action="store_true", help="an adapter merged into its base model: full weights")
    export.add_argument(
        "--base", metavar="OWNER/NAME", help="what the Hugging Face Hub calls the base model (default: its folder)"
    )
    export.add_argument("--push", metavar="OWNER/NAME", help="then upload it to the Hub, as a private repository")
    add_runs_dir(export)

    pretrain = command("pretrain", "make an embedded base model from synthetic demonstrations")
    pretrain.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of a packaged configuration")
    pretrain.add_argument("--out", type=Path, metavar="DIR", help="work folder (default: pretrained/NAME)")
    pretrain.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key, such as optimiser.epochs=2"
    )

    command("models", "list the embedded models")
    completion = command("completion", "print what a shell must run to complete commands, names and keys")
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])
    completion.epilog = 'bash, zsh: eval "$(iterdeploy completion bash)"; fish: iterdeploy completion fish | source'
    there = command("list", "list the runs that are there, and the packaged configurations")
    add_json(there)
    add_runs_dir(there)
    return top


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one paragraph, as all other errors are said."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (COMMAND|ACTION): ", "", message).removeprefix("argument ")
        if wrong := re.fullmatch(r"(.*)invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL):
            known = [name.strip("' ") for name in wrong[3].split(",")]
            message = f"{wrong[1]}there is no {wrong[2]!r}" + (
                did_you_mean(wrong[2], known) or f"; there are {', '.join(known)}"
            )
        self.exit(2, f"{self.prog}: {plain(message)} (`{self.prog} --help` says more)\n")
