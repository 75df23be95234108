"""The architecture, enforced on the source itself: who may import whom, and that nothing heavy is imported early."""

import ast
import doctest
import importlib
import runpy
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import iterdeploy
from helpers.support import HEAVY, ROOT, watched

PACKAGE = Path(iterdeploy.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

DOCS = runpy.run_path(str(ROOT / "docs" / "rooms.py"))
"""The program that reads the tables of docs/architecture.md and draws them."""
ROOMS: dict[str, frozenset[str]] = DOCS["table"]("## The rooms")
REPORT: dict[str, frozenset[str]] = DOCS["table"]("### Inside the report")
GROUND: frozenset[str] = frozenset(DOCS["GROUND"])


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


def imported(module: str) -> set[str]:
    """The modules of this package that a module imports, anywhere in it: their names in `MODULES`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        names = {name.removeprefix("iterdeploy.") for name in imports(node, module) if name.startswith("iterdeploy.")}
        modules = names & set(MODULES)
        if len(modules) == len(names) > 1:  # `from iterdeploy.report import numbers` means the module alone
            modules.remove(min(modules, key=len))
        found |= modules
    return found - {module}


def arrows(folder: str = "") -> dict[str, set[str]]:
    """Who imports whom of the rooms in the package, or of the parts of one of its folders."""
    inside = f"{folder}." if folder else ""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        if module.startswith(inside) and not (own := room(module.removeprefix(inside))).startswith("__"):
            others = {other.removeprefix(inside) for other in imported(module) if other.startswith(inside)}
            found.setdefault(own, set()).update({room(other) for other in others} - {own})
    return found


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
    assert {"config", "config_file", "record.store"} <= imported("record.run_dir")
    assert "models.loading" in imported("samplers.transformers")
    assert {"api.start", "console.progress"} <= imported("cli.run"), "imports inside functions count as well"


@pytest.mark.parametrize(
    ("folder", "table", "ground"), [("", ROOMS, GROUND), ("report", REPORT, frozenset())], ids=["rooms", "report"]
)
def test_the_tables_name_every_room_with_exactly_what_it_imports(
    folder: str, table: Mapping[str, frozenset[str]], ground: frozenset[str]
) -> None:
    found = {name: others - ground for name, others in arrows(folder).items()}
    assert set(found) == set(table), "the rooms that docs/architecture.md names are those of the source"
    assert {name: (sorted(found[name] - table[name]), sorted(table[name] - found[name])) for name in table} == {
        name: ([], []) for name in table
    }, "room -> imports that docs/architecture.md does not allow, imports that it names and that are not there"


def test_the_ground_floor_imports_nothing_above_it_and_pddl_stands_alone() -> None:
    found = arrows()
    assert not set().union(*(found[name] for name in GROUND)) - GROUND
    assert not found["pddl"]


@pytest.mark.parametrize("graph", [arrows(), arrows("report"), {name: imported(name) for name in MODULES}])
def test_nobody_imports_in_a_circle(graph: Mapping[str, set[str]]) -> None:
    TopologicalSorter(graph).prepare()


def test_the_picture_of_the_rooms_is_the_one_that_its_program_draws() -> None:
    drawn = (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8")
    assert drawn == DOCS["picture"](ROOMS), "python docs/rooms.py draws it anew"


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
