"""Attention that learns how far to look."""

import torch
from torch import Tensor, nn

from attnlib._checks import check_positive

__all__ = ["AdaptiveSpan"]


class AdaptiveSpan(nn.Module):
    """A learned span for each head: keys farther away fade out and are hidden.

    share[h, i, j] = min(max((R + span_h - distance) / R, 0), 1);  bias = log(share)
    with distance = |position of i - j|, queries aligned at the last key. As a bias, a share
    multiplies exp(score) before the softmax, as in the paper. A key beyond span + R is hidden,
    and its gradient is 0. The span follows its gradient only where the ramp is: there it
    balances what a longer view is worth against `penalty()`, to be added to the loss.

    Args:
        num_heads: H.
        max_span: the largest span, in positions.
        ramp: R, over how many positions a share falls from 1 to 0.

    Raises:
        ValueError: sizes below 1.

    Reference: Sukhbaatar et al. 2019, section 2.2, arXiv:1905.07799

    >>> AdaptiveSpan(1, max_span=7, ramp=2)(4).exp()
    tensor([[[1.0000, 0.5000, 0.0000, 0.0000],
             [0.5000, 1.0000, 0.5000, 0.0000],
             [0.0000, 0.5000, 1.0000, 0.5000],
             [0.0000, 0.0000, 0.5000, 1.0000]]], grad_fn=<ExpBackward0>)
    """

    def __init__(self, num_heads: int, max_span: int, *, ramp: int = 32) -> None:
        super().__init__()
        check_positive("AdaptiveSpan", num_heads=num_heads, max_span=max_span, ramp=ramp)
        self.max_span = max_span
        self.ramp = ramp
        # A fraction of the largest span, so that one learning rate serves it and the weights.
        self.fraction = nn.Parameter(torch.empty(num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with span 0: a head sees only the ramp."""
        nn.init.zeros_(self.fraction)

    def spans(self) -> Tensor:
        """The span of each head.

        A fraction that leaves [0, 1] counts as its edge; its gradient passes, or it could never
        come back.

        Returns:
            (H,), from 0 to `max_span`, in positions.
        """
        beyond = (self.fraction.clamp(0, 1) - self.fraction).detach()
        return (self.fraction + beyond) * self.max_span

    def penalty(self) -> Tensor:
        """The mean span, to be added to the loss with a small factor.

        Returns:
            A scalar, in positions.
        """
        return self.spans().mean()

    def forward(self, length: int, size: int | None = None) -> Tensor:
        """The bias for all pairs of positions.

        Args:
            length: L, number of queries.
            size: S, number of keys; L when omitted.

        Returns:
            (H, L, S), for the `bias` of MultiHeadAttention; minus infinity hides.

        Raises:
            ValueError: a size below 1.
        """
        size = length if size is None else size
        check_positive("AdaptiveSpan", length=length, size=size)
        device = self.fraction.device
        queries = torch.arange(size - length, size, device=device)
        distance = (queries[:, None] - torch.arange(size, device=device)).abs()
        share = (self.ramp + self.spans()[:, None, None] - distance) / self.ramp
        hidden = share <= 0
        # The gradient of log is infinite at 0: hidden shares are made harmless before it.
        return share.masked_fill(hidden, 1.0).clamp(max=1.0).log().masked_fill(hidden, -torch.inf)
