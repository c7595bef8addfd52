"""Pairs of an English text and its translation: strings of interfaces, and dates without end."""

import ast
import datetime
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.data._parts import Parted, check_choice
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.splits import group_split

__all__ = ["TranslationSet", "date_pairs", "interface_strings"]

_FOLDERS = {"fr": ("fr", "fr_FR"), "zh": ("zh_CN", "zh_Hans", "zh_Hans_CN")}
_PROGRAMS = ("jupyterlab", "horizon", "wagtail", "oscar", "indico")  # the first one wins
_DAYS = 36_525  # 1970 to 2069: a hundred years, so that two digits of the year name one
_WAYS = ("short", "medium", "long", "full")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TranslationSet(Parted):
    """Texts and their translations, and the part of a fixed split that each pair belongs to.

    `train`, `validation` and `test` are again TranslationSets: about 70 %, 10 % and 20 %.

    Args:
        name: of the set in the catalogue, or of the task.
        languages: codes of the language of the sources and of the targets.
        sources: N different texts.
        targets: N translations.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    languages: tuple[str, str]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    parts: Tensor

    by_row: ClassVar = ("sources", "targets", "parts")
    row: ClassVar = "pairs"


def interface_strings(language: str, *, max_words: int = 12) -> TranslationSet:
    """Short English texts of five programs with their translation by people.

    The strings of JupyterLab, OpenStack Dashboard, Wagtail, Oscar and Indico. Kept are those of 3
    to `max_words` English words without placeholders, markup or line breaks, whose translation is
    another text; of several translations of one text the first program's.

    They are commands and labels ("Create an IP network"), hardly ever stories: a model learns the
    language of menus, not French. Sources with nearly the same words, and sources with the same
    translation, are in one part. Chinese is written without spaces: split it by characters.

    Args:
        language: "fr" or "zh" (simplified characters).
        max_words: English words of the longest text.

    Returns:
        TranslationSet

    Raises:
        ValueError: another language, or max_words below 1.
        TypeError: max_words is not an int.
        DataUnavailable: an archive is not in the cache and cannot be had.
    """
    check_choice("interface_strings", language, _FOLDERS)
    check_positive("interface_strings", max_words=max_words)
    pairs: dict[str, str] = {}
    for program in _PROGRAMS:
        name = f"{program}-{language}" if program == "jupyterlab" else program
        for source, target in _catalogues(name, language):
            source, target = " ".join(source.split(" ")), target.strip()
            if _is_plain(source, max_words) and _is_plain(target) and source != target:
                pairs.setdefault(source, target)
    pairs = dict(sorted(pairs.items()))
    numbers = {target: number for number, target in enumerate(sorted(set(pairs.values())))}
    parts = group_split([numbers[target] for target in pairs.values()], list(pairs))
    return TranslationSet(
        f"strings-en-{language}",
        ("en", language),
        tuple(pairs),
        tuple(pairs.values()),
        torch.tensor(parts),
    )


def date_pairs(
    count: int,
    source: str = "en",
    target: str | None = None,
    *,
    generator: torch.Generator | None = None,
) -> TranslationSet:
    """Dates written in one of four ways, and the same date as 2024-05-03 or in another language.

    The alignment is known (year to year, month to month) and the grammar is small: the first task
    to try a model of translation on. The names and the ways (5/3/24 to Friday, May 3, 2024) are
    those of the Unicode Common Locale Data Repository, by the package Babel. All dates differ, and
    a day always belongs to the same part: no date of the test part is seen in training, in this
    draw or another.

    Args:
        count: pairs, at most 36,525 (the days of 1970 to 2069).
        source: language of the sources, as Babel names it: "en", "fr", "zh", ...
        target: language of the targets, written out, without the day of the week; None
            writes year-month-day in digits.
        generator: source of the dates and the ways; None uses torch's global one.

    Returns:
        TranslationSet

    Raises:
        ImportError: Babel is not installed.
        ValueError: count below 1 or above 36,525, or a language that Babel does not know.
        TypeError: count is not an int.

    >>> dates = date_pairs(3, "en", "fr", generator=torch.Generator().manual_seed(0))
    >>> dates.sources[1], dates.targets[1]
    ('8/13/08', '13 août 2008')
    """
    check_positive("date_pairs", count=count)
    if count > _DAYS:
        raise ValueError(
            f"date_pairs: got count={count}, expected at most the {_DAYS:,} days of 1970 to "
            f"2069; write count={_DAYS}"
        )
    try:
        from babel import Locale, UnknownLocaleError
        from babel.dates import format_date
    except ImportError:
        raise ImportError(
            "date_pairs: babel is not installed, expected it to write dates; write pip install "
            "babel"
        ) from None
    for name in (source, target or source):
        try:
            Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            raise ValueError(
                f"date_pairs: got the language {name!r}, expected one that Babel knows; "
                f"write 'en', 'fr' or 'zh'"
            ) from None
    chosen = torch.randperm(_DAYS, generator=generator)[:count].tolist()
    ways = torch.randint(len(_WAYS), (count,), generator=generator).tolist()
    dates = [datetime.date(1970, 1, 1) + datetime.timedelta(day) for day in chosen]
    sources = [
        format_date(date, _WAYS[way], locale=source) for date, way in zip(dates, ways, strict=True)
    ]
    targets = [
        format_date(date, "long", locale=target) if target else date.isoformat() for date in dates
    ]
    part_of = group_split(range(_DAYS), [""] * _DAYS)
    languages = (source, target or "iso")
    name = f"dates-{source}-{target or 'iso'}"
    parts = torch.tensor([part_of[day] for day in chosen])
    return TranslationSet(name, languages, tuple(sources), tuple(targets), parts)


def _is_plain(text: str, max_words: int | None = None) -> bool:
    """Whether a text is free of placeholders, markup and line breaks, and as long as wanted."""
    fits = max_words is None or 3 <= len(text.split()) <= max_words
    return fits and text != "" and not re.search(r"[%{}<>\\\n&\0]", text)


def _catalogues(name: str, language: str) -> Iterator[tuple[str, str]]:
    """Messages and translations of one program, from its compiled catalogues, else the readable."""
    _, path = fetch_set(f"strings-{name}")
    folders = "|".join(_FOLDERS[language])
    with zipfile.ZipFile(path) as archive:
        members = [
            member
            for member in sorted(archive.namelist())
            if re.search(rf"/({folders})/LC_MESSAGES/[^/]+\.[mp]o$", member)
        ]
    for member in members:
        if member.endswith(".mo"):
            yield from _compiled(read_member(path, member))
        elif f"{member[:-3]}.mo" not in members:
            yield from _readable(read_member(path, member).decode())


def _compiled(content: bytes) -> Iterator[tuple[str, str]]:
    """Entries of a compiled catalogue: two tables of (length, place), sources and targets."""
    _, _, count, sources, targets = struct.unpack_from("<5I", content)
    for entry in range(count):
        texts = []
        for table in (sources, targets):
            length, place = struct.unpack_from("<2I", content, table + 8 * entry)
            texts.append(content[place : place + length].decode())
        source, target = texts
        yield source.rpartition("\x04")[2], target  # a context stands before the mark


def _readable(content: str) -> Iterator[tuple[str, str]]:
    """Entries of a readable catalogue; those that are fuzzy (unchecked), obsolete or plural not."""
    for entry in re.split(r"\n\s*\n", content.replace("\r\n", "\n")):
        lines = [line for line in entry.splitlines() if not line.startswith("#~")]
        if any(line.startswith("#,") and "fuzzy" in line for line in lines):
            continue
        texts: dict[str, str] = {}
        keyword = ""
        for line in lines:
            if found := re.fullmatch(r'(?:(\w+(?:\[\d\])?)\s+)?(".*")\s*', line):
                keyword = found[1] or keyword
                texts[keyword] = texts.get(keyword, "") + ast.literal_eval(found[2])
        if "msgid" in texts and "msgstr" in texts:
            yield texts["msgid"], texts["msgstr"]
