"""Pictures of attention and of training: matplotlib figures (extra `viz`), and a view to explore.

The functions draw tensors and return axes or figures; they run no model, save nothing and show
nothing. `show` puts a figure into a notebook together with its text alternative. `explorer` needs
nothing installed: it makes a piece of HTML.
"""

from attnlib.viz.curves import plot_curves, plot_history
from attnlib.viz.explorer import Explorer, explorer
from attnlib.viz.graphs import graph_layout, plot_graph_attention
from attnlib.viz.maps import plot_alignment, plot_attention, plot_heads, plot_rollout
from attnlib.viz.style import COLORS, show, use_style
from attnlib.viz.time import plot_time_attention

__all__ = [
    "COLORS",
    "Explorer",
    "explorer",
    "graph_layout",
    "plot_alignment",
    "plot_attention",
    "plot_curves",
    "plot_graph_attention",
    "plot_heads",
    "plot_history",
    "plot_rollout",
    "plot_time_attention",
    "show",
    "use_style",
]
