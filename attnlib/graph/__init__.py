"""Attention along the edges of a graph: layers, a model, and samples of graphs that do not fit.

The layers read `edge_index` (2, E) as PyTorch Geometric does, sources above targets. How they are
fast is told in `_kernels` (what is done to numbers on edges), `_structure` (edges sorted once) and
`_sparse` (bags of words).
"""

from attnlib.graph.convolution import GATConv, GATv2Conv
from attnlib.graph.models import GAT
from attnlib.graph.sampling import Neighbourhood, NeighbourLoader, sample_neighbours

__all__ = [
    "GAT",
    "GATConv",
    "GATv2Conv",
    "NeighbourLoader",
    "Neighbourhood",
    "sample_neighbours",
]
