"""What the nodes of a cluster have room for, and what is asked of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from iterdeploy.config_sampling import ClusterConfig
from iterdeploy.sections import ConfigError


@dataclass(frozen=True, slots=True)
class Shape:
    """What a process takes of its node, or a node has."""

    cpus: float
    gpus: float

    def room(self, nodes: "Sequence[Shape]") -> int:
        """How many such processes the nodes have room for, each on one node.

        >>> Shape(2, 1).room([Shape(8, 2), Shape(3, 4), Shape(16, 0)])
        3
        """
        return sum(self._room(node) for node in nodes)

    def _room(self, node: "Shape") -> int:
        most = int(node.cpus / self.cpus)
        return min(most, int(node.gpus / self.gpus)) if self.gpus else most

    def __str__(self) -> str:
        """
        >>> str(Shape(1, 0)), str(Shape(8, 0.5)), str(Shape(2, 1))
        ('1 CPU and no GPU', '8 CPUs and 0.5 GPUs', '2 CPUs and 1 GPU')
        """
        return f"{_counted(self.cpus, 'CPU')} and {_counted(self.gpus, 'GPU') if self.gpus else 'no GPU'}"


def sampling_shape(config: ClusterConfig) -> Shape:
    return Shape(config.cpus_per_sampler, config.gpus_per_sampler)


def training_shape(config: ClusterConfig) -> Shape:
    if not config.cpus_for_training and not config.gpus_for_training:
        return sampling_shape(config)
    return Shape(config.cpus_for_training or 1.0, config.gpus_for_training)


def check_placement(config: ClusterConfig, nodes: Sequence[Shape]) -> None:
    """ConfigError that says what is missing, where the nodes have no room for what the configuration asks for."""
    sampling, training, wanted = sampling_shape(config), training_shape(config), max(1, config.samplers)
    if (room := sampling.room(nodes)) < wanted:
        raise ConfigError(
            f"cluster.samplers: {_counted(wanted, 'sampler')} with {sampling} each cannot be placed, but "
            f"{room if room else 'none'}: the cluster has {described(nodes)}. Add nodes, or ask for less "
            "(cluster.samplers, cluster.cpus_per_sampler, cluster.gpus_per_sampler)"
        )
    if not training.room(nodes):
        raise ConfigError(
            f"cluster: training takes one node with {training}, and none has that: the cluster has {described(nodes)}. "
            "Add such a node, or lower cluster.cpus_for_training or cluster.gpus_for_training"
        )


def described(nodes: Sequence[Shape]) -> str:
    """
    >>> described([Shape(1, 0), Shape(1, 0), Shape(8, 2)])
    '2 nodes with 1 CPU and no GPU, 1 node with 8 CPUs and 2 GPUs'
    """
    kinds = Counter(map(str, nodes))
    return ", ".join(f"{_counted(count, 'node')} with {kind}" for kind, count in kinds.items()) or "no node"


def _counted(number: float, name: str) -> str:
    return f"{number:g} {name}{'' if number == 1 else 's'}"
