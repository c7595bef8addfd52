"""A few lines in place of a real archive, so that a loader can be tested without the network."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from unittest import mock


@contextmanager
def holding(module: ModuleType, members: dict[str, str | bytes]) -> Iterator[None]:
    """Let the loaders of a module find these members in every archive that they read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        found = lambda name: (SimpleNamespace(name=name), path)  # noqa: E731
        with mock.patch.object(module, "fetch_set", found):
            yield


def check_parts(data, shares=(0.7, 0.1, 0.2), tolerance=0.02) -> None:
    """The three parts make up the whole, in these shares."""
    parts = data.train, data.validation, data.test
    assert sum(map(len, parts)) == len(data)
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) / len(data) - share) <= tolerance
