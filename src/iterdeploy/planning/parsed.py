"""Parsed PDDL by its text, so that a task is parsed once and judges thousands of answers; and a user's own files."""

from functools import lru_cache
from glob import glob
from pathlib import Path

from iterdeploy.pddl import Domain, PddlError, Problem
from iterdeploy.pddl.conditions import conjuncts, show
from iterdeploy.sections import ConfigError
from iterdeploy.types import content_hash


@lru_cache(maxsize=64)
def domain_of(text: str) -> Domain:
    return Domain.parse(text)


@lru_cache(maxsize=20_000)
def problem_of(text: str, domain_text: str) -> Problem:
    return Problem.parse(text, domain_of(domain_text))


def content(problem: Problem) -> str:
    """A digest that all texts of one task share, whatever its name, its comments and the order of its facts."""
    return content_hash(
        sorted(problem.objects.items()),
        sorted(problem.init),
        sorted([(function, str(value)) for function, value in problem.values.items()]),
        sorted(map(show, conjuncts(problem.goal))),
    )


def read_domain(path: Path, key: str) -> str:
    """Text of the domain file. ConfigError, naming `key` and the file, if it cannot be read or parsed."""
    text = _read(path, key)
    try:
        domain_of(text)
    except PddlError as error:
        raise ConfigError(f"{key}: {path}: {error}") from None
    return text


def read_problem(path: Path, domain_text: str, key: str) -> str:
    """Text of the problem file; otherwise as `read_domain`."""
    text = _read(path, key)
    try:
        problem_of(text, domain_text)
    except PddlError as error:
        raise ConfigError(f"{key}: {path}: {error}") from None
    return text


def problem_paths(pattern: str, domain_file: str, key: str) -> list[Path]:
    """The files of the pattern without the domain's, in the order of their names. ConfigError if there are none."""
    apart = Path(domain_file).resolve()
    found = [Path(name) for name in sorted(glob(pattern, recursive=True))]
    files = [path for path in found if path.is_file() and path.resolve() != apart]
    if not files:
        raise ConfigError(f"{key}: no problem file matches {pattern} (relative paths start from {Path.cwd()})")
    return files


def _read(path: Path, key: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror} (relative paths start from {Path.cwd()})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{key}: {path}: not a text file in UTF-8") from None
