"""The look of every figure, and how a figure gets into a notebook together with its words."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, NamedTuple

from attnlib.viz._figures import DPI, import_optional

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLORS", "show", "use_style"]

# Okabe & Ito 2008: eight colours that people with any colour vision can tell apart;
# the yellow is left out because it vanishes on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


def use_style() -> None:
    """Set matplotlib's defaults to the look of the book: for the first cell of a notebook.

    >>> use_style()
    """
    mpl = import_optional("matplotlib")
    mpl.rcParams.update(
        {
            "axes.prop_cycle": mpl.cycler(color=COLORS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": "medium",
            "figure.constrained_layout.use": True,
            "figure.dpi": DPI,
            "figure.figsize": (6.0, 3.4),
            "font.family": "sans-serif",
            "font.size": 10.0,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook together with what it shows in words, and close it.

    The text travels as metadata of the image (the book writes it into the page) and as the plain
    text version of the output, which is all that a terminal shows.

    Args:
        figure: a matplotlib figure.
        alt: one or two sentences that say what can be seen.

    Raises:
        ValueError: an alt that is missing or shorter than four words.

    >>> import torch
    >>> from attnlib.viz import plot_attention
    >>> show(plot_attention(torch.eye(2)).figure, alt="Each query attends to its own key.")
    Each query attends to its own key.
    """
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(
            f"show: alt is {alt!r}, expected a sentence; say in words what the figure shows"
        )
    plt, ipython = import_optional("matplotlib.pyplot"), import_optional("IPython.display")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
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
