"""Writes the tables of docs/results.md to standard output and the picture docs/coverage.svg, from finished runs.

    python docs/results.py runs main-0 main-1 main-2 --against none-0

The first argument is the folder of the runs. Seeds of one configuration are pooled by adding up their tasks.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from iterdeploy.metrics.form import written
from iterdeploy.record.run_dir import RunDir

CURATED, UNCURATED = "#0072B2", "#D55E00"
SEEN = (2, 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs_dir", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--against", nargs="*", default=[])
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_name("coverage.svg"))
    arguments = parser.parse_args()
    curated = {name: measured(arguments.runs_dir / name) for name in arguments.runs}
    uncurated = {name: measured(arguments.runs_dir / name) for name in arguments.against}
    for name, metrics in {**curated, **uncurated}.items():
        print(f"\n**{name}**\n")
        print_generations(metrics)
    print("\n**Held-out coverage by number of blocks, first and last generation**\n")
    print_sizes({**curated, **uncurated})
    draw(list(curated.values()), list(uncurated.values()), arguments.picture)


def measured(path: Path) -> list[dict[str, Any]]:
    """metrics.json of each generation of the run."""
    return [written(metrics) for metrics in RunDir.read(path).metrics()]


def print_generations(metrics: list[dict[str, Any]]) -> None:
    print("| generation | held-out coverage | deployed coverage | mean plan | longest plan | reasoning tokens |")
    print("|---|---|---|---|---|---|")
    for entry in metrics:
        held, deployed = entry["held_out"], entry["deployed"]
        print(
            f"| {entry['generation']} | {share(held)} | {share(deployed)} | {held['mean_plan']:.1f} "
            f"| {held['longest_plan']} | {held['reasoning_tokens']:.0f} |"
        )


def share(coverage: dict[str, Any]) -> str:
    low, high = coverage["interval"]
    return f"{coverage['coverage']:.1%} ({low:.1%} to {high:.1%})"


def print_sizes(runs: dict[str, list[dict[str, Any]]]) -> None:
    sizes = list(next(iter(runs.values()))[0]["held_out"]["by_size"])
    print("| run | " + " | ".join(size if int(size) <= SEEN[1] else f"{size} (new)" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, metrics in runs.items():
        ends = [metrics[0]["held_out"]["by_size"], metrics[-1]["held_out"]["by_size"]]
        cells = [f"{ends[0][size]['coverage']:.0%} → {ends[1][size]['coverage']:.0%}" for size in sizes]
        print(f"| {name} | " + " | ".join(cells) + " |")


def draw(curated: list[Any], uncurated: list[Any], target: Path) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "iterdeploy", "font.size": 11})
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    over_generations, by_size = figure.subplots(1, 2, width_ratios=[1, 1.15])
    for runs, colour, label in ((curated, CURATED, "curated"), (uncurated, UNCURATED, "no curation")):
        if not runs:
            continue
        curves = [[entry["held_out"]["coverage"] for entry in metrics] for metrics in runs]
        for metrics, curve in zip(runs, curves, strict=True):
            over_generations.plot(curve, color=colour, linewidth=0.8, alpha=0.5)
            bands = [entry["held_out"]["interval"] for entry in metrics]
            over_generations.fill_between(
                range(len(curve)), [b[0] for b in bands], [b[1] for b in bands], color=colour, alpha=0.10, linewidth=0
            )
        mean = [fmean(values) for values in zip(*curves, strict=True)]
        over_generations.plot(mean, color=colour, linewidth=2.4, marker="o")
        over_generations.annotate(
            f"{label}\n{mean[0]:.0%} → {mean[-1]:.0%}",
            (len(mean) - 1, mean[-1]),
            (-8, -30 if runs is curated else 14),
            textcoords="offset points",
            ha="right",
            va="top" if runs is curated else "bottom",
            color=colour,
            weight="bold",
        )
    over_generations.set(xlabel="generation", ylabel="held-out tasks solved", ylim=(0, 1))
    over_generations.set_title("Solved tasks that were never trained on", loc="left", fontsize=11)

    for generation, colour, marker in ((0, "#888888", "s"), (-1, CURATED, "o")):
        pooled: dict[int, list[float]] = defaultdict(list)
        for metrics in curated:
            for size, cell in metrics[generation]["held_out"]["by_size"].items():
                pooled[int(size)].append(cell["coverage"])
        label = f"generation {curated[0][generation]['generation']}"
        by_size.plot(pooled.keys(), [fmean(v) for v in pooled.values()], color=colour, marker=marker, label=label)
    by_size.axvspan(SEEN[1] + 0.5, max(pooled) + 0.5, color="#E69F00", alpha=0.13, linewidth=0)
    by_size.annotate("sizes that pretraining\nnever showed", (SEEN[1] + 0.6, 0.98), va="top", fontsize=9.5)
    by_size.set(xlabel="blocks", ylim=(0, 1), xlim=(min(pooled) - 0.5, max(pooled) + 0.5))
    by_size.set_title("Reliability on known sizes, and new sizes", loc="left", fontsize=11)
    by_size.legend(frameon=False, loc="lower left")
    for axes in (over_generations, by_size):
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
