"""Pictures of attention and of training, in matplotlib (extra `viz`).

The functions draw tensors and return axes or figures; they run no model, save nothing and show
nothing. `show` puts a figure into a notebook together with its text alternative.
"""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnlib._checks import check_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "plot_attention",
    "plot_curves",
    "plot_heads",
    "plot_history",
    "show",
    "use_style",
]

# Okabe & Ito 2008: eight colours that people with any colour vision can tell apart;
# the yellow is left out because it vanishes on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_WEIGHTS = "Blues"  # white is no attention, dark is all of it
_DPI = 144  # sharp on screens with two pixels a point


def use_style() -> None:
    """Set matplotlib's defaults to the look of the book: for the first cell of a notebook."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "axes.prop_cycle": mpl.cycler(color=COLORS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": "medium",
            "figure.constrained_layout.use": True,
            "figure.dpi": _DPI,
            "figure.figsize": (6.0, 3.4),
            "font.family": "sans-serif",
            "font.size": 10.0,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )


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
        ValueError: weights that are not a finite matrix, or names that do not fit.

    >>> plot_attention(torch.eye(3)).get_ylabel()
    'query'
    """
    import matplotlib.pyplot as plt

    weights = _matrix("plot_attention", weights)
    L, S = weights.shape
    if ax is None:
        size = (min(1.6 + 0.42 * S, 8.0), min(1.2 + 0.42 * L, 8.0))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.imshow(weights.numpy(), cmap=_WEIGHTS, vmin=0.0, vmax=1.0, aspect="equal")
    _name_axis(ax, "x", "key", keys, S)
    _name_axis(ax, "y", "query", queries, L)
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
) -> Figure:
    """Draw the maps of all heads side by side, on one scale.

    Args:
        weights: (H, L, S), in [0, 1].
        queries: L names; numbers when omitted.
        keys: S names; numbers when omitted.

    Returns:
        The figure, four maps a row.

    Raises:
        ValueError: weights with other dimensions, or not finite.

    >>> len(plot_heads(torch.ones(3, 2, 2) / 2).axes)
    3
    """
    import matplotlib.pyplot as plt

    check_tensor("plot_heads", "weights", weights)
    if weights.ndim != 3 or 0 in weights.shape:
        raise ValueError(
            f"plot_heads: weights has shape {tuple(weights.shape)}, expected (H, L, S); "
            f"write weights[0] for the first example of a batch"
        )
    H, L, S = weights.shape
    columns = min(H, 4)
    rows = -(-H // columns)
    size = (0.6 + columns * min(1.0 + 0.25 * S, 2.6), rows * min(1.0 + 0.25 * L, 2.8))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for h, ax in enumerate(axes.flat):
        if h < H:
            plot_attention(weights[h], queries=queries, keys=keys, title=f"head {h}", ax=ax)
        else:
            ax.remove()
    for ax in figure.axes:
        ax.label_outer()
    return figure


def plot_history(history: Sequence[Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """Draw every quantity that one run of `attnlib.training.fit` recorded, against the epoch.

    Args:
        history: one mapping an epoch, with the key "epoch".
        ax: where to draw; a new figure when omitted.

    Returns:
        The axes.

    Raises:
        ValueError: an empty history.

    >>> plot_history([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]).get_xlabel()
    'epoch'
    """
    ax = _history_axes("plot_history", history, ax)
    epochs = [row["epoch"] for row in history]
    for name in history[0]:
        if name not in ("epoch", "seconds"):
            ax.plot(epochs, [row[name] for row in history], marker=".", label=name)
    ax.legend()
    return ax


def plot_curves(
    runs: Mapping[str, Sequence[Sequence[Mapping[str, float]]]],
    measure: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw one measure of several models over several seeds: the mean as a line, the range shaded.

    Args:
        runs: name of the model to the histories of its seeds.
        measure: key of the histories, such as "val_loss".
        ax: where to draw; a new figure when omitted.

    Returns:
        The axes. Runs that stopped early are drawn as far as the shortest one goes.

    Raises:
        ValueError: no run, or a measure that was not recorded.

    >>> history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]
    >>> plot_curves({"LSTM": [history, history]}, "loss").get_ylabel()
    'loss'
    """
    ax = _history_axes("plot_curves", [h for seeds in runs.values() for h in seeds], ax)
    for name, seeds in runs.items():
        for history in seeds:
            if not history or measure not in history[0]:
                known = sorted(history[0]) if history else []
                raise ValueError(
                    f"plot_curves: {name} did not record {measure!r}; "
                    f"measure must be one of {known}"
                )
        epochs = [row["epoch"] for row in min(seeds, key=len)]
        columns = [[row[measure] for row in rows] for rows in zip(*seeds, strict=False)]
        [line] = ax.plot(epochs, [statistics.fmean(column) for column in columns], label=name)
        low, high = [min(column) for column in columns], [max(column) for column in columns]
        ax.fill_between(epochs, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_ylabel(measure)
    ax.legend()
    return ax


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook together with what it shows in words, and close it.

    The text travels as metadata of the image (the book writes it into the page) and as the plain
    text version of the output.

    Args:
        figure: a matplotlib figure.
        alt: one or two sentences that say what can be seen.

    Raises:
        ValueError: a missing or empty alt.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(
            f"show: alt is {alt!r}, expected a sentence; say in words what the figure shows"
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    width, height = figure.get_size_inches() * 96  # CSS pixels an inch
    plt.close(figure)
    image = base64.b64encode(buffer.getvalue()).decode("ascii")
    display(
        {"image/png": image, "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": round(width), "height": round(height)}},
        raw=True,
    )


def _matrix(owner: str, weights: Tensor) -> Tensor:
    check_tensor(owner, "weights", weights)
    weights = weights.detach().to("cpu", torch.float32)
    if weights.ndim != 2 or 0 in weights.shape or not bool(weights.isfinite().all()):
        raise ValueError(
            f"{owner}: weights has shape {tuple(weights.shape)}, expected a finite matrix (L, S); "
            f"write weights[0, 0] for the first head of the first example"
        )
    return weights


def _name_axis(ax: Axes, axis: str, label: str, names: Sequence[str] | None, size: int) -> None:
    if names is not None and len(names) != size:
        raise ValueError(
            f"plot_attention: got {len(names)} names for {size} positions of the {label} axis, "
            f"expected one each; cut the weights to the real positions"
        )
    ax.set(**{f"{axis}label": label})
    if names is None and size > 12:
        return  # matplotlib chooses round numbers
    ticks = range(size)
    labels = [str(i) for i in ticks] if names is None else [str(name) for name in names]
    upright = axis == "x" and max(map(len, labels)) > 3
    ax.set(**{f"{axis}ticks": ticks})
    rotation = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if upright else {}
    ax.set(**{f"{axis}ticklabels": labels})
    for text in getattr(ax, f"get_{axis}ticklabels")():
        text.set(**rotation)


def _history_axes(owner: str, history: Sequence, ax: Axes | None) -> Axes:
    import matplotlib.pyplot as plt

    if not history:
        raise ValueError(f"{owner}: got no epochs, expected the list that fit returns")
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    ax.set_xlabel("epoch")
    return ax
