"""Some traces, to see what the numbers are made of. A model's answer is hostile text: `markup.text` disarms it."""

from itertools import groupby
from shlex import join

from iterdeploy.report.contents import Contents, Sample
from iterdeploy.report.markup import element, preformatted, text
from iterdeploy.types import Split

LONGEST_TEXT = 20_000
"""Characters of a prompt or an answer that are shown."""


def traces(contents: Contents) -> str:
    note = (
        "The first trace of each generation with each verdict, in the order of the tasks' ids: not the best, and not "
        "the most common. "
    )
    groups = [
        element("h3", f"Generation {generation}") + "".join(_trace(sample, contents.name) for sample in samples)
        for generation, samples in groupby(contents.samples, lambda sample: sample.trace.generation)
    ]
    return element(
        "section",
        element("h2", "Some traces", id="traces"),
        element(
            "p", text(note), element("code", text(join(["iterdeploy", "traces", contents.name, "--json"]))),
            " prints all of them.", class_="note",
        ),
        *groups,
        aria_labelledby="traces",
    )  # fmt: skip


def _trace(sample: Sample, run: str) -> str:
    trace = sample.trace
    status = trace.verdict.status.value
    steps = f", {trace.plan_length} steps" if trace.plan_length else ""
    split = "held-out" if trace.split is Split.HELD_OUT else "deployed"
    about = f"{split} task of {trace.domain}, size {trace.size}{steps}"
    return element(
        "details",
        element("summary", element("span", text(status), class_=f"status {status}"), " ", text(about)),
        element("p", text(trace.verdict.reason), class_="reason") if trace.verdict.reason else "",
        element("h4", "Prompt"),
        _long(sample.prompt, "Prompt", sample, run),
        element("h4", "Answer"),
        _long(trace.completion.text, "Answer", sample, run),
        element(
            "p",
            text(
                f"Task {trace.task_id}, sample {trace.sample_index}, trace {trace.id}; "
                f"{len(trace.completion.token_ids):,} tokens, {trace.completion.reasoning_tokens:,} of them reasoning; "
                f"judged by {trace.verdict.validator}."
            ),
            class_="note",
        ),
        class_="trace",
    )


def _long(value: str, label: str, sample: Sample, run: str) -> str:
    """The text, or its beginning with the remark how to see the rest: nothing is cut silently."""
    shown = preformatted(value[:LONGEST_TEXT], label)
    if len(value) <= LONGEST_TEXT:
        return shown
    generation, status = str(sample.trace.generation), sample.trace.verdict.status.value
    command = join(["iterdeploy", "traces", run, "--generation", generation, "--status", status, "--json"])
    remark = text(f"These are the first {LONGEST_TEXT:,} of {len(value):,} characters. ")
    return shown + element("p", remark, element("code", text(command)), " prints all.", class_="note cut")
