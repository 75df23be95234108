"""Makes the notebook of a script whose cells begin with `# %%`: python -m helpers.notebook ../examples/explore.py"""

import json
import sys
from pathlib import Path
from typing import Any

CELL = "# %%"


def notebook(script: str) -> str:
    """The script's docstring as text, then a heading and the code of each cell."""
    head, *parts = script.split(f"\n{CELL} ")
    cells = [_cell("markdown", "text", head.strip().strip('"').strip())]
    for number, part in enumerate(parts):
        title, _, code = part.partition("\n")
        cells += [_cell("markdown", f"title-{number}", f"## {title}"), _cell("code", f"code-{number}", code.strip())]
    made = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, name: str, source: str) -> dict[str, Any]:
    extra = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": name, "metadata": {}, **extra, "source": source.splitlines(keepends=True)}


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.with_suffix(".ipynb").write_text(notebook(path.read_text(encoding="utf-8")), encoding="utf-8")
