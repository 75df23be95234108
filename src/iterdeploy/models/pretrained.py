"""What a model's folder says of its pretraining: `pretraining.json`, which `iterdeploy pretrain` writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iterdeploy.models.loading import embedded_models


@dataclass(frozen=True)
class Pretraining:
    """What a model was shown; nothing where nobody says."""

    sizes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Domain -> sizes of its tasks, ascending."""
    tasks: frozenset[str] = frozenset()
    """Digests (`planning.parsed.content`) of the tasks that came from a user's files."""


def pretraining_of(model: str) -> Pretraining:
    """Of a model by its name or folder, if it is still there and says it in the form that we know."""
    path = embedded_models().get(model, Path(model)) / "pretraining.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        sizes = {str(domain): tuple(sorted(some)) for domain, some in said["sizes"].items()}
        return Pretraining(sizes, frozenset(map(str, said.get("tasks", ()))))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return Pretraining()
