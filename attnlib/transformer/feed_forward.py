"""The part of a transformer layer that looks at one position at a time."""

import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import check_positive, check_probability
from attnlib._dropout import dropout

__all__ = ["FeedForward"]

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu}


class FeedForward(nn.Module):
    """Two linear layers, applied to every position alone.

    output = W_2 dropout(activation(W_1 x + b_1)) + b_2

    Args:
        embed_dim: F, width of input and output.
        ffn_dim: width between the two layers; 4 F when omitted.
        dropout: probability of dropping a hidden value while training, in [0, 1).
        activation: "gelu" or "relu".

    Raises:
        ValueError: sizes below 1, a bad probability, another activation.

    Reference: Vaswani et al. 2017, section 3.3, arXiv:1706.03762; GELU: Hendrycks and Gimpel
        2016, arXiv:1606.08415

    >>> import torch
    >>> FeedForward(6, 24)(torch.zeros(1, 5, 6)).shape
    torch.Size([1, 5, 6])
    """

    def __init__(
        self,
        embed_dim: int,
        ffn_dim: int | None = None,
        *,
        dropout: float = 0.0,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        ffn_dim = 4 * embed_dim if ffn_dim is None else ffn_dim
        check_positive("FeedForward", embed_dim=embed_dim, ffn_dim=ffn_dim)
        check_probability("FeedForward", "dropout", dropout)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"FeedForward: got activation={activation!r}, expected one of "
                f"{sorted(ACTIVATIONS)}; write activation='gelu'"
            )
        self.dropout = dropout
        self.activation = activation
        self.linear1 = nn.Linear(embed_dim, ffn_dim)
        self.linear2 = nn.Linear(ffn_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every position.

        Args:
            x: (B, L, F).

        Returns:
            (B, L, F).
        """
        activation = ACTIVATIONS[self.activation]
        # Nested, so that no name keeps the widest tensors alive while the next one is made.
        hidden = dropout(activation(self.linear1(x)), self.dropout, self.training)
        return self.linear2(hidden)
