"""The page of a deployment: ask, see the answer, publish, reject or correct it.

It is one file that asks nobody but this server. Its policy allows its own script and style by their hashes, and what a
model or a user wrote only ever becomes text.
"""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Page:
    html: str
    policy: str
    """The Content-Security-Policy of the page."""


@cache
def page() -> Page:
    html, style, script = (
        files(__name__).joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.replace("{style}", style).replace("{script}", script), policy)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
