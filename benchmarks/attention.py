"""Attention against torch's kernel: dense, in bfloat16, in a window; and how each way grows.

python -m benchmarks.attention prints the ratios and keeps them in results/attention.json.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.functional import attention, chunked_attention, windowed_attention
from attnlib.masks import sliding_window_mask
from benchmarks.measure import Row, compare, peak_memory, save, slope

__all__ = ["dense", "growth", "main", "windowed"]

B, H, D = 8, 8, 64
WINDOW, SERIES = 256, 8192
LENGTHS = (128, 512, 2048, 8192)


def ours(query, key, value, causal):
    return attention(query, key, value, causal=causal)


def theirs(query, key, value, causal):
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


def chunked(query, key, value, causal):
    return chunked_attention(query, key, value, causal=causal)


def in_a_window(query, key, value, causal):
    return windowed_attention(query, key, value, WINDOW)


def masked(query, key, value, causal):
    """Torch's kernel computes all pairs; its mask is made anew, as it is in a forward pass."""
    mask = sliding_window_mask(query.shape[-2], WINDOW, device=query.device)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


WAYS = {f.__name__: f for f in (ours, theirs, chunked, in_a_window, masked)}


def step(
    way: str, dtype: str, batch: int, heads: int, length: int, causal: bool, backward: bool
) -> Callable[[], object]:
    """One forward pass, or one with its backward pass, as a call without arguments."""
    attend, generator = WAYS[way], torch.Generator().manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def numbers(requires_grad: bool = False) -> Tensor:
        x = torch.randn(batch, heads, length, D, generator=generator)
        return x.to(device, getattr(torch, dtype)).requires_grad_(requires_grad)

    leaves, sent = [numbers(backward) for _ in range(3)], numbers()

    def call() -> object:
        context = attend(*leaves, causal)
        return torch.autograd.grad(context, leaves, sent) if backward else context

    return call


def row(work: str, us: str, peer: str, rounds: int, time: float, memory: float, *sizes) -> Row:
    """The ratios of one piece of work, shown equal first, with its peak memory."""
    calls = {name: step(name, *sizes) for name in (us, peer)}
    check_equal(calls[us](), calls[peer](), sizes[0])
    result = compare(work, calls, peer, rounds=rounds)
    result.target, result.memory_target = {us: time}, {us: memory}
    result.memory = {us: peak_memory(step, us, *sizes) / peak_memory(step, peer, *sizes)}
    return result


def check_equal(one, other, dtype: str) -> None:
    close = {"float32": 1e-4, "bfloat16": 5e-2}[dtype]
    as_list = [x if isinstance(x, tuple) else (x,) for x in (one, other)]
    for x, y in zip(*as_list, strict=True):
        assert (x - y).norm() <= close * y.norm(), "what is not equal is not compared"


def cases() -> Iterator[tuple[bool, bool, str]]:
    for causal in (False, True):
        for backward in (False, True):
            name = "forward and backward" if backward else "forward"
            yield causal, backward, f"{'causal' if causal else 'full'}, {name}"


def dense(dtype: str, lengths: tuple[int, ...] = LENGTHS) -> list[Row]:
    """`attention` against torch's kernel at several lengths.

    Args:
        dtype: "float32" or "bfloat16".
        lengths: N, with B 8 and H 8. Long ones have B 1 and fewer rounds, to end in minutes.
    """
    rows = []
    for length in lengths:
        batch, rounds = (B, 9) if length < 2048 else (1, 5 if length < 8192 else 3)
        for causal, backward, name in cases():
            if dtype == "bfloat16":
                time, memory = 0.7, 1.1
            else:
                time, memory = 0.9 if length <= 128 and not causal else 1.05, 1.05
            work = f"attention, {dtype}, B {batch} H {H} D {D} N {length}, {name}"
            sizes = dtype, batch, H, length, causal, backward
            rows.append(row(work, "ours", "theirs", rounds, time, memory, *sizes))
    return rows


def windowed(dtype: str, rounds: int = 5) -> list[Row]:
    """`windowed_attention` against torch's kernel with a mask.

    Args:
        dtype: "float32" or "bfloat16".
        rounds: how often each is timed.
    """
    rows = []
    for backward in (False, True):
        name = "forward and backward" if backward else "forward"
        work = f"window {WINDOW}, {dtype}, B 1 H {H} D {D} N {SERIES}, {name}"
        sizes = dtype, 1, H, SERIES, True, backward
        rows.append(row(work, "in_a_window", "masked", rounds, 0.08, 0.06, *sizes))
    return rows


def growth(lengths: tuple[int, ...] = (2048, 4096, 8192), rounds: int = 3) -> dict[str, float]:
    """Exponent of time in the length of each way, forward and backward: 2 is a square, 1 a line.

    Args:
        lengths: N, with B 1 and H 2.
        rounds: how often each is timed.
    """
    found = {}
    for way in ("ours", "chunked", "in_a_window"):
        calls = {str(n): step(way, "float32", 1, 2, n, True, True) for n in lengths}
        seconds = compare(way, calls, str(lengths[0]), rounds=rounds).seconds
        found[way] = slope(lengths, [seconds[str(n)] for n in lengths])
    return found


def main() -> list[Row]:
    """Measure everything, print it and keep it."""
    half = dense("bfloat16", LENGTHS[:3])
    rows = [*dense("float32"), *half, *windowed("float32"), *windowed("bfloat16")]
    save("attention", rows, growth())
    return rows


if __name__ == "__main__":
    main()
