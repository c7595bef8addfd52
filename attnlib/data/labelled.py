"""Texts with a class each, cleaned and split without leaks."""

import html
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnlib.data._parts import Parted
from attnlib.data.splits import group_split

__all__ = ["TextSet", "labelled_texts", "word_pairs"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextSet(Parted):
    """Different texts with a class each, and a fixed split of them.

    `train`, `validation` and `test` are again TextSets: about 70 %, 10 % and 20 %. No near
    duplicate of a text lies in another part.

    Args:
        name: of the set in the catalogue.
        texts: N different texts, white space and HTML cleaned.
        labels: (N,) int64, class of each text.
        classes: C names.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
        dropped: rows of the file that are left out: repeated, or of both classes.
    """

    name: str
    texts: tuple[str, ...]
    labels: Tensor
    classes: tuple[str, ...]
    parts: Tensor
    dropped: int

    by_row: ClassVar = ("texts", "labels", "parts")
    row: ClassVar = "texts"

    @property
    def majority(self) -> float:
        """Share of the most frequent class: the accuracy of always saying it."""
        return self.labels.bincount().max().item() / len(self)


def labelled_texts(
    name: str,
    rows: Sequence[tuple[str, int]],
    classes: tuple[str, ...],
    compared: Callable[[str], str] = str,
) -> TextSet:
    """Texts of rows without the repeated and the contradictory ones, and a split of them.

    White space is made single, HTML entities are resolved and HTML tags left out. Texts that then
    occur with two classes are left out altogether.

    Args:
        name: of the set.
        rows: text and number of its class.
        classes: C names.
        compared: makes of a text the words by which near duplicates are found.

    Returns:
        TextSet

    >>> rows = [("good  film", 1), ("good film", 1), ("so so", 0), ("so so", 1)]
    >>> films = labelled_texts("films", rows, ("bad", "good"))
    >>> films.texts, films.dropped
    (('good film',), 3)
    """
    labels: dict[str, set[int]] = {}
    for text, label in rows:
        text = re.sub(r"<[a-zA-Z/][^<>]*>", " ", html.unescape(html.unescape(text)))
        labels.setdefault(" ".join(text.split()), set()).add(label)
    kept = {text: found.pop() for text, found in labels.items() if text and len(found) == 1}
    parts = group_split(range(len(kept)), [compared(text) for text in kept])
    return TextSet(
        name,
        tuple(kept),
        torch.tensor(list(kept.values()), dtype=torch.int64),
        classes,
        torch.tensor(parts, dtype=torch.int64),
        len(rows) - len(kept),
    )


def word_pairs(text: str) -> str:
    """The pairs of neighbouring words among the first 40, each pair as one word.

    Near duplicates are found by them where single words would not do: many short texts share their
    words, and copies of long texts begin alike.

    Args:
        text: any.

    Returns:
        str

    >>> word_pairs("What a joy!")
    'what_a a_joy'
    """
    words = re.findall(r"\w+", text.lower())[:40]
    return " ".join(f"{first}_{second}" for first, second in itertools.pairwise(words))
