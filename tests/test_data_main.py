"""The command line: what it prints, and its exit status."""

import os
import socket
import subprocess
import sys

import pytest

from attnlib.data import CATALOGUE, archives
from attnlib.data.__main__ import main


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache folder, the public index, and no network."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(archives, "ATTEMPTS", 1)
    monkeypatch.setenv("ATTNLIB_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path / "cache"


def fill(folder, size=None):
    folder.mkdir()
    for archive in {data_set.archive for data_set in CATALOGUE}:
        with (folder / archive.filename).open("wb") as file:
            file.truncate(archive.size if size is None else size)


@pytest.mark.parametrize(("size", "cached"), [(None, "yes"), (100, "no")])
def test_list_shows_every_set_without_network_and_without_reading(offline, capsys, size, cached):
    fill(offline, size)
    assert main(["list"]) == 0
    table = capsys.readouterr().out
    for data_set in CATALOGUE:
        (line,) = [line for line in table.splitlines() if line.startswith(data_set.name + " ")]
        assert f"{data_set.rows:,}" in line
        assert data_set.licence in line
        assert f"  {cached}  " in line
        assert data_set.citation in table
        assert data_set.original in table
    assert str(offline) in table


def test_list_works_before_anything_is_fetched(offline, capsys):
    assert main(["list"]) == 0
    assert "  yes  " not in capsys.readouterr().out
    assert not offline.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch"], "is not in"),
        (["fetch", "vader"], "run python -m attnlib.data fetch vader"),
        (["fetch", "vador"], "no data set 'vador'"),
        (["fetch", "vader", "nothing"], "no data set 'nothing'"),
    ],
)
def test_fetch_fails_with_status_one_and_one_sentence(offline, capsys, arguments, words):
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_fetch_stops_tidily_when_interrupted(offline, capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("attnlib.data.__main__.fetch", interrupt)
    assert main(["fetch"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_fetch_asks_for_each_archive_once(offline, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "attnlib.data.__main__.fetch", lambda archive, name: asked.append(archive) or "/path"
    )
    assert main(["fetch", "vader-nyt", "vader"]) == 0
    assert len(asked) == 1
    assert main(["fetch"]) == 0
    assert set(asked) == {data_set.archive for data_set in CATALOGUE}
    assert capsys.readouterr().out.startswith("/path\n")


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"]])
def test_help_explains_and_succeeds(capsys, arguments):
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    assert "python -m attnlib.data" in capsys.readouterr().out


def test_a_missing_command_is_an_error_of_use(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "required" in capsys.readouterr().err


@pytest.mark.network
def test_the_module_runs_and_is_quick_to_find_what_is_cached():
    command = [sys.executable, "-m", "attnlib.data", "fetch", "vader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("vaderSentiment-3.3.2.tar.gz\n")
