"""What ran: the configuration in words, the versions, and the configuration itself."""

from collections.abc import Sequence
from shlex import join

from iterdeploy.config import RunConfig
from iterdeploy.record.provenance import Call
from iterdeploy.report.drawing.tables import SPLITS, clock
from iterdeploy.report.facts.contents import Contents
from iterdeploy.report.html.markup import element, preformatted, text


def in_short(contents: Contents) -> list[tuple[str, str]]:
    """What ran, as far as the first screen says it. Tasks are counted as they were measured."""
    config, metrics, last = contents.config, contents.metrics, contents.calls[-1]
    counts = [
        f"{coverage.tasks:,} {title}"
        for split, title in SPLITS.items()
        if metrics and (coverage := metrics[0].coverage(split))
    ]
    versions = [f"{name} {last.packages[name]}" for name in ("iterdeploy", "torch") if last.packages.get(name)]
    revision = _revisions(contents)
    return [
        ("Model", config.model.name),
        ("Tasks", "; ".join([contents.described["Tasks"], *([" and ".join(counts)] if counts else [])])),
        ("Curation", ", then ".join(config.curation.policies)),
        ("Budget", _budget(contents)),
        ("Seed", str(config.seed)),
        ("Version", ", ".join([*versions, *([f"revision {revision}"] if revision else [])])),
    ]


def _budget(contents: Contents) -> str:
    """What was planned, and what of it was spent."""
    written = contents.counts.answers
    seconds = sum(sum(spent.values()) for spent in contents.seconds.values())
    spent = [f"{sum(one.answers for one in written):,} answers", f"{_large(sum(one.tokens for one in written))} tokens"]
    return ", ".join(
        [_generations(contents.config), *(spent if written else []), *([clock(seconds)] if seconds else [])]
    )


def _large(count: int) -> str:
    """
    >>> _large(1_340_000), _large(950)
    ('1.34 million', '950')
    """
    return f"{count / 1e6:.3g} million" if count >= 1e6 else f"{count:,}"


def setting(contents: Contents) -> str:
    facts = "".join(
        element("div", element("dt", text(name)), element("dd", text(value))) for name, value in _facts(contents)
    )
    return element(
        "section",
        element("h2", "What ran", id="setting"),
        element("dl", facts),
        element(
            "details",
            element("summary", "The whole configuration"),
            preformatted(contents.config_text, "config.toml"),
        ),
        aria_labelledby="setting",
    )


def _facts(contents: Contents) -> list[tuple[str, str]]:
    config = contents.config
    sampling, training = config.sampling, config.training
    first, last = contents.calls[0], contents.calls[-1]
    resumed = len(contents.calls) - 1
    known = "; ".join(f"{domain} {_ranges(sizes)}" for domain, sizes in contents.seen_sizes.items())
    seen = f"; the base model's pretraining had sizes: {known}" if known else ""
    described = dict(contents.described)
    return [
        ("Model", f"{config.model.name}, sampled in {config.model.dtype}"),
        *([("Code of the model's own", _remote_code(first))] if config.model.trust_remote_code else []),
        ("Tasks", f"{described.pop('Tasks')}{seen}"),
        *described.items(),
        (
            "Samples",
            f"{sampling.samples} of each deployed, {sampling.held_out_samples} of each held-out task; temperature "
            f"{sampling.temperature:g}, at most {sampling.max_new_tokens:,} tokens",
        ),
        *([("Only measured", _evaluation(config))] if config.evaluation.temperatures else []),
        ("Curation", ", then ".join(config.curation.policies)),
        (
            "Training",
            f"{'LoRA' if training.method == 'lora' else 'all weights'}, each generation from the "
            f"{'base model' if training.start_from == 'base' else 'generation before it'}; "
            f"{_counted(training.epochs, 'epoch')}, learning rate {training.learning_rate:g}",
        ),
        ("Generations", _generations(config)),
        ("Seed", str(config.seed)),
        ("Started", first.started + (f"; resumed {resumed} times, last {last.started}" if resumed else "")),
        ("Command", join(first.command)),
        ("Revision", _revisions(contents) or "not from a checkout"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in last.packages.items() if version)),
        ("Machine", f"Python {last.python}, {last.platform}, {last.cpus} CPUs"),
    ]


def _evaluation(config: RunConfig) -> str:
    asked = config.evaluation
    at = ", ".join(f"{temperature:g}" for temperature in asked.temperatures)
    return f"{_counted(asked.samples, 'answer')} to each held-out task at temperature {at} (one at 0)"


def _remote_code(call: Call) -> str:
    files = [f"{name} (SHA-256 {digest[:16]})" for name, digest in (call.facts.remote_code or {}).items()]
    return f"could run, as model.trust_remote_code says: {', '.join(files) or 'there was none'}"


def _revisions(contents: Contents) -> str:
    """All that the calls of this run had, in order."""
    return ", then ".join(dict.fromkeys(call.revision for call in contents.calls if call.revision))


def _generations(config: RunConfig) -> str:
    return f"{_counted(config.generations, 'generation')} after the base model"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _ranges(sizes: Sequence[int]) -> str:
    """
    >>> _ranges((2, 3, 4, 7))
    '2 to 4, 7'
    """
    runs: list[list[int]] = []
    for size in sizes:
        if runs and size == runs[-1][-1] + 1:
            runs[-1].append(size)
        else:
            runs.append([size])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
