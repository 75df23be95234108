"""Words of PDDL's extensions and dialects that change what a plan is, or when it is valid: refused by name."""

from iterdeploy.pddl.reader import NotSupported

_FEATURES = {
    "axioms of old PDDL, before :derived": (":axiom",),
    "durative actions": (":durative-action", ":duration", ":condition", "over"),
    "processes": (":process",),
    "events": (":event",),
    "trajectory constraints": (
        ":constraints", "always", "sometime", "within", "at-most-once", "sometime-after", "sometime-before",
        "always-within", "hold-during", "hold-after",
    ),
    "preferences": ("preference", "is-violated"),
    "change over time": ("#t",),
    "non-deterministic effects or unknown facts": ("oneof", "unknown"),
    "probabilistic effects, probabilities and rewards": (
        "probabilistic", ":goal-probability", ":goal-reward", ":discount",
    ),
    "actions that observe": (":observe", ":sense", "observe", "sense"),
    "variables of an action other than its parameters": (":vars",),
    "hierarchical tasks": (":task", ":method", ":htn", ":expansion", ":only-in-expansions"),
    "facts outside :init": (":timeless",),
    "several agents": (":agent", ":private", ":factored-privacy"),
}  # fmt: skip
_WORDS = {word: feature for feature, words in _FEATURES.items() for word in words}


def refuse_dialect(word: str, line: int) -> None:
    """`NotSupported`, which says what the word stands for, if it is one of these."""
    if word in _WORDS:
        raise NotSupported(f"{_WORDS[word]} ({word})", line)
