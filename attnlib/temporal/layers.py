"""Attention among the steps of a series, and among the variables of a step."""

import torch
from torch import Tensor, nn

from attnlib._checks import check_mask, check_positive
from attnlib.attention import MultiHeadAttention
from attnlib.functional import masked_softmax, windowed_attention
from attnlib.masks import sliding_window_mask
from attnlib.positional import TimeEncoding
from attnlib.temporal._inputs import check_steps, time_stamps

__all__ = ["TemporalAttention", "VariableAttention"]


class TemporalAttention(nn.Module):
    """Self-attention along time: every step looks back at the steps it may know.

    z_t = x_t + encoding(time_t - time_0);  output_t = sum_s weights_ts value(x_s), s <= t, with
    weights from the queries and keys of z. Only differences of time count: the first step of each
    example is time 0, and no step learns when a later one comes. A step with nothing to attend
    gets the bias of the output projection.

    Args:
        embed_dim: F, width of input and output, a multiple of `num_heads`.
        num_heads: H.
        causal: no step sees a later one.
        window: number of steps a step sees, itself included; all earlier ones when omitted. With a
            window the work is linear in T, but for dropout and where weights are asked for.
        dropout: probability of dropping a weight while training, in [0, 1).

    Raises:
        ValueError: sizes below 1 or that do not fit, a window without causal.

    Reference: Vaswani et al. 2017, section 3.2, arXiv:1706.03762

    >>> TemporalAttention(6, num_heads=2)(torch.zeros(1, 5, 6)).shape
    torch.Size([1, 5, 6])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        causal: bool = True,
        window: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if window is not None:
            check_positive("TemporalAttention", window=window)
            if not causal:
                raise ValueError(
                    f"TemporalAttention: got window={window} with causal=False, expected a window "
                    f"of the past; write causal=True, or pass a band as mask="
                )
        if window is None:
            self.attention = MultiHeadAttention(embed_dim, num_heads, dropout=dropout)
        else:
            self.attention = _RecentAttention(embed_dim, num_heads, window, dropout)
        self.attention.map_kind = "temporal"  # what record_attention calls its maps
        self.time = TimeEncoding(embed_dim)
        self.causal = causal
        self.window = window

    def forward(
        self,
        x: Tensor,
        times: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend from every step to those before it.

        Args:
            x: (B, T, F).
            times: (B, T) real, when each step was, in a unit of about one step; 0, 1, 2, ... when
                omitted. They need not be even.
            mask: bool, (T, T) or (B, H, T, T) with ones where it broadcasts. True = may attend;
                `padding_mask(lengths, T)` hides padded steps.
            need_weights: also return the weights of every head, before dropout.

        Returns:
            (B, T, F), or that and the weights (B, H, T, T).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty series.
        """
        check_steps("TemporalAttention", x, self.attention.q_proj)
        times = time_stamps("TemporalAttention", times, x)
        placed = x + self.time(times - times[:, :1]).to(x.dtype)
        if self.window is not None:  # of the past: causal already
            return self.attention(placed, value=x, mask=mask, need_weights=need_weights)
        return self.attention(
            placed, value=x, mask=mask, causal=self.causal, need_weights=need_weights
        )

    def extra_repr(self) -> str:
        return f"causal={self.causal}, window={self.window}"


class _RecentAttention(MultiHeadAttention):
    """Heads that see the last `window` steps; without weights the work is linear in time."""

    def __init__(self, embed_dim: int, num_heads: int, window: int, dropout: float) -> None:
        super().__init__(embed_dim, num_heads, dropout=dropout)
        self.window = window

    def forward(
        self,
        query: Tensor,
        *,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        B, T, _ = query.shape
        check_mask("TemporalAttention", mask, (B, self.num_heads, T, T))
        if need_weights or (self.training and self.dropout > 0):  # the kernel keeps no weights
            recent = sliding_window_mask(T, self.window, device=query.device)
            mask = recent if mask is None else mask & recent
            return super().forward(query, value=value, mask=mask, need_weights=need_weights)
        pairs = ((query, self.q_proj), (query, self.k_proj), (value, self.v_proj))
        heads = [layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x, layer in pairs]
        context = windowed_attention(*heads, self.window, mask)
        return self.out_proj(context.transpose(1, 2).flatten(2))


class VariableAttention(nn.Module):
    """Attention among the variables of each step, learned from what they are now.

    weights_t = softmax(W_2 tanh(W_1 x_t + b));  output_t = sum_v weights_tv (x_tv a_v + b_v)
    with a learned a_v and b_v for each variable. A step reads itself alone, so nothing leaks. A
    step with no variable at all has weights and output 0.

    Args:
        num_variables: F, width of the input.
        embed_dim: width of the output and of the tanh layer.

    Raises:
        ValueError: sizes below 1.

    Differs from the variable selection of the temporal fusion transformer:
        one tanh layer instead of gated residual networks, and a linear embedding a variable.

    Reference: Lim et al. 2021, section 4.2 (variable selection), arXiv:1912.09363; Qin et al.
        2017 (input attention), arXiv:1704.02971

    >>> VariableAttention(3, 6)(torch.zeros(1, 5, 3)).shape
    torch.Size([1, 5, 6])
    """

    weights_flag = "need_weights"
    map_kind = "cross"  # from steps to variables

    def __init__(self, num_variables: int, embed_dim: int) -> None:
        super().__init__()
        check_positive("VariableAttention", num_variables=num_variables, embed_dim=embed_dim)
        self.hidden = nn.Linear(num_variables, embed_dim)
        self.score = nn.Linear(embed_dim, num_variables)
        self.scale = nn.Linear(num_variables, embed_dim, bias=False)  # column v is a_v
        self.shift = nn.Linear(num_variables, embed_dim, bias=False)  # column v is b_v

    def forward(
        self, x: Tensor, *, mask: Tensor | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Weigh the variables of each step.

        Args:
            x: (B, T, F).
            mask: bool, (T, F) or (B, 1, T, F) with ones where it broadcasts. True = this variable
                was measured at this step; what stands elsewhere is not read, NaN included.
            need_weights: also return the weights.

        Returns:
            (B, T, embed_dim), or that and the weights (B, 1, T, F).

        Raises:
            TypeError: inputs not in the dtype of the layer, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty series.
        """
        check_steps("VariableAttention", x, self.hidden)
        B, T, F = x.shape
        check_mask("VariableAttention", mask, (B, 1, T, F))
        if mask is not None:
            x = x.masked_fill(~mask.expand(B, 1, T, F).squeeze(1), 0.0)
        scores = self.score(torch.tanh(self.hidden(x)))
        weights = masked_softmax(scores[:, None], mask)
        shares = weights.squeeze(1)
        output = self.scale(shares * x) + self.shift(shares)
        return (output, weights) if need_weights else output
