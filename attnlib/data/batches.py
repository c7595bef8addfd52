"""Batches of tensors that lie in memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from attnlib._checks import check_positive, check_tensor

__all__ = ["TensorBatches"]


class TensorBatches:
    """Batches of rows of several tensors, as tuples, for as many epochs as wanted.

    Each pass goes over all rows once; the last batch is smaller when the rows do not divide.

    Args:
        tensors: (N, ...) each, on any device.
        batch_size: rows of a batch.
        shuffle: take the rows in a new random order at every pass.
        generator: source of that order; None uses torch's global one. Its state is all that a
            trainer has to keep to resume with the same orders.

    Raises:
        TypeError: not a tensor, or a batch_size that is not an int.
        ValueError: no tensors, different numbers of rows, or batch_size below 1.

    Differs from torch.utils.data.DataLoader:
        takes tensors, not a dataset, and picks the rows of a batch in one step, which costs about a
        tenth on small data; has no workers and no collate function; a single tensor also comes as a
        tuple.

    >>> batches = TensorBatches(torch.arange(5), torch.zeros(5, 3), batch_size=2)
    >>> len(batches), [tuple(x.shape) for x, _ in batches]
    (3, [(2,), (2,), (1,)])
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        check_positive("TensorBatches", batch_size=batch_size)
        if not tensors:
            raise ValueError(
                "TensorBatches: got no tensors, expected at least one; pass inputs and targets"
            )
        for number, tensor in enumerate(tensors):
            check_tensor("TensorBatches", f"tensors[{number}]", tensor)
        rows = [len(tensor) if tensor.ndim else None for tensor in tensors]
        if None in rows or len(set(rows)) > 1:
            raise ValueError(
                f"TensorBatches: tensors have shapes {[tuple(t.shape) for t in tensors]}, expected "
                f"the same number of rows in each; pass one target for each input"
            )
        self.tensors = tensors
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rows = len(self.tensors[0])
        order = None
        if self.shuffle:
            device = self.generator.device if self.generator else None
            order = torch.randperm(rows, generator=self.generator, device=device)
        for start in range(0, rows, self.batch_size):
            batch = slice(start, start + self.batch_size)
            if order is None:
                yield tuple(tensor[batch] for tensor in self.tensors)
            else:
                yield tuple(x.index_select(0, order[batch].to(x.device)) for x in self.tensors)
