"""Attention as matrices, one or several side by side, and as lines between words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.viz._figures import checked, draw_map, import_optional, new_axes
from attnlib.viz.style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_alignment", "plot_attention", "plot_heads", "plot_rollout"]


def plot_attention(
    weights: Tensor,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one attention map: a row a query, a column a key, dark where the weight is near 1.

    Weights are written into the cells while there is room (at most 8 x 8).

    Args:
        weights: (L, S), in [0, 1].
        queries: L names; numbers when omitted.
        keys: S names; numbers when omitted.
        title: text above the map.
        ax: where to draw; a new figure when omitted.

    Returns:
        The axes.

    Raises:
        TypeError: weights that are not a tensor.
        ValueError: weights that are not a finite matrix, or names that do not fit.

    >>> plot_attention(torch.eye(3)).get_ylabel()
    'query'
    """
    weights = checked("plot_attention", weights, "(L, S)", queries, keys)
    L, S = weights.shape
    ax = new_axes(ax, min(1.6 + 0.42 * S, 8.0), min(1.2 + 0.42 * L, 8.0))
    draw_map(ax, weights, queries, keys)
    if L <= 8 and S <= 8:
        for i in range(L):
            for j in range(S):
                weight = float(weights[i, j])
                color = "white" if weight > 0.55 else "black"
                ax.text(j, i, f"{weight:.2f}", ha="center", va="center", color=color, fontsize=8)
    if title is not None:
        ax.set_title(title)
    return ax


def plot_heads(
    weights: Tensor,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Draw the maps of all heads side by side, on one scale and without numbers in the cells.

    Args:
        weights: (H, L, S), in [0, 1].
        queries: L names; numbers when omitted.
        keys: S names; numbers when omitted.
        titles: H texts above the maps; "head 0" and so on when omitted.
        columns: how many maps stand in a row, at most.

    Returns:
        The figure.

    Raises:
        TypeError: weights that are not a tensor, columns that are no int.
        ValueError: weights of other dimensions or not finite, texts that do not fit, no columns.

    >>> len(plot_heads(torch.ones(3, 2, 2) / 2).axes)
    3
    """
    weights = checked("plot_heads", weights, "(H, L, S)", queries, keys)
    titles = [f"head {h}" for h in range(len(weights))] if titles is None else titles
    return _draw_grid("plot_heads", weights, queries, keys, titles, columns)


def plot_rollout(
    weights: Sequence[Tensor],
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Draw how attention mixes the positions from layer to layer, side by side on one scale.

    Args:
        weights: (layers, L, S), or one (L, S) a layer, in [0, 1]: of `recording.rollout`, first
            layer first.
        queries: L names; numbers when omitted.
        keys: S names; numbers when omitted.
        columns: how many maps stand in a row, at most.

    Returns:
        The figure.

    Raises:
        TypeError: weights that are not tensors, columns that are no int.
        ValueError: weights of other dimensions or not finite, names that do not fit, no columns.

    >>> figure = plot_rollout([torch.eye(2), torch.ones(2, 2) / 2])
    >>> [ax.get_title() for ax in figure.axes]
    ['after layer 1', 'after layer 2']
    """
    if not isinstance(weights, Tensor):
        weights = [checked("plot_rollout", layer, "(L, S)", queries, keys) for layer in weights]
        if len({layer.shape for layer in weights}) != 1:
            raise ValueError(
                f"plot_rollout: got shapes {[tuple(layer.shape) for layer in weights]}, expected "
                f"one map (L, S) a layer, all of one shape; pass [m.weights for m in rollout(maps)]"
            )
        weights = torch.stack(weights)
    weights = checked("plot_rollout", weights, "(layers, L, S)", queries, keys)
    titles = [f"after layer {n + 1}" for n in range(len(weights))]
    return _draw_grid("plot_rollout", weights, queries, keys, titles, columns)


def plot_alignment(
    weights: Tensor,
    *,
    source: Sequence[str] | None = None,
    target: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which source words each target word attends to: a line a pair, wide where the weight is.

    Weights below 0.05 are left out.

    Args:
        weights: (L, S), in [0, 1]: L target words attend to S source words.
        source: S words, on the left; numbers when omitted.
        target: L words, on the right; numbers when omitted.
        title: text above the words.
        ax: where to draw; a new figure when omitted.

    Returns:
        The axes.

    Raises:
        TypeError: weights that are not a tensor.
        ValueError: weights that are not a finite matrix, or words that do not fit.

    >>> len(plot_alignment(torch.eye(2), source=["das", "Haus"], target=["the", "house"]).lines)
    2
    """
    weights = checked("plot_alignment", weights, "(L, S)", target, source)
    L, S = weights.shape
    ax = new_axes(ax, 4.2, 0.8 + 0.3 * max(L, S))
    for i, j in (weights >= 0.05).nonzero().tolist():
        weight = min(weights[i, j].item(), 1.0)
        ax.plot([0, 1], [j, i], color=COLORS[0], linewidth=5 * weight, alpha=0.25 + 0.75 * weight)
    for x, side, words, size in ((0, "right", source, S), (1, "left", target, L)):
        for y, word in enumerate(range(size) if words is None else words):
            ax.text(x + (0.04 if x else -0.04), y, str(word), ha=side, va="center")
    ax.text(0, -1, "source", ha="right", va="center", style="italic")
    ax.text(1, -1, "target", ha="left", va="center", style="italic")
    ax.set(xlim=(-0.7, 1.7), ylim=(max(L, S) - 0.5, -1.5), title="" if title is None else title)
    ax.axis("off")
    return ax


def _draw_grid(
    owner: str,
    weights: Tensor,
    queries: Sequence[str] | None,
    keys: Sequence[str] | None,
    titles: Sequence[str],
    columns: int,
) -> Figure:
    check_positive(owner, columns=columns)
    H, L, S = weights.shape
    if len(titles) != H:
        raise ValueError(f"{owner}: got {len(titles)} titles, expected {H}; write one a map")
    columns = min(H, columns)
    rows = -(-H // columns)
    size = (0.6 + columns * min(1.0 + 0.25 * S, 2.6), rows * min(1.0 + 0.25 * L, 2.8))
    figure = import_optional("matplotlib.pyplot").figure(figsize=size, layout="constrained")
    for h, title in enumerate(titles):
        ax = figure.add_subplot(rows, columns, h + 1)
        draw_map(ax, weights[h], queries, keys)
        ax.set_title(title)
        if h % columns > 0:  # names once a row, and below the last map of a column
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if h + columns < H:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    return figure
