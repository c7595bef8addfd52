"""Multi-head attention, the layer that most models are made of."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import check_positive, check_probability, check_sequence
from attnlib.cache import KVCache
from attnlib.functional import attention
from attnlib.positional import RelativeAttentionBias, RotaryEmbedding

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own learned projection of the features.

    head_h = attention(query W_q^h, key W_k^h, value W_v^h);  output = concat(head_1..H) W_o
    `attention(x)` is self-attention, `attention(x, memory)` is cross-attention. A query with
    nothing to attend gets the bias of the output projection, the image of a zero context.

    Args:
        embed_dim: F, width of queries and output; a multiple of `num_heads`.
        num_heads: H. The number of parameters does not depend on it.
        kdim: width of the keys; `embed_dim` when omitted.
        vdim: width of the values; `embed_dim` when omitted.
        num_kv_heads: G, heads of keys and values; H when omitted. Each serves H / G heads of
            queries side by side, so a cache is G / H times as large.
        dropout: probability of dropping a weight while training, in [0, 1).
        bias: whether the four projections add a learned bias.
        rotary: turns queries and keys by their position; of width D = embed_dim / num_heads.
        relative: Transformer-XL's term of the score; for these heads and this D.
        temperature: learn a temperature for each head, by which its scores are divided before a
            `bias` is added. So a head can become sharper, or blunter. It begins at 1.

    Raises:
        ValueError: sizes below 1 or that do not divide, a bad probability, or a `rotary` or
            `relative` of other sizes.

    Differs from torch.nn.MultiheadAttention:
        batch first always; returns a tensor, and the weights (B, H, L, S) of every head, before
        dropout, only with need_weights=True; `mask` is True where attention is allowed and there
        is no key_padding_mask; empty rows give zeros, not NaN. `from_torch` copies a module over.

    Reference: Vaswani et al. 2017, section 3.2.2, arXiv:1706.03762; num_kv_heads: Ainslie et al.
        2023, section 2.2, arXiv:2305.13245

    >>> MultiHeadAttention(6, num_heads=2)(torch.zeros(1, 5, 6)).shape
    torch.Size([1, 5, 6])
    """

    weights_flag = "need_weights"

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        num_kv_heads: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: RotaryEmbedding | None = None,
        relative: RelativeAttentionBias | None = None,
        temperature: bool = False,
    ) -> None:
        super().__init__()
        kdim = embed_dim if kdim is None else kdim
        vdim = embed_dim if vdim is None else vdim
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        owner = "MultiHeadAttention"
        check_positive(owner, embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        check_positive(owner, num_kv_heads=num_kv_heads)
        check_probability(owner, "dropout", dropout)
        _check_divides(owner, "num_heads", num_heads, "embed_dim", embed_dim)
        _check_divides(owner, "num_kv_heads", num_kv_heads, "num_heads", num_heads)
        D = embed_dim // num_heads
        if rotary is not None and rotary.head_dim != D:
            raise ValueError(
                f"{owner}: got a rotary embedding of width {rotary.head_dim}, expected embed_dim / "
                f"num_heads = {D}; write RotaryEmbedding({D})"
            )
        if relative is not None and relative.position_bias.shape != (num_heads, 1, D):
            raise ValueError(
                f"{owner}: got a relative term for (heads, 1, width) "
                f"{tuple(relative.position_bias.shape)}, expected {(num_heads, 1, D)}; "
                f"write RelativeAttentionBias({num_heads}, {D})"
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = D
        self.dropout = dropout
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.k_proj = nn.Linear(kdim, num_kv_heads * D, bias)
        self.v_proj = nn.Linear(vdim, num_kv_heads * D, bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.rotary = rotary
        self.relative = relative
        self.log_temperature = nn.Parameter(torch.empty(num_heads)) if temperature else None
        self._stacked = None  # the projections as one, while a text is written
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights (Xavier uniform, scores of variance near 1) and set biases to zero."""
        for projection in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            nn.init.xavier_uniform_(projection.weight)
            if projection.bias is not None:
                nn.init.zeros_(projection.bias)
        if self.relative is not None:
            self.relative.reset_parameters()
        if self.log_temperature is not None:
            nn.init.zeros_(self.log_temperature)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        cache: KVCache | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend from `query` to `key`, and mix `value`.

        Args:
            query: (B, L, F).
            key: (B, S, kdim); the query when omitted.
            value: (B, S, vdim); the key when omitted.
            mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts. True = may attend.
            bias: broadcastable to (B, H, L, S), added to the scores.
            causal: hide later keys, aligned at the last query and key.
            cache: keys and values of earlier positions, built for G heads; those of this call
                are appended to it, and S above counts them all.
            need_weights: also return the weights of every head, before dropout.

        Returns:
            (B, L, F), or that and the weights (B, H, L, S).

        Raises:
            RuntimeError: a cache while gradients are needed.
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty sequence, causal with more queries than
                keys, or more positions than the cache has room for.
        """
        key = query if key is None else key
        value = key if value is None else value
        queries, keys, values = self._project(query, key, value)
        if self.rotary is not None:  # positions count from the first key; the last query is there
            start = 0 if cache is None else cache.length
            end = start + keys.shape[2]
            queries = self.rotary(queries, offset=end - queries.shape[2])
            keys = self.rotary(keys, offset=start)
        if cache is not None:
            keys, values = cache.append(keys, values)
        if keys.shape[1] < queries.shape[1]:  # heads of queries 0..H/G-1 share head 0, and so on
            sharing = queries.shape[1] // keys.shape[1]
            keys, values = (x.repeat_interleave(sharing, dim=1) for x in (keys, values))
        term = None if self.relative is None else self.relative(queries, keys)
        if self.log_temperature is not None:
            cooling = (-self.log_temperature).exp()[:, None, None]
            queries = queries * cooling.to(queries.dtype)
            term = None if term is None else term * cooling.to(term.dtype)
        if term is not None:
            bias = term if bias is None else term + bias
        dropout_p = self.dropout if self.training else 0.0
        causal = causal and queries.shape[2] > 1  # one query, the last, sees every key
        bare = mask is None and bias is None and not (causal or need_weights or dropout_p)
        if bare and cache is not None and value is query:
            # A token at a time nothing is hidden and all is checked: the kernel itself, because
            # the way to it takes longer than its work.
            context = F.scaled_dot_product_attention(queries, keys, values)
        else:
            context = attention(
                queries,
                keys,
                values,
                mask,
                bias=bias,
                causal=causal,
                dropout_p=dropout_p,
                need_weights=need_weights,
            )
        context, weights = context if need_weights else (context, None)
        output = self.out_proj(context.transpose(1, 2).flatten(2))  # (B, H, L, D) -> (B, L, H * D)
        return (output, weights) if need_weights else output

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Queries, keys and values as heads: (B, length, F) -> (B, heads, length, D)."""
        inputs = (query, key, value)
        layers = self._projections()
        alone = query is key is value
        stacked = self._stacked if alone else None
        if stacked is None:
            for name, x, layer in zip(("query", "key", "value"), inputs, layers, strict=True):
                plain = layer if isinstance(layer, nn.Linear) else None  # it may be replaced
                check_sequence("MultiHeadAttention", name, x, plain)
        else:  # the three layers are linear and of one width
            check_sequence("MultiHeadAttention", "query", query, self.q_proj)
        # For few rows stacking the matrices would take longer than multiplying with them.
        if alone and stacked is None and query.shape[0] * query.shape[1] >= self.embed_dim:
            stacked = self._stack()
        if stacked is not None:
            weight, shift, widths = stacked
            projected = F.linear(query, weight, shift).split(widths, dim=-1)
            return [_heads(x, self.head_dim) for x in projected]
        return [_heads(layer(x), self.head_dim) for x, layer in zip(inputs, layers, strict=True)]

    def _projections(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        return self.q_proj, self.k_proj, self.v_proj

    def _stack(self) -> tuple[Tensor, Tensor | None, list[int]] | None:
        """The matrices for queries, keys and values on top of each other, if they decide alone.

        One product with them gives the same numbers, and reads the input once, forward and
        backward. With their biases, and the widths of what each gives.
        """
        layers = self._projections()
        if not all(map(_is_untouched, layers)) or len({x.in_features for x in layers}) > 1:
            return None
        shift = None if self.q_proj.bias is None else torch.cat([layer.bias for layer in layers])
        widths = [layer.out_features for layer in layers]
        return torch.cat([layer.weight for layer in layers]), shift, widths

    @contextmanager
    def stacked(self) -> Iterator[None]:
        """A context for many calls with few rows, as in decoding: one product instead of three.

        Inside it a change of the parameters is not seen.
        """
        self._stacked = self._stack()
        try:
            yield
        finally:
            self._stacked = None

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> "MultiHeadAttention":
        """Copy a torch module: the same numbers, our conventions.

        Args:
            module: any torch.nn.MultiheadAttention without bias_k and add_zero_attn. Our copy
                takes batch-first input whatever the `batch_first` of the original.

        Returns:
            A new module on the same device, in the same dtype and mode.

        Raises:
            TypeError: another kind of module.
            ValueError: a module with bias_k or add_zero_attn, which attend to invented keys.

        >>> MultiHeadAttention.from_torch(nn.MultiheadAttention(6, 2)).num_heads
        2
        """
        if not isinstance(module, nn.MultiheadAttention):
            raise TypeError(
                f"MultiHeadAttention.from_torch: got {type(module).__name__}, "
                f"expected torch.nn.MultiheadAttention; pass the layer itself, not its parent"
            )
        if module.bias_k is not None or module.add_zero_attn:
            raise ValueError(
                "MultiHeadAttention.from_torch: got a module with add_bias_kv or add_zero_attn, "
                "expected neither; append such keys and values to the sequence instead"
            )
        with_bias = module.in_proj_bias is not None
        copy = cls(
            module.embed_dim,
            module.num_heads,
            kdim=module.kdim,
            vdim=module.vdim,
            dropout=module.dropout,
            bias=with_bias,
        ).to(module.out_proj.weight)
        if module.in_proj_weight is not None:
            projections = module.in_proj_weight.chunk(3)
        else:  # torch keeps three matrices when kdim or vdim differ
            projections = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        with torch.no_grad():
            for name, weight in zip("qkv", projections, strict=True):
                getattr(copy, f"{name}_proj").weight.copy_(weight)
            copy.out_proj.weight.copy_(module.out_proj.weight)
            if with_bias:
                for name, part in zip("qkv", module.in_proj_bias.chunk(3), strict=True):
                    getattr(copy, f"{name}_proj").bias.copy_(part)
                copy.out_proj.bias.copy_(module.out_proj.bias)
        return copy.train(module.training)

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, dropout={self.dropout}"


def _is_untouched(layer: nn.Module) -> bool:
    """Whether nothing but the weight and the bias decides about what a projection gives.

    Not so once it is hooked, pruned, quantised or replaced: then it has to be called.
    """
    hooked = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    return type(layer) is nn.Linear and type(layer.weight) is nn.Parameter and not hooked


def _heads(x: Tensor, head_dim: int) -> Tensor:
    """Split features into heads: (B, length, heads * D) -> (B, heads, length, D)."""
    return x.unflatten(-1, (-1, head_dim)).transpose(1, 2)


def _check_divides(owner: str, name: str, count: int, whole_name: str, whole: int) -> None:
    if whole % count:
        fitting = [n for n in range(1, whole + 1) if whole % n == 0]
        raise ValueError(
            f"{owner}: got {whole_name}={whole} and {name}={count}, expected a divisor of "
            f"{whole_name}; write {name} as one of {fitting}"
        )
