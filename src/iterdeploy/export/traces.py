"""A run's traces as a data set: JSON lines, and Parquet where pyarrow is installed, for `datasets.load_dataset`.

    DIR/README.md            says to `datasets` which files are what, and documents the columns
    DIR/traces-deployed.*    every answer to a deployed task
    DIR/traces-held_out.*    every answer to a held-out task: not to be trained on
    DIR/tasks.*              every task with its own data

Rows are read from the store and written a few at a time, whatever the size of the run.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from iterdeploy.export.card import tags
from iterdeploy.export.columns import TASK_COLUMNS, Columns, Row, task_row, trace_columns, trace_row, trained_by
from iterdeploy.record.run_dir import RunDir
from iterdeploy.types import Split

ROWS_AT_ONCE = 500
TOKENS_AT_ONCE = 1_000_000
"""Rows of Parquet are written in groups of at most so many."""


def export_traces(run_dir: RunDir, out: Path) -> list[str]:
    """Writes the data set into the empty folder `out`; the suffixes of its files."""
    suffixes = ["jsonl", *(["parquet"] if find_spec("pyarrow") else [])]
    counts = {f"traces-{split.value}": 0 for split in Split} | {"tasks": 0}
    with ExitStack() as files:
        tables: dict[str, list[JsonLines | Parquet]] = {name: [] for name in counts}
        for name, suffix in product(counts, suffixes):
            table = MAKERS[suffix](out / f"{name}.{suffix}", _columns(name, run_dir))
            files.enter_context(table)
            tables[name].append(table)
        for name, row in _rows(run_dir):
            counts[name] += 1
            for table in tables[name]:
                table.write(row)
    for name in [name for name, count in counts.items() if count == 0]:
        for suffix in suffixes:
            (out / f"{name}.{suffix}").unlink()
    (out / "README.md").write_text(_card(run_dir, counts, suffixes[-1]), encoding="utf-8")
    return suffixes


def _columns(name: str, run_dir: RunDir) -> Columns:
    return TASK_COLUMNS if name == "tasks" else trace_columns(run_dir.config)


def _rows(run_dir: RunDir) -> Iterator[tuple[str, Row]]:
    """(table, row) of everything, the tasks first."""
    store = run_dir.store
    for task in store.tasks():
        yield "tasks", task_row(task)
    prompt = lru_cache(maxsize=64)(lambda task_id: store.task(task_id).prompt)
    trained = trained_by(run_dir)
    for trace in store.traces():
        yield f"traces-{trace.split.value}", trace_row(trace, prompt(trace.task_id), trained.get(trace.id, []))


class JsonLines:
    def __init__(self, path: Path, columns: Columns) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._columns = columns

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, row: Row) -> None:
        self._file.write(json.dumps({name: row[name] for name in self._columns}, ensure_ascii=False) + "\n")


class Parquet:
    def __init__(self, path: Path, columns: Columns) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._schema = pa.schema([(name, _arrow(kind)) for name, (kind, _) in columns.items()])
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Row] = []
        self._tokens = 0

    def __enter__(self) -> "Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._file.close()

    def write(self, row: Row) -> None:
        self._rows.append(row)
        self._tokens += len(row.get("token_ids", ()))
        if len(self._rows) >= ROWS_AT_ONCE or self._tokens >= TOKENS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._tokens = [], 0


MAKERS: dict[str, Callable[[Path, Columns], JsonLines | Parquet]] = {
    "jsonl": JsonLines,
    "parquet": Parquet,
}


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    plain = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "float": pa.float32(),
        "bool": pa.bool_(),
    }
    inner = kind.removeprefix("list<").removesuffix(">")
    return pa.list_(plain[inner]) if inner != kind else plain[kind]


def _card(run_dir: RunDir, counts: dict[str, int], suffix: str) -> str:
    """README.md, whose header tells `datasets` which files belong together."""
    config = run_dir.config
    splits = [split.value for split in Split if counts[f"traces-{split.value}"]]
    header = ["---", "configs:", "- config_name: traces", "  default: true", "  data_files:"]
    for split in splits:
        header += [f"  - split: {split}", f"    path: traces-{split}.{suffix}"]
    header += ["- config_name: tasks", "  data_files:", "  - split: tasks", f"    path: tasks.{suffix}"]
    header += [f"tags: [{', '.join(tags(config))}]", "---"]
    amounts = ", ".join(f"{counts[f'traces-{split}']:,} {split}" for split in splits)
    return "\n".join(
        [
            *header,
            f"# Traces of {run_dir.path.name}",
            "",
            f"{amounts} answers of {config.model.name} and of the generations trained from it by iterative deployment, "
            f"{counts['tasks']:,} tasks. Held-out tasks measure: do not train on them.",
            "",
            "```python",
            "from datasets import load_dataset",
            "",
            'traces = load_dataset("this/folder")  # by split: ' + ", ".join(splits),
            'tasks = load_dataset("this/folder", "tasks")["tasks"]',
            "```",
            "",
            *_columns_table("traces", trace_columns(config)),
            *_columns_table("tasks", TASK_COLUMNS),
        ]
    )


def _columns_table(name: str, columns: Columns) -> list[str]:
    rows = [f"| {column} | {kind} | {meaning} |" for column, (kind, meaning) in columns.items()]
    return [f"## Columns of {name}", "", "| column | type | meaning |", "|---|---|---|", *rows, ""]
