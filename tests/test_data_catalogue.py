"""Every entry of the catalogue is complete, and the archives hold what it says."""

import functools
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from attnlib.data import CATALOGUE, DataUnavailable, catalogue, fetch, fetch_set, find_sets
from attnlib.data import read_member as read

names = [data_set.name for data_set in CATALOGUE]


def test_names_are_unique():
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("data_set", CATALOGUE, ids=names)
def test_an_entry_is_complete(data_set):
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", data_set.name)
    for field in ("title", "content", "unit", "licence", "original"):
        assert getattr(data_set, field).strip()
    assert re.search(r"\(\d{4}\)\. .+\.$", data_set.citation)
    assert data_set.rows > 0


@pytest.mark.parametrize("archive", {data_set.archive for data_set in CATALOGUE})
def test_an_archive_is_pinned_to_one_content(archive):
    assert re.fullmatch("[0-9a-f]{64}", archive.sha256)
    assert archive.size > 0
    assert archive.version in archive.filename
    assert archive.filename.endswith((".tar.gz", ".whl", ".zip"))


def test_a_family_finds_all_its_sets_and_a_name_only_its_own():
    assert {data_set.name for data_set in find_sets("vader")} >= {"vader-movies", "vader-nyt"}
    assert [data_set.name for data_set in find_sets("vader-tweets")] == ["vader-tweets"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "vader-tweet",
            "no data set 'vader-tweet', expected one of .*; did you mean 'vader-tweets'",
        ),
        ("vad", "no data set 'vad', expected one of vader-movies, "),
        ("", "no data set ''"),
        ("???", r"no data set '\?\?\?', .*see python -m attnlib.data list"),
    ],
)
def test_an_unknown_name_brings_up_near_ones(name, words):
    with pytest.raises(ValueError, match=f"^attnlib.data: {words}"):
        find_sets(name)


def test_a_set_that_cannot_be_had_names_itself_in_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNLIB_DATA", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "file:///no/such/folder")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DataUnavailable, match=r"run python -m attnlib\.data fetch vader-nyt$"):
        fetch_set("vader-nyt")


def test_a_set_is_cached_when_its_archive_is_there_in_full(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNLIB_DATA", str(tmp_path))
    data_set = CATALOGUE[0]
    assert not data_set.is_cached()
    (tmp_path / data_set.archive.filename).write_bytes(b"half")
    assert not data_set.is_cached()
    (tmp_path / data_set.archive.filename).write_bytes(b"\0" * data_set.archive.size)
    assert data_set.is_cached()


@pytest.mark.network
def test_the_archive_states_the_licence_and_asks_for_the_citation_of_the_catalogue():
    data_set = find_sets("vader-movies")[0]
    path = fetch(data_set.archive)
    licence = read(path, "vaderSentiment-3.3.2/LICENSE.txt").decode()
    assert licence.startswith(f"The {data_set.licence} License")
    described = read(path, *catalogue_readme()).decode("cp1252")
    for word in ("Hutto", "Gilbert", "2014", "Parsimonious Rule-based Model"):
        assert word in described
        assert word.lower() in data_set.citation.lower()


def catalogue_readme() -> tuple[str, str]:
    inner = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    return inner, "hutto_ICWSM_2014/_README_.txt"


WORDS = {  # with which a licence begins, or that only it has
    "Apache-2.0": "Apache License Version 2.0",
    "BSD-2-Clause": "Redistribution and use in source and binary forms",
    "BSD-3-Clause": "Redistribution and use in source and binary forms",
    "GPL-3.0": "GNU GENERAL PUBLIC LICENSE Version 3",
    "MIT": "Permission is hereby granted, free of charge",
    "MIT, pictures CC-BY-4.0": "Licensed under the MIT License",
    "MPL-2.0": "Mozilla Public License, version 2.0",
    "NCSA": "Neither the names of",
}


@pytest.mark.network
@pytest.mark.parametrize("data_set", CATALOGUE, ids=names)
def test_the_archive_holds_the_licence_of_the_entry(data_set):
    texts = licences(fetch(data_set.archive))
    assert any(WORDS[data_set.licence] in text for text in texts)
    if data_set.licence.startswith("BSD"):
        endorses = any("to endorse or promote products" in text for text in texts)
        assert endorses == (data_set.licence == "BSD-3-Clause")


@functools.cache
def licences(path: Path) -> list[str]:
    """The files of an archive that are called licence, with single spaces."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    else:
        with tarfile.open(path) as archive:
            members = archive.getnames()
    found = [m for m in members if re.search(r"/LICENSE[^/]*(\.txt|\.md)?$", m)]
    found = [m for m in found if path.suffix != ".whl" or ".dist-info/" in m]
    return [" ".join(read(path, member).decode().split()) for member in found]


def test_the_table_of_sets_cannot_be_changed():
    assert isinstance(catalogue.CATALOGUE, tuple)
    with pytest.raises(AttributeError, match="rows"):
        CATALOGUE[0].rows = 0
