"""Graph attention: every node takes an average of its neighbours, weighted by a learned score.

`GATConv` scores source and target apart and adds the two, so that all targets rank their sources
alike; `GATv2Conv` puts a bend between, so that the ranking can depend on the target.
Letters: N nodes, E edges, H heads, C channels of a head, F features, D features of an edge.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attnlib.graph._additive import additive_scores
from attnlib.graph._convolution import Convolution
from attnlib.graph._kernels import bent, gather, heads_at_once
from attnlib.graph._sparse import linear
from attnlib.graph._structure import Edges

__all__ = ["GATConv", "GATv2Conv"]


class GATConv(Convolution):
    """Graph attention whose score is a sum of what the source and the target are worth.

    score_ij = leaky_relu(a_target . W x_i + a_source . W x_j [+ a_edge . W_edge e_ij])
    out_i = concat over heads of sum_j softmax_j(score_ij) W x_j, j from the neighbours of i
    A node without incoming edges, self-loop included, has output 0 (plus bias and residual). With
    a loop added it sees itself. NaN in a node reaches the nodes it leads to, and no others.

    Args:
        in_channels: F, width of the features; a pair (F', F) gives sources and targets a matrix
            each, where one number shares it.
        out_channels: C, width of a head.
        heads: H.
        concat: put heads side by side, (N, H * C); otherwise average them, (N, C).
        negative_slope: of leaky_relu below 0.
        dropout: probability of dropping a weight while training, in [0, 1).
        add_self_loops: give each node exactly one edge to itself; its features are the mean of
            those of the node's other edges.
        edge_dim: D, width of the features of edges; None for none.
        bias: whether to add a learned vector to the output.
        residual: whether to add a learned matrix times the features of the target.

    Raises:
        ValueError: sizes below 1, or a bad probability.

    Differs from torch_geometric.nn.GATConv:
        options from `edge_dim` on go by name; loops always get the mean of edge features;
        `edge_attr` must be given exactly if there is `edge_dim`; weights are returned as they are
        before dropout; there is no `size`, no lazy width, no SparseTensor of edges. State dicts
        load both ways. In float32 and float64 on a CPU no message is ever stored, and sparse
        features stay sparse.

    Reference: Veličković et al. 2018, equations 1 to 6, arXiv:1710.10903

    >>> edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    >>> GATConv(5, 7, heads=2)(torch.zeros(3, 5), edge_index).shape
    torch.Size([3, 14])
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        *,
        edge_dim: int | None = None,
        bias: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            heads,
            concat,
            negative_slope,
            dropout,
            add_self_loops,
            edge_dim,
            bias,
            residual,
        )
        inner, (source, target) = heads * out_channels, self._widths
        pair = isinstance(in_channels, tuple)
        self.lin = None if pair else nn.Linear(source, inner, bias=False)
        self.lin_src = nn.Linear(source, inner, bias=False) if pair else None
        self.lin_dst = nn.Linear(target, inner, bias=False) if pair else None
        self.att_src = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_dst = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_edge = None
        if edge_dim is not None:
            self.att_edge = nn.Parameter(torch.empty(1, heads, out_channels))
        self.reset_parameters()

    def _attend(
        self, source: Tensor, target: Tensor, edge_attr: Tensor | None, edges: Edges
    ) -> tuple[Sequence[Tensor], Tensor]:
        H, C = self.heads, self.out_channels
        at_once = heads_at_once(self.att_src, H, len(edges.order))
        to_source = (self.lin_src if self.lin is None else self.lin).weight
        to_target = (self.lin_dst if self.lin is None else self.lin).weight
        # a . W x = (a W) x: what a node is worth needs no W x.
        if source is target and self.lin is not None:
            worth = _worth(to_source, self.att_src, self.att_dst)
            values, *worths = _products(source, to_source, worth, at_once, H)
            from_source, from_target = worths[: H // at_once], worths[H // at_once :]
        else:
            worth = _worth(to_source, self.att_src)
            values, *from_source = _products(source, to_source, worth, at_once, H)
            from_target = linear(target, _worth(to_target, self.att_dst)).split(at_once, 1)
        wide = torch.promote_types(values.dtype, torch.float32)
        scores = [
            gather(s.to(wide), edges.source) + gather(t.to(wide), edges.target)
            for s, t in zip(from_source, from_target, strict=True)
        ]
        if edge_attr is not None:
            from_edge = linear(edge_attr, _worth(self.lin_edge.weight, self.att_edge))
            scores = [x + y for x, y in zip(scores, from_edge.split(at_once, 1), strict=True)]
        scores = [bent(part, self.negative_slope) for part in scores]
        return scores, values.unflatten(1, (H, C))


def _products(
    x: Tensor, weight: Tensor, worth: Tensor, at_once: int, heads: int
) -> Sequence[Tensor]:
    """x weight^T, and x worth^T in pieces of so many columns."""
    if at_once == heads:  # a small graph: one product is quicker than two
        widths = [len(weight)] + [at_once] * (len(worth) // at_once)
        return linear(x, torch.cat([weight, worth])).split(widths, 1)
    return linear(x, weight), *linear(x, worth).split(at_once, 1)


def _worth(weight: Tensor, *att: Tensor) -> Tensor:
    """Products a W, head by head: a (1, H, C) and W (H * C, F) give (H, F), all a in one column."""
    vectors = torch.cat(att).transpose(0, 1)
    return (vectors @ weight.unflatten(0, att[0].shape[1:])).transpose(0, 1).flatten(0, 1)


class GATv2Conv(Convolution):
    """Graph attention whose score bends the sum of source and target before it is weighed.

    score_ij = a . leaky_relu(W_target x_i + W_source x_j [+ W_edge e_ij])
    out_i = concat over heads of sum_j softmax_j(score_ij) W_source x_j, j from the neighbours of i
    Which neighbour counts most can depend on the node that looks (dynamic attention); for GATConv
    it cannot. Nodes without edges and NaN are as there.

    Args:
        in_channels: F, width of the features; a pair (F', F) for sources and targets.
        out_channels: C, width of a head.
        heads: H.
        concat: put heads side by side, (N, H * C); otherwise average them, (N, C).
        negative_slope: of leaky_relu below 0.
        dropout: probability of dropping a weight while training, in [0, 1).
        add_self_loops: give each node exactly one edge to itself; its features are the mean of
            those of the node's other edges.
        edge_dim: D, width of the features of edges; None for none. With them each edge stores a
            hidden vector (H * C), as in PyTorch Geometric.
        bias: whether the matrices of source and target, and the output, add learned vectors.
        share_weights: use one matrix for sources and targets.
        residual: whether to add a learned matrix times the features of the target.

    Raises:
        ValueError: sizes below 1, a bad probability, weights to share of different widths.

    Differs from torch_geometric.nn.GATv2Conv:
        as GATConv does from its twin.

    Reference: Brody et al. 2022, equation 7, arXiv:2105.14491

    >>> edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    >>> GATv2Conv(5, 7, heads=2, concat=False)(torch.zeros(3, 5), edge_index).shape
    torch.Size([3, 7])
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        *,
        edge_dim: int | None = None,
        bias: bool = True,
        share_weights: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            heads,
            concat,
            negative_slope,
            dropout,
            add_self_loops,
            edge_dim,
            bias,
            residual,
        )
        inner, (source, target) = heads * out_channels, self._widths
        if share_weights and source != target:
            raise ValueError(
                f"GATv2Conv: got share_weights and in_channels={in_channels}, expected equal "
                f"widths; write share_weights=False"
            )
        self.lin_l = nn.Linear(source, inner, bias=bias)
        self.lin_r = self.lin_l if share_weights else nn.Linear(target, inner, bias=bias)
        self.att = nn.Parameter(torch.empty(1, heads, out_channels))
        self.share_weights = share_weights
        self.reset_parameters()

    def _attend(
        self, source: Tensor, target: Tensor, edge_attr: Tensor | None, edges: Edges
    ) -> tuple[Sequence[Tensor], Tensor]:
        heads = (self.heads, self.out_channels)
        values = linear(source, self.lin_l.weight, self.lin_l.bias).unflatten(1, heads)
        if source is target and self.share_weights:
            seen_from = values
        else:
            seen_from = linear(target, self.lin_r.weight, self.lin_r.bias).unflatten(1, heads)
        edge = None
        if edge_attr is not None:
            edge = self.lin_edge(edge_attr).unflatten(1, heads)
        slope = self.negative_slope
        scores = additive_scores(values, seen_from, edge, self.att[0], slope, edges)
        at_once = heads_at_once(values, self.heads, len(scores))
        return [scores] if at_once == self.heads else scores.split(at_once, 1), values
