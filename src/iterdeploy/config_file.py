"""Reads a configuration from a TOML file, with `key=value` overrides, and checks it whole before anything is loaded.

A file may say `extends = "other.toml"`: then it is the other one, in the same folder, with some keys changed. So a
configuration is a pile of layers: files, and overrides on top of them. Errors are `ConfigError`s that name the layer
that says it, the key, and what would be accepted.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from iterdeploy.config import RunConfig
from iterdeploy.config_errors import Layer, explained
from iterdeploy.sections import ConfigError, Section
from iterdeploy.wording import did_you_mean, short

MOST_FILES = 20
"""Files that extend each other."""
DEEPEST = 20
"""Sections within sections."""
LARGEST_INTEGER = 2**63
"""TOML has integers of 64 bits."""

Checked = TypeVar("Checked", bound=Section)
Values = dict[str, Any]
Overrides = Sequence[str] | Mapping[str, object]
"""Such as "training.epochs=3", or {"training.epochs": 3}."""


CODE_KEYS = ("tasks.kind", "sampling.sampler", "training.trainer", "curation.policies", "deployment.redact")
"""Keys that may name an object in a Python file."""
CODE_FILE = re.compile(r"[^\s,(:]+\.py(?=:)")


def config_names() -> list[str]:
    """Names of the configurations that the package carries: "quickstart", "paper/blocksworld"."""
    root = _configs()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml"))


def find_config(name_or_path: str) -> Path:
    """The file of that path, or the packaged configuration of that name."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = config_names()
    if name_or_path in names:
        return _configs() / f"{name_or_path}.toml"
    there = did_you_mean(name_or_path, names) or f" (there are: {', '.join(names)})"
    raise ConfigError(f"{name_or_path}: no such file, and no packaged configuration has that name{there}")


def _configs() -> Path:
    return Path(str(files("iterdeploy").joinpath("configs")))


def load_config(source: Path | RunConfig, overrides: Overrides = ()) -> RunConfig:
    """The checked configuration of a TOML file, or the one given, with some keys changed."""
    return load(RunConfig, source, overrides)


def load(model: type[Checked], source: Path | Checked, overrides: Overrides = ()) -> Checked:
    """The checked configuration of any kind, such as one of `iterdeploy pretrain`."""
    if isinstance(source, Path):
        layers = _files(source)
    else:
        layers = [Layer("the configuration", source.model_dump(mode="json", exclude_none=True))]
    if isinstance(overrides, Mapping):
        above = [_set(key, value, f"{key} = {value!r}") for key, value in overrides.items()]
    else:
        above = list(map(_override, overrides))
    return _check(model, [*layers, *above])


def read_toml(path: Path) -> Values:
    """What the file says, on top of what the file says that it extends."""
    return _merged(_files(path))


def _check(model: type[Checked], layers: Sequence[Layer]) -> Checked:
    """The layers, the lowest first, as one checked `model`."""
    try:
        return model.model_validate(_merged(layers))
    except ValidationError as error:
        raise explained(error, model, layers) from None


def _files(path: Path) -> list[Layer]:
    """The file's layer on top of those of the files that it extends."""
    found: list[Layer] = []
    while True:
        values = _parsed(path)
        base = values.pop("extends", None)
        found.insert(0, Layer(str(path), values))
        if base is None:
            return found
        above, path = path, path.parent / str(base)
        if not isinstance(base, str) or os.path.abspath(path) in [os.path.abspath(layer.origin) for layer in found]:
            raise ConfigError(f"{above}: extends must name one other file that does not extend this one, not {base!r}")
        if len(found) == MOST_FILES:
            raise ConfigError(f"{found[-1].origin}: extends: more than {MOST_FILES} files extend each other")


def _override(text: str) -> Layer:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}: write it as key=value, for example training.epochs=3")
    origin = f"--set {short(text)}"
    return _set(key.strip(), _value(value.strip(), origin), origin)


def _set(key: str, value: object, origin: str) -> Layer:
    names = key.split(".")
    if len(names) > DEEPEST:
        raise ConfigError(f"{origin}: no such key")
    values: Any = value
    for name in reversed(names):
        values = {name: values}
    return Layer(origin, with_places(_sound(values, origin), Path()), depth=len(names) - 1, override=True)


def _value(text: str, origin: str) -> Any:
    """The TOML value, or the text itself where it is none: --set model.name=mine needs no quotes."""
    try:
        values = _toml(f"value = {text}", origin)
    except tomllib.TOMLDecodeError:
        return text
    return values["value"] if len(values) == 1 else text


def _parsed(path: Path) -> Values:
    try:
        if not path.exists():
            raise ConfigError(f"{path}: cannot be read: there is no such file")
        if not path.is_file():  # reading a pipe could wait for ever
            raise ConfigError(f"{path}: cannot be read: it is not a file")
        return with_places(_sound(_toml(path.read_text(encoding="utf-8-sig"), str(path)), str(path)), path.parent)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def with_places(values: Values, folder: Path) -> Values:
    """The values in which code of the user's, such as kind = "sums.py:Sums", is named by whole paths: a relative one
    starts from `folder`."""

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(part) for part in value]
        if not isinstance(value, str):
            return value
        return CODE_FILE.sub(lambda found: str((folder / Path(found[0]).expanduser()).absolute()), value)

    return {
        section: {key: placed(value) if f"{section}.{key}" in CODE_KEYS else value for key, value in keys.items()}
        if isinstance(keys, dict)
        else keys
        for section, keys in values.items()
    }


def _toml(text: str, origin: str) -> Values:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, RecursionError):  # the interpreter's limits
        raise ConfigError(f"{origin}: a number is too long, or brackets are nested too deeply") from None


def _sound(values: Values, origin: str) -> Values:
    """The values, if everything that goes through them may rely on their depth and the size of their numbers."""
    todo: list[tuple[str, object, int]] = [("", values, 0)]
    while todo:
        key, value, depth = todo.pop()
        if depth > DEEPEST:
            raise ConfigError(f"{origin}: {short(key)}: sections or lists are nested more than {DEEPEST} deep")
        if isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            raise ConfigError(f"{origin}: {short(key)}: a whole number must fit into 64 bits")
        if isinstance(value, dict):
            todo += [(f"{key}.{name}".lstrip("."), inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            todo += [(key, inner, depth + 1) for inner in value]
    return values


def _merged(layers: Sequence[Layer]) -> Values:
    values: Values = {}
    for layer in layers:
        values = _on_top(values, layer.values, layer.depth)
    return values


def _on_top(below: Values, above: Values, depth: int) -> Values:
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if depth > 0 and isinstance(under, dict) and isinstance(value, dict):
            value = _on_top(under, value, depth - 1)
        both[key] = value
    return both
