"""Rows of a set in three fixed parts, and the choice of a set by name."""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor

SHARES = (0.7, 0.1, 0.2)  # of the rows, for train, validation and test


class Parted:
    """Base of data sets whose rows are split once and for all.

    A subclass is a frozen dataclass with the fields `name` and `parts`; it lists in `by_row` the
    fields that have one entry a row, tensors or tuples, and says in `row` what a row is.
    """

    __slots__ = ()
    by_row: ClassVar[tuple[str, ...]]
    row: ClassVar[str]
    name: str
    parts: Tensor

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {len(self):,} {self.row})"

    @property
    def train(self) -> Self:
        """The rows for the parameters, the vocabulary and the scaling."""
        return self._part(0)

    @property
    def validation(self) -> Self:
        """The rows for every choice, such as when to stop."""
        return self._part(1)

    @property
    def test(self) -> Self:
        """The rows for the numbers that are reported."""
        return self._part(2)

    def _part(self, part: int) -> Self:
        rows = (self.parts == part).nonzero().flatten()
        return replace(self, **{field: _take(getattr(self, field), rows) for field in self.by_row})


def parts_in_order(rows: int) -> Tensor:
    """(rows,) int64: the first 70 % are training, the next 10 % validation, the last 20 % test."""
    ends = torch.tensor([round(rows * SHARES[0]), round(rows * (SHARES[0] + SHARES[1]))])
    return torch.bucketize(torch.arange(rows), ends, right=True)


def check_choice(owner: str, name: object, names: Iterable[str]) -> None:
    """Raise ValueError unless `name` is one of `names`; the nearest one is suggested."""
    names = list(names)
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1) or names
        raise ValueError(
            f"{owner}: no set {name!r}, expected one of {', '.join(names)}; "
            f"write {owner}({near[0]!r})"
        )


def _take(column: Tensor | tuple, rows: Tensor) -> Tensor | tuple:
    if isinstance(column, Tensor):
        return column[rows]
    return tuple(column[row] for row in rows.tolist())
