"""Reads a configuration from a TOML file, with `key=value` overrides, and checks it whole before anything is loaded.

A file may say `extends = "other.toml"`: then it is the other one, which lies beside it, with some keys changed.
Errors are `ConfigError`s that name the file, the key and what would be accepted.
"""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from iterdeploy.config import ConfigError, RunConfig, Section

Checked = TypeVar("Checked", bound=Section)


def config_names() -> list[str]:
    """Names of the configurations that the package carries: "quickstart", "paper/blocksworld"."""
    root = _configs()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml"))


def find_config(name_or_path: str) -> Path:
    """The file of that path, or the packaged configuration of that name."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    if name_or_path in (names := config_names()):
        return _configs() / f"{name_or_path}.toml"
    raise ConfigError(
        f"{name_or_path}: no such file, and no packaged configuration has that name (there are: {', '.join(names)})"
    )


def _configs() -> Path:
    return Path(str(files("iterdeploy").joinpath("configs")))


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The checked configuration of a TOML file with overrides such as "training.epochs=3"."""
    return check(RunConfig, read_toml(path), overrides, str(path))


def read_toml(path: Path, extended_by: Sequence[Path] = ()) -> dict[str, Any]:
    """What the file says, on top of what the file says that it extends."""
    values = _parsed(path)
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str) or path in extended_by:
        raise ConfigError(f"{path}: extends: name one other file, which does not extend this one, not {base!r}")
    return _on_top(read_toml(path.parent / base, [*extended_by, path]), values)


def _on_top(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        both[key] = _on_top(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return both


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def check(model: type[Checked], values: dict[str, Any], overrides: Sequence[str], origin: str) -> Checked:
    """`values` with the overrides applied, as a checked `model`; `origin` names the source in errors."""
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {override}: write it as key=value, for example training.epochs=3")
        _set(values, key.strip(), _value(text.strip()), override)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {_explain(e)}" for e in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _explain(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "no such key"
    if error["type"] == "missing":
        return "this key is required"
    given = error.get("input")
    message = error["msg"].removeprefix("Value error, ")
    return message if isinstance(given, dict) or repr(given) in message else f"{message}, not {given!r}"


def _set(values: dict[str, Any], key: str, value: Any, override: str) -> None:
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override}: {section} is a value, not a section")
    values[last] = value


def _value(text: str) -> Any:
    """The TOML value, or the text itself where it is none: --set model.name=mine needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
