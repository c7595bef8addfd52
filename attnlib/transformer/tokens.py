"""From numbers of tokens to the features that enter the first layer."""

import torch
from torch import Tensor, nn

from attnlib._checks import check_positive, check_probability, check_tensor
from attnlib._dropout import dropout
from attnlib.positional import LearnedEncoding, SinusoidalEncoding

__all__ = ["TokenEmbedding"]


class TokenEmbedding(nn.Module):
    """A learned vector a token, and its position added to it.

    output_i = dropout(weight[token_i] + encoding[offset + i])

    Args:
        vocab_size: V, number of tokens.
        embed_dim: F.
        encoding: a SinusoidalEncoding or LearnedEncoding of the same width; none when omitted.
        dropout: probability of dropping a feature while training, in [0, 1).

    Raises:
        ValueError: sizes below 1, or a bad probability.

    Differs from torch.nn.Embedding:
        starts as small as a learned encoding, unless waves of size 1 are added to it, and a
        number outside the vocabulary is a ValueError that says so (on a CPU: a GPU cannot say).

    >>> TokenEmbedding(11, 6)(torch.tensor([[3, 1, 4]])).shape
    torch.Size([1, 3, 6])
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        *,
        encoding: LearnedEncoding | SinusoidalEncoding | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("TokenEmbedding", vocab_size=vocab_size, embed_dim=embed_dim)
        check_probability("TokenEmbedding", "dropout", dropout)
        self.dropout = dropout
        self.encoding = encoding
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        if not isinstance(encoding, SinusoidalEncoding):
            nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor, *, offset: int = 0) -> Tensor:
        """Look tokens up.

        Args:
            tokens: (B, L) integer, in [0, V).
            offset: position of the first token, the number of those read before.

        Returns:
            (B, L, F).

        Raises:
            TypeError: tokens that are not integers.
            ValueError: another shape, no token, a token outside the vocabulary, positions beyond
                those of the encoding.
        """
        owner = "TokenEmbedding"
        check_tensor(owner, "tokens", tokens)
        if tokens.dtype not in (torch.int32, torch.int64):
            raise TypeError(
                f"{owner}: tokens is {tokens.dtype}, expected int64 or int32 numbers of tokens; "
                f"write tokens.long()"
            )
        if tokens.ndim != 2 or tokens.numel() == 0:
            raise ValueError(
                f"{owner}: tokens has shape {tuple(tokens.shape)}, expected (B, L) with at least "
                f"one token; write tokens.unsqueeze(0) for one text, and give it a start token"
            )
        try:
            x = self.embedding(tokens)
        except IndexError:
            raise ValueError(
                f"{owner}: got tokens from {tokens.min()} to {tokens.max()}, expected 0 to "
                f"{self.embedding.num_embeddings - 1}; build the model with a larger vocabulary"
            ) from None
        if self.encoding is not None:
            x = self.encoding(x, offset=offset)
        return dropout(x, self.dropout, self.training)
