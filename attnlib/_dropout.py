"""Dropout that is not limited by the random number generator of the CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 1 << 16  # values of the 16 random bits that decide about one element


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Zero each element with probability `p` and scale up the rest: `F.dropout`, but faster.

    On a CPU torch draws one random number an element, one after the other, and in a small model
    that takes longer than the matrix products. One random word of 64 bits is enough for four
    elements of 16 bits: a signed 16-bit integer lies below its round(65536 p)-th smallest value
    with probability p, rounded to 1 / 65536. The scale is that of the rounded p, so that the
    mean is exact. Drawn from torch's default generator, so torch.manual_seed repeats it.

    Args:
        x: any shape, floating point.
        p: probability of zeroing an element, in [0, 1).
        training: nothing is dropped when False.

    Returns:
        The shape of `x`.
    """
    if not training or p == 0.0:
        return x
    # Other devices draw in parallel; a compiler or vmap must see the random step to handle it.
    plain = x.device.type == "cpu" and not torch.compiler.is_compiling()
    if not plain or torch._C._functorch.maybe_current_level() is not None:
        return F.dropout(x, p)
    dropped = min(round(p * LEVELS), LEVELS - 1)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    bits = words.view(torch.int16)[: x.numel()].view(x.shape)
    keep = torch.empty_like(x)  # 0 or 1 in the dtype of x: converting afterwards is another pass
    torch.ge(bits, dropped - LEVELS // 2, out=keep)
    return x * keep.mul_(LEVELS / (LEVELS - dropped))
