"""Notebooks as tests: nbmake's run, kept for the site and held to a time budget."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbmake.nb_result import NotebookError, NotebookResult
from nbmake.nb_run import NotebookRun

from book.execution import cache_folder, forget_progress, store

OFFLINE = Path(__file__).with_name("offline")  # its sitecustomize.py refuses other machines
BUDGET = 60  # seconds, for a notebook that states no budget of its own


class KeptRun(NotebookRun):
    """A run whose result goes to the cache that the site is built from."""

    def execute(self) -> NotebookResult:
        path = Path(self.filename)
        forget_progress()
        began = time.perf_counter()
        with without_network():
            result = super().execute()
        seconds = time.perf_counter() - began
        if result.error is not None:
            return result
        written = nbformat.read(path, as_version=4)
        for cell, source in zip(result.nb.cells, written.cells, strict=True):
            cell.metadata = source.metadata  # nbmake adds times, the cache compares metadata
        root = next(folder for folder in path.parents if (folder / "_config.yml").exists())
        store(result.nb, path, seconds, cache_folder(root))
        note_time(root, path, seconds)
        result.error = over_budget(written, seconds)
        return result


@contextmanager
def without_network() -> Iterator[None]:
    """Python processes that start inside the block reach no other machine."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(OFFLINE), before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def over_budget(notebook, seconds: float) -> NotebookError | None:
    """The error of a notebook that took too long, where times count: ATTN_BUDGETS=1."""
    budget = notebook.metadata.get("course", {}).get("budget_seconds", BUDGET)
    if seconds <= budget or os.environ.get("ATTN_BUDGETS") != "1":
        return None
    said = (
        f"notebook: ran for {seconds:.0f} s, its budget is {budget} s; "
        "make it faster or state a larger budget_seconds in its metadata"
    )
    return NotebookError(summary=said, trace=said, failing_cell_index=0)


def note_time(root: Path, path: Path, seconds: float) -> None:
    """Write the run time of a notebook into _build/times.json."""
    file = root / "_build" / "times.json"
    times = json.loads(file.read_text()) if file.exists() else {}
    times[path.relative_to(root).as_posix()] = round(seconds, 1)
    file.write_text(json.dumps(dict(sorted(times.items())), indent=2) + "\n")


def build_book(root: Path, *options: str) -> subprocess.CompletedProcess:
    """Build the book as `make book` does; the process has everything that was said in stdout."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", root, "-W", "-n", "--keep-going", *options]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
