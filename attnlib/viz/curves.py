"""Training as curves over the epochs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attnlib.viz._figures import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_curves", "plot_history"]


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


def _check_epochs(owner: str, history: Sequence | Mapping) -> None:
    if not history:
        raise ValueError(f"{owner}: got no epochs, expected what fit returns; run fit first")


def _epoch_axes(ax: Axes | None) -> Axes:
    if ax is None:
        _, ax = import_optional("matplotlib.pyplot").subplots(layout="constrained")
    ax.set_xlabel("epoch")
    return ax
