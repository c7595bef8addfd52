"""Fetching and reading archives, against an index on this machine that can misbehave."""

import errno
import gzip
import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pypi_simple
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.data import Archive, DataUnavailable, _pip, archives, cache_folder, fetch, read_member

quick = settings(deadline=None, max_examples=50)  # no timed assertion

CONTENT = bytes(range(256)) * 1_000
PUBLIC = urlsplit(pypi_simple.PYPI_SIMPLE_ENDPOINT).hostname


def pinned(content: bytes = CONTENT) -> Archive:
    return Archive(
        "Some_Project", "1.0", "p-1.0.tar.gz", hashlib.sha256(content).hexdigest(), len(content)
    )


class Index(ThreadingHTTPServer):
    """A package index with one file. The fields say what it sends; `requests` what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = CONTENT  # of the file
        self.listed = True  # on the page of the project
        self.sha256 = ""  # on that page; "" = none
        self.statuses: list[int] = []  # of the next answers, before all is well
        self.cut: int | None = None  # bytes after which a download ends
        self.announce = True  # the length of the file
        self.pause = threading.Event()  # set: downloads go through without waiting
        self.pause.set()
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple/"

    @property
    def downloads(self) -> int:
        return sum(path.startswith("/files/") for path in self.requests)


class Answer(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        index = self.server
        index.requests.append(self.path)
        status = index.statuses.pop(0) if index.statuses else 200
        if self.path == "/simple/some-project/":
            digest = f"#sha256={index.sha256}" if index.sha256 else ""
            link = f'<a href="/files/p-1.0.tar.gz{digest}">p-1.0.tar.gz</a>'
            body, kind = (link if index.listed else "").encode(), "text/html"
        elif self.path == "/files/p-1.0.tar.gz":
            body, kind = index.content, "application/gzip"
        else:
            body, kind, status = b"", "text/plain", 404
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if kind == "application/gzip" and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        if kind != "application/gzip" or index.announce:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "application/gzip":
            body = body[: index.cut]
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            index.pause.wait(10)
            body = body[len(body) // 2 :]
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, no settings of pip from outside, and no waiting between attempts."""
    monkeypatch.setenv("ATTNLIB_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "CERT", "PROXY"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setattr(archives, "time", SimpleNamespace(sleep=lambda _: None, time=time.time))
    # Asking the real pip takes a while; the tests of it put `subprocess` back.
    silent = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(stdout=""))
    silent.SubprocessError = subprocess.SubprocessError
    monkeypatch.setattr(_pip, "subprocess", silent)
    return tmp_path / "cache"


@pytest.fixture
def index(cache, monkeypatch):
    with Index() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        yield server
        server.shutdown()


@pytest.fixture
def offline(cache, monkeypatch):
    """Every connection fails, as on a machine without a network."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENETUNREACH, "network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return cache


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


# --- fetching -------------------------------------------------------------------------------


def test_a_missing_archive_is_downloaded_once_and_then_comes_from_the_cache(cache, index):
    path = fetch(pinned())
    assert path == cache / "p-1.0.tar.gz"
    assert path.read_bytes() == CONTENT
    asked = list(index.requests)
    assert fetch(pinned()) == path
    assert index.requests == asked
    assert index.downloads == 1
    assert names(cache) == ["p-1.0.tar.gz"]


def test_a_cached_archive_needs_no_network(offline):
    offline.mkdir()
    (offline / "p-1.0.tar.gz").write_bytes(CONTENT)
    assert fetch(pinned()).read_bytes() == CONTENT


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_may_be_read_by_whom_the_umask_allows(index):
    old = os.umask(0o022)
    try:
        assert fetch(pinned()).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)


DAMAGE = {
    "one bit": CONTENT[:-1] + b"\x00",
    "half": CONTENT[: len(CONTENT) // 2],
    "longer": CONTENT + b"x",
    "empty": b"",
}


@pytest.mark.parametrize("damaged", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_in_the_cache_is_fetched_again(cache, index, damaged):
    cache.mkdir()
    (cache / "p-1.0.tar.gz").write_bytes(damaged)
    assert fetch(pinned()).read_bytes() == CONTENT
    assert index.downloads == 1


@pytest.mark.parametrize("damaged", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_and_kept_when_it_cannot_be_fetched_again(offline, damaged):
    offline.mkdir()
    (offline / "p-1.0.tar.gz").write_bytes(damaged)
    size = f"{len(damaged):,} bytes instead of 256,000"
    reason = "SHA-256" if len(damaged) == len(CONTENT) else size
    with pytest.raises(DataUnavailable, match=rf"gz is damaged \({reason}.*cannot be fetched"):
        fetch(pinned())
    assert (offline / "p-1.0.tar.gz").read_bytes() == damaged
    assert names(offline) == ["p-1.0.tar.gz"]


def test_without_network_and_cache_one_sentence_names_the_command(offline):
    with pytest.raises(DataUnavailable) as caught:
        fetch(pinned(), "vader")
    message = str(caught.value)
    assert message == (
        f"attnlib.data: p-1.0.tar.gz is not in {offline} and cannot be fetched "
        f"({PUBLIC} cannot be reached (ConnectionError)), expected it in the cache or on a package "
        "index in reach; go online and run python -m attnlib.data fetch vader"
    )
    assert names(offline) == []


@pytest.mark.parametrize("announce", [True, False], ids=["with length", "without length"])
def test_a_download_that_always_breaks_off_leaves_nothing(cache, index, announce):
    index.cut, index.announce = 100_000, announce
    with pytest.raises(DataUnavailable, match="cannot be fetched"):
        fetch(pinned())
    assert index.downloads == archives.ATTEMPTS
    assert names(cache) == []


def test_a_broken_download_is_tried_again(index, monkeypatch):
    index.cut = 100_000

    def repair(seconds):
        index.cut = None if seconds else index.cut

    monkeypatch.setattr(archives.time, "sleep", repair)
    assert fetch(pinned()).read_bytes() == CONTENT
    assert index.downloads == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_errors_that_may_pass_are_tried_again_a_limited_number_of_times(index, status):
    index.statuses = [status, status]
    assert fetch(pinned()).read_bytes() == CONTENT
    index.statuses = [status] * 10
    with pytest.raises(DataUnavailable, match=f"127.0.0.1 answered {status}"):
        fetch(pinned(CONTENT + b"other"))
    assert len(index.statuses) == 10 - archives.ATTEMPTS


@pytest.mark.parametrize("status", [401, 403])
def test_refusals_are_not_tried_again(index, status):
    index.statuses = [status] * 10
    with pytest.raises(DataUnavailable, match=f"127.0.0.1 answered {status}"):
        fetch(pinned())
    assert len(index.statuses) == 9


def test_other_content_under_the_right_name_is_refused(cache, index):
    index.content = CONTENT[::-1]
    with pytest.raises(DataUnavailable, match=r"sent a file that is damaged \(SHA-256"):
        fetch(pinned())
    assert names(cache) == []


def test_another_digest_on_the_page_is_refused_before_any_download(index):
    index.sha256 = "0" * 64
    with pytest.raises(DataUnavailable, match=r"lists another SHA-256 for p-1\.0\.tar\.gz"):
        fetch(pinned())
    assert index.downloads == 0


def test_a_page_without_the_file_and_an_unknown_project_are_told_apart(index):
    index.listed = False
    with pytest.raises(DataUnavailable, match=r"127\.0\.0\.1 has no p-1\.0\.tar\.gz"):
        fetch(pinned())
    with pytest.raises(DataUnavailable, match=r"127\.0\.0\.1 has no project other"):
        fetch(Archive("other", "1.0", "p-1.0.tar.gz", pinned().sha256, len(CONTENT)))


def test_the_archive_takes_its_place_in_one_step(cache, index):
    index.pause.clear()
    thread = threading.Thread(target=fetch, args=(pinned(),))
    thread.start()
    while not any(path.stat().st_size for path in cache.glob("*.part")):
        assert thread.is_alive()
    assert not (cache / "p-1.0.tar.gz").exists()
    index.pause.set()
    thread.join()
    assert names(cache) == ["p-1.0.tar.gz"]


def test_two_that_fetch_at_once_do_not_hurt_each_other(cache, index):
    index.pause.clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(pinned()).read_bytes() == CONTENT))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while index.downloads < 3:
        assert all(thread.is_alive() for thread in threads)
    index.pause.set()
    for thread in threads:
        thread.join()
    assert found == [True] * 3
    assert names(cache) == ["p-1.0.tar.gz"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "no space left")])
def test_an_interruption_and_a_full_disk_leave_nothing_half_written(
    cache, index, monkeypatch, error
):
    def break_off(client, package, path, **options):
        Path(path).write_bytes(CONTENT[:1_000])
        raise error

    monkeypatch.setattr(pypi_simple.PyPISimple, "download_package", break_off)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else DataUnavailable
    with pytest.raises(expected) as caught:
        fetch(pinned())
    assert names(cache) == []
    if expected is DataUnavailable:
        assert "(no space left), expected a folder that" in str(caught.value)


def test_the_litter_of_killed_processes_goes_and_running_ones_are_left_alone(cache, index):
    cache.mkdir()
    old, new, other = (cache / f"{n}.part" for n in ("p-1.0.tar.gz.1", "p-1.0.tar.gz.2", "q.1"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 2 * archives.STALE,) * 2)
    fetch(pinned())
    assert names(cache) == ["p-1.0.tar.gz", "p-1.0.tar.gz.2.part", "q.1.part"]


@pytest.mark.parametrize(
    "place",
    [
        "file",  # a file where the folder should be
        "file/folder",
        pytest.param(
            "/proc/self",  # a folder in which not even root may write
            marks=pytest.mark.skipif(sys.platform != "linux", reason="a folder of Linux"),
        ),
    ],
)
def test_an_unwritable_cache_folder_is_named_before_any_download(
    index, tmp_path, monkeypatch, place
):
    (tmp_path / "file").write_text("")
    folder = tmp_path / place
    monkeypatch.setenv("ATTNLIB_DATA", str(folder))
    with pytest.raises(DataUnavailable) as caught:
        fetch(pinned())
    assert str(caught.value).startswith(
        f"attnlib.data: cannot write to the cache folder {folder} ("
    )
    assert str(caught.value).endswith("set ATTNLIB_DATA to another folder")
    assert index.requests == []


# --- where from -----------------------------------------------------------------------------


def test_the_next_index_is_asked_when_the_first_has_no_such_file(index, monkeypatch):
    with Index() as first:
        first.listed = False
        threading.Thread(target=first.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", first.url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///no/such/folder {index.url}")
        assert fetch(pinned()).read_bytes() == CONTENT
        first.shutdown()
    assert (first.downloads, index.downloads) == (0, 1)


@pytest.mark.parametrize("setting", ["PIP_FIND_LINKS", "PIP_INDEX_URL"])
@pytest.mark.parametrize("place", ["", "some-project"])
def test_a_folder_that_pip_knows_serves_without_network(
    offline, tmp_path, monkeypatch, setting, place
):
    folder = tmp_path / "wheels"
    (folder / place).mkdir(parents=True)
    (folder / place / "p-1.0.tar.gz").write_bytes(CONTENT)
    url = str(folder) if setting == "PIP_FIND_LINKS" else folder.as_uri()
    monkeypatch.setenv(setting, f"/no/such/folder {url}" if "LINKS" in setting else url)
    assert fetch(pinned()).read_bytes() == CONTENT


def test_a_damaged_file_in_such_a_folder_is_passed_over(index, tmp_path, monkeypatch):
    (tmp_path / "p-1.0.tar.gz").write_bytes(CONTENT[::-1])
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert fetch(pinned()).read_bytes() == CONTENT
    assert index.downloads == 1


def test_an_index_of_missing_files_alone_is_said(cache, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "file:///no/such/folder")
    with pytest.raises(DataUnavailable, match="configured with no index that is reached by HTTP"):
        fetch(pinned())


def test_passwords_of_an_index_are_not_shown(index, monkeypatch):
    index.listed = False
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//user:secret@"))
    with pytest.raises(DataUnavailable, match=r"\(127\.0\.0\.1 has no") as caught:
        fetch(pinned())
    assert "secret" not in str(caught.value)


def test_settings_come_from_the_file_of_pip_and_the_environment_wins(cache, tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://file.example/simple\nextra-index-url =\n"
        "    https://one.example/simple\n    file:///no/such/folder\n[download]\ncert = own.pem\n"
    )
    monkeypatch.setattr(_pip, "subprocess", subprocess)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = _pip.pip_sources()
    assert found.folders == []
    assert found.indexes == ["https://file.example/simple", "https://one.example/simple"]
    assert found.cert == "own.pem"
    monkeypatch.setenv("PIP_FIND_LINKS", "https://links.example/page.html")  # no index
    assert _pip.pip_sources() == found
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.example/simple")
    assert _pip.pip_sources().indexes[0] == "https://environment.example/simple"


def test_the_public_index_is_the_one_without_settings(cache, monkeypatch):
    monkeypatch.setattr(_pip, "subprocess", subprocess)
    assert _pip.pip_sources() == ([], [pypi_simple.PYPI_SIMPLE_ENDPOINT], None, None)


def test_an_environment_without_pip_uses_its_variables(index, monkeypatch):
    def missing(*arguments, **options):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(_pip.subprocess, "run", missing)
    assert fetch(pinned()).read_bytes() == CONTENT


def test_the_certificates_and_proxy_of_pip_are_used(index, monkeypatch, tmp_path):
    seen = []
    page = pypi_simple.PyPISimple.get_project_page

    def record(client, *arguments, **options):
        seen.append((client.s.verify, client.s.proxies))
        client.s.proxies = {}  # the index is not a proxy
        return page(client, *arguments, **options)

    monkeypatch.setattr(pypi_simple.PyPISimple, "get_project_page", record)
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "own.pem"))
    monkeypatch.setenv("PIP_PROXY", index.url)
    fetch(pinned())
    assert seen == [(str(tmp_path / "own.pem"), {"http": index.url, "https": index.url})]


def test_certificates_that_do_not_exist_are_named(cache, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CERT", "/no/such/own.pem")
    with pytest.raises(
        DataUnavailable, match=rf"{re.escape(PUBLIC)} cannot be reached .*/no/such/own\.pem"
    ):
        fetch(pinned())


@pytest.mark.parametrize("module", ["pypi_simple", "platformdirs"])
def test_a_missing_extra_is_one_clear_sentence(cache, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    if module == "platformdirs":
        monkeypatch.delenv("ATTNLIB_DATA")
    with pytest.raises(ImportError, match=r"is not installed.*pip install 'attnlib\[data\]'"):
        fetch(pinned())


def test_the_cache_folder_is_the_named_one_or_that_of_the_platform(monkeypatch):
    monkeypatch.setenv("ATTNLIB_DATA", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.setenv("ATTNLIB_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder().parts[-1 if sys.platform != "win32" else -2] == "attnlib"


# --- progress -------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "disabled", "shown"),
    [(Terminal, "", True), (Terminal, "1", False), (io.StringIO, "", False)],
    ids=["terminal", "TQDM_DISABLE", "no terminal"],
)
def test_a_bar_is_shown_on_a_terminal_only(index, monkeypatch, stream, disabled, shown):
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setenv("TQDM_DISABLE", disabled)
    fetch(pinned())
    assert ("p-1.0.tar.gz" in sys.stderr.getvalue()) == shown


def test_fetching_works_without_tqdm(index, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert fetch(pinned()).read_bytes() == CONTENT


# --- reading --------------------------------------------------------------------------------


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


member_names = st.text(alphabet="ab./é", min_size=1).filter(lambda name: not name.endswith("/"))


@quick
@given(
    st.dictionaries(member_names, st.binary(max_size=50), min_size=1, max_size=5),
    st.sampled_from([tar, zipped]),
    st.sampled_from([tar, zipped]),
)
def test_every_member_comes_back_by_its_exact_name(tmp_path_factory, members, inner, outer):
    # Names like "../../a" are among them: they are looked up and never become paths.
    folder = tmp_path_factory.mktemp("archives")
    path = folder / "outer"
    path.write_bytes(outer({"x/inner": inner(members), "first": b"1"}))
    for name, content in members.items():
        assert read_member(path, "x/inner", name) == content
    assert read_member(path, "first") == b"1"
    assert names(folder) == ["outer"]


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "p-1.0.tar.gz"
    path.write_bytes(tar({"p-1.0/data/tweets.txt": b"t", "../../outside": b"o", "p/in.zip": b"x"}))
    return path


def test_a_name_that_leaves_the_folder_is_only_a_name(archive, tmp_path):
    assert read_member(archive, "../../outside") == b"o"
    assert names(tmp_path) == ["p-1.0.tar.gz"]
    with pytest.raises(ValueError, match="has no file"):
        read_member(archive, "../p-1.0.tar.gz")


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ([], ValueError, "got no name, expected at least one"),
        (["tweets.txt"], ValueError, r"no file 'tweets.txt'.*\['p-1.0/data/tweets.txt'\]"),
        (["p-1.0/data/tweet.txt"], ValueError, r"write one of \['p-1.0/data/tweets.txt'"),
        (["p-1.0/data"], ValueError, "no file 'p-1.0/data'"),
        (["p/in.zip", "a"], DataUnavailable, r"p-1\.0\.tar\.gz/p/in\.zip cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(archive, asked, error, words):
    with pytest.raises(error, match=f"^read_member: .*{words}"):
        read_member(archive, *asked)


def test_links_and_folders_in_an_archive_are_not_files(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("folder", tarfile.DIRTYPE), ("link", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            archive.addfile(info)
    for name in ("folder", "link"):
        with pytest.raises(ValueError, match=f"no file '{name}'"):
            read_member(tmp_path / "a.tar", name)


@pytest.mark.parametrize("cut", [0, 10, 60, 500])
@pytest.mark.parametrize("build", [tar, zipped])
def test_a_damaged_archive_is_said_to_be_damaged(tmp_path, build, cut):
    path = tmp_path / "a"
    path.write_bytes(build({"a": os.urandom(1_000), "b": b"b"})[:cut])
    with pytest.raises(DataUnavailable, match=r"read_member: a cannot be read \("):
        read_member(path, "b")
