"""What was decided, in words and tables."""

from iterdeploy.governance.gate import Gate


def gate_in_words(name: str, found: Gate) -> str:
    compared = ""
    if found.held_out is not None:
        low, high = found.held_out.interval.low, found.held_out.interval.high
        compared = (
            f" Held-out coverage differs from generation {found.against}'s by {found.held_out.difference:+.1%} "
            f"[{low:+.1%}, {high:+.1%}]."
        )
    if found.passed:
        return f"{name}: generation {found.generation} serves.{compared}"
    return (
        f"{name}: generation {found.against} serves on, generation {found.generation} is a candidate: "
        f"{'; '.join(found.reasons)}.{compared} `iterdeploy promote {name} {found.generation}` lets it serve all the "
        "same."
    )
