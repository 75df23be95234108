"""The architecture, enforced on the source itself: who may import whom, and that nothing heavy is imported early."""

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import iterdeploy
from helpers.support import HEAVY, watched

PACKAGE = Path(iterdeploy.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

MIDDLE = {
    "pddl",
    "planning",
    "samplers",
    "training",
    "curation",
    "metrics",
    "record",
    "models",
    "audit",
}
ALLOWED = {
    ("planning", "pddl"),
    ("record", "config_file"),
    ("record", "metrics"),
    ("samplers", "models"),
    ("training", "models"),
    ("audit", "curation"),
    ("audit", "tables"),
}


def room(module: str) -> str:
    """The part of the package that a module belongs to: a folder or a file directly below it."""
    return module.partition(".")[0]


def imports(node: ast.AST, module: str) -> Iterator[str]:
    """Full names of the modules that an import statement may load."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            here = ["iterdeploy", *module.split(".")]
            if MODULES[module].name == "__init__.py" and module != "__init__":
                here.append("")
            base = ".".join([*here[: len(here) - node.level], *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def of_ours(module: str) -> set[str]:
    """Rooms of ours that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        for name in imports(node, module):
            parts = name.split(".")
            if parts[0] == "iterdeploy" and len(parts) > 1 and (parts[1] in MODULES or (PACKAGE / parts[1]).is_dir()):
                found.add(parts[1])
    return found - {room(module)}


def at_top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported; `if TYPE_CHECKING` blocks do not."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
            continue
        if isinstance(node, ast.stmt):
            yield node
        todo += ast.iter_child_nodes(node)


def test_the_walk_sees_the_imports_that_are_there() -> None:
    """The checks below would pass on an empty package."""
    assert len(MODULES) > 40
    assert {"config_file", "config"} <= of_ours("record.run_dir")
    assert any("pddl" in of_ours(module) for module in MODULES if room(module) == "planning")
    assert "models" in of_ours("samplers.transformers")
    assert {"loop", "steps", "report"} <= of_ours("cli.run"), "imports inside functions count, too"


def test_types_imports_nothing_of_ours_and_config_only_types() -> None:
    assert of_ours("types") == set()
    assert of_ours("config") <= {"types"}


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "pddl"])
def test_pddl_stands_alone(module: str) -> None:
    assert of_ours(module) == set()


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) in MIDDLE])
def test_a_middle_room_imports_only_what_lies_below_and_no_other_middle_room(module: str) -> None:
    allowed = {"types", "config"} | {below for above, below in ALLOWED if above == room(module)}
    assert of_ours(module) <= allowed, f"{module} imports {of_ours(module) - allowed}"


@pytest.mark.parametrize(
    "module",
    [name for name in MODULES if room(name) in {"loop", "steps"}],
)
def test_the_loop_knows_nothing_of_the_command_line(module: str) -> None:
    assert not of_ours(module) & {"cli", "report", "theory", "view"}


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "theory"])
def test_the_theory_stands_beside_the_loop_and_knows_nothing_of_command_line_or_report(module: str) -> None:
    assert not of_ours(module) & {"cli", "report"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_heavy_is_imported_with_a_module(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    heavy = {name for node in at_top_level(tree) for name in imports(node, module) if name.split(".")[0] in HEAVY}
    assert not heavy


@pytest.mark.parametrize(
    "command", [("--help",), ("--version",), ("run", "--help"), ("validate", "--help")], ids=" ".join
)
def test_help_answers_without_importing_a_library(command: tuple[str, ...]) -> None:
    done, packages = watched(*command)
    assert done.returncode == 0 and done.stdout
    assert not packages & {*HEAVY, "pydantic", "rich", "tokenizers", "sqlite3", "zstandard"}


@pytest.mark.parametrize("command", [("models",), ("run", "smoke", "--dry-run"), ("tasks", "show", "blocksworld")])
def test_light_commands_import_nothing_heavy(command: tuple[str, ...]) -> None:
    done, packages = watched(*command)
    assert done.returncode == 0, done.stderr
    assert not packages & set(HEAVY)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__main__"])
def test_the_examples_in_docstrings_have_the_results_that_they_show(module: str) -> None:
    name = "iterdeploy" if module == "__init__" else f"iterdeploy.{module}"
    assert doctest.testmod(importlib.import_module(name)).failed == 0
