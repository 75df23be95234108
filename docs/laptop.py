"""Writes the tables of "Three domains on a laptop" in docs/results.md to standard output, from finished runs.

    python docs/laptop.py runs sokoban-0 sokoban-1 sokoban-2 sokoban-no-curation-0
    python docs/laptop.py --by-generation runs sokoban-0 sokoban-1 sokoban-2 sokoban-fresh-0

The first argument is the folder of the runs. Seeds of one configuration are one row each, and one more where there are
several: the mean over seeds with its t interval, as `iterdeploy compare` has it. A run of several domains has a row for
each of them, too. `--by-generation` prints one table: held-out coverage of each configuration in every generation; with
`--picture FILE` it is drawn, sizes that pretraining showed and sizes that it never showed apart.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iterdeploy.metrics import seeds
from iterdeploy.metrics.records import Metrics, Point
from iterdeploy.metrics.results import TaskResult
from iterdeploy.record.counts import Answers
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.comparison.runs import Arm, Run, Wanted, compare, never_seen, read_run, seen

Row = list[str]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SEEN, NEW = "Reliability: sizes that pretraining showed", "Generalisation: sizes that it never showed"


@dataclass(frozen=True)
class Part:
    """What a row of a table is about: seeds of one configuration, in one of their domains or in all."""

    title: str
    arm: Arm
    domains: list[str]

    def coverage(self, wanted: Wanted = lambda run, task: True) -> dict[int, Point]:
        return self.arm.coverage("held_out", lambda run, task: self._here(task) and wanted(run, task))

    def ratio(self) -> Point | None:
        return self.arm.ratio("held_out", lambda _, task: self._here(task))

    def mean(self, read: Callable[[Run, int], float | None]) -> dict[int, Point]:
        """Generation -> mean over the seeds; without generations where a seed has none."""
        out = {}
        for generation in self.arm.generations:
            values = [value for run in self.arm.runs if (value := read(run, generation)) is not None]
            if len(values) == len(self.arm.runs) and (point := seeds.mean(values)) is not None:
                out[generation] = point
        return out

    def tasks(self, run: Run, generation: int) -> list[TaskResult]:
        return [task for task in run.tasks(generation, "held_out") if self._here(task)]

    def answers(self, run: Run, generation: int, split: str) -> list[Answers]:
        there = [one for one in run.counts.answers if (one.generation, one.split) == (generation, split)]
        return [one for one in there if one.domain in self.domains]

    def _here(self, task: TaskResult) -> bool:
        return task.domain in self.domains


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--by-generation", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("runs_dir", type=Path)
    parser.add_argument("runs", nargs="+")
    arguments = parser.parse_args()
    arms = compare([read_run(RunDir.read(arguments.runs_dir / name)) for name in arguments.runs]).arms
    if arguments.picture:
        draw(arms, arguments.picture)
    if arguments.by_generation:
        show([part for arm in arms for part in parts(arm)], ["seeds", *map(str, arms[0].generations)], generations)
        return
    for title, heads, row in TABLES:
        print(f"\n**{title}**\n")
        rows = []
        for arm in arms:
            if row in EACH_SEED and len(arm.runs) > 1:
                rows += [Arm(run.name, [run]) for run in arm.runs]
            rows.append(arm)
        show([part for arm in rows for part in parts(arm)], heads, row)


def parts(arm: Arm) -> Iterator[Part]:
    domains = arm.runs[0].counts.domains
    yield Part(arm.title, arm, domains)
    if len(domains) > 1:
        yield from (Part(f"{arm.title}, {domain}", arm, [domain]) for domain in domains)


def show(rows: list[Part], heads: Row, row: Callable[[Part], Row]) -> None:
    print(f"| | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    for part in rows:
        print(f"| {part.title} | {' | '.join(row(part))} |")


def generations(part: Part) -> Row:
    return [str(len(part.arm.runs)), *map(told, part.coverage().values())]


def draw(arms: Sequence[Arm], target: Path) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "iterdeploy", "font.size": 11})
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, wanted in zip(panels, (SEEN, NEW), (seen, never_seen), strict=True):
        for arm, colour in zip(arms, COLOURS, strict=False):
            found = arm.coverage("held_out", wanted)
            values = list(found.values())
            label = arm.title.partition(" (")[0]
            axes.plot(found.keys(), [one.value for one in values], color=colour, linewidth=2, marker="o", label=label)
            bounds = [[one.low or 0.0 for one in values], [one.high or 0.0 for one in values]]
            axes.fill_between(found.keys(), *bounds, color=colour, alpha=0.12, linewidth=0)
        axes.set(xlabel="generation", ylim=(0, 1))
        axes.set_title(title, loc="left", fontsize=11)
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("held-out tasks solved")
    panels[1].legend(frameon=False, loc="upper left")
    figure.savefig(target, metadata={"Date": None})


def coverage(part: Part) -> Row:
    ratio = part.ratio()
    said = "-" if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    return [*_ends(part.coverage(), told), said]


def two_effects(part: Part) -> Row:
    return [*_ends(part.coverage(seen), told), *_ends(part.coverage(never_seen), told)]


def plans(part: Part) -> Row:
    """Longest and mean length of the valid plans of held-out tasks, and the longest of deployed ones."""

    def longest(split: str) -> Callable[[Run, int], float | None]:
        return lambda run, generation: max(
            (one.longest_plan or 0 for one in part.answers(run, generation, split)), default=None
        )

    def mean(run: Run, generation: int) -> float | None:
        found = [(one.mean_plan, one.answers) for one in part.answers(run, generation, "held_out")]
        if len(found) == 1:
            return found[0][0]
        held_out = run.metrics[generation].held_out
        return held_out and held_out.mean_plan

    columns = (longest("held_out"), mean, longest("deployed"))
    return [" → ".join(_ends(part.mean(column), lambda point: f"{point.value:.3g}")) for column in columns]


def samples(part: Part) -> Row:
    """All three samples of a held-out task, some of the three, and answers without a plan."""

    def share(wanted: Callable[[TaskResult], bool]) -> Callable[[Run, int], float | None]:
        return lambda run, generation: _share(part.tasks(run, generation), wanted)

    def verdict(name: str) -> Callable[[Run, int], float | None]:
        return lambda run, generation: _verdict(run.metrics[generation], name) if whole else None

    def reasoning(run: Run, generation: int) -> float:
        found = part.answers(run, generation, "held_out")
        return sum(one.reasoning_tokens * one.answers for one in found) / sum(one.answers for one in found)

    whole = part.domains == part.arm.runs[0].counts.domains
    shares = (share(lambda task: task.valid == task.samples), share(lambda task: task.valid > 0))
    cells = [
        " → ".join(_ends(part.mean(column), _percent))
        for column in (*shares, verdict("truncated"), verdict("unparseable"))
    ]
    return [*cells, " → ".join(_ends(part.mean(reasoning), lambda point: f"{point.value:.0f}"))]


def by_size(part: Part) -> Row:
    if len(part.domains) > 1:
        return ["(by domain below)"]
    domain, cells = part.domains[0], []
    for size in sorted({task.size for task in part.tasks(part.arm.runs[0], 0)}):
        found = part.coverage(lambda _, task, at=size: task.size == at)
        new = "*" if all(_new(one, domain, size) for one in part.arm.runs) else ""
        cells.append(f"{size}{new}: " + " → ".join(_ends(found, lambda point: f"{point.value:.0%}")))
    return [", ".join(cells)]


def _new(run: Run, domain: str, size: int) -> bool:
    return bool(run.seen_sizes) and size not in run.seen_sizes.get(domain, ())


def _share(tasks: list[TaskResult], wanted: Callable[[TaskResult], bool]) -> float | None:
    return sum(map(wanted, tasks)) / len(tasks) if tasks else None


def _verdict(one: Metrics, name: str) -> float | None:
    verdicts = one.held_out.verdicts if one.held_out else {}
    return verdicts[name] / sum(verdicts.values()) if verdicts else None


def _ends(found: Mapping[int, Point], say: Callable[[Point], str]) -> Row:
    """What there is to say of the first and of the last generation."""
    return [say(found[min(found)]), say(found[max(found)])] if found else ["-", "-"]


def _percent(point: Point) -> str:
    return f"{point.value:.1%}"


def told(point: Point) -> str:
    around = "" if point.low is None or point.high is None else f" ({point.low:.1%} to {point.high:.1%})"
    return f"{point.value:.1%}{around}"


TABLES: list[tuple[str, list[str], Callable[[Part], Row]]] = [
    ("Held-out coverage", ["generation 0", "last generation", "ratio"], coverage),
    (
        "Reliability (sizes that pretraining showed) and generalisation (sizes that it never showed)",
        ["seen, generation 0", "seen, last", "never seen, generation 0", "never seen, last"],
        two_effects,
    ),
    ("Plans, first → last generation", ["longest held-out", "mean held-out", "longest deployed"], plans),
    (
        "Answers to held-out tasks, first → last generation",
        ["unanimous@3", "pass@3", "truncated", "unparseable", "reasoning tokens"],
        samples,
    ),
    ("Held-out coverage by size (* never seen), first → last generation", ["sizes"], by_size),
]
EACH_SEED = (coverage, plans)
"""Tables in which every seed has a row of its own."""

if __name__ == "__main__":
    main()
