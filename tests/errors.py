"""What every message of attnlib must look like, and which `raise` a call ends in."""

import ast
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

# Owner: what was got, expected what; what to write instead (one sentence, no full stop)
FORM = re.compile(r"[A-Za-z]\w*(\.\w+)?: [^;]+, expected [^;]+; [^;]*[^;.\s]")


def check_error(call: Callable, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        call()
    assert caught.type is kind
    assert FORM.fullmatch(str(caught.value)), caught.value


def raised_at(call: Callable) -> tuple[str, int]:
    """File and line of the statement that ends a call."""
    try:
        call()
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return frame.filename, frame.lineno
    raise AssertionError("the call raises nothing")


def raise_statements(path: Path) -> list[range]:
    """The lines of each `raise` with an exception in a file."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        range(node.lineno, node.end_lineno + 1)
        for node in nodes
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
