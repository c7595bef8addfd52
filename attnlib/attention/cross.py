"""Attention from one sequence to another, one way and both ways."""

from torch import Tensor, nn

from attnlib._checks import check_sequence
from attnlib.attention.multihead import MultiHeadAttention

__all__ = ["CoAttention", "CrossAttention"]


class CrossAttention(nn.Module):
    """Attention from a sequence to a context of another length, and perhaps another width.

    output = MultiHeadAttention(query=x, key=context, value=context)
    An element of x whose context is all hidden gets the bias of the output projection.

    Args:
        embed_dim: F, width of `x` and output; a multiple of `num_heads`.
        num_heads: H.
        context_dim: C, width of the context; `embed_dim` when omitted.
        dropout: probability of dropping a weight while training, in [0, 1).

    Raises:
        ValueError: sizes below 1 or that do not divide, or a bad probability.

    Reference: Vaswani et al. 2017, section 3.2.3 (encoder-decoder attention), arXiv:1706.03762

    >>> import torch
    >>> CrossAttention(6, 2, context_dim=7)(torch.zeros(1, 3, 6), torch.zeros(1, 5, 7)).shape
    torch.Size([1, 3, 6])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        context_dim: int | None = None,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(
            embed_dim, num_heads, kdim=context_dim, vdim=context_dim, dropout=dropout
        )

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        *,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend from `x` to `context`.

        Args:
            x: (B, L, F).
            context: (B, S, C).
            mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts. True = may attend.
            need_weights: also return the weights of every head, before dropout.

        Returns:
            (B, L, F), or that and the weights (B, H, L, S).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, or an empty sequence.
        """
        return self.attention(x, context, mask=mask, need_weights=need_weights)


class CoAttention(nn.Module):
    """Two sequences that attend to each other, each with parameters of its own.

    x' = attention_x(query=x, key=y, value=y);  y' = attention_y(query=y, key=x, value=x)
    Both read the inputs as they come, so neither is first. An element with nothing to attend
    gets the bias of the output projection.

    Args:
        embed_dim: F, width of both; a multiple of `num_heads`.
        num_heads: H.
        dropout: probability of dropping a weight while training, in [0, 1).

    Raises:
        ValueError: sizes below 1 or that do not divide, or a bad probability.

    Reference: Lu et al. 2019, section 2.2 (co-attentional layer), arXiv:1908.02265; the idea, with
        one affinity for both directions: Lu et al. 2016, section 3.3, arXiv:1606.00061

    >>> import torch
    >>> x, y = CoAttention(6, 2)(torch.zeros(1, 3, 6), torch.zeros(1, 5, 6))
    >>> x.shape, y.shape
    (torch.Size([1, 3, 6]), torch.Size([1, 5, 6]))
    """

    def __init__(self, embed_dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.x_attention = MultiHeadAttention(embed_dim, num_heads, dropout=dropout)
        self.y_attention = MultiHeadAttention(embed_dim, num_heads, dropout=dropout)

    def forward(
        self,
        x: Tensor,
        y: Tensor,
        *,
        x_mask: Tensor | None = None,
        y_mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor, Tensor]:
        """Attend in both directions.

        Args:
            x: (B, L, F).
            y: (B, S, F).
            x_mask: bool, (S, L) or (B, H, S, L) with ones where it broadcasts: which of x may be
                attended, as `padding_mask(lengths_of_x)` says it.
            y_mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts: which of y may be
                attended.
            need_weights: also return the weights of every head, before dropout.

        Returns:
            x' (B, L, F) and y' (B, S, F); with weights also how x attends to y, (B, H, L, S), and
            how y attends to x, (B, H, S, L).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, or an empty sequence.
        """
        check_sequence("CoAttention", "x", x, self.x_attention.q_proj)
        check_sequence("CoAttention", "y", y, self.y_attention.q_proj)
        to_y = self.x_attention(x, y, mask=y_mask, need_weights=need_weights)
        to_x = self.y_attention(y, x, mask=x_mask, need_weights=need_weights)
        return (to_y[0], to_x[0], to_y[1], to_x[1]) if need_weights else (to_y, to_x)
