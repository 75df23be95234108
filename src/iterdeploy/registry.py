"""The doors for other people's code: how a name in a configuration becomes an object.

A name is one of four things, looked up in this order:

    "sums.py:Sums"           an object in a Python file; a configuration's relative path starts from its own folder
    "mypackage.tasks:Sums"   an object in a module that can be imported
    "planning"               one of the package's own
    "sums"                   an entry point that an installed package declares, of a group such as iterdeploy.tasksets

The package's own objects are written as paths too, so nothing is imported before it is asked for.
"""

import hashlib
import sys
import traceback
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from iterdeploy.config import RunConfig
from iterdeploy.sections import ConfigError

KINDS = ("tasksets", "samplers", "trainers", "policies", "features", "redactors")
"""Entry points are in groups "iterdeploy.tasksets" and so on."""
DOORS = "package.module:object, path/to/file.py:object"


def find(name: str, known: Mapping[str, object], group: str, key: str) -> Any:
    """The object that `name` means. ConfigError, which blames the configuration's `key`, if there is none.

    `known`: the package's own objects, each itself or as "module:object". `group`: of entry points; its last part says
    in an error what was looked for.
    """
    if ":" in name:
        return _at(name, key)
    if name in known:
        value = known[name]
        return _at(value, key) if isinstance(value, str) else value
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except Exception as error:
            raise ConfigError(f"{key}: the entry point {name!r} ({entry.value}) fails: {described(error)}") from error
    close = get_close_matches(name, names(known, group), n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(
        f"{key}: {name!r} is unknown; {meant}There are {', '.join(names(known, group))}; your own is {DOORS}"
    )


def options(made: Any, given: Mapping[str, Any], section: str) -> Any:
    """The options of an object: `given` as the model named Options, of the object or its module, checks them; without
    a model, as they are. ConfigError, which blames the configuration's `section`, for what the model refuses."""
    model = getattr(made, "Options", None) or getattr(sys.modules.get(made.__module__), "Options", None)
    if model is None:
        return dict(given)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = [f"{'.'.join([section, *map(str, one['loc'])])}: {one['msg']}" for one in error.errors()]
        raise ConfigError("; ".join(wrong)) from None


def names(known: Mapping[str, object], group: str) -> list[str]:
    """The package's own names, then those of installed entry points."""
    return [*known, *sorted(entry.name for entry in entry_points(group=group) if entry.name not in known)]


def file_of(name: str) -> Path | None:
    """The Python file that a name such as "sums.py:Sums" has its object from; None for every other name."""
    path, colon, _ = name.rpartition(":")
    return Path(path) if colon and path.endswith(".py") else None


def code_files(config: RunConfig) -> dict[str, str]:
    """File -> SHA-256 of the user's code: what the configuration names by file, module or entry point, and what that
    has imported so far from the same folder or package."""
    names = [config.tasks.kind, config.sampling.sampler, config.training.trainer, *config.curation.policies]
    if config.deployment:
        names.append(config.deployment.redact)
    plugins = {entry.name: entry.value for kind in KINDS for entry in entry_points(group=f"iterdeploy.{kind}")}
    files: set[Path] = set()
    for place in (place for name in names for place in _places(name, plugins)):
        if place.endswith(".py"):
            named = Path(place)
            files |= {named, *(path for path in _loaded().values() if path.parent == named.parent)}
        else:
            package = place.partition(".")[0]
            files |= {path for module, path in _loaded().items() if module.partition(".")[0] == package}
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files) if path.is_file()}


def _places(name: str, plugins: Mapping[str, str]) -> list[str]:
    """The files or modules that a name, or a curation policy with arguments, has objects from. `plugins`: name of an
    entry point -> "module:object".

    >>> _places("prefer(sums.py:digits, 2)", {}), _places("valid", {}), _places("first", {"first": "own.keep:first"})
    (['sums.py'], [], ['own.keep'])
    """
    parts = [part.strip() for part in name.replace("(", ",").rstrip(")").split(",")]
    return [path.rpartition(":")[0] for part in parts if ":" in (path := plugins.get(part, part))]


def _loaded() -> dict[str, Path]:
    """Module -> file of everything that is imported."""
    found = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return {name: Path(file) for name, file in found.items() if file}


def _at(name: str, key: str) -> Any:
    where, _, attribute = name.rpartition(":")
    path = file_of(name)
    module = file_module(path, key) if path else _module(where, key)
    try:
        value: Any = module
        for part in attribute.split("."):
            value = getattr(value, part)
    except AttributeError:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"{key}: {where} has no {attribute!r}; it defines {', '.join(public) or 'nothing'}") from None
    return value


def _module(name: str, key: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        raise ConfigError(f"{key}: the module {name} cannot be imported: {described(error)}") from error


def file_module(path: Path, key: str) -> ModuleType:
    """The module that a Python file makes when it is executed, which happens once for each content."""
    path = path.expanduser().absolute()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error.strerror}") from None
    try:
        return _executed(path, digest)
    except Exception as error:
        raise ConfigError(f"{key}: {path} cannot be loaded: {described(error)}") from error


@cache
def _executed(path: Path, digest: str) -> ModuleType:
    """The module, registered for dataclasses and pickle. Its folder comes last on the path, for what it imports."""
    name = f"iterdeploy_file_{path.stem}_{digest[:8]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def described(error: Exception) -> str:
    """The error with the line that raised it, where that is known."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
