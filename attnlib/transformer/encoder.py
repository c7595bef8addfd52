"""Encoder: layers in which the positions of one sequence attend to one another."""

from collections.abc import Sequence

from torch import Tensor, nn

from attnlib._checks import check_positive
from attnlib.cache import KVCache
from attnlib.positional import RelativeAttentionBias, RotaryEmbedding
from attnlib.transformer._layer import Layer, one_a_layer, torch_options
from attnlib.transformer.memory import SegmentMemory

__all__ = ["TransformerEncoder", "TransformerEncoderLayer"]


class TransformerEncoderLayer(Layer):
    """Self-attention, then a feed-forward network, each added to its input.

    x = x + attention(norm(x));  x = x + feed_forward(norm(x))          norm_first
    x = norm(x + attention(x));  x = norm(x + feed_forward(x))          the paper's order
    With causal=True it is the layer of a language model (a "decoder-only" transformer).

    Args:
        embed_dim: F, width of input and output; a multiple of `num_heads`.
        num_heads: H.
        ffn_dim: hidden width of the feed-forward network; 4 F when omitted.
        dropout: probability of dropping attention weights, hidden values and what is added to
            the input while training, in [0, 1).
        norm_first: normalise what goes into a branch; trains without a warm-up.
        activation: "gelu" or "relu".
        layer_norm_eps: added to the variance in both LayerNorms.
        num_kv_heads: heads of keys and values; `num_heads` when omitted.
        rotary: turns queries and keys by their positions.
        relative: Transformer-XL's term of the score.

    Raises:
        ValueError: sizes below 1 or that do not divide, a bad probability, another activation.

    Differs from torch.nn.TransformerEncoderLayer:
        batch first always; norm_first, gelu and no dropout are the defaults; `mask` is True where
        attention is allowed; the attention can be recorded. `from_torch` copies a layer over.

    Reference: Vaswani et al. 2017, section 3.1, arXiv:1706.03762; norm_first: Xiong et al. 2020,
        arXiv:2002.04745

    >>> import torch
    >>> TransformerEncoderLayer(6, num_heads=2)(torch.zeros(1, 5, 6)).shape
    torch.Size([1, 5, 6])
    """

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        cache: KVCache | None = None,
        past: SegmentMemory | None = None,
    ) -> Tensor:
        """Let the positions of `x` attend to one another, and transform each.

        Args:
            x: (B, L, F).
            mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts. True = may attend.
            bias: broadcastable to (B, H, L, S), added to the scores.
            causal: hide later positions, aligned at the last query and key.
            cache: keys and values of earlier positions; those of `x` are appended.
            past: input of this layer at earlier positions, attended without a gradient; `x` is
                appended.

        Returns:
            (B, L, F).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty sequence, more positions than the cache.
        """
        self._check("TransformerEncoderLayer", x)
        key = None if past is None else past.append(x)
        if key is not None and self.norm_first:
            key = self.norm1(key)
        x = self._residual(
            x,
            self.norm1,
            lambda y: self.self_attention(y, key, mask=mask, bias=bias, causal=causal, cache=cache),
        )
        return self._residual(x, self.norm2, self.feed_forward)

    def new_cache(self, batch_size: int, max_len: int) -> KVCache:
        """An empty cache for this layer.

        Args:
            batch_size: B.
            max_len: number of positions it has room for.

        Returns:
            A cache on the device and in the dtype of the layer.
        """
        return self._own_cache(batch_size, max_len)

    @classmethod
    def from_torch(cls, module: nn.TransformerEncoderLayer) -> "TransformerEncoderLayer":
        """Copy a torch layer: the same numbers, our conventions.

        Args:
            module: any torch.nn.TransformerEncoderLayer with gelu or relu. Our copy takes
                batch-first input whatever the `batch_first` of the original.

        Returns:
            A new module on the same device, in the same dtype and mode.

        Raises:
            TypeError: another kind of module.
            ValueError: another activation.

        >>> TransformerEncoderLayer.from_torch(nn.TransformerEncoderLayer(6, 2)).norm_first
        False
        """
        layer = cls(**torch_options(cls, module))
        layer._copy_from(module)
        return layer.train(module.training)


class TransformerEncoder(nn.Module):
    """A stack of encoder layers; with norm_first a last LayerNorm, since no layer ends in one.

    x = layer_n(... layer_1(x));  output = norm(x) if norm_first else x

    Args:
        num_layers: number of layers; each draws its own parameters.
        embed_dim: F, width of input and output; a multiple of `num_heads`.
        num_heads: H.
        ffn_dim: hidden width of the feed-forward networks; 4 F when omitted.
        dropout: probability of dropping while training, in [0, 1), as in the layer.
        norm_first: normalise what goes into a branch; trains without a warm-up.
        activation: "gelu" or "relu".
        num_kv_heads: heads of keys and values; `num_heads` when omitted.
        rotary: rotates queries and keys of every layer by their positions.
        relative: give every layer a RelativeAttentionBias (Transformer-XL).

    Raises:
        ValueError: sizes below 1 or that do not divide, a bad probability, another activation.

    Differs from torch.nn.TransformerEncoder:
        builds its layers from sizes instead of copying one, so they do not start out equal.

    Reference: Vaswani et al. 2017, section 3.1, arXiv:1706.03762

    >>> import torch
    >>> TransformerEncoder(2, embed_dim=6, num_heads=3)(torch.zeros(1, 5, 6)).shape
    torch.Size([1, 5, 6])
    """

    def __init__(
        self,
        num_layers: int,
        embed_dim: int,
        num_heads: int,
        ffn_dim: int | None = None,
        *,
        dropout: float = 0.0,
        norm_first: bool = True,
        activation: str = "gelu",
        num_kv_heads: int | None = None,
        rotary: RotaryEmbedding | None = None,
        relative: bool = False,
    ) -> None:
        super().__init__()
        check_positive(
            "TransformerEncoder", num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads
        )
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                embed_dim,
                num_heads,
                ffn_dim,
                dropout=dropout,
                norm_first=norm_first,
                activation=activation,
                num_kv_heads=num_kv_heads,
                rotary=rotary,
                relative=RelativeAttentionBias(num_heads, embed_dim // num_heads)
                if relative
                else None,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm_first else nn.Identity()

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        cache: Sequence[KVCache] | None = None,
        past: Sequence[SegmentMemory] | None = None,
    ) -> Tensor:
        """Pass a sequence through all layers.

        Args:
            x: (B, L, F).
            mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts. True = may attend.
            bias: broadcastable to (B, H, L, S), added to the scores of every layer.
            causal: hide later positions, aligned at the last query and key.
            cache: from `new_cache`, keys and values of earlier positions, one a layer.
            past: one a layer, inputs of the layers at earlier positions.

        Returns:
            (B, L, F).

        Raises:
            TypeError: inputs not in the dtype of the layers, or a mask that is not bool.
            ValueError: shapes that do not fit, or not one cache a layer.
        """
        caches = one_a_layer("TransformerEncoder", "cache", cache, self.layers)
        pasts = one_a_layer("TransformerEncoder", "past", past, self.layers)
        for layer, cached, before in zip(self.layers, caches, pasts, strict=True):
            x = layer(x, mask=mask, bias=bias, causal=causal, cache=cached, past=before)
        return self.norm(x)

    def new_cache(self, batch_size: int, max_len: int) -> list[KVCache]:
        """Empty caches, one a layer.

        Args:
            batch_size: B.
            max_len: number of positions they have room for.

        Returns:
            A list to pass as `cache`, again and again, with the positions that are new.
        """
        return [layer.new_cache(batch_size, max_len) for layer in self.layers]
