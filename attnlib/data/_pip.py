"""Where packages come from on this machine: what pip is configured with."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname


class PipSources(NamedTuple):
    """Folders that exist, indexes reached by HTTP in pip's order, certificates and proxy."""

    folders: list[Path]
    indexes: list[str]
    cert: str | None
    proxy: str | None


def pip_sources() -> PipSources:
    """Sources of packages, from the environment, else from the files of pip, else the public index.

    Places that do not exist are left out, as pip leaves them out.
    """
    settings = _settings()
    urls = [settings.get("index-url") or _public_index()]
    urls += settings.get("extra-index-url", "").split()
    folders, indexes = [], []
    for url in settings.get("find-links", "").split() + urls:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https"):
            indexes += [url] if url in urls else []  # a page of links is no index
        else:
            folders.append(Path(url2pathname(parts.path) if parts.scheme == "file" else url))
    folders = [folder for folder in folders if folder.is_dir()]
    return PipSources(folders, indexes, settings.get("cert"), settings.get("proxy"))


def _public_index() -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _settings() -> dict[str, str]:
    """Settings of pip by name; those of the environment win."""
    try:
        listing = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):  # pip is not installed, or its file is broken
        listing = ""
    settings = {}
    for section in ("global", "download"):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                settings[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    for name in ("index-url", "extra-index-url", "find-links", "cert", "proxy"):
        if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            settings[name] = value
    return settings
