"""Keys and values of positions already seen, so that decoding computes each of them once."""

import torch
from torch import Tensor

from attnlib._checks import check_floating, check_positive, check_tensor

__all__ = ["KVCache"]


class KVCache:
    """The keys and values that one attention layer has seen so far.

    After chunks 1..n:  keys = concat(key_1, ..., key_n);  values = concat(value_1, ..., value_n)
    The memory for `max_len` positions is taken once, because joining tensors at every step would
    copy all earlier positions again. Caches are for inference: what is appended must not need a
    gradient, which the next write in place would destroy.

    Args:
        batch_size: B.
        num_heads: H, heads of the *keys*: `num_kv_heads` of a layer with grouped queries.
        max_len: number of positions there is room for.
        head_dim: D, width of a key and of a value.
        device: where the memory is.
        dtype: of the memory; torch's default dtype when omitted.

    Raises:
        TypeError: a dtype that is not floating point.
        ValueError: sizes below 1.

    Reference: Shazeer 2019, section 2.4 (incremental inference), arXiv:1911.02150

    >>> cache = KVCache(1, 2, max_len=7, head_dim=3)
    >>> keys, values = cache.append(torch.zeros(1, 2, 5, 3), torch.ones(1, 2, 5, 3))
    >>> keys.shape, cache
    (torch.Size([1, 2, 5, 3]), KVCache(5 of 7 positions))
    """

    def __init__(
        self,
        batch_size: int,
        num_heads: int,
        max_len: int,
        head_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive(
            "KVCache",
            batch_size=batch_size,
            num_heads=num_heads,
            max_len=max_len,
            head_dim=head_dim,
        )
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"KVCache: dtype is {dtype}, expected floating point; write dtype=torch.float32"
            )
        self.max_len = max_len
        self._length = 0
        shape = (2, batch_size, num_heads, max_len, head_dim)  # keys, then values
        self._memory = _new_memory(shape, device, dtype)

    @property
    def length(self) -> int:
        """Number of positions that are filled."""
        return self._length

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add n positions at the end.

        Args:
            key: (B, H, n, D).
            value: (B, H, n, D).

        Returns:
            The keys and the values of all positions, (B, H, length, D) each. They are views: the
            next `reset` or `reorder` changes what they show, so clone what is to be kept.

        Raises:
            RuntimeError: a key or value that needs a gradient.
            TypeError: not the dtype of the cache (autocast converts).
            ValueError: shapes that do not fit, another device, or more than `max_len` positions.
        """
        # Nothing here needs a gradient: that is checked, and quicker than to say torch.no_grad().
        self._check("key", key)
        if not _alike(value, key):
            self._check("value", value)
        if key.shape != value.shape:
            raise ValueError(
                f"KVCache.append: got {key.shape[2]} keys and {value.shape[2]} values, expected "
                f"one value a key; pass both from the same positions"
            )
        end = self._length + key.shape[2]
        if end > self.max_len:
            raise ValueError(
                f"KVCache.append: got {key.shape[2]} positions after {self._length}, expected at "
                f"most max_len={self.max_len} in all; build KVCache(..., max_len={end}) or reset()"
            )
        filled = self._memory[:, :, :, :end]
        keys, values = filled.unbind()
        keys[:, :, self._length :] = key
        values[:, :, self._length :] = value
        self._length = end
        return keys, values

    def reset(self) -> None:
        """Forget all positions, and keep the memory."""
        self._length = 0

    @torch.no_grad()
    def reorder(self, index: Tensor) -> None:
        """Continue from chosen examples, as beam search does from the beams that survive.

        Afterwards example b is what example index[b] was. The batch may grow or shrink.

        Args:
            index: (B',) integer, the examples to continue from, in order and with repetition.

        Raises:
            TypeError: an index that is not an integer tensor.
            ValueError: not one-dimensional, empty, or not the number of an example.
        """
        check_tensor("KVCache.reorder", "index", index)
        if index.dtype not in (torch.int32, torch.int64):
            raise TypeError(
                f"KVCache.reorder: index is {index.dtype}, expected integers; write index.long()"
            )
        batch_size = self._memory.shape[1]
        # On a GPU looking at the numbers would wait for it at every step; its kernel checks them.
        outside = index.device.type == "cpu" and bool(((index < 0) | (index >= batch_size)).any())
        if index.ndim != 1 or index.numel() == 0 or outside:
            raise ValueError(
                f"KVCache.reorder: got an index of shape {tuple(index.shape)}, expected (B',) "
                f"numbers of examples from 0 to {batch_size - 1}; pass one a new example"
            )
        kept = self._memory[:, :, :, : self._length].index_select(1, index)
        if len(index) != batch_size:
            shape = (2, len(index), *self._memory.shape[2:])
            self._memory = _new_memory(shape, self._memory.device, self._memory.dtype)
        self._memory[:, :, :, : self._length] = kept

    def _check(self, name: str, tensor: Tensor) -> None:
        owner = "KVCache.append"
        check_floating(owner, name, tensor)
        _, B, H, _, D = self._memory.shape
        got = tuple(tensor.shape)
        if tensor.ndim != 4 or got[2] == 0 or (got[0], got[1], got[3]) != (B, H, D):
            raise ValueError(
                f"{owner}: {name} has shape {got}, expected ({B}, {H}, n, {D}) with n >= 1; "
                f"build the cache for these sizes"
            )
        if tensor.device != self._memory.device:
            raise ValueError(
                f"{owner}: {name} is on {tensor.device}, expected {self._memory.device}; "
                f"build KVCache(..., device={name}.device)"
            )
        if tensor.dtype != self._memory.dtype and not _casts(tensor.device):
            raise TypeError(
                f"{owner}: {name} is {tensor.dtype}, expected {self._memory.dtype}; "
                f"build KVCache(..., dtype={name}.dtype)"
            )
        if tensor.requires_grad:
            raise RuntimeError(
                f"{owner}: {name} needs a gradient, expected inference; "
                f"write torch.no_grad() around the loop, or train without a cache"
            )

    def __repr__(self) -> str:
        return f"KVCache({self._length} of {self.max_len} positions)"


def _new_memory(
    shape: tuple[int, ...], device: torch.device | str | None, dtype: torch.dtype | None
) -> Tensor:
    # A tensor that is born in inference mode could never be written outside of it.
    with torch.inference_mode(False):
        return torch.empty(shape, device=device, dtype=dtype)


def _alike(value: object, key: Tensor) -> bool:
    return (
        isinstance(value, Tensor)
        and value.shape == key.shape
        and value.dtype == key.dtype
        and value.device == key.device
        and value.requires_grad == key.requires_grad
    )


def _casts(device: torch.device) -> bool:
    """Whether autocast is on, under which attention converts what the cache returns."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
