"""A language model: which token comes next, given those before."""

from collections.abc import Sequence

from torch import Tensor, nn

from attnlib._checks import check_positive
from attnlib.cache import KVCache
from attnlib.positional import ALiBi, LearnedEncoding, RotaryEmbedding, SinusoidalEncoding
from attnlib.transformer.encoder import TransformerEncoder
from attnlib.transformer.memory import SegmentMemory
from attnlib.transformer.tokens import TokenEmbedding

__all__ = ["LanguageModel"]

ABSOLUTE = {"learned": LearnedEncoding, "sinusoidal": SinusoidalEncoding}
POSITIONS = (*ABSOLUTE, "rotary", "alibi", "relative")


class LanguageModel(nn.Module):
    """Scores for the token that follows each position, from that and all earlier positions.

    logits_i = W norm(layers(embedding(tokens_1..i)));  p(token_i+1 | tokens_1..i) = softmax
    Sequences of a batch are padded at the end: no real position can see what comes later, so no
    mask is needed; leave padded positions out of the loss.

    Args:
        vocab_size: V, number of tokens.
        embed_dim: F, a multiple of `num_heads`.
        num_heads: H.
        num_layers: number of layers.
        max_len: number of positions that learned and sinusoidal encodings have, and that a new
            cache has room for. The other kinds read texts of any length.
        dropout: probability of dropping while training, in [0, 1), as in the layers.
        ffn_dim: hidden width of the feed-forward networks; 4 F when omitted.
        num_kv_heads: heads of keys and values; fewer than `num_heads` make the cache smaller.
        position: how order is told. "learned" or "sinusoidal": added to the embedding; "rotary",
            "alibi" or "relative" (Transformer-XL): by distance, inside attention.

    Raises:
        ValueError: sizes below 1 or that do not divide, a bad probability, another position.

    Reference: Radford et al. 2019, section 2.3 (norms first, a last norm); position: see
        LearnedEncoding, SinusoidalEncoding, RotaryEmbedding, ALiBi, RelativeAttentionBias

    >>> import torch
    >>> model = LanguageModel(11, embed_dim=6, num_heads=3, num_layers=2, max_len=7)
    >>> model(torch.tensor([[1, 2, 3, 4, 5]])).shape
    torch.Size([1, 5, 11])
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        max_len: int,
        *,
        dropout: float = 0.0,
        ffn_dim: int | None = None,
        num_kv_heads: int | None = None,
        position: str = "learned",
    ) -> None:
        super().__init__()
        check_positive(
            "LanguageModel",
            vocab_size=vocab_size,
            embed_dim=embed_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            max_len=max_len,
        )
        if position not in POSITIONS:
            raise ValueError(
                f"LanguageModel: got position={position!r}, expected one of {POSITIONS}; "
                f"write position='learned'"
            )
        self.max_len = max_len
        encoding = ABSOLUTE[position](embed_dim, max_len) if position in ABSOLUTE else None
        self.embedding = TokenEmbedding(vocab_size, embed_dim, encoding=encoding, dropout=dropout)
        self.alibi = ALiBi(num_heads) if position == "alibi" else None
        self.stack = TransformerEncoder(
            num_layers,
            embed_dim,
            num_heads,
            ffn_dim,
            dropout=dropout,
            num_kv_heads=num_kv_heads,
            rotary=RotaryEmbedding(embed_dim // num_heads) if position == "rotary" else None,
            relative=position == "relative",
        )
        self.head = nn.Linear(embed_dim, vocab_size)

    def forward(
        self,
        tokens: Tensor,
        *,
        cache: Sequence[KVCache] | None = None,
        past: Sequence[SegmentMemory] | None = None,
    ) -> Tensor:
        """Score the next token at every position.

        Args:
            tokens: (B, L) integer, numbers of tokens in [0, V).
            cache: from `new_cache`; `tokens` continue what it holds, and are added to it. Any
                way of cutting a text gives the logits of one pass. For inference only.
            past: from `new_memory`; `tokens` continue what it holds, and are added to it. Only
                with a position that is told by distance.

        Returns:
            (B, L, V): logits.

        Raises:
            TypeError: tokens that are not integers.
            ValueError: not two-dimensional, empty, not in the vocabulary; more positions than
                `max_len`; a memory where positions are counted from the start of a segment.
        """
        counted = self.embedding.encoding is not None
        if past is not None and (counted or cache is not None):
            raise ValueError(
                f"LanguageModel: got past with {'counted positions' if counted else 'a cache'}, "
                f"expected positions told by distance and no cache; write "
                f"LanguageModel(..., position='relative') and pass past alone"
            )
        before = cache or past
        offset = before[0].length if before else 0
        x = self.embedding(tokens, offset=offset)
        length = tokens.shape[1]
        bias = None if self.alibi is None else self.alibi(length, offset + length)
        return self.head(self.stack(x, bias=bias, causal=True, cache=cache, past=past))

    def new_cache(self, batch_size: int) -> list[KVCache]:
        """Empty caches with room for `max_len` positions, one a layer.

        Args:
            batch_size: B.

        Returns:
            A list to pass as `cache`, again and again, with the tokens that are new.

        >>> import torch
        >>> model = LanguageModel(11, embed_dim=6, num_heads=3, num_layers=2, max_len=7)
        >>> model.new_cache(batch_size=1)
        [KVCache(0 of 7 positions), KVCache(0 of 7 positions)]
        """
        return self.stack.new_cache(batch_size, self.max_len)

    def new_memory(self, max_len: int) -> list[SegmentMemory]:
        """Empty memories of earlier segments, one a layer.

        Args:
            max_len: M, how many earlier positions each layer keeps.

        Returns:
            A list to pass as `past`, again and again, with the next segment.

        >>> import torch
        >>> model = LanguageModel(11, 6, 3, num_layers=1, max_len=7, position="relative")
        >>> memory = model.new_memory(3)
        >>> _ = model(torch.tensor([[1, 2, 3, 4, 5]]), past=memory)
        >>> memory[0].length
        3
        """
        return [SegmentMemory(max_len) for _ in self.stack.layers]
