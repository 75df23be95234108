"""Sums of gradients of log pi(y | x), kept apart by half and by group of tasks, and how two such sums compare.

Every estimator of the theory is sum_j c_j grad log pi(y_j | x_j) with other coefficients c_j, so the gradient of each
answer is computed once, with the trainer's own objective, and added to all of them.

E: estimators. H = 2: halves. K: groups. P: trainable parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from iterdeploy.models.loading import Loaded, load
from iterdeploy.theory.answers import GROUPS, Answer, Subject
from iterdeploy.theory.records import Comparison
from iterdeploy.training.batching import collate
from iterdeploy.training.fit import with_lora
from iterdeploy.training.objective import token_logprobs, weighted_nll
from iterdeploy.types import Example, Policy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch.overrides import TorchFunctionMode

LARGEST_IN_FLOAT64 = 20_000_000
"""Parameters of the largest model of which gradients are taken in float64."""

COLUMNS_AT_ONCE = 50_000
"""Of the gradients whose inner products are taken, so that the part in work stays in the processor's cache."""


@dataclass(frozen=True)
class Differentiable:
    """A policy, in evaluation mode, with the parameters that this run's training changes."""

    here: Loaded
    parameters: "list[torch.nn.Parameter]"
    dtype: str

    @property
    def size(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters)


def differentiable(subject: Subject, policy: Policy, *, exact: bool = False) -> Differentiable:
    """In float32, or `exact`: in float64 where it fits. With LoRA only the adapter's parameters count; the base model
    gets the fresh adapter that this generation's training begins with."""
    import torch

    lora = subject.config.training.method == "lora"
    torch.manual_seed(subject.phase.random)
    here = load(policy, subject.config.model, torch.float32, keep_adapter=lora)
    model: Any = here.model
    if lora and not policy.adapter:
        model = with_lora(model, subject.config.training)
    fits = sum(parameter.numel() for parameter in model.parameters()) <= LARGEST_IN_FLOAT64
    dtype = torch.float64 if exact and fits else torch.float32
    parameters = [parameter for parameter in model.to(dtype).eval().parameters() if parameter.requires_grad]
    return Differentiable(
        replace(here, model=model),
        parameters,
        str(dtype).removeprefix("torch."),
    )


def example(answer: Answer, weight: float = 1.0) -> Example:
    ids = answer.prompt + answer.tokens
    return Example(answer.trace_id, ids, ((len(answer.prompt), len(ids)),), weight)


def objective_gradient(
    at: Differentiable, rows: Sequence[Example], normaliser: float, temperature: float = 1.0
) -> "torch.Tensor":
    """Gradient of the trainer's weighted log-likelihood, negative loss, of one batch, (P,).

    The trainer's is at temperature 1; that of what is sampled at another one divides the logits by it.
    """
    import torch

    batch = collate(rows, at.here.pad_id).to(at.here.device)
    model: Any = at.here.model
    with no_narrowing():
        logits = model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
    loss = weighted_nll(token_logprobs(logits / temperature, batch.ids), batch.loss_mask, batch.weights, normaliser)
    found = torch.autograd.grad(loss, at.parameters, allow_unused=True)
    return -torch.cat(
        [
            (torch.zeros_like(parameter) if one is None else one).flatten()
            for one, parameter in zip(found, at.parameters, strict=True)
        ]
    )


def no_narrowing() -> "TorchFunctionMode":
    """Within it, what is in float64 stays so: most models take their norms in float32 whatever they are loaded in."""
    import torch
    from torch.overrides import TorchFunctionMode

    class NoNarrowing(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            wide = isinstance(args[0] if args else None, torch.Tensor) and args[0].dtype is torch.float64
            if wide and (
                func is torch.Tensor.float
                or (func is torch.Tensor.to and any(one is torch.float32 for one in args[1:]))
            ):
                return args[0]
            return func(*args, **(kwargs or {}))

    return NoNarrowing()


def sums(
    at: Differentiable,
    answers: Sequence[Answer],
    coefficients: "Sequence[npt.ArrayLike]",
    temperature: float = 1.0,
) -> "torch.Tensor":
    """sum_j c_ej grad log p(y_j | x_j) of each estimator e, by half and group: (E, H, K, P).

    p: the policy at `temperature`; fine-tuning follows it at 1, whatever the answers were sampled at.

    coefficients: E rows, each with one number per answer. Answers that no estimator counts cost nothing.
    """
    import numpy as np
    import torch

    table = np.asarray(coefficients, dtype=float)  # (E, answers)
    dtype = at.parameters[0].dtype
    out = torch.zeros(len(table), 2, GROUPS, at.size, dtype=dtype, device=at.here.device)
    for j, answer in enumerate(answers):
        if table[:, j].any():
            gradient = objective_gradient(at, [example(answer)], 1.0, temperature)
            for estimator in np.flatnonzero(table[:, j]):
                out[estimator, answer.half, answer.group].add_(gradient, alpha=float(table[estimator, j]))
    return out


def cosine(a: "torch.Tensor", b: "torch.Tensor") -> float | None:
    """Of two sums on the same answers, (H, K, P) or (P,); None where one is zero."""
    (aa, ab), (_, bb) = _of_totals(a, b)
    return ab / (aa * bb) ** 0.5 if aa and bb else None


def norm_ratio(a: "torch.Tensor", b: "torch.Tensor") -> float | None:
    (aa, _), (_, bb) = _of_totals(a, b)
    return (aa / bb) ** 0.5 if bb else None


def _of_totals(*sums: "torch.Tensor") -> list[list[float]]:
    """Inner products of the sums over everything, each with each."""
    found: list[list[float]] = _products(*(one.reshape(-1, one.shape[-1]).sum(0)[None] for one in sums)).tolist()
    return found


def _products(*rows: "torch.Tensor") -> "npt.NDArray[np.float64]":
    """Inner products of all rows (M_i, P), each with each, added up in float64: (M, M)."""
    import torch

    count = sum(map(len, rows))
    total = torch.zeros(count, count, dtype=torch.float64, device=rows[0].device)
    for parts in zip(*(torch.split(some, COLUMNS_AT_ONCE, dim=1) for some in rows), strict=True):
        part = torch.cat(parts).double()
        total += part @ part.T
    return total.cpu().numpy()


def compare(a: "torch.Tensor", b: "torch.Tensor", *, halves: bool = True) -> Comparison:
    """a, b: (H, K, P). The halves of b are independent; `halves`: those of a are as well.

    Of independent b_0, b_1 with the same mean, b_0 . b_1 estimates the squared length of that mean without the noise
    that is in |b|^2. Standard errors: jackknife over groups of tasks.
    """
    import numpy as np

    size = a.shape[-1]
    products = _products(a.reshape(-1, size), b.reshape(-1, size)).reshape(2, 2, GROUPS, 2, 2, GROUPS)
    everything = np.arange(GROUPS)
    value = _figures(products, everything, halves)
    left_out = [_figures(products, np.delete(everything, k), halves) for k in range(GROUPS)]
    cells: list[float | None] = []
    for i, figure in enumerate(value):
        error = _jackknife([figures[i] for figures in left_out])
        cells += [None if error is None else figure, error]
    return Comparison(*cells)


def _figures(products: "npt.NDArray[np.float64]", groups: "npt.NDArray[np.intp]", halves: bool) -> list[float | None]:
    """[cosine, clean cosine, norm ratio] from the products of (set, half, group) with (set, half, group)."""
    import numpy as np

    kept = products[:, :, groups][..., groups].sum(axis=(2, 5))  # (set, half, set, half)
    across, own = kept[0, :, 1, :].sum(), kept[0, :, 0, :].sum()
    clean_a, clean_b = 4 * kept[0, 0, 0, 1], 4 * kept[1, 0, 1, 1]
    if clean_b <= 0 or own <= 0:
        return [None, None, None]
    cosine = float(across / np.sqrt(own * clean_b))
    if not halves:
        return [cosine, None, float(np.sqrt(own / clean_b))]
    if clean_a <= 0:
        return [cosine, None, None]
    return [cosine, float(across / np.sqrt(clean_a * clean_b)), float(np.sqrt(clean_a / clean_b))]


def _jackknife(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    mean = sum(known) / len(known)
    return float(((len(known) - 1) / len(known) * sum((value - mean) ** 2 for value in known)) ** 0.5)
