"""A forecaster that says where in the past its forecast comes from."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import check_positive, check_probability
from attnlib.attention import MultiHeadAttention
from attnlib.positional import TimeEncoding
from attnlib.temporal._inputs import check_steps, observed_steps, time_stamps
from attnlib.temporal.layers import TemporalAttention, VariableAttention

__all__ = ["TemporalAttentionNetwork"]

ENCODERS = ("lstm", "gru", "conv", "linear")


class TemporalAttentionNetwork(nn.Module):
    """A series is encoded step by step, and each forecast attends to the encoded steps.

    h_t = encoder(x_0 .. x_t);  query_k = h_last + step_k;  key_t = h_t + encoding(age_t)
    forecast_k = head(sum_t weights_kt value(h_t) + step_k),  k = 0 .. horizon - 1
    with age_t the time from step t to the last step, and a learned vector step_k for each step of
    the horizon. All that a forecast knows of the series passes through the weights. The last step
    is the last one that the mask allows; a masked step is read as 0, whatever it holds, and padding
    at the end changes nothing. An example without any step has context 0.

    Args:
        in_features: F, number of input variables.
        out_features: number of variables to forecast.
        hidden: width of the states, a multiple of `num_heads`.
        num_heads: H, heads over time.
        encoder: "lstm", "gru", "conv" (three steps, causal) or "linear" (each step on its own, so
            that the weights over states are weights over inputs).
        horizon: number of steps to forecast.
        attend_variables: also weigh the input variables of each step, by `VariableAttention`.
        self_attention: let the states attend to earlier states before the forecasts do.
        dropout: probability of dropping a weight or a feature of a state while training, in
            [0, 1).

    Raises:
        ValueError: sizes below 1 or that do not fit, a bad probability, another encoder.

    Differs from Dense layers applied to each step:
        those do not mix steps at all, and nothing in them sums to 1.

    Reference: the parts are those of Pei et al. 2017 (salient steps of a recurrent encoder),
        arXiv:1612.00385, and of Qin et al. 2017 (variables as well as steps), arXiv:1704.02971

    >>> network = TemporalAttentionNetwork(3, 1, hidden=8, num_heads=2, horizon=4)
    >>> forecast, weights = network(torch.zeros(1, 5, 3), need_weights=True)
    >>> forecast.shape, weights.shape
    (torch.Size([1, 4, 1]), torch.Size([1, 2, 4, 5]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: int,
        num_heads: int = 1,
        *,
        encoder: str = "lstm",
        horizon: int = 1,
        attend_variables: bool = False,
        self_attention: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        owner = "TemporalAttentionNetwork"
        check_positive(owner, in_features=in_features, out_features=out_features)
        check_positive(owner, hidden=hidden, horizon=horizon)
        check_probability(owner, "dropout", dropout)
        if encoder not in ENCODERS:
            raise ValueError(
                f"{owner}: got encoder={encoder!r}, expected one of {ENCODERS}; "
                f"write encoder='lstm'"
            )
        self.variables = VariableAttention(in_features, hidden) if attend_variables else None
        self.embed = None if attend_variables else nn.Linear(in_features, hidden)
        self.encoder = _make_encoder(encoder, hidden)
        self.earlier = None
        if self_attention:
            self.earlier = TemporalAttention(hidden, num_heads, dropout=dropout)
            self.norm = nn.LayerNorm(hidden)
        self.time = TimeEncoding(hidden)
        self.steps = nn.Parameter(torch.randn(horizon, hidden) * hidden**-0.5)
        self.attention = MultiHeadAttention(hidden, num_heads, dropout=dropout)
        self.attention.map_kind = "temporal"  # what record_attention calls its maps
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, out_features)
        )

    def forward(
        self,
        x: Tensor,
        times: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, ...]:
        """Forecast the steps after the last one.

        Args:
            x: (B, T, in_features), scaled to about size 1.
            times: (B, T) real, when each step was, in a unit of about one step; 0, 1, 2, ... when
                omitted. They need not be even.
            mask: bool, (B, 1, 1, T) or with ones where it broadcasts: `padding_mask(lengths, T)`,
                or False at any step that is missing.
            need_weights: also return the weights, before dropout.

        Returns:
            (B, horizon, out_features), or that and the weights over time (B, H, horizon, T), and,
            with attend_variables, the weights over variables (B, 1, T, in_features) as well.

        Raises:
            TypeError: inputs not in the dtype of the network, or a mask that is not bool.
            ValueError: shapes that do not fit, an empty series.
        """
        states, times, observed, over_variables = self._states(x, times, mask)
        B, T = x.shape[:2]
        order = torch.arange(T, device=x.device)
        last = (observed * order).amax(1, keepdim=True)  # (B, 1)
        age = (times.gather(1, last) - times).masked_fill(~observed, 0)
        query = states[torch.arange(B, device=x.device), last[:, 0]][:, None] + self.steps
        key = states + self.time(age).to(states.dtype)
        result = self.attention(
            query, key, states, mask=observed[:, None, None], need_weights=need_weights
        )
        context, *weights = result if need_weights else (result,)
        forecast = self.head(context + self.steps)
        if need_weights and self.variables is not None:
            weights.append(over_variables)
        return (forecast, *weights) if need_weights else forecast

    def encode(
        self, x: Tensor, times: Tensor | None = None, *, mask: Tensor | None = None
    ) -> Tensor:
        """The states that the forecasts attend to; none of them depends on a later step.

        Args:
            x: (B, T, in_features).
            times: (B, T), as in `forward`.
            mask: bool, (B, 1, 1, T), as in `forward`.

        Returns:
            (B, T, hidden)
        """
        return self._states(x, times, mask)[0]

    def _states(
        self, x: Tensor, times: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        owner = "TemporalAttentionNetwork"
        check_steps(owner, x, self.embed or self.variables.hidden)
        times = time_stamps(owner, times, x)
        observed = observed_steps(owner, mask, x)
        x = x.masked_fill(~observed[..., None], 0.0)
        weights = None
        if self.variables is None:
            states = self.embed(x)
        else:
            states, weights = self.variables(x, need_weights=True)
        states = self.encoder(states)
        states = states[0] if isinstance(states, tuple) else states  # not the final state
        states = self.dropout(states)
        if self.earlier is not None:
            seen = self.earlier(states, times, mask=observed[:, None, None])
            states = self.norm(states + seen)
        return states, times, observed, weights


class _CausalConvolution(nn.Conv1d):
    """(B, T, F) -> (B, T, F): each step from itself and the two before it."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, kernel_size=3)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x.mT, (self.kernel_size[0] - 1, 0))  # before the series, never after it
        return torch.tanh(super().forward(padded).mT)


def _make_encoder(name: str, width: int) -> nn.Module:
    if name == "conv":
        return _CausalConvolution(width)
    if name == "linear":
        return nn.Identity()
    recurrent = nn.LSTM if name == "lstm" else nn.GRU
    return recurrent(width, width, batch_first=True)
