"""The three parts of a set, and the choice of a set by its name."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnlib.data._parts import Parted, check_choice, parts_in_order


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Letters(Parted):
    name: str
    letters: tuple[str, ...]
    numbers: Tensor
    shared: tuple[str, ...]
    parts: Tensor

    by_row: ClassVar = ("letters", "numbers", "parts")
    row: ClassVar = "letters"


def test_a_part_has_its_rows_of_each_column_and_all_of_what_is_shared():
    data = Letters("abc", tuple("abcde"), torch.arange(5), ("x",), torch.tensor([2, 0, 1, 0, 2]))
    assert (data.train.letters, data.train.numbers.tolist()) == (("b", "d"), [1, 3])
    assert (data.validation.letters, data.validation.numbers.tolist()) == (("c",), [2])
    assert (data.test.letters, data.test.numbers.tolist()) == (("a", "e"), [0, 4])
    assert data.test.shared == data.shared
    assert data.train.train.letters == ("b", "d")
    assert len(data.train.test) == 0
    assert repr(data) == "Letters(abc: 5 letters)"


def test_a_set_can_be_copied_but_not_changed():
    data = Letters("abc", tuple("ab"), torch.arange(2), (), torch.tensor([0, 1]))
    assert copy.deepcopy(data).letters == ("a", "b")
    with pytest.raises(AttributeError, match="letters"):
        data.letters = ()


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 500))
def test_parts_in_order_are_one_after_the_other_in_the_stated_shares(rows):
    parts = parts_in_order(rows)
    assert len(parts) == rows
    assert torch.equal(parts, parts.sort().values)
    counts = parts.bincount(minlength=3)
    assert all(abs(n - share * rows) <= 1 for n, share in zip(counts, (0.7, 0.1, 0.2), strict=True))


def test_the_parts_of_ten_rows():
    assert parts_in_order(10).tolist() == [0] * 7 + [1] + [2] * 2


ERRORS = [
    (
        lambda: check_choice("films", "imbd", ["rotten", "imdb"]),
        ValueError,
        r"films: no set 'imbd', expected one of rotten, imdb; write films\('imdb'\)",
    ),
    (
        lambda: check_choice("films", None, ["rotten", "imdb"]),
        ValueError,
        r"write films\('rotten'\)",
    ),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)
