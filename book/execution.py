"""What notebooks run with, and where their executed copies are kept.

Shared by the Sphinx extension (the site) and by conftest.py (the tests), so that a notebook which a
test has executed is not executed again for the site.
"""

import hashlib
import os
import platform
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

# An output depends on these files as well as on the notebook's own code.
SOURCES = (
    "attnlib/**/*.py",
    "benchmarks/**/*.py",
    "benchmarks/results/*.json",
    "exercises/checks/**/*.py",
    "constraints.txt",
)

# What kernels inherit: no progress bars in pages, and the reader's own progress left alone.
KERNELS = {
    "TQDM_DISABLE": "1",
    "ATTNLIB_PROGRESS": str(Path(tempfile.gettempdir()) / f"attnlib-progress-{os.getpid()}.json"),
}


@cache
def environment() -> dict[str, str]:
    """Name and value of everything on the page stamp that is not a time."""
    names = {"Python": platform.python_version()}
    names |= {package: version(package) for package in ("torch", "numpy")}
    return {"device": device(names["torch"]), **names}


def device(torch_version: str) -> str:
    if not torch_version.endswith("+cpu"):  # else spare the seconds that the import takes
        import torch

        if torch.cuda.is_available():
            return f"GPU ({torch.cuda.get_device_name()})"
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores)"


def cache_folder(root: Path) -> Path:
    """Folder of executed notebooks; a new one as soon as anything they depend on changes.

    jupyter-cache itself compares notebook code only, so an edit in the library would leave stale
    outputs. The environment is part of the key, therefore a page stamp is true of a cached run too.
    """
    digest = hashlib.sha256(repr(sorted(environment().items())).encode())
    for path in sorted({path for pattern in SOURCES for path in root.glob(pattern)}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return root / "_build" / ".jupyter_cache" / digest.hexdigest()[:16]


def forget_progress() -> None:
    """Let the next notebook start as on a reader's first day, whatever another one has solved."""
    Path(KERNELS["ATTNLIB_PROGRESS"]).unlink(missing_ok=True)


def store(notebook, path: Path, seconds: float, folder: Path) -> None:
    """Keep an executed notebook where the site build looks for it."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    get_cache(str(folder)).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
