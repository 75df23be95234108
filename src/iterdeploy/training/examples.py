"""From curated traces to training examples: the stored token ids, never re-rendered and never re-tokenised text."""

import math
from collections.abc import Mapping

from iterdeploy.types import Example, Trace


def make_examples(traces: Mapping[str, Trace], weights: Mapping[str, float]) -> list[Example]:
    """One example per trace id of `weights`, in its order: the prompt's ids, then exactly the sampled ids.

    The loss begins after the prompt and includes the end mark, so a policy learns to stop. A truncated answer has none
    and gets none: it is trained on as it was sampled.
    """
    examples = []
    for trace_id, weight in weights.items():
        said = traces[trace_id].completion
        token_ids, loss_start = said.prompt_token_ids + said.token_ids, len(said.prompt_token_ids)
        behaviour = None if said.logprobs is None else math.fsum(said.logprobs)
        examples.append(Example(trace_id, token_ids, loss_start, weight, behaviour))
    return examples
