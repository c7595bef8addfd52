"""Decoder: layers that attend to what they have written, and to what an encoder has read."""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from attnlib._checks import check_positive
from attnlib.attention import MultiHeadAttention
from attnlib.functional import attention
from attnlib.transformer._layer import Layer, one_a_layer, torch_options
from attnlib.transformer.memory import DecoderCache

__all__ = ["TransformerDecoder", "TransformerDecoderLayer"]


class TransformerDecoderLayer(Layer):
    """Causal self-attention, cross-attention to a memory, and a feed-forward network.

    x = x + attention(norm(x));  x = x + attention(norm(x), memory);  x = x + feed_forward(norm(x))
    With norm_first=False each norm comes after the addition, as in the paper. A query with no
    memory to attend takes only the bias of the output projection from it.

    Args:
        embed_dim: F, width of input, memory and output; a multiple of `num_heads`.
        num_heads: H.
        ffn_dim: hidden width of the feed-forward network; 4 F when omitted.
        dropout: probability of dropping attention weights, hidden values and what is added to
            the input while training, in [0, 1).
        norm_first: normalise what goes into a branch; trains without a warm-up.
        activation: "gelu" or "relu".
        layer_norm_eps: added to the variance in the three LayerNorms.

    Raises:
        ValueError: sizes below 1 or that do not divide, a bad probability, another activation.

    Differs from torch.nn.TransformerDecoderLayer:
        causal by default, since a decoder that sees what it shall predict learns nothing; batch
        first always; norm_first, gelu and no dropout are the defaults; masks are True where
        attention is allowed; has a cache. `from_torch` copies a layer over.

    Reference: Vaswani et al. 2017, section 3.1, arXiv:1706.03762; norm_first: Xiong et al. 2020,
        arXiv:2002.04745

    >>> import torch
    >>> TransformerDecoderLayer(6, num_heads=2)(torch.zeros(1, 3, 6), torch.zeros(1, 5, 6)).shape
    torch.Size([1, 3, 6])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        ffn_dim: int | None = None,
        *,
        dropout: float = 0.0,
        norm_first: bool = True,
        activation: str = "gelu",
        layer_norm_eps: float = 1e-5,
    ) -> None:
        super().__init__(
            embed_dim,
            num_heads,
            ffn_dim,
            dropout=dropout,
            norm_first=norm_first,
            activation=activation,
            layer_norm_eps=layer_norm_eps,
        )
        self.cross_attention = MultiHeadAttention(embed_dim, num_heads, dropout=dropout)
        self.norm3 = nn.LayerNorm(embed_dim, eps=layer_norm_eps)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        causal: bool = True,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Attend to earlier positions of `x`, then to the memory, and transform each position.

        Args:
            x: (B, L, F).
            memory: (B, S, F), usually the output of an encoder; omit it with a cache.
            mask: bool, (L, L) or (B, H, L, L) with ones where it broadcasts. True = may attend.
            memory_mask: bool, (L, S) or (B, H, L, S) with ones; omit it with a cache.
            causal: hide later positions of `x`, aligned at the last query and key.
            cache: from `new_cache`: what is known of the memory, and of earlier positions of
                `x`; those of `x` are appended.

        Returns:
            (B, L, F).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty sequence, more positions than the cache.
        """
        owner = "TransformerDecoderLayer"
        self._check(owner, x)
        given = (memory is not None) + (cache is not None)
        if given != 1 or (cache is not None and memory_mask is not None):
            raise ValueError(
                f"{owner}: got {('no memory', 'a memory', 'a memory and a cache')[given]} with "
                f"{'no' if memory_mask is None else 'a'} memory_mask, expected a memory or a cache "
                f"that knows it and its mask; write cache=layer.new_cache(memory, max_len)"
            )
        if memory is not None:
            self._check(owner, memory, "memory")
        if memory is not None and len(memory) != len(x):
            raise ValueError(
                f"{owner}: memory has shape {tuple(memory.shape)} for x of shape "
                f"{tuple(x.shape)}, expected one source a target; "
                f"write memory.expand(len(x), -1, -1) for one source of all"
            )
        own = None if cache is None else cache.own
        x = self._residual(
            x,
            self.norm1,
            lambda y: self.self_attention(y, mask=mask, causal=causal, cache=own),
        )
        x = self._residual(
            x,
            self.norm2,
            lambda y: (
                self.cross_attention(y, memory, mask=memory_mask)
                if cache is None
                else self._attend_known(y, cache)
            ),
        )
        return self._residual(x, self.norm3, self.feed_forward)

    def _attend_known(self, y: Tensor, cache: DecoderCache) -> Tensor:
        """Cross-attention of (B, L, F) to a source whose keys and values are known."""
        layer = self.cross_attention
        query = _heads(layer.q_proj(y), layer.head_dim)
        context = attention(query, cache.keys, cache.values, cache.mask)
        return layer.out_proj(context.transpose(1, 2).flatten(2))

    def new_cache(
        self, memory: Tensor, max_len: int, *, memory_mask: Tensor | None = None
    ) -> DecoderCache:
        """Compute keys and values of the memory, with room for `max_len` positions of the target.

        Args:
            memory: (B, S, F).
            max_len: number of positions of the target.
            memory_mask: bool (B, 1, 1, S); True = may attend.

        Returns:
            A cache for this layer alone.
        """
        layer = self.cross_attention
        self._check("TransformerDecoderLayer.new_cache", memory, "memory")
        keys, values = (_heads(p(memory), layer.head_dim) for p in (layer.k_proj, layer.v_proj))
        return DecoderCache(self._own_cache(len(memory), max_len), keys, values, memory_mask)

    @classmethod
    def from_torch(cls, module: nn.TransformerDecoderLayer) -> "TransformerDecoderLayer":
        """Copy a torch layer: the same numbers, our conventions.

        Args:
            module: any torch.nn.TransformerDecoderLayer with gelu or relu. Our copy takes
                batch-first input whatever the `batch_first` of the original.

        Returns:
            A new module on the same device, in the same dtype and mode.

        Raises:
            TypeError: another kind of module.
            ValueError: another activation.

        >>> TransformerDecoderLayer.from_torch(nn.TransformerDecoderLayer(6, 2)).norm_first
        False
        """
        layer = cls(**torch_options(cls, module))
        layer._copy_from(module)
        layer.cross_attention = MultiHeadAttention.from_torch(module.multihead_attn)
        layer.norm3 = copy.deepcopy(module.norm3)
        return layer.train(module.training)


class TransformerDecoder(nn.Module):
    """A stack of decoder layers; with norm_first a last LayerNorm, since no layer ends in one.

    x = layer_n(... layer_1(x, memory), memory);  output = norm(x) if norm_first else x

    Args:
        num_layers: number of layers; each draws its own parameters.
        embed_dim: F, width of input, memory and output; a multiple of `num_heads`.
        num_heads: H.
        ffn_dim: hidden width of the feed-forward networks; 4 F when omitted.
        dropout: probability of dropping while training, in [0, 1), as in the layer.
        norm_first: normalise what goes into a branch; trains without a warm-up.
        activation: "gelu" or "relu".

    Raises:
        ValueError: sizes below 1 or that do not divide, a bad probability, another activation.

    Differs from torch.nn.TransformerDecoder:
        builds its layers from sizes instead of copying one, so they do not start out equal;
        causal by default.

    Reference: Vaswani et al. 2017, section 3.1, arXiv:1706.03762

    >>> import torch
    >>> decoder = TransformerDecoder(2, embed_dim=6, num_heads=3)
    >>> decoder(torch.zeros(1, 5, 6), torch.zeros(1, 7, 6)).shape
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
    ) -> None:
        super().__init__()
        check_positive(
            "TransformerDecoder", num_layers=num_layers, embed_dim=embed_dim, num_heads=num_heads
        )
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(
                embed_dim,
                num_heads,
                ffn_dim,
                dropout=dropout,
                norm_first=norm_first,
                activation=activation,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm_first else nn.Identity()

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        causal: bool = True,
        cache: Sequence[DecoderCache] | None = None,
    ) -> Tensor:
        """Pass a sequence through all layers, each of which also attends to the memory.

        Args:
            x: (B, L, F).
            memory: (B, S, F), usually the output of an encoder; omit it with a cache.
            mask: bool, (L, L) or (B, H, L, L) with ones where it broadcasts. True = may attend.
            memory_mask: bool, (L, S) or (B, H, L, S) with ones; omit it with a cache.
            causal: hide later positions of `x`, aligned at the last query and key.
            cache: from `new_cache`, what each layer knows of the memory and earlier positions.

        Returns:
            (B, L, F).

        Raises:
            TypeError: inputs not in the dtype of the layers, or a mask that is not bool.
            ValueError: shapes that do not fit, or not one cache a layer.
        """
        caches = one_a_layer("TransformerDecoder", "cache", cache, self.layers)
        for layer, cached in zip(self.layers, caches, strict=True):
            x = layer(x, memory, mask=mask, memory_mask=memory_mask, causal=causal, cache=cached)
        return self.norm(x)

    def new_cache(
        self, memory: Tensor, max_len: int, *, memory_mask: Tensor | None = None
    ) -> list[DecoderCache]:
        """Caches that know the memory, and have room for `max_len` positions, one a layer.

        Args:
            memory: (B, S, F).
            max_len: number of positions of the target.
            memory_mask: bool (B, 1, 1, S); True = may attend.

        Returns:
            A list to pass as `cache`, again and again, with the positions that are new.
        """
        return [layer.new_cache(memory, max_len, memory_mask=memory_mask) for layer in self.layers]


def _heads(x: Tensor, head_dim: int) -> Tensor:
    """Split features into heads: (B, L, H * D) -> (B, H, L, D)."""
    return x.unflatten(-1, (-1, head_dim)).transpose(1, 2)
