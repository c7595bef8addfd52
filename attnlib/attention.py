"""Attention as modules: parameters around the functions of `attnlib.functional`.

Every module names its weights keyword in `weights_flag`, which is all that
`attnlib.recording.record_attention` needs to know.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import (
    check_attention_inputs,
    check_mask,
    check_positive,
    check_probability,
    check_sequence,
)
from attnlib.functional import attention, masked_softmax

__all__ = ["AdditiveAttention", "MultiHeadAttention"]


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
        dropout: probability of dropping a weight while training, in [0, 1).
        bias: whether the four projections add a learned bias.

    Raises:
        ValueError: sizes below 1, `embed_dim` not divisible by `num_heads`, a bad probability.

    Differs from torch.nn.MultiheadAttention:
        batch first always; returns a tensor, and the weights (B, H, L, S) of every head, before
        dropout, only with need_weights=True; `mask` is True where attention is allowed and there
        is no key_padding_mask; empty rows give zeros, not NaN. `from_torch` copies a module over.

    Reference: Vaswani et al. 2017, section 3.2.2, arXiv:1706.03762

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
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        kdim = embed_dim if kdim is None else kdim
        vdim = embed_dim if vdim is None else vdim
        owner = "MultiHeadAttention"
        check_positive(owner, embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        check_probability(owner, "dropout", dropout)
        if embed_dim % num_heads:
            fitting = [h for h in range(1, embed_dim + 1) if embed_dim % h == 0]
            raise ValueError(
                f"{owner}: got embed_dim={embed_dim} and num_heads={num_heads}, expected a "
                f"divisor of embed_dim; write num_heads as one of {fitting}"
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.k_proj = nn.Linear(kdim, embed_dim, bias)
        self.v_proj = nn.Linear(vdim, embed_dim, bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights (Xavier uniform, scores of variance near 1) and set biases to zero."""
        for projection in self.children():
            nn.init.xavier_uniform_(projection.weight)
            if projection.bias is not None:
                nn.init.zeros_(projection.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
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
            need_weights: also return the weights of every head, before dropout.

        Returns:
            (B, L, F), or that and the weights (B, H, L, S).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty sequence, causal with L > S.
        """
        key = query if key is None else key
        value = key if value is None else value
        heads = (
            self._split("query", query, self.q_proj),
            self._split("key", key, self.k_proj),
            self._split("value", value, self.v_proj),
        )
        result = attention(
            *heads,
            mask,
            bias=bias,
            causal=causal,
            dropout_p=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        context, weights = result if need_weights else (result, None)
        output = self.out_proj(context.transpose(1, 2).flatten(2))  # (B, H, L, D) -> (B, L, H * D)
        return (output, weights) if need_weights else output

    def _split(self, name: str, x: Tensor, projection: nn.Linear) -> Tensor:
        """Project (B, L, F) and split the *features* into heads: (B, H, L, D)."""
        check_sequence("MultiHeadAttention", name, x, projection)
        return projection(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

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


class AdditiveAttention(nn.Module):
    """Attention whose score is a small network instead of a dot product.

    score_ij = tanh(query_i W_q + key_j W_k) w;  context = softmax(score) value
    One head, so that masks and weights have the same four dimensions as everywhere. A query with
    nothing to attend has context 0.

    Args:
        query_dim: width of the queries.
        key_dim: width of the keys.
        hidden_dim: width of the tanh layer.
        dropout: probability of dropping a weight while training, in [0, 1).

    Raises:
        ValueError: sizes below 1, or a bad probability.

    Reference: Bahdanau et al. 2015, section 3.1 and appendix A.1.2, arXiv:1409.0473

    >>> AdditiveAttention(3, 5, 7)(torch.zeros(1, 2, 3), torch.zeros(1, 4, 5)).shape
    torch.Size([1, 2, 5])
    """

    weights_flag = "need_weights"

    def __init__(
        self, query_dim: int, key_dim: int, hidden_dim: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_positive(
            "AdditiveAttention", query_dim=query_dim, key_dim=key_dim, hidden_dim=hidden_dim
        )
        check_probability("AdditiveAttention", "dropout", dropout)
        self.dropout = dropout
        self.q_proj = nn.Linear(query_dim, hidden_dim)
        self.k_proj = nn.Linear(key_dim, hidden_dim, bias=False)  # one bias inside the tanh
        self.score = nn.Linear(hidden_dim, 1, bias=False)  # softmax ignores a constant

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend from `query` to `key`, and mix `value`.

        Args:
            query: (B, L, query_dim).
            key: (B, S, key_dim).
            value: (B, S, Dv); the key when omitted.
            mask: bool, (L, S) or (B, 1, L, S) with ones where it broadcasts. True = may attend.
            need_weights: also return the weights, before dropout.

        Returns:
            (B, L, Dv), or that and the weights (B, 1, L, S).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, or an empty sequence.
        """
        value = key if value is None else value
        check_sequence("AdditiveAttention", "query", query, self.q_proj)
        check_sequence("AdditiveAttention", "key", key, self.k_proj)
        check_sequence("AdditiveAttention", "value", value)
        hidden_query, hidden_key = self.q_proj(query), self.k_proj(key)
        B, L, S = check_attention_inputs(
            "AdditiveAttention", hidden_query, hidden_key, value, causal=False
        )
        check_mask("AdditiveAttention", mask, (B, 1, L, S))
        hidden = torch.tanh(hidden_query[:, :, None] + hidden_key[:, None])  # (B, L, S, hidden)
        weights = masked_softmax(self.score(hidden).movedim(-1, 1), mask)  # (B, 1, L, S)
        kept = F.dropout(weights, self.dropout, self.training)
        context = kept.squeeze(1) @ value
        return (context, weights) if need_weights else context
