"""Attention over time, under the series that it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnlib._checks import check_tensor
from attnlib.viz._figures import SHADES, checked, import_optional, write_names
from attnlib.viz.style import COLORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_time_attention"]


def plot_time_attention(
    series: Tensor,
    weights: Tensor,
    *,
    times: Tensor | None = None,
    queries: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    unit: str = "step",
) -> Figure:
    """Draw a series and, below it on the same axis, how much each step is attended to.

    One query is drawn as bars, several as rows of a heat map.

    Args:
        series: (T,) or (T, variables): what was measured, in any unit.
        weights: (T,) or (L, T), in [0, 1]: L queries (steps of the forecast, or heads).
        times: (T,), ascending: when it was measured, also unevenly; step numbers when omitted.
        queries: L names of the queries; numbers when omitted.
        labels: names of the variables; no legend when omitted.
        unit: text below the axis: of what the times are.

    Returns:
        The figure; its axes are those of the series and of the weights.

    Raises:
        TypeError: something that is not a tensor.
        ValueError: lengths that do not agree, weights or times that are not finite or ascending.

    >>> figure = plot_time_attention(torch.arange(5.0), torch.ones(5) / 5, unit="hour")
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['', 'hour']
    """
    owner = "plot_time_attention"
    check_tensor(owner, "series", series)
    check_tensor(owner, "weights", weights)
    rows = weights[None] if weights.ndim == 1 else weights
    rows = checked(owner, rows, "(L, T)", queries, None)
    series = series.detach().to("cpu", torch.float32)
    T = rows.shape[1]
    times = torch.arange(T) if times is None else times.detach().cpu()
    if series.ndim not in (1, 2) or len(series) != T or times.shape != (T,):
        raise ValueError(
            f"{owner}: got a series {tuple(series.shape)}, weights {tuple(weights.shape)} and "
            f"times {tuple(times.shape)}, expected one time T first, last and only; "
            f"cut the series to the window that was attended"
        )
    if not bool((times.diff() > 0).all()):
        raise ValueError(
            f"{owner}: got times that do not ascend, expected each step later than the one "
            f"before; sort the series by time"
        )
    shown, moments = rows.numpy(), times.double().numpy()
    height = 3.2 if len(rows) == 1 else min(2.6 + 0.25 * len(rows), 7.0)
    figure, (above, below) = import_optional("matplotlib.pyplot").subplots(
        2, 1, figsize=(6.0, height), sharex=True, layout="constrained"
    )
    for number, column in enumerate(series.reshape(T, -1).T.numpy()):
        label = None if labels is None else labels[number]
        above.plot(moments, column, marker=".", color=COLORS[number % len(COLORS)], label=label)
    above.set_ylabel("value")
    if labels is not None:
        above.legend()
    borders = _borders(times.double())
    if len(rows) == 1:
        least = 0.004 * (borders[-1] - borders[0]).item()  # a bar between close steps is seen too
        width = max(0.9 * borders.diff().min().item(), least)
        below.bar(moments, shown[0], width=width, color=COLORS[0])
        below.set(ylabel="weight", ylim=(0, 1.05 * max(rows.max().item(), 1e-3)))
    else:
        lines = torch.arange(len(rows) + 1).double().numpy() - 0.5
        below.pcolormesh(borders.numpy(), lines, shown, cmap=SHADES, vmin=0, vmax=1)
        below.invert_yaxis()
        below.set_ylabel("query")
        write_names(below, "y", queries, len(rows))
    below.set_xlabel(unit)
    return figure


def _borders(times: Tensor) -> Tensor:
    """(T + 1,): the borders halfway between the times."""
    if len(times) == 1:
        return torch.stack([times[0] - 0.5, times[0] + 0.5])
    half = times.diff() / 2
    inner = times[:-1] + half
    return torch.cat([times[:1] - half[:1], inner, times[-1:] + half[-1:]])
