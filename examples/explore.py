"""Runs the whole loop from Python and looks at what it left, with pandas: about a minute on a CPU.

    python examples/explore.py

The cells of examples/explore.ipynb are the parts of this script.
"""

# %% Two runs: the same tasks and seed, with curation and without
import iterdeploy

curated = iterdeploy.run("smoke", name="explore", progress=True)
everything = iterdeploy.run("smoke", {"curation.policies": ["all"]}, name="explore-all", progress=True)
print(curated.verdict)

# %% Coverage of held-out tasks by generation, with its 95% interval
frame = curated.to_pandas()
print(frame[["generation", "held_out", "held_out_low", "held_out_high", "pool"]].round(3).to_string(index=False))

# %% Which verdicts, by size of task
traces = curated.traces(split="held_out").to_pandas()
print(traces.pivot_table(index=["generation", "size"], columns="status", values="id", aggfunc="count", fill_value=0))

# %% What the model wrote, and why it failed
for trace in curated.traces(generation=1, status="invalid", limit=2):
    print(curated.tasks[trace.task_id].prompt.strip(), trace.text.strip(), trace.verdict.reason, sep="\n\n", end="\n\n")

# %% How long the answers are that train the next generation, and those that do not
deployed = curated.traces(generation=0, split="deployed").to_pandas()
deployed["trains"] = deployed["id"].isin(curated.generations[1].pool)
print(deployed.groupby(["trains", "status"])[["tokens", "reasoning_tokens"]].mean().round(1))

# %% Both runs side by side
comparison = iterdeploy.compare(curated, everything)
print(comparison.to_pandas().round(3).to_string(index=False))
print(comparison.verdict)
