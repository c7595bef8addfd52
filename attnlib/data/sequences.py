"""Short multivariate recordings to classify: vowels, motions, days of electricity demand."""

import torch

from attnlib.data._parts import check_choice
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.speech import SequenceSet

__all__ = ["recordings"]

_FILES = {
    "vowels": "JapaneseVowels",
    "motions": "BasicMotions",
    "power": "ItalyPowerDemand",
}


def recordings(name: str) -> SequenceSet:
    """Recordings of unequal or equal length with a class, in the published split.

    "vowels": 640 utterances of /ae/, 7 to 29 frames of 12 cepstra; which of 9 men speaks? The test
    part is not balanced. "motions": 80 times ten seconds of a watch, 100 steps of 3 accelerations
    and 3 rotations; standing, running, walking or badminton? All four people are in both parts.
    "power": 1,096 days of 24 hours; October to March or April to September? (The file does not
    say which of its classes 1 and 2 is which.)

    The published split has no validation part: it is the last fifth of the training recordings of
    each class. With 40 (motions) and 67 (power) training recordings, one more error in validation
    is chance.

    Args:
        name: "vowels", "motions" or "power".

    Returns:
        SequenceSet

    Raises:
        ValueError: another name.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Kudo, Toyama & Shimbo 1999, "Multidimensional curve classification using
    passing-through regions"; Bagnall et al. 2018, "The UEA multivariate time series classification
    archive, 2018", arXiv:1811.00075
    """
    check_choice("recordings", name, _FILES)
    data_set, path = fetch_set(f"sequences-{name}")
    classes, series, labels, halves = (), [], [], []
    for half in ("TRAIN", "TEST"):
        member = f"aeon/datasets/data/{_FILES[name]}/{_FILES[name]}_{half}.ts"
        lines = read_member(path, member).decode().splitlines()
        lines = [line for line in lines if line and not line.startswith("#")]
        heads = [line.split() for line in lines if line.startswith("@")]
        [classes] = [tuple(words[2:]) for words in heads if words[0].lower() == "@classlabel"]
        for line in (line for line in lines if not line.startswith("@")):
            *columns, label = line.split(":")
            series.append(torch.tensor([[float(x) for x in c.split(",")] for c in columns]).T)
            labels.append(classes.index(label.strip()))
            halves.append(half)
    parts = torch.tensor([2 if half == "TEST" else 0 for half in halves])
    for label in range(len(classes)):
        own = ((torch.tensor(labels) == label) & (parts == 0)).nonzero().flatten()
        parts[own[len(own) - len(own) // 5 :]] = 1
    return SequenceSet(
        data_set.name,
        torch.nn.utils.rnn.pad_sequence(series, batch_first=True),
        torch.tensor([len(steps) for steps in series]),
        torch.tensor(labels),
        classes,
        parts,
    )
