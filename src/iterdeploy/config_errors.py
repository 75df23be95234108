"""What a configuration that does not pass its checks is reproached with: who says it, which key, what is wrong."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from iterdeploy.sections import ConfigError, Section
from iterdeploy.wording import did_you_mean_key, short

MOST_ERRORS = 8
"""In one message."""


@dataclass(frozen=True)
class Layer:
    """Some keys, and who says them: a file, or one override."""

    origin: str
    values: dict[str, Any]
    depth: int = sys.maxsize
    """Sections that it changes in part; what lies deeper, it replaces as a whole."""
    override: bool = False


def keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    """Every section and key of a configuration, dotted."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if inner := _section(field.annotation):
            yield from keys(inner, f"{prefix}{name}.")


def explained(error: ValidationError, model: type[Section], layers: Sequence[Layer]) -> ConfigError:
    """The first errors, one for each key, with the layer that is to blame."""
    found: dict[str, str] = {}
    for problem in error.errors():
        names = _key(model, [str(part) for part in problem["loc"]])
        if problem["type"] == "extra_forbidden":
            names = _to_the_end(names, layers)
            why = f"no such key{did_you_mean_key('.'.join(names), keys(model))}"
        else:
            why = _explain(problem)
        found.setdefault(".".join(names), _blame(names, why, layers))
    messages = list(found.values())
    more = [f"and {len(messages) - MOST_ERRORS} more"] if len(messages) > MOST_ERRORS else []
    return ConfigError("; ".join([*messages[:MOST_ERRORS], *more]))


def _section(annotation: object) -> type[Section] | None:
    kinds = get_args(annotation) or (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _key(model: type[Section], names: Sequence[str]) -> list[str]:
    """The key that an error is about; after one of several types the library names which of them it tried."""
    inner: type[Section] | None = model
    for place, name in enumerate(names):
        if inner is None or name not in inner.model_fields:
            break
        annotation = inner.model_fields[name].annotation
        inner = _section(annotation)
        if inner is None and len(get_args(annotation)) > 1 and not hasattr(annotation, "__origin__"):
            return list(names[: place + 1])
    return list(names)


def _to_the_end(names: Sequence[str], layers: Sequence[Layer]) -> list[str]:
    """The whole of an unknown key, whose error names the first part alone, as far as one layer says just one."""
    whole = list(names)
    values = next(_at(layer, names) for layer in reversed(layers) if _says(layer, names))
    while isinstance(values, Mapping) and len(values) == 1:
        ((name, values),) = values.items()
        whole.append(name)
    return whole


def _blame(names: Sequence[str], why: str, layers: Sequence[Layer]) -> str:
    key = ".".join(names) or "the file"
    saying = [layer for layer in layers if _says(layer, names)]
    if saying and not isinstance(_at(saying[-1], names), Mapping):
        origin = saying[-1].origin
        return f"{origin}: {why}" if origin.startswith(f"--set {key}=") else f"{origin}: {key}: {why}"
    file = next((layer.origin for layer in reversed(layers) if not layer.override), "the configuration")
    return f"{' with '.join([file, *(layer.origin for layer in saying if layer.override)])}: {key}: {why}"


def _says(layer: Layer, names: Sequence[str]) -> bool:
    """Whether the layer holds that key, or puts something else in the place of a section above it."""
    values: object = layer.values
    for name in names:
        if not isinstance(values, Mapping):
            return True
        if name not in values:
            return False
        values = values[name]
    return True


def _at(layer: Layer, names: Sequence[str]) -> object:
    values: object = layer.values
    for name in names:
        if not isinstance(values, Mapping):
            break
        values = values[name]
    return values


def _explain(problem: Any) -> str:
    given, message = problem.get("input"), str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return "this key is required"
    if problem["type"] in ("model_type", "model_attributes_type"):
        return f"a section with keys of its own, not {short(repr(given))}"
    if isinstance(given, dict):
        return message if problem["type"] == "value_error" else f"{message}, not a section"
    return message if repr(given) in message else f"{message}, not {short(repr(given))}"
