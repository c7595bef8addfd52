"""Attention in a graph: arrows from the neighbours that a node listens to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnlib._checks import check_positive, check_tensor
from attnlib.viz._figures import SHADES, checked, import_optional, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["graph_layout", "plot_graph_attention"]


def graph_layout(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Places for the nodes of a small graph: neighbours near, all others apart; always the same.

    A spring along each edge, a repulsion between all pairs, from a circle and ever smaller steps.

    Args:
        edge_index: (2, E), int64: sources in row 0, targets in row 1; direction does not matter.
        num_nodes: N. The work grows with its square.

    Returns:
        (N, 2), float32, in [-1, 1].

    Raises:
        TypeError: something that is not a tensor of int64, or a number that is no int.
        ValueError: another shape, or edges that end at nodes that there are not.

    Reference: Fruchterman & Reingold 1991, Software: Practice and Experience 21, 1129-1164

    >>> graph_layout(torch.tensor([[0, 1], [1, 2]]), num_nodes=3).shape
    torch.Size([3, 2])
    """
    _check_graph("graph_layout", edge_index, num_nodes)
    angle = torch.arange(num_nodes, dtype=torch.float64) * (2 * math.pi / num_nodes)
    place = torch.stack([angle.sin(), angle.cos()], 1)
    source, target = edge_index.cpu()
    linked = torch.zeros(num_nodes, num_nodes, dtype=torch.float64)
    linked[source, target] = linked[target, source] = 1
    length = 1.6 / math.sqrt(num_nodes)
    for step in torch.linspace(0.1, 0.002, 120).tolist():
        apart = place[:, None] - place
        distance = apart.norm(dim=-1).clamp_min(1e-3)
        # Pulled to the middle as well, so that parts without a link do not drift away.
        force = length**2 / distance**2 - linked * distance / length
        move = (apart * force[..., None]).sum(1) - 0.3 * place
        place = place + move / move.norm(dim=-1, keepdim=True).clamp_min(1e-9) * step
    place = place - (place.amin(0) + place.amax(0)) / 2
    return (place / place.abs().amax().clamp_min(1e-9)).float()


def plot_graph_attention(
    weights: Tensor,
    edge_index: Tensor,
    num_nodes: int,
    *,
    names: Sequence[str] | None = None,
    positions: Tensor | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a graph with an arrow from each source to the target that attends to it.

    The arrow is wide and dark where the weight is near 1. What a node gives to itself is the
    shade of its disc.

    Args:
        weights: (E,), in [0, 1]: of one head, or the mean of several.
        edge_index: (2, E), int64: sources in row 0, targets in row 1.
        num_nodes: N.
        names: N names of the nodes; numbers when omitted.
        positions: (N, 2), where the nodes are; `graph_layout` when omitted.
        title: text above the graph.
        ax: where to draw; a new figure when omitted.

    Returns:
        The axes.

    Raises:
        TypeError: something that is not a tensor of the right kind.
        ValueError: weights, edges, names or positions that do not fit.

    >>> ax = plot_graph_attention(torch.tensor([1.0, 0.5]), torch.tensor([[0, 2], [1, 1]]), 3)
    >>> len(ax.patches)
    2
    """
    owner = "plot_graph_attention"
    weights = checked(owner, weights, "(E)", None, None)
    _check_graph(owner, edge_index, num_nodes)
    place = graph_layout(edge_index, num_nodes) if positions is None else positions
    names = range(num_nodes) if names is None else names
    got = (len(weights), len(names), tuple(place.shape))
    if got != (edge_index.shape[1], num_nodes, (num_nodes, 2)):
        raise ValueError(
            f"{owner}: got {got[0]} weights, {got[1]} names and positions {got[2]}, expected "
            f"{edge_index.shape[1]}, {num_nodes} and {(num_nodes, 2)}; give every edge a weight "
            f"and every node a name and a place"
        )
    mpl = import_optional("matplotlib")
    side = min(3.0 + 0.12 * num_nodes, 8.0)
    ax, shades = new_axes(ax, side, side), mpl.colormaps[SHADES]
    own = torch.zeros(num_nodes)
    for weight, (source, target) in zip(weights.tolist(), edge_index.T.tolist(), strict=True):
        if source == target:
            own[source] += weight
            continue
        arrow = {
            "arrowstyle": "-|>",
            "color": shades(0.25 + 0.75 * min(weight, 1.0)),
            "connectionstyle": "arc3,rad=0.12",  # there and back are two arrows
            "linewidth": 0.4 + 3.6 * weight,
            "mutation_scale": 8 + 8 * weight,
            "shrinkA": 9,
            "shrinkB": 9,
        }
        start, end = place[source].tolist(), place[target].tolist()
        ax.add_patch(mpl.patches.FancyArrowPatch(start, end, **arrow))
    ax.scatter(*place.T.tolist(), s=240, c=own.tolist(), cmap=SHADES, vmin=0, vmax=1,
               edgecolors="black", zorder=3)  # fmt: skip
    for name, (x, y), shade in zip(names, place.tolist(), own.tolist(), strict=True):
        color = "white" if shade > 0.55 else "black"
        ax.text(x, y, str(name), ha="center", va="center", fontsize=8, color=color, zorder=4)
    ax.margins(0.12)
    ax.set_aspect("equal")
    ax.axis("off")
    if title is not None:
        ax.set_title(title)
    return ax


def _check_graph(owner: str, edge_index: Tensor, num_nodes: int) -> None:
    check_positive(owner, num_nodes=num_nodes)
    check_tensor(owner, "edge_index", edge_index)
    if edge_index.dtype != torch.int64:
        raise TypeError(
            f"{owner}: edge_index is {edge_index.dtype}, expected torch.int64 node numbers; "
            f"write edge_index.long()"
        )
    shaped = edge_index.ndim == 2 and len(edge_index) == 2
    if not shaped or bool(((edge_index < 0) | (edge_index >= num_nodes)).any()):
        raise ValueError(
            f"{owner}: edge_index has shape {tuple(edge_index.shape)}, expected (2, E) with "
            f"numbers from 0 to {num_nodes - 1}; write edge_index.T for pairs (E, 2)"
        )
