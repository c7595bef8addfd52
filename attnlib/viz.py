"""Pictures of attention and of training, in matplotlib (extra `viz`).

The functions draw tensors and return axes or figures; they run no model, save nothing and show
nothing. `show` puts a figure into a notebook together with its text alternative.
"""

from __future__ import annotations

import base64
import importlib
import io
import statistics
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from attnlib._checks import check_names, check_positive, check_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Names = Sequence[str] | None

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
    """Set matplotlib's defaults to the look of the book: for the first cell of a notebook.

    >>> use_style()
    """
    mpl = _import("matplotlib")
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
        TypeError: weights that are not a tensor.
        ValueError: weights that are not a finite matrix, or names that do not fit.

    >>> plot_attention(torch.eye(3)).get_ylabel()
    'query'
    """
    weights = _checked("plot_attention", weights, "(L, S)", queries, keys)
    L, S = weights.shape
    if ax is None:
        size = (min(1.6 + 0.42 * S, 8.0), min(1.2 + 0.42 * L, 8.0))
        _, ax = _import("matplotlib.pyplot").subplots(figsize=size, layout="constrained")
    _draw_map(ax, weights, queries, keys)
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
    weights = _checked("plot_heads", weights, "(H, L, S)", queries, keys)
    check_positive("plot_heads", columns=columns)
    H, L, S = weights.shape
    titles = [f"head {h}" for h in range(H)] if titles is None else titles
    if len(titles) != H:
        raise ValueError(f"plot_heads: got {len(titles)} titles, expected {H}; write one a map")
    columns = min(H, columns)
    rows = -(-H // columns)
    size = (0.6 + columns * min(1.0 + 0.25 * S, 2.6), rows * min(1.0 + 0.25 * L, 2.8))
    figure = _import("matplotlib.pyplot").figure(figsize=size, layout="constrained")
    for h, title in enumerate(titles):
        ax = figure.add_subplot(rows, columns, h + 1)
        _draw_map(ax, weights[h], queries, keys)
        ax.set_title(title)
        if h % columns > 0:  # names once a row, and below the last map of a column
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if h + columns < H:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
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
    _check_epochs("plot_history", history)
    ax = _epoch_axes(ax)
    epochs = [row["epoch"] for row in history]
    for name in history[0]:
        if name != "epoch":
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
        ValueError: no run, a run without epochs, or a measure that was not recorded.

    >>> history = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]
    >>> plot_curves({"LSTM": [history, history]}, "loss").get_ylabel()
    'loss'
    """
    _check_epochs("plot_curves", runs)
    for name, seeds in runs.items():
        _check_epochs(f"plot_curves: {name}", seeds)
        for history in seeds:
            _check_epochs(f"plot_curves: {name}", history)
            if measure not in history[0]:
                raise ValueError(
                    f"plot_curves: {name} recorded {sorted(history[0])}, expected {measure!r} "
                    f"among them; choose one of those, or pass it to fit as a measure"
                )
    ax = _epoch_axes(ax)
    for name, seeds in runs.items():
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
    text version of the output, which is all that a terminal shows.

    Args:
        figure: a matplotlib figure.
        alt: one or two sentences that say what can be seen.

    Raises:
        ValueError: an alt that is missing or shorter than four words.

    >>> show(plot_attention(torch.eye(2)).figure, alt="Each query attends to its own key.")
    Each query attends to its own key.
    """
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(
            f"show: alt is {alt!r}, expected a sentence; say in words what the figure shows"
        )
    plt, ipython = _import("matplotlib.pyplot"), _import("IPython.display")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    width, height = figure.get_size_inches() * 96  # CSS pixels an inch
    plt.close(figure)
    png = base64.b64encode(buffer.getvalue()).decode("ascii")
    ipython.display(_Picture(png, alt, round(width), round(height)))


class _Picture(NamedTuple):
    """What IPython displays: an image where there can be one, its description elsewhere."""

    png: str
    alt: str
    width: int
    height: int

    def _repr_png_(self) -> tuple[str, dict]:
        return self.png, {"alt": self.alt, "width": self.width, "height": self.height}

    def __repr__(self) -> str:
        return self.alt


def _import(name: str) -> ModuleType:
    """Import what only pictures need, or say how to install it."""
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(
            f"attnlib.viz: {package} is not installed, expected it for figures; "
            f"write pip install {package}"
        ) from None


def _checked(owner: str, weights: Tensor, layout: str, queries: Names, keys: Names) -> Tensor:
    """The weights as float32 on the CPU; raise, before a figure is opened, if they do not fit."""
    check_tensor(owner, "weights", weights)
    weights = weights.detach().to("cpu", torch.float32)
    if weights.ndim != len(layout.split(",")) or 0 in weights.shape:
        raise ValueError(
            f"{owner}: weights has shape {tuple(weights.shape)}, expected {layout}, none empty; "
            f"index the tensor, as weights[0] for the first example of a batch"
        )
    if not bool(weights.isfinite().all()):
        raise ValueError(
            f"{owner}: weights has NaN or infinite entries, expected shares in [0, 1]; "
            f"look for NaN in the input of the layer"
        )
    check_names(owner, weights.shape, queries, keys)
    return weights


def _draw_map(ax: Axes, weights: Tensor, queries: Names, keys: Names) -> None:
    ax.imshow(weights.numpy(), cmap=_WEIGHTS, vmin=0.0, vmax=1.0, aspect="equal")
    ax.set(xlabel="key", ylabel="query")
    for axis, names, size in (("y", queries, weights.shape[0]), ("x", keys, weights.shape[1])):
        if names is None and size > 12:
            continue  # matplotlib chooses round numbers
        labels = [str(name) for name in (range(size) if names is None else names)]
        upright = axis == "x" and max(map(len, labels)) > 3
        style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if upright else {}
        getattr(ax, f"set_{axis}ticks")(range(size), labels, **style)


def _check_epochs(owner: str, history: Sequence | Mapping) -> None:
    if not history:
        raise ValueError(f"{owner}: got no epochs, expected what fit returns; run fit first")


def _epoch_axes(ax: Axes | None) -> Axes:
    if ax is None:
        _, ax = _import("matplotlib.pyplot").subplots(layout="constrained")
    ax.set_xlabel("epoch")
    return ax
