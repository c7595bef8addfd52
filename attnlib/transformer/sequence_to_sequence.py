"""Sequence to sequence: read a source, write a target one token after the other."""

from collections.abc import Sequence

from torch import Tensor, nn

from attnlib._checks import check_positive
from attnlib.positional import SinusoidalEncoding
from attnlib.transformer.decoder import TransformerDecoder
from attnlib.transformer.encoder import TransformerEncoder
from attnlib.transformer.memory import DecoderCache
from attnlib.transformer.tokens import TokenEmbedding

__all__ = ["Transformer"]


class Transformer(nn.Module):
    """The encoder and decoder of "Attention is all you need", from tokens to logits.

    memory = encoder(source);  logits_i = W decoder(target_1..i, memory)
    Training gives all of the target at once (teacher forcing): `model(source, target[:, :-1])`
    scores `target[:, 1:]`. Sources are padded at the end and hidden by `source_mask`; targets are
    padded at the end too and need no mask, since no real position sees what comes later.

    Args:
        source_vocab: number of source tokens.
        target_vocab: V, number of target tokens.
        embed_dim: F, even and a multiple of `num_heads`.
        num_heads: H.
        num_layers: number of layers of the encoder, and of the decoder.
        max_len: longest source and longest target.
        dropout: probability of dropping while training, in [0, 1), as in the layers.
        ffn_dim: hidden width of the feed-forward networks; 4 F when omitted.
        norm_first: normalise what goes into a branch; False is the paper's order.

    Raises:
        ValueError: sizes below 1 or that do not divide, an odd width, a bad probability.

    Differs from torch.nn.Transformer:
        takes tokens and returns logits, so embeddings, positions and the last projection are
        inside; causal always; decodes through a cache.

    Reference: Vaswani et al. 2017, section 3, arXiv:1706.03762

    >>> import torch
    >>> model = Transformer(13, 11, embed_dim=6, num_heads=3, num_layers=2, max_len=7)
    >>> model(torch.tensor([[1, 2, 3, 4, 5]]), torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 11])
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        max_len: int,
        *,
        dropout: float = 0.0,
        ffn_dim: int | None = None,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        check_positive(
            "Transformer",
            source_vocab=source_vocab,
            target_vocab=target_vocab,
            embed_dim=embed_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            max_len=max_len,
        )
        self.max_len = max_len
        sizes = (num_layers, embed_dim, num_heads, ffn_dim)
        waves = SinusoidalEncoding(embed_dim, max_len)
        self.source_embedding = TokenEmbedding(
            source_vocab, embed_dim, encoding=waves, dropout=dropout
        )
        self.target_embedding = TokenEmbedding(
            target_vocab, embed_dim, encoding=waves, dropout=dropout
        )
        self.encoder = TransformerEncoder(*sizes, dropout=dropout, norm_first=norm_first)
        self.decoder = TransformerDecoder(*sizes, dropout=dropout, norm_first=norm_first)
        self.head = nn.Linear(embed_dim, target_vocab)

    def forward(
        self, source: Tensor, target: Tensor, *, source_mask: Tensor | None = None
    ) -> Tensor:
        """Score the next target token at every position.

        Args:
            source: (B, S) integer tokens.
            target: (B, L) integer tokens, beginning with a start token.
            source_mask: bool (B, 1, 1, S), `padding_mask(lengths, S)`; True = may attend.

        Returns:
            (B, L, V): logits.

        Raises:
            TypeError: tokens that are not integers, or a mask that is not bool.
            ValueError: shapes that do not fit, empty, not in the vocabulary, beyond `max_len`.
        """
        memory = self.encode(source, source_mask=source_mask)
        return self.decode(target, memory, source_mask=source_mask)

    def encode(self, source: Tensor, *, source_mask: Tensor | None = None) -> Tensor:
        """Read the source.

        Args:
            source: (B, S) integer tokens.
            source_mask: bool (B, 1, 1, S); True = may attend.

        Returns:
            (B, S, F): the memory.
        """
        return self.encoder(self.source_embedding(source), mask=source_mask)

    def decode(
        self,
        target: Tensor,
        memory: Tensor | None = None,
        *,
        source_mask: Tensor | None = None,
        cache: Sequence[DecoderCache] | None = None,
    ) -> Tensor:
        """Score the next target token, given a source that has been read.

        Args:
            target: (B, L) integer tokens; with a cache those that are new.
            memory: (B, S, F) from `encode`; the cache knows it, so omit it with a cache.
            source_mask: bool (B, 1, 1, S), as for `encode`; omit it with a cache, too.
            cache: from `new_cache`; `target` continues what it holds, and is added to it.

        Returns:
            (B, L, V): logits.
        """
        x = self.target_embedding(target, offset=cache[0].length if cache else 0)
        return self.head(self.decoder(x, memory, memory_mask=source_mask, cache=cache))

    def new_cache(self, source: Tensor, *, source_mask: Tensor | None = None) -> list[DecoderCache]:
        """Read the source once and keep its keys and values, with room for `max_len` targets.

        Args:
            source: (B, S) integer tokens.
            source_mask: bool (B, 1, 1, S); True = may attend.

        Returns:
            A list to pass as `cache`, again and again, with the target tokens that are new.

        >>> import torch
        >>> model = Transformer(13, 11, embed_dim=6, num_heads=3, num_layers=1, max_len=7)
        >>> with torch.no_grad():
        ...     cache = model.new_cache(torch.tensor([[1, 2, 3, 4, 5]]))
        ...     logits = model.decode(torch.tensor([[1]]), cache=cache)
        >>> cache[0].length, cache[0].keys.shape
        (1, torch.Size([1, 3, 5, 2]))
        """
        memory = self.encode(source, source_mask=source_mask)
        return self.decoder.new_cache(memory, self.max_len, memory_mask=source_mask)
