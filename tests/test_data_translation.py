"""Pairs of texts: both kinds of catalogue are read right, dates are right, nothing leaks."""

import datetime
import functools
import struct
import sys
from unittest import mock

import pytest
import torch
from errors import check_error
from oracles import generator
from small_archives import check_parts, holding

from attnlib.data import date_pairs, interface_strings, near_duplicates, translation

strings = functools.cache(interface_strings)


def compiled(*pairs: tuple[str, str]) -> bytes:
    """A compiled catalogue, as msgfmt writes it."""
    count, place = len(pairs), 28
    texts, tables = b"", []
    start = place + 16 * count
    for column in (0, 1):
        for pair in pairs:
            text = pair[column].encode()
            tables.append(struct.pack("<2I", len(text), start + len(texts)))
            texts += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, count, place, place + 8 * count, 0, 0)
    return head + b"".join(tables) + texts


READABLE = """# a comment
msgid ""
msgstr "Language: fr\\n"

#: file.py:1
msgid "Open the "
"old file"
msgstr "Ouvrir l'ancien "
"fichier"

#, fuzzy
msgid "Close the file"
msgstr "Ouvrir le fichier"

msgctxt "menu"
msgid "Say \\"yes\\" or no"
msgstr "Dites « oui » ou non"

msgid "one file of many"
msgid_plural "several files of many"
msgstr[0] "un"
msgstr[1] "des"

#~ msgid "Not used any more"
#~ msgstr "Plus du tout"

msgid "Not yet translated text"
msgstr ""
"""


def test_a_readable_catalogue_gives_what_is_translated_and_checked():
    assert list(translation._readable(READABLE)) == [
        ("", "Language: fr\n"),
        ("Open the old file", "Ouvrir l'ancien fichier"),
        ('Say "yes" or no', "Dites « oui » ou non"),
        ("Not yet translated text", ""),
    ]


def test_a_compiled_catalogue_gives_its_pairs_without_contexts():
    content = compiled(("", "Language: fr"), ("menu\x04Open the file", "Ouvrir"), ("é", "à"))
    wanted = [("", "Language: fr"), ("Open the file", "Ouvrir"), ("é", "à")]
    assert list(translation._compiled(content)) == wanted


def test_only_plain_texts_of_the_wanted_length_are_kept():
    content = compiled(
        ("Two words", "Deux mots"),
        ("Open the file", "Ouvrir le fichier"),
        ("Open %s files now", "Ouvrir %s fichiers"),
        ("Press <b>this</b> key", "Touche"),
        ("Open the {name} file", "Ouvrir"),
        ("Line of\ntwo lines", "Deux lignes"),
        ("a file of\0many files of", "un\0des"),
        ("Same in both languages", "Same in both languages"),
        ("one two three four five six", "un deux trois quatre cinq six"),
        ("No translation at all", ""),
    )
    members = {
        "jupyterlab/locale/fr_FR/LC_MESSAGES/jupyterlab.mo": content,
        "jupyterlab/locale/de/LC_MESSAGES/jupyterlab.mo": compiled(("Das ist aber deutsch", "x")),
        "jupyterlab/locale/fr_FR/LC_MESSAGES/other.po": READABLE,
        "jupyterlab/locale/fr_FR/LC_MESSAGES/jupyterlab.po": 'msgid "d e f"\nmsgstr "x"\n',
    }
    with holding(translation, members):
        data = interface_strings("fr", max_words=5)
    assert dict(zip(data.sources, data.targets, strict=True)) == {
        "Open the file": "Ouvrir le fichier",
        "Open the old file": "Ouvrir l'ancien fichier",
        'Say "yes" or no': "Dites « oui » ou non",
    }
    assert data.languages == ("en", "fr")
    assert repr(data) == "TranslationSet(strings-en-fr: 3 pairs)"


def test_sources_with_one_translation_are_in_one_part():
    pairs = [(f"Alpha{n} beta{n} gamma{n}", f"cible {n % 25}") for n in range(100)]
    members = {"x/zh_CN/LC_MESSAGES/x.mo": compiled(*pairs)}
    with holding(translation, members):
        data = interface_strings("zh")
    parts = {}
    for target, part in zip(data.targets, data.parts.tolist(), strict=True):
        assert parts.setdefault(target, part) == part
    assert set(parts.values()) == {0, 1, 2}


# --- dates -------------------------------------------------------------------------------------


def test_a_date_is_the_same_date_in_both_texts():
    dates = pytest.importorskip("babel.dates")
    data = date_pairs(200, generator=generator(3))
    assert len(set(data.targets)) == 200
    for source, target in zip(data.sources, data.targets, strict=True):
        date = datetime.date.fromisoformat(target)
        ways = [dates.format_date(date, way, "en") for way in ("short", "medium", "long", "full")]
        assert source in ways
    lengths = {len(source.split()) for source in data.sources}
    assert lengths == {1, 3, 4}


def test_dates_in_other_languages():
    pytest.importorskip("babel")
    french = date_pairs(50, "en", "fr", generator=generator(1))
    assert french.languages == ("en", "fr")
    assert all(text.split()[2].isdigit() for text in french.targets)
    chinese = date_pairs(50, "fr", "zh", generator=generator(1))
    assert all("年" in text for text in chinese.targets)
    assert repr(chinese) == "TranslationSet(dates-fr-zh: 50 pairs)"


def test_a_day_is_in_the_same_part_of_every_draw():
    pytest.importorskip("babel")
    parts = {}
    for seed in range(3):
        data = date_pairs(3_000, generator=generator(seed))
        check_parts(data, tolerance=0.03)
        for target, part in zip(data.targets, data.parts.tolist(), strict=True):
            assert parts.setdefault(target, part) == part


def test_the_generator_alone_decides():
    pytest.importorskip("babel")
    before = torch.get_rng_state()
    one, same, other = (date_pairs(20, generator=generator(seed)) for seed in (1, 1, 2))
    assert one.sources == same.sources
    assert one.sources != other.sources
    assert torch.equal(torch.get_rng_state(), before)


def without_babel() -> None:
    with mock.patch.dict(sys.modules, {"babel": None}):
        date_pairs(3)


ERRORS = [
    (lambda: interface_strings("de"), ValueError, "no set 'de', expected one of fr, zh"),
    (lambda: interface_strings("fr", max_words=0), ValueError, "got max_words=0, expected at le"),
    (lambda: interface_strings("fr", max_words="9"), TypeError, "max_words is a str, expected an"),
    (lambda: date_pairs(0), ValueError, "got count=0, expected at least 1"),
    (lambda: date_pairs(36_526), ValueError, "got count=36526, expected at most the 36,525 days"),
    (lambda: date_pairs(2.0), TypeError, "count is a float, expected an int"),
    (lambda: date_pairs(3, "xx"), ValueError, "got the language 'xx', expected one that Babel"),
    (lambda: date_pairs(3, "en", "no such"), ValueError, "got the language 'no such', expected"),
    (without_babel, ImportError, "babel is not installed, expected it to write dates"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    if "Babel" in words:
        pytest.importorskip("babel")
    check_error(call, kind, words)


# --- the real archives -------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize(("language", "pairs"), [("fr", 6_764), ("zh", 6_002)])
def test_the_archives_hold_the_counted_pairs(language, pairs):
    data = strings(language)
    assert len(data) == pairs
    assert len(set(data.sources)) == pairs
    assert all(3 <= len(source.split()) <= 12 for source in data.sources)
    check_parts(data)


@pytest.mark.network
@pytest.mark.parametrize("language", ["fr", "zh"])
def test_no_near_duplicate_and_no_translation_lies_in_two_parts(language):
    data = strings(language)
    assert all(data.parts[i] == data.parts[j] for i, j in near_duplicates(data.sources))
    parts = {}
    for target, part in zip(data.targets, data.parts.tolist(), strict=True):
        assert parts.setdefault(target, part) == part


@pytest.mark.network
def test_translations_are_in_their_language():
    chinese = strings("zh").targets
    assert all(any("\u4e00" <= c <= "\u9fff" for c in text) for text in chinese)
    french = " ".join(strings("fr").targets).lower().split()
    assert all(french.count(word) > 500 for word in ("le", "la", "de"))
    pairs = dict(zip(strings("fr").sources, strings("fr").targets, strict=True))
    assert pairs["Enter a valid year."] == "Entrer une année valide."
