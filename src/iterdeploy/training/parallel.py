"""One model trained by several processes through `accelerate`: each holds it whole and gradients are summed (DDP), or
each holds its part of every weight, gradient and optimiser state (FSDP) and borrows a layer's others while it computes.

A pass goes through one module around the model and its loss, so that what is outside the layers (embedding, last norm,
output layer) is gathered once per pass, into however many pieces the logits are cut. Both ways average gradients over
the processes; a loss is multiplied by their number before its backward pass.

Whole tensors go through here, too: what is written looks the same, however many processes hold it.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from iterdeploy.config import TrainingConfig
from iterdeploy.models.output_layer import without_adapter
from iterdeploy.training.forward import Forward
from iterdeploy.training.ranks import Ranks

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from iterdeploy.training.batching import Batch


def prepare(forward: Forward, optimiser: "torch.optim.Optimizer", config: TrainingConfig, ranks: Ranks) -> Forward:
    """The forward pass through all processes; the model and the optimiser are changed in place. The old
    parameters are replaced: do not keep references to them."""
    if ranks.world == 1:
        return forward
    _ = forward.output_layer  # found by running the model, which must happen before sharding
    accelerator = _sharding(forward) if config.sharding == "full" else _replicating(forward)
    module, _ = accelerator.prepare(_module(forward), optimiser)
    return replace(forward, module=module)


def _module(forward: Forward) -> "torch.nn.Module":
    import torch

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = forward.model

        def forward(self, batch: "Batch") -> "torch.Tensor":
            return forward.logprobs(batch)

    return Module()


def _replicating(forward: Forward) -> "Accelerator":
    """Gradients are summed parameter by parameter: larger pieces are cut anew after the first step, so that training
    which goes on from a checkpoint would add in another order."""
    from accelerate import DistributedDataParallelKwargs

    pieces = DistributedDataParallelKwargs(bucket_cap_mb=0, gradient_as_bucket_view=True)
    return _accelerator(forward, kwargs_handlers=[pieces])


def _sharding(forward: Forward) -> "Accelerator":
    from accelerate import DistributedType, FullyShardedDataParallelPlugin

    layers = {type(module).__name__ for module in forward.model.modules()}
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=sorted(layers & set(without_adapter(forward.model)._no_split_modules or ())),
    )
    accelerator = _accelerator(forward, fsdp_plugin=plugin)
    # Without a GPU `accelerate` passes the plugin over, but what it calls in torch works there.
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin
    return accelerator


def _accelerator(forward: Forward, **how: Any) -> "Accelerator":
    import torch
    from accelerate import Accelerator

    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # else it changes their number
    return Accelerator(cpu=forward.here.device == "cpu", **how)


def summing(forward: Forward, last: bool) -> AbstractContextManager[None]:
    """Around a pass: processes that hold the whole model sum their gradients in the last pass of a step only; those
    that hold parts of it do in every pass, as no more than a part of the gradient fits."""
    if last or not hasattr(forward.module, "no_sync"):
        return nullcontext()
    within: AbstractContextManager[None] = forward.module.no_sync()
    return within


def clip(parameters: "Sequence[torch.nn.Parameter]", most: float) -> float:
    """Scales the gradient down to that norm, and returns the norm that it had."""
    import torch

    norm: Any = torch.nn.utils.clip_grad_norm_(parameters, most)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def whole(tensor: "torch.Tensor", ranks: Ranks) -> "torch.Tensor":
    """The tensor of which each process holds a part, on the first one; empty on the others. All have to call this."""
    tensor = tensor.detach()
    if not hasattr(tensor, "full_tensor"):
        return tensor
    full: torch.Tensor = tensor.full_tensor()
    return full.cpu() if ranks.first else full.new_empty(0)


def part(tensor: "torch.Tensor", like: Any) -> "torch.Tensor":
    """This process's part of the tensor, held as it holds the tensor `like`. All have to call this."""
    if not hasattr(like, "placements"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def whole_model(model: Any, ranks: Ranks) -> "dict[str, torch.Tensor]":
    """What is trained of the model, and its buffers, by name, whole on the first process; tied ones are one tensor."""
    import torch

    held = model.state_dict(keep_vars=True)
    frozen = {name for name, value in held.items() if isinstance(value, torch.nn.Parameter) and not value.requires_grad}
    found = {id(value): whole(value, ranks) for name, value in held.items() if name not in frozen}
    return {name: found[id(value)] for name, value in held.items() if name not in frozen}


def whole_optimiser(optimiser: "torch.optim.Optimizer", ranks: Ranks) -> dict[str, Any]:
    """The optimiser's state as one process would have it, on the first one."""
    state = optimiser.state_dict()
    by_parameter = {
        number: {key: whole(value, ranks) for key, value in held.items()} for number, held in state["state"].items()
    }
    return {**state, "state": by_parameter}


def load_optimiser(optimiser: "torch.optim.Optimizer", state: dict[str, Any]) -> None:
    """Puts the optimiser into a state that `whole_optimiser` gave."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    by_parameter = {
        number: {
            key: part(value, parameters[number]) if value.shape == parameters[number].shape else value
            for key, value in held.items()
        }
        for number, held in state["state"].items()
    }
    optimiser.load_state_dict({**state, "state": by_parameter})
