"""What the site adds to the Markdown files: references made from the code, and links that stay inside the site."""

import argparse
import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("config.py", "config_sampling.py", "config_deployment.py")
CONFIG = [ROOT / "src" / "iterdeploy" / name for name in NAMES]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for place, text in (("reference/commands.md", commands()), ("reference/configuration.md", configuration())):
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files that are not part of the site become their names."""

    def inside(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        here = Path(page.file.src_uri).parent
        place = (ROOT / "docs" / here / target.partition("#")[0]).resolve()
        if place.is_relative_to(ROOT / "docs") and place.suffix != ".py":
            return match[0]
        return f"{text} (`{place.relative_to(ROOT)}`)"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(((?!https?:|#)[^)\s]+)\)", inside, markdown)


def commands() -> str:
    """Every command with its arguments, from the parser itself."""
    from iterdeploy.cli.parser import parser

    lines = ["# Commands", "", "This page is made from the program; `iterdeploy COMMAND --help` prints the same.", ""]
    for name, command in subcommands(parser()):
        lines += [f"## {name}", "", html.escape(command.description or ""), ""]
        lines += ["```text", re.sub(r"\s+", " ", command.format_usage()).strip(), "```", ""]
        rows = [row(action) for action in command._actions if action.help != "show this help message and exit"]
        if rows:
            lines += ["| argument | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that do something, with their full names."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser.prog, parser
    for group in groups:
        for command in group.choices.values():
            yield from subcommands(command)


def row(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    if action.option_strings and action.nargs != 0:
        name += " " + str(action.metavar or "{" + ",".join(map(str, action.choices or ())) + "}")
    return f"| `{cell(name)}` | {cell(html.escape(action.help or ''))} |"


def configuration() -> str:
    """Every key with its type, default and meaning: the docstrings of the models that check it."""
    nodes = [node for path in CONFIG for node in ast.parse(path.read_text("utf-8")).body]
    sections = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    lines = [
        "# Configuration",
        "",
        "A configuration is a TOML file. Every key can also be set on the command line: `--set training.epochs=3`. "
        "Unknown keys are refused. This page is made from the code that checks them.",
        "",
    ]
    top = sections["RunConfig"]
    nested = [(key, found) for key, kind, _, _ in fields(top) if (found := kind.removesuffix(" | None")) in sections]
    plain = [field for field in fields(top) if field[0] not in dict(nested)]
    lines += ["## Top level", "", *table(plain)]
    for key, kind in nested:
        about = ast.get_docstring(sections[kind])
        lines += [f"## [{key}]", "", *([" ".join(about.split()), ""] if about else []), *table(fields(sections[kind]))]
    return "\n".join(lines)


def fields(section: ast.ClassDef) -> list[tuple[str, str, str, str]]:
    """Name, type, default and docstring of every field."""
    found: list[tuple[str, str, str, str]] = []
    for node, after in zip(section.body, [*section.body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        found.append((node.target.id, ast.unparse(node.annotation), default(node.value), " ".join(str(said).split())))
    return found


def default(value: ast.expr | None) -> str:
    """As it is written in TOML; what has no default is required."""
    if isinstance(value, ast.Call):
        if not value.args:
            factory = any(keyword.arg == "default_factory" for keyword in value.keywords)
            return "none" if factory else "required"
        value = value.args[0]
    if value is None:
        return "required"
    try:
        return toml(ast.literal_eval(value))
    except ValueError:
        return f"`{ast.unparse(value)}`"


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(toml(item).strip("`") for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def table(rows: list[tuple[str, str, str, str]]) -> list[str]:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | `{cell(kind)}` | {value} | {cell(html.escape(said, quote=False))} |"
        for name, kind, value, said in rows
    ]
    return [*lines, ""]


def cell(text: str) -> str:
    return text.replace("|", "\\|")
