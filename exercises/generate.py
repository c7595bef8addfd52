"""Make the student notebooks `exercises/*.ipynb` from `exercises/solutions/*.ipynb`.

    python -m exercises.generate            write those that are missing or out of date
    python -m exercises.generate --check    change nothing; name them and exit with 1

The rules are in exercises/README.md. The result depends on the solutions notebook alone, byte for
byte.
"""

import argparse
import copy
import json
import re
import statistics
import sys
from pathlib import Path

import nbformat

STUB = "raise NotImplementedError  # your code here"
_BEGIN = re.compile(r"(\s*)### BEGIN SOLUTION\s*")
_END = re.compile(r"\s*### END SOLUTION\s*")
_NOTEBOOK_METADATA = ("course", "execution", "kernelspec")
_CELL_METADATA = ("mystnb", "tags")


class SourceError(ValueError):
    """A solutions notebook from which no student notebook can be made."""


def student_notebook(source: dict) -> nbformat.NotebookNode:
    """The student notebook of a solutions notebook.

    Args:
        source: a notebook of format 4.5 or later, so that its cells have ids.

    Raises:
        SourceError: a solution that is not closed or not opened, cells without ids, a `student`
            cell that the solutions page would show.
    """
    source = copy.deepcopy(source)
    if source.get("nbformat") != 4 or source.get("nbformat_minor", 0) < 5:
        raise SourceError("its format is older than 4.5, so its cells have no ids; save it again")
    ids = [cell.get("id") for cell in source.get("cells", [])]
    if len(set(ids)) < len(ids):  # nbformat would give one of them a random id
        raise SourceError(f"the cell id {statistics.mode(ids)!r} is there twice; change one")
    try:
        nbformat.validate(source)
    except nbformat.ValidationError as error:
        raise SourceError(f"it is no valid notebook: {error}".split("\n")[0]) from error
    source = nbformat.v4.to_notebook(source)
    metadata = {k: v for k, v in source.metadata.items() if k in _NOTEBOOK_METADATA}
    # the version of Python that last saved the source must not show
    metadata["language_info"] = {"name": "python"}
    cells = [_student_cell(cell) for cell in source.cells if "solution" not in _tags(cell)]
    student = nbformat.from_dict(
        {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    )
    nbformat.validate(student)
    return student


def strip_solutions(source: str) -> str:
    """Replace what stands between the markers by a line that raises NotImplementedError.

    >>> source = "def f(x):\\n    ### BEGIN SOLUTION\\n    return x\\n    ### END SOLUTION"
    >>> print(strip_solutions(source))
    def f(x):
        raise NotImplementedError  # your code here
    """
    lines, opened = [], None
    for number, line in enumerate(source.split("\n"), 1):
        begin = _BEGIN.fullmatch(line)
        if begin and opened:
            raise SourceError(f"line {number} begins a solution inside that of line {opened}")
        if begin:
            opened = number
            lines.append(begin[1] + STUB)
        elif _END.fullmatch(line):
            if not opened:
                raise SourceError(f"line {number} ends a solution that did not begin")
            opened = None
        elif "# BEGIN SOLUTION" in line or "# END SOLUTION" in line:
            raise SourceError(f"line {number} is {line.strip()!r}; a marker stands alone, with ###")
        elif not opened:
            lines.append(line)
    if opened:
        raise SourceError(f"the solution that begins in line {opened} does not end")
    return "\n".join(lines)


def text_of(notebook: nbformat.NotebookNode) -> str:
    """A notebook as the bytes that are kept: keys in order, one newline at the end."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def plan(folder: Path) -> dict[str, tuple[str, str | None]]:
    """What is out of date in an exercises folder: {file name: (why, the text it should have)}."""
    wanted = {}
    for path in sorted((folder / "solutions").glob("*.ipynb")):
        try:
            source = json.loads(path.read_text(encoding="utf-8"))
            wanted[path.name] = text_of(student_notebook(source))
        except (SourceError, json.JSONDecodeError) as error:
            raise SourceError(f"exercises/solutions/{path.name}: {error}") from error
    found = {path.name: path for path in sorted(folder.glob("*.ipynb"))}
    stale: dict[str, tuple[str, str | None]] = {}
    for name, text in wanted.items():
        if name not in found:
            stale[name] = ("is missing", text)
        elif found[name].read_bytes() != text.encode():
            stale[name] = ("differs from what its solutions notebook gives", text)
    for name in found:
        if name not in wanted:
            stale[name] = ("has no solutions notebook; delete it or add one", None)
    return stale


def main(arguments: list[str] | None = None, folder: Path = Path(__file__).parent) -> int:
    parser = argparse.ArgumentParser(prog="python -m exercises.generate")
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if stale")
    check = parser.parse_args(arguments).check
    try:
        stale = plan(folder)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    failed = False
    for name, (why, text) in stale.items():
        path = folder / name
        if check or text is None:
            print(f"exercises/{name} {why}", file=sys.stderr)
            failed = True
        elif path.exists() and _has_outputs(path):
            print(
                f"exercises/{name} holds outputs, so somebody works in it; "
                f"copy it elsewhere, or clear its outputs",
                file=sys.stderr,
            )
            failed = True
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"exercises/{name} written")
    if check and failed:
        print("run: python -m exercises.generate", file=sys.stderr)
    return int(failed)


def _student_cell(cell):
    try:
        source = strip_solutions(cell.source) if cell.cell_type == "code" else cell.source
    except SourceError as error:
        raise SourceError(f"cell {cell.id}: {error}") from error
    metadata = {k: copy.deepcopy(v) for k, v in cell.metadata.items() if k in _CELL_METADATA}
    tags = _tags(cell)
    if "student" in tags:
        if cell.cell_type != "markdown" or "remove-cell" not in tags:
            raise SourceError(
                f"cell {cell.id} is tagged student; it must be markdown and tagged remove-cell too"
            )
        metadata["tags"] = [tag for tag in tags if tag not in ("student", "remove-cell")]
    if not metadata.get("tags"):
        metadata.pop("tags", None)
    student = {"cell_type": cell.cell_type, "id": cell.id, "metadata": metadata, "source": source}
    if "attachments" in cell:
        student["attachments"] = copy.deepcopy(cell.attachments)
    if cell.cell_type == "code":
        student |= {"execution_count": None, "outputs": []}
    return nbformat.from_dict(student)


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def _has_outputs(path: Path) -> bool:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


if __name__ == "__main__":
    sys.exit(main())
