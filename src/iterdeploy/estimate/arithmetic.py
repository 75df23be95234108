"""What a run would take on a given GPU: memory and hours from a model's shape alone, by the usual arithmetic.

Sampling: a decoding step reads all weights and the keys and values of every sequence once, so it takes the time of
reading those bytes, or of computing 2 operations per weight and sequence if that is longer; prompts are read at the
speed of computing. Training: 2 operations per weight and token forwards, 4 backwards (2 under LoRA, whose base needs no
gradient), once more the 2 forwards with gradient checkpointing; attention comes on top, as it matters in long answers.

No GPU reaches its stated numbers: the shares below say what is assumed, and so does the output. Starting a model,
unequal lengths, the tail of a batch and what an adapter costs a server are not counted. Expect to be right within a
factor of two for answers of a given length; the length, which nobody knows before a run, matters more.
"""

from dataclasses import dataclass

from iterdeploy.models.shapes import Shape

MEMORY_SHARE = 0.9
"""Of the GPU's memory that a sampler fills with weights and keys and values."""
BANDWIDTH_SHARE = 0.6
"""Of the stated memory bandwidth that decoding reaches."""
COMPUTE_SHARE = 0.35
"""Of the stated operations per second that prompts reach."""
TRAINING_SHARE = 0.22
"""Of the stated operations per second that training reaches: what its matrix products, attention and elementwise
operations take on an H100 by their own counts. The best stack measured on that model and GPU reaches 0.27."""
ONE_LAYER = 1.75
"""How often a layer's bfloat16 activations lie in memory while it is computed again: norms keep float32 copies. Counted
on Qwen3-4B's shape."""
OF_DROPOUT = 5
"""Bytes per input of an adapter that its dropout and its cast to float32 keep, on top."""


@dataclass(frozen=True, slots=True)
class GPU:
    name: str
    memory: float
    """Bytes."""
    bandwidth: float
    """Bytes per second, as the maker states it."""
    flops: float
    """bfloat16 operations per second without sparsity, as the maker states it."""


GPUS = {
    "h200": GPU("NVIDIA H200", 141e9, 4.8e12, 989e12),
    "h100": GPU("NVIDIA H100 SXM", 80e9, 3.35e12, 989e12),
    "a100": GPU("NVIDIA A100 80GB SXM", 80e9, 2.039e12, 312e12),
    "l40s": GPU("NVIDIA L40S", 48e9, 0.864e12, 362e12),
    "l4": GPU("NVIDIA L4", 24e9, 0.3e12, 121e12),
    "5090": GPU("NVIDIA GeForce RTX 5090", 32e9, 1.792e12, 209e12),
    "4090": GPU("NVIDIA GeForce RTX 4090", 24e9, 1.008e12, 165e12),
    "3090": GPU("NVIDIA GeForce RTX 3090", 24e9, 0.936e12, 71e12),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """Answers of one length to prompts of one length."""

    answers: int
    prompt: float
    """Tokens."""
    answer: float
    """Tokens."""


@dataclass(frozen=True, slots=True)
class SamplingCost:
    at_once: int
    """Sequences that are decoded together; 0: not even one fits, and then the rest says nothing."""
    tokens_per_second: float
    hours: float
    memory: float
    """Bytes of weights, keys and values."""


@dataclass(frozen=True, slots=True)
class TrainingMethod:
    lora_rank: int
    """0: all weights are trained."""
    base_bytes: int
    """Per base weight: 4 in float32, 2 in bfloat16."""
    checkpointing: bool
    dropout: bool = False
    """Of the adapter's inputs."""


@dataclass(frozen=True, slots=True)
class TrainingCost:
    trained: int
    """Parameters."""
    memory: float
    """Bytes of weights, gradients, optimiser and activations."""
    hours: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a sampler decodes."""

    most_at_once: int
    """Sequences, where memory holds as many."""
    value_bytes: int = 2
    """Per weight, key and value."""
    launch: float = 0.0
    """Seconds that a layer takes at least, whatever the GPU, because Python starts its operations one by one."""


EAGER_LAUNCH = 0.0008
"""`launch` of sampling in this process with transformers; servers such as vLLM replay recorded operations."""


def sampling_cost(shape: Shape, gpu: GPU, work: Workload, how: Decoding) -> SamplingCost:
    """Of decoding as many sequences together as `how` allows and the GPU's memory holds.

    A sequence under way has its prompt and, on average over its life, half of its answer behind it.
    """
    weights, per_token = shape.parameters * how.value_bytes, shape.kv_bytes(how.value_bytes)
    context = work.prompt + work.answer / 2
    room = MEMORY_SHARE * gpu.memory - weights
    at_once = max(0, min(how.most_at_once, work.answers, int(room // (context * per_token))))
    if at_once == 0:
        return SamplingCost(0, 0.0, 0.0, weights + (work.prompt + work.answer) * per_token)
    step = max(
        (weights + at_once * context * per_token) / (BANDWIDTH_SHARE * gpu.bandwidth),
        at_once * forward_operations(shape, context) / (COMPUTE_SHARE * gpu.flops),
        shape.layers * how.launch,
    )
    rate = at_once / step
    reading = work.answers * work.prompt * forward_operations(shape, work.prompt / 2) / (COMPUTE_SHARE * gpu.flops)
    seconds = work.answers * work.answer / rate + reading
    return SamplingCost(at_once, rate, seconds / 3600, weights + at_once * context * per_token)


def forward_operations(shape: Shape, context: float) -> float:
    """Operations of one token's forward pass with `context` tokens before it: 2 per weight, and attention's 4 for each
    layer, dimension of its heads and token before it."""
    return 2 * shape.multiplied + 4 * shape.layers * shape.heads * shape.head_dim * context


def training_cost(
    shape: Shape, gpu: GPU, method: TrainingMethod, tokens: float, length: float, at_once: float
) -> TrainingCost:
    """Of training on `tokens` tokens, all epochs together, in sequences of `length`, `at_once` tokens in a pass.

    A trained parameter takes 16 bytes: itself, its gradient, two moments of Adam, in float32.
    """
    lora = method.lora_rank > 0
    trained = shape.adapter_parameters(method.lora_rank) if lora else shape.parameters
    # A backward pass costs two forward ones, but one for weights that have no gradient of their own.
    weights = 2 * shape.multiplied * ((2 if lora else 3) + method.checkpointing)
    attention = (forward_operations(shape, length / 2) - 2 * shape.multiplied) * (3 + method.checkpointing)
    seconds = tokens * (weights + attention) / (TRAINING_SHARE * gpu.flops)
    memory = trained * 16 + (shape.parameters * method.base_bytes if lora else 0)
    return TrainingCost(trained, memory + _activations(shape, method, at_once), seconds / 3600)


def _activations(shape: Shape, method: TrainingMethod, tokens: float) -> float:
    """Bytes kept for the backward pass, bfloat16: of a layer about 8 times the hidden size, 2 of its heads and 4 of its
    feed-forward layer, and what an adapter's dropout keeps; with checkpointing only every layer's input, and all of the
    one that is computed again."""
    layer = 2 * (8 * shape.hidden + 2 * shape.heads * shape.head_dim + 4 * shape.intermediate)
    dropped = OF_DROPOUT * sum(inputs for inputs, _ in shape.linear) if method.dropout and method.lora_rank else 0
    if not method.checkpointing:
        return tokens * shape.layers * (layer + dropped)
    return tokens * (2 * shape.layers * shape.hidden + ONE_LAYER * layer + dropped)


def trace_bytes(answers: float, prompt: float, answer: float) -> float:
    """Bytes of stored answers: per token 4 of text, 4 of log-probability, and an id that compresses to 4 or fewer; per
    token of a prompt 2 of compressed id; per answer 1,500 of verdict, plan and index."""
    return answers * (12 * answer + 2 * prompt + 1500)
