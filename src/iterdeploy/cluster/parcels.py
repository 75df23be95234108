"""Folders on their way to the nodes and back: their files lie in Ray's object store, so nobody shares a file system."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.sections import UserError
from iterdeploy.types import Policy

if TYPE_CHECKING:
    from ray import ObjectRef

Files = Mapping[str, bytes]
"""Path below the folder -> content."""


class ParcelError(UserError):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Parcel:
    digests: Mapping[str, str]
    """File -> SHA-256 of its content."""
    files: "Mapping[str, ObjectRef[bytes]]"

    def unpack(self, folder: Path) -> Path:
        """The folder with all files, of which one at a time is in memory. ParcelError if one is not what was sent."""
        import ray

        for name, reference in self.files.items():
            write(folder, {name: ray.get(reference)}, self.digests)
        return folder


@dataclass(frozen=True)
class PolicyParcel:
    policy: Policy
    """As its folders are called where it was packed."""
    base: Parcel
    weights: Parcel | None

    def unpack(self, folder: Path) -> Policy:
        base = self.base.unpack(folder / "base")
        weights = str(self.weights.unpack(folder / "weights")) if self.weights else None
        return replace(self.policy, base_model=str(base), weights=weights)


def packed(policy: Policy) -> PolicyParcel:
    """The policy's folders in the object store; those of the last few policies are still there."""
    return PolicyParcel(policy, _packed(policy.base_model), _packed(policy.weights) if policy.weights else None)


@lru_cache(2)  # the base model and one generation
def _packed(folder: str) -> Parcel:
    import ray

    digests, files = {}, {}
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        name, content = str(path.relative_to(folder)), path.read_bytes()
        digests[name], files[name] = digest(content), ray.put(content)
    return Parcel(digests, files)


def forget() -> None:
    """Of a cluster that is left."""
    _packed.cache_clear()


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write(folder: Path, files: Files, digests: Mapping[str, str]) -> None:
    """Writes files that came from elsewhere. ParcelError if one is not what was sent."""
    for name, content in files.items():
        if digest(content) != digests[name]:
            raise ParcelError(f"{name} arrived on another node with another content: its network or memory has faults")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
