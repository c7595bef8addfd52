"""What the figures have in common: imports on demand, checked weights, and the heat map."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attnlib._checks import check_names, check_tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Names = Sequence[str] | None

DPI = 144  # sharp on screens with two pixels a point
SHADES = "Blues"  # white is no attention, dark is all of it


def import_optional(name: str) -> ModuleType:
    """Import what only pictures need, or say how to install it."""
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(
            f"attnlib.viz: {package} is not installed, expected it for figures; "
            f"write pip install {package}"
        ) from None


def checked(owner: str, weights: Tensor, layout: str, queries: Names, keys: Names) -> Tensor:
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
    if weights.ndim > 1:
        check_names(owner, weights.shape, queries, keys)
    return weights


def draw_map(ax: Axes, weights: Tensor, queries: Names, keys: Names) -> None:
    ax.imshow(weights.numpy(), cmap=SHADES, vmin=0.0, vmax=1.0, aspect="equal")
    ax.set(xlabel="key", ylabel="query")
    write_names(ax, "y", queries, weights.shape[0])
    write_names(ax, "x", keys, weights.shape[1])


def write_names(ax: Axes, axis: str, names: Names, size: int) -> None:
    """Write a name at each position of an axis; let matplotlib number many nameless ones."""
    if names is None and size > 12:
        return
    labels = [str(name) for name in (range(size) if names is None else names)]
    upright = axis == "x" and max(map(len, labels)) > 3
    style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if upright else {}
    getattr(ax, f"set_{axis}ticks")(range(size), labels, **style)


def new_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The given axes, or those of a new figure of this size in inches."""
    if ax is None:
        plt = import_optional("matplotlib.pyplot")
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax
