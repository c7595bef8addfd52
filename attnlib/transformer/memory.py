"""What a transformer keeps of positions that it has already read."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib._checks import check_positive, check_sequence
from attnlib.cache import KVCache

__all__ = ["DecoderCache", "SegmentMemory"]


@dataclass(eq=False)  # tensors have no single answer to ==
class DecoderCache:
    """Keys and values of one decoder layer: of the target so far, and of the whole source.

    The source is the same at every step, so its keys and values are computed once.

    Args:
        own: the cache of self-attention; grows with every position of the target.
        keys: (B, H, S, D), those of the source in cross-attention.
        values: (B, H, S, D).
        mask: bool (B, 1, 1, S), which positions of the source may be attended; all when None.
    """

    own: KVCache
    keys: Tensor
    values: Tensor
    mask: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of target positions that are kept."""
        return self.own.length

    def reorder(self, index: Tensor) -> None:
        """Continue from chosen examples; afterwards example b is what example index[b] was.

        Args:
            index: (B',) integer, the examples to continue from, in order and with repetition.
        """
        self.own.reorder(index)
        self.keys, self.values = (x.index_select(0, index) for x in (self.keys, self.values))
        if self.mask is not None and len(self.mask) > 1:  # one row is for the whole batch
            self.mask = self.mask.index_select(0, index)


class SegmentMemory:
    """Inputs of one layer at earlier positions: a long text is read segment by segment.

    context = concat(memory, x);  memory = the last max_len positions of context, no gradient
    A query of this segment may attend to positions of earlier ones, although training keeps the
    activations of one segment only. A memory that covers everything gives what one pass over the
    whole text gives, in value; gradients stop at the border of the segment.

    Args:
        max_len: M, how many earlier positions are kept.

    Raises:
        ValueError: a size below 1.

    Reference: Dai et al. 2019, section 3.2, arXiv:1901.02860

    >>> memory = SegmentMemory(max_len=3)
    >>> [memory.append(torch.zeros(1, 2, 7)).shape[1] for _ in range(4)]
    [2, 4, 5, 5]
    """

    def __init__(self, max_len: int) -> None:
        check_positive("SegmentMemory", max_len=max_len)
        self.max_len = max_len
        self._states: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of positions that are kept."""
        return 0 if self._states is None else self._states.shape[1]

    def append(self, x: Tensor) -> Tensor:
        """Put a segment behind what is kept.

        Args:
            x: (B, L, F).

        Returns:
            (B, length + L, F): earlier positions, then `x`; a gradient reaches `x` only.

        Raises:
            TypeError: an input that is not floating point.
            ValueError: another batch or width than that of the segments before.
        """
        check_sequence("SegmentMemory.append", "x", x)
        if self._states is None:
            context = x
        else:
            kept = self._states
            if (kept.shape[0], kept.shape[2]) != (x.shape[0], x.shape[2]):
                raise ValueError(
                    f"SegmentMemory.append: x has shape {tuple(x.shape)} after segments of shape "
                    f"{tuple(kept.shape)}, expected the same batch and width; "
                    f"reset() before another text"
                )
            context = torch.cat([kept, x], dim=1)
        self._states = context[:, -self.max_len :].detach()
        return context

    def reset(self) -> None:
        """Forget everything, as at the start of another text."""
        self._states = None
