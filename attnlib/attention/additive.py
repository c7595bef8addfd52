"""Attention with other scores than a scaled dot product, as in recurrent encoder-decoders."""

import torch
from torch import Tensor, nn

from attnlib._checks import (
    check_attention_inputs,
    check_mask,
    check_positive,
    check_probability,
    check_sequence,
)
from attnlib._dropout import dropout
from attnlib.functional import attention, masked_softmax

__all__ = ["AdditiveAttention", "MultiplicativeAttention"]


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
        kept = dropout(weights, self.dropout, self.training)
        context = kept.squeeze(1) @ value
        return (context, weights) if need_weights else context


class MultiplicativeAttention(nn.Module):
    """Attention whose score is a learned product of query and key.

    score_ij = query_i W key_j;  context = softmax(score) value
    One head, so that masks and weights have the same four dimensions as everywhere. A query with
    nothing to attend has context 0.

    Args:
        query_dim: width of the queries.
        key_dim: width of the keys.
        dropout: probability of dropping a weight while training, in [0, 1).

    Raises:
        ValueError: sizes below 1, or a bad probability.

    Reference: Luong et al. 2015, section 3.1 ("general"), arXiv:1508.04025

    >>> MultiplicativeAttention(3, 5)(torch.zeros(1, 2, 3), torch.zeros(1, 4, 5)).shape
    torch.Size([1, 2, 5])
    """

    weights_flag = "need_weights"

    def __init__(self, query_dim: int, key_dim: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        check_positive("MultiplicativeAttention", query_dim=query_dim, key_dim=key_dim)
        check_probability("MultiplicativeAttention", "dropout", dropout)
        self.dropout = dropout
        self.q_proj = nn.Linear(query_dim, key_dim, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights: scores of inputs of variance 1 have a variance near 1."""
        key_dim, query_dim = self.q_proj.weight.shape
        nn.init.normal_(self.q_proj.weight, std=(query_dim * key_dim) ** -0.5)

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
        owner = "MultiplicativeAttention"
        value = key if value is None else value
        check_sequence(owner, "query", query, self.q_proj)
        check_sequence(owner, "key", key)
        check_sequence(owner, "value", value)
        key_dim = self.q_proj.out_features
        if key.shape[2] != key_dim:
            raise ValueError(
                f"{owner}: key has shape {tuple(key.shape)}, expected (B, length, {key_dim}); "
                f"build the layer for this width"
            )
        turned = self.q_proj(query)
        B, L, S = check_attention_inputs(owner, turned, key, value, causal=False)
        check_mask(owner, mask, (B, 1, L, S))
        result = attention(
            turned[:, None],
            key[:, None],
            value[:, None],
            mask,
            scale=1.0,
            dropout_p=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        context, weights = result if need_weights else (result, None)
        return (context.squeeze(1), weights) if need_weights else context.squeeze(1)
