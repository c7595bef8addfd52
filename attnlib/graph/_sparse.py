"""Sparse node features, such as bags of words: a product with them that reads only what is there.

A page uses 1 % of the words: 99 % of a dense product multiply zeros. `torch.sparse.mm` sorts anew
for every gradient; here both directions are sorted once and kept, and features stay sparse through
dropout.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.utils.weak import WeakTensorKeyDictionary

from attnlib._dropout import dropout
from attnlib.graph._kernels import is_fast, weighted_rows

_KNOWN = WeakTensorKeyDictionary()  # features -> (their version, their numbers, Pattern)


class Pattern(NamedTuple):
    """Where a sparse matrix (N, F) holds its n numbers, sorted by rows and by columns.

    Args:
        indices: (2, n) row and column of each number, row by row.
        columns: (n,) the same columns, for `weighted_rows`.
        row_pointer: (N + 1,) where each row begins.
        rows: (n,) row of each number, column by column.
        column_pointer: (F + 1,) where each column begins.
        turn: (n,) which number, counted row by row, is next column by column.
    """

    indices: Tensor
    columns: Tensor
    row_pointer: Tensor
    rows: Tensor
    column_pointer: Tensor
    turn: Tensor


def is_sparse(x: Tensor) -> bool:
    """Whether x is in one of torch's sparse layouts."""
    return x.layout != torch.strided


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias for x (N, F), dense or sparse in any layout of torch."""
    if not is_sparse(x):
        return F.linear(x, weight, bias)
    if not _stays_sparse(x) or x.dtype != weight.dtype:
        return F.linear(x.to_dense(), weight, bias)
    out = _SparseProduct.apply(weight.t(), *_read(x))
    return out if bias is None else out + bias


def feature_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout of x (N, F), dense or sparse: a zero that is not stored is zero anyway."""
    if not is_sparse(x) or not training or p == 0.0:
        return dropout(x, p, training)
    if not _stays_sparse(x):
        return dropout(x.to_dense(), p, training)
    values, pattern = _read(x)
    values = dropout(values, p, training)
    dropped = torch.sparse_coo_tensor(
        pattern.indices, values, x.shape, is_coalesced=True, check_invariants=False
    )
    _KNOWN[dropped] = (dropped._version, values, pattern)
    return dropped


def _stays_sparse(x: Tensor) -> bool:
    return is_fast(x) and not x.requires_grad


def _read(x: Tensor) -> tuple[Tensor, Pattern]:
    """The numbers of sparse x, row by row, and where they are."""
    if x.is_inference():  # such a tensor does not tell whether it was written to
        return _sort(x)
    version, *known = _KNOWN.get(x, (None,))
    if version != x._version:
        known = _sort(x)
        _KNOWN[x] = (x._version, *known)
    return tuple(known)


@torch.inference_mode(False)  # what is kept from an evaluation must serve training too
@torch.no_grad()
def _sort(x: Tensor) -> tuple[Tensor, Pattern]:
    if x.is_inference():
        x = x.clone()
    (N, width), x = x.shape, x.to_sparse_coo().coalesce()
    # Not views of x: the entry of _KNOWN would keep its own key alive.
    indices, values = x.indices().data, x.values().data
    rows, columns = indices
    turn = torch.argsort(columns, stable=True)
    small = max(N, width, len(rows)) < torch.iinfo(torch.int32).max
    dtype = torch.int32 if small else torch.int64
    parts = (
        columns,
        _pointer(rows, N),
        rows.index_select(0, turn),
        _pointer(columns, width),
        turn,
    )
    return values, Pattern(indices, *(part.to(dtype) for part in parts))


def _pointer(numbers: Tensor, size: int) -> Tensor:
    ends = torch.bincount(numbers, minlength=size).cumsum(0)
    return torch.cat([ends.new_zeros(1), ends])


class _SparseProduct(Function):
    """S rows, where S is a sparse matrix without a gradient: (F, O) to (N, O)."""

    @staticmethod
    def forward(ctx, rows, values, pattern):
        ctx.values, ctx.pattern = values, pattern
        return weighted_rows(pattern.columns, rows.contiguous(), pattern.row_pointer, values)

    @staticmethod
    def backward(ctx, grad):
        return _TransposedProduct.apply(grad, ctx.values, ctx.pattern), None, None


class _TransposedProduct(Function):
    """S^T rows: (N, O) to (F, O)."""

    @staticmethod
    def forward(ctx, rows, values, pattern):
        ctx.values, ctx.pattern = values, pattern
        turned = values.index_select(0, pattern.turn)
        return weighted_rows(pattern.rows, rows.contiguous(), pattern.column_pointer, turned)

    @staticmethod
    def backward(ctx, grad):
        return _SparseProduct.apply(grad, ctx.values, ctx.pattern), None, None
