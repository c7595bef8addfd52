"""What GATConv and GATv2Conv have in common.

Letters: N nodes, E edges, H heads, C channels of a head, F features, D features of an edge.
"""

import torch
from torch import Tensor, nn

from attnlib._checks import check_floating, check_positive, check_probability
from attnlib._dropout import dropout
from attnlib.graph._kernels import edge_weights, is_fast, neighbour_sum
from attnlib.graph._sparse import linear
from attnlib.graph._structure import Edges, edges_of


class Convolution(nn.Module):
    """What the two layers share: sizes, checks, self-loops, the weighted sum and what follows it.

    A layer adds its parameters and `_attend`, which gives scores of edges and what they weigh.
    """

    weights_flag = "return_attention_weights"

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int,
        concat: bool,
        negative_slope: float,
        dropout: float,
        add_self_loops: bool,
        edge_dim: int | None,
        bias: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        widths = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        if len(widths) != 2:
            raise ValueError(
                f"{owner}: got in_channels={in_channels}, expected a number, or two for sources "
                f"and targets; write in_channels={widths[0] if widths else 1}"
            )
        check_positive(owner, in_channels=widths[0], out_channels=out_channels, heads=heads)
        check_positive(owner, in_channels=widths[1], edge_dim=1 if edge_dim is None else edge_dim)
        check_probability(owner, "dropout", dropout)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.heads, self.concat = heads, concat
        self.negative_slope, self.dropout = negative_slope, dropout
        self.add_self_loops, self.edge_dim = add_self_loops, edge_dim
        self.residual = residual
        self._widths = widths
        inner, outer = heads * out_channels, out_channels * (heads if concat else 1)
        self.lin_edge = None if edge_dim is None else nn.Linear(edge_dim, inner, bias=False)
        self.res = nn.Linear(widths[1], outer, bias=False) if residual else None
        self.bias = nn.Parameter(torch.empty(outer)) if bias else None

    def reset_parameters(self) -> None:
        """Draw new weights (Xavier uniform), and set biases to zero."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:  # a vector a head, (1, H, C), is drawn as a matrix (H, C)
                nn.init.xavier_uniform_(parameter.flatten(0, -2))

    def forward(
        self,
        x: Tensor | tuple[Tensor, Tensor],
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        *,
        return_attention_weights: bool = False,
    ) -> Tensor | tuple[Tensor, tuple[Tensor, Tensor]]:
        """Let every node attend to the nodes from which an edge leads to it.

        Args:
            x: (N, F), dense or sparse, or a pair of sources (N', F') and targets (N, F).
            edge_index: (2, E) integer, the source of each edge above its target. It is checked and
                sorted the first time it is seen, which makes a GPU wait once.
            edge_attr: (E, D) features of the edges, or (E,); needed if the layer has `edge_dim`.
            return_attention_weights: also return what each edge weighs.

        Returns:
            (N, H * C), or (N, C) with concat=False; or that and (edge_index (2, E'), weights
            (E', H)) of the edges that were used: the loops, if they are added, come last.

        Raises:
            TypeError: features that are not floating point, of another dtype than the layer, or
                edges that are not integer.
            ValueError: shapes that do not fit, a node out of range, features of edges missing or
                not expected.
        """
        owner = type(self).__name__
        source, target = self._nodes(owner, x)
        edges = edges_of(owner, edge_index, len(source), len(target), self.add_self_loops)
        edge_attr = self._edge_features(owner, edge_attr, edge_index, edges)
        scores, values = self._attend(source, target, edge_attr, edges)
        # Weights are found in float32 at least: exp enlarges the rounding of half precision.
        weights = [edge_weights(part, edges.target).to(values.dtype) for part in scores]
        del scores  # of a large graph, tensors (E, H) take most of the memory
        shown = None
        if return_attention_weights:
            # The output is computed from what is returned, so that it has a gradient to ask for.
            shown = edges.unsorted(torch.cat(weights, 1))
            weights = shown.index_select(0, edges.order).split(weights[0].shape[1], 1)
        kept = [dropout(part, self.dropout, self.training) for part in weights]
        heads = neighbour_sum(kept, values, edges.target, edges.source)
        out = heads if self.concat or self.heads == 1 else heads.mean(1)
        if self.bias is not None:
            bias = self.bias.to(out.dtype).view(out.shape[1:])
            # In place where nobody transforms it: of a large graph, the output is large too.
            out = out.add_(bias) if is_fast(out) else out + bias
        out = out.flatten(1)
        if self.res is not None:
            out = out + linear(target, self.res.weight)
        if return_attention_weights:
            return out, (edges.edge_index, shown)
        return out

    def _nodes(self, owner: str, x: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        pair = tuple(x) if isinstance(x, tuple | list) else (x, x)
        if len(pair) != 2:
            raise ValueError(
                f"{owner}: x has {len(pair)} parts, expected (sources, targets); "
                f"pass one tensor when they are the same nodes"
            )
        for each, width in zip(pair, self._widths, strict=True):
            check_floating(owner, "x", each)
            if each.ndim != 2 or each.shape[1] != width:
                raise ValueError(
                    f"{owner}: x has shape {tuple(each.shape)}, expected (N, {width}); write "
                    f"x.flatten(0, 1) for a batch, and shift the node numbers of each graph"
                )
            self._check_like_parameters(owner, "x", each)
        return pair

    def _edge_features(
        self, owner: str, edge_attr: Tensor | None, edge_index: Tensor, edges: Edges
    ) -> Tensor | None:
        if (edge_attr is None) != (self.edge_dim is None):
            got = "no edge_attr" if edge_attr is None else "edge_attr"
            raise ValueError(
                f"{owner}: got {got} and edge_dim={self.edge_dim}, expected both or neither; "
                f"pass edge_attr to each call of a layer that was built with edge_dim"
            )
        if edge_attr is None:
            return None
        check_floating(owner, "edge_attr", edge_attr)
        rows = edge_attr[:, None] if edge_attr.ndim == 1 else edge_attr
        if rows.shape != (edge_index.shape[1], self.edge_dim):
            raise ValueError(
                f"{owner}: edge_attr has shape {tuple(edge_attr.shape)}, expected "
                f"{(edge_index.shape[1], self.edge_dim)}; pass one row for each edge"
            )
        self._check_like_parameters(owner, "edge_attr", rows)
        return edges.features(rows)

    def _check_like_parameters(self, owner: str, name: str, tensor: Tensor) -> None:
        own = next(self.parameters())
        if tensor.device != own.device:
            raise ValueError(
                f"{owner}: {name} on {tensor.device} and the parameters on {own.device}, expected "
                f"one device; move one of them with .to(device)"
            )
        if tensor.dtype != own.dtype and not torch.is_autocast_enabled(tensor.device.type):
            raise TypeError(
                f"{owner}: {name} is {tensor.dtype} and the parameters are {own.dtype}, expected "
                f"one dtype; convert one of them with .to(dtype)"
            )

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"
