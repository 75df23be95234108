"""The documentation site: it builds without a warning, asks nobody for anything, and its examples are sound."""

import ast
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from helpers import chromium
from helpers.support import ROOT
from iterdeploy.cli.parser import parser
from iterdeploy.config import RunConfig
from iterdeploy.config_errors import keys
from iterdeploy.pretraining.config import PretrainConfig

PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCKS = [
    pytest.param(kind, text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in [*PAGES, ROOT / "README.md"]
    for number, (kind, text) in enumerate(re.findall(r"^```(\w+)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
]


class Links(HTMLParser):
    """Where a page points: what it loads, what it links to, and its own anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := values.get(key))}
        for key in ("src", "data", "poster", "srcset"):
            self.loaded += [values[key] or ""] if key in values else []
        if "href" in values:
            (self.linked if tag == "a" else self.loaded).append(values["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page.read_text("utf-8")) for page in site.rglob("*.html")}


@pytest.mark.slow
def test_every_page_is_in_the_site_and_none_loads_anything_from_elsewhere(site: Path, pages: dict[Path, Links]) -> None:
    for page in PAGES:
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()
    for page, links in pages.items():
        for target in links.loaded:
            assert not re.match(r"(https?:)?//", target), f"{page.name} loads {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", sheet.read_text("utf-8")), f"{sheet.name} loads from elsewhere"


@pytest.mark.slow
def test_every_link_and_anchor_of_the_site_leads_somewhere(site: Path, pages: dict[Path, Links]) -> None:
    broken = []
    for page, links in pages.items():
        if page.name == "404.html":
            continue
        for target in links.linked + links.loaded:
            path, anchor = urldefrag(target)
            if re.match(r"[a-z]+:", path):
                continue
            place = (page.parent / unquote(path)).resolve() if path else page
            place = place / "index.html" if place.is_dir() else place
            if not place.exists() or (
                anchor and place.suffix == ".html" and unquote(anchor) not in pages[place].anchors
            ):
                broken.append(f"{page.relative_to(site)}: {target}")
    assert not broken


@pytest.mark.slow
def test_the_reference_has_every_key_and_every_command(site: Path) -> None:
    configuration = (site / "reference/configuration.html").read_text("utf-8")
    for key in keys(RunConfig):
        assert f"<code>{key.rpartition('.')[2]}</code>" in configuration or f"[{key}]" in configuration, key
    commands = (site / "reference/commands.html").read_text("utf-8")
    for name in re.findall(r"^    (\w+) +", parser().format_help(), re.M):
        assert f"iterdeploy {name}" in commands


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_a_block_of_code_is_what_it_says(kind: str, text: str) -> None:
    if kind == "python":
        ast.parse(text)
    elif kind == "toml":
        said = tomllib.loads(text)
        known = set(keys(PretrainConfig if "demonstrations" in said else RunConfig))
        for section, values in said.items():
            names = [f"{section}.{key}" for key in values] if isinstance(values, dict) else [section]
            assert [name for name in names if name not in known] == []
    elif kind == "console":
        for line in re.findall(r"^\$ (iterdeploy .*)$", text, re.M):
            words = shlex.split(line, comments=True)[1:]
            if words != ["--version"]:
                parser().parse_args(words)


def test_there_is_something_to_check() -> None:
    assert len(BLOCKS) > 30 and {"python", "toml", "console"} <= {block.values[0] for block in BLOCKS}


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """The site as a web server shows it."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
@chromium.NEEDED
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_every_page_is_quiet_accessible_and_fits_a_telephone(
    site: Path, address: str, scheme: str
) -> None:
    axe = chromium.axe()
    troubles: list[str] = []
    with chromium.started() as browser:
        page = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(f"{said.type}: {said.text}"))
        page.on("request", lambda request: troubles.append(request.url) if outside(request.url, address) else None)
        for file in sorted(site.rglob("*.html")):
            name = str(file.relative_to(site))
            page.goto(address + name)
            too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert (name, too_wide) == (name, 0)
            found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})["violations"]
            violations = [(item["id"], item["nodes"][0]["html"]) for item in found]
            assert (name, violations) == (name, []) or name == "404.html"
        page.goto(address + "index.html")
        page.keyboard.press("/")
        page.keyboard.type("frontier")
        page.wait_for_selector(".md-search-result__link")
    assert troubles == []


def outside(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))
