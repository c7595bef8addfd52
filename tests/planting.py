"""Plant a bug, one line of a copy of attnlib, and run the test that must catch it.

The copy has a name of its own and so has a copy of the test that reads it, so that a planted bug
lives in this process beside the real library and costs no second import of torch.
"""

import importlib
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutant:
    """What goes wrong, where, the line as it is and as it is planted, and who must notice.

    `module` is the path below attnlib, as "graph.convolution"; `caught_by` is "module.test".
    """

    breaks: str
    module: str
    original: str
    planted: str
    caught_by: str


@cache
def sources() -> dict[Path, str]:
    folder = ROOT / "attnlib"
    return {f.relative_to(folder): f.read_text(encoding="utf-8") for f in folder.rglob("*.py")}


def plant(folder: Path, package: str, mutant: Mutant | None = None) -> None:
    """Write a copy of attnlib under another name, with a bug in it if there is one.

    The front door of the copy stays empty, so that a test imports only the modules it names.
    """
    for place, text in sources().items():
        if mutant is not None and ".".join(place.with_suffix("").parts) == mutant.module:
            assert text.count(mutant.original) == 1, mutant.original
            text = text.replace(mutant.original, mutant.planted)
        target = folder / package / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("attnlib", package), encoding="utf-8")
    (folder / package / "__init__.py").write_text("")


def copied_test(folder: Path, package: str, name: str) -> FunctionType:
    """The test `module.function` from a copy of its module that reads `package`."""
    module, function = name.split(".")
    text = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
    copy = f"{package}_{module}"
    (folder / f"{copy}.py").write_text(text.replace("attnlib", package), encoding="utf-8")
    return getattr(importlib.import_module(copy), function)


def forget(package: str) -> None:
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def cases(test: FunctionType) -> Iterator[dict]:
    """The arguments of every run of a test that is parametrised by nothing but marks."""
    axes = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args
            if isinstance(names, str):
                axes.append([{names: value} for value in values])
            else:
                axes.append([dict(zip(names, value, strict=True)) for value in values])
    for chosen in itertools.product(*axes):
        yield {name: value for one in chosen for name, value in one.items()}
