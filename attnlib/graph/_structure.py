"""A graph in sorted order: found once, and kept as long as its `edge_index` lives.

Layers walk over all edges of a node, again and again. With the edges of each node side by side the
walk is a plain sum of neighbouring rows: quick, without the random writes of `index_add`, and the
same on every run. Sorting costs more than a layer, so it is done once for a graph.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from attnlib._checks import check_indices, check_tensor

# edge_index -> (its version, {(sizes, loops): Edges}); an entry goes when its tensor goes.
_KNOWN = WeakTensorKeyDictionary()


@dataclass(frozen=True, eq=False)
class Side:
    """One end of all edges. Edges are numbered in the order of their targets.

    Args:
        node: (E,) the node of each edge at this end.
        edges: (E,) the numbers of the edges, those of node 0 first, then those of node 1, ...
        neighbours: (E,) the node at the other end of `edges`.
        pointer: (N + 1,) the edges of node i are edges[pointer[i] : pointer[i + 1]].
    """

    node: Tensor
    edges: Tensor
    neighbours: Tensor
    pointer: Tensor
    _blocks: dict[int, list] = field(default_factory=dict)
    _by_head: dict[int, "ByHead"] = field(default_factory=dict)

    @property
    def num_nodes(self) -> int:
        return len(self.pointer) - 1

    def by_head(self, heads: int) -> "ByHead":
        """The edges of each node head by head, for tensors (N, H, C) seen as (N * H, C)."""
        if heads not in self._by_head:
            self._by_head[heads] = _by_head(self, heads)
        return self._by_head[heads]

    def blocks(self, limit: int) -> list[tuple[int, int, int, int]]:
        """Ranges of nodes, and of their edges, with at most `limit` edges if there is a choice."""
        if limit not in self._blocks:
            ends, found, first = self.pointer.tolist(), [], 0
            for node in range(1, self.num_nodes + 1):
                last = node == self.num_nodes
                if last or ends[node + 1] - ends[first] > limit:
                    found.append((first, node, ends[first], ends[node]))
                    first = node
            self._blocks[limit] = found
        return self._blocks[limit]


class ByHead(NamedTuple):
    """A graph of N * H nodes, a node for each head, whose edges are grouped by node.

    Args:
        neighbours: (E * H,) the node at the other end of each edge.
        pointer: (N * H + 1,) where the edges of each node begin.
        take: (E * H,) where the edge has its weight in weights (E, H), flattened; None for one
            head of edges that are numbered in this order.
        back: (E * H,) the opposite: which edge has a weight of (E, H), flattened; None likewise.
    """

    neighbours: Tensor
    pointer: Tensor
    take: Tensor | None
    back: Tensor | None


@dataclass(frozen=True, eq=False)
class Edges:
    """A graph as layers read it.

    Args:
        edge_index: (2, E) as PyTorch Geometric would have it: the loops come last.
        order: (E,) the columns of `edge_index` in the order of their targets.
        source: the end where edges start.
        target: the end where they lead to.
        kept: which columns of the given edges are in `edge_index`; None for all.
        loops: how many columns at the end of `edge_index` are loops that were added.
    """

    edge_index: Tensor
    order: Tensor
    source: Side
    target: Side
    kept: Tensor | None
    loops: int

    def features(self, edge_attr: Tensor) -> Tensor:
        """Sort the features of the given edges (E, D); a loop has the mean of its node's edges."""
        if self.kept is not None:
            edge_attr = edge_attr.index_select(0, self.kept)
            target = self.edge_index[1, : len(edge_attr)]
            sums = edge_attr.new_zeros(self.target.num_nodes, edge_attr.shape[1])
            sums = sums.index_add(0, target, edge_attr)
            counts = torch.bincount(target, minlength=len(sums)).clamp(min=1)
            means = sums / counts[:, None].to(sums.dtype)
            edge_attr = torch.cat([edge_attr, means[: self.loops]])
        return edge_attr.index_select(0, self.order)

    def unsorted(self, weights: Tensor) -> Tensor:
        """Values of the sorted edges (E, ...), in the order of `edge_index`."""
        return torch.empty_like(weights).index_copy(0, self.order, weights)


def _by_head(side: Side, heads: int) -> ByHead:
    edges = side.edges.long()
    if heads == 1:
        neighbours, pointer, take = side.neighbours, side.pointer, edges
        if torch.equal(edges, torch.arange(len(edges), device=edges.device)):
            return ByHead(neighbours, pointer, None, None)
    else:
        degree = side.pointer.long().diff().repeat_interleave(heads)
        pointer = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        node = torch.arange(len(degree), device=degree.device).repeat_interleave(degree)
        # An edge is as far from the first of its node as it is from the first of node and head.
        within = torch.arange(len(node), device=node.device) - pointer[node]
        edge, head = side.pointer.long()[node // heads] + within, node % heads
        neighbours, take = side.neighbours.long()[edge] * heads + head, edges[edge] * heads + head
    back = torch.empty_like(take)
    back[take] = torch.arange(len(take), device=take.device)
    dtype = side.pointer.dtype
    return ByHead(*(part.to(dtype) for part in (neighbours, pointer, take, back)))


def edges_of(
    owner: str, edge_index: Tensor, num_sources: int, num_targets: int, add_self_loops: bool
) -> Edges:
    """Check and sort a graph, or find it among those that were.

    To look at node numbers makes a GPU wait; that happens here, once for a graph. A tensor that is
    written to in place is sorted again.

    Args:
        owner: whose messages these are.
        edge_index: (2, E) integer.
        num_sources: nodes in which edges may start.
        num_targets: nodes to which they may lead.
        add_self_loops: replace the loops by one at each node that can be at both ends.
    """
    _check_form(owner, edge_index)
    wanted = (num_sources, num_targets, add_self_loops)
    if edge_index.is_inference():  # such a tensor does not tell whether it was written to
        return _sort(owner, edge_index, *wanted)
    version, found = _KNOWN.get(edge_index, (None, {}))
    if version != edge_index._version:
        found = {}
        _KNOWN[edge_index] = (edge_index._version, found)
    if wanted not in found:
        found[wanted] = _sort(owner, edge_index, *wanted)
    return found[wanted]


@torch.inference_mode(False)  # what is kept from an evaluation must serve training too
@torch.no_grad()
def _sort(
    owner: str, edge_index: Tensor, num_sources: int, num_targets: int, add_self_loops: bool
) -> Edges:
    _check_range(owner, "sources", edge_index[0], num_sources)
    _check_range(owner, "targets", edge_index[1], num_targets)
    if edge_index.is_inference():
        edge_index = edge_index.clone()
    # Not the tensor itself: the entry of _KNOWN would keep its own key alive.
    edge_index, kept, loops = edge_index.data.long(), None, 0
    if add_self_loops:
        kept = (edge_index[0] != edge_index[1]).nonzero().squeeze(1)
        loops = min(num_sources, num_targets)
        loop = torch.arange(loops, device=edge_index.device).expand(2, -1)
        edge_index = torch.cat([edge_index.index_select(1, kept), loop], 1)
    order = torch.argsort(edge_index[1], stable=True)
    source, target = edge_index.index_select(1, order)
    by_source = torch.argsort(source, stable=True)
    # Half the bytes to read, as long as the numbers fit.
    small = max(num_sources, num_targets, len(order)) < torch.iinfo(torch.int32).max
    dtype = torch.int32 if small else torch.int64
    count = torch.arange(len(order), device=order.device)
    sides = []
    for node, other, grouped, size in (
        (source, target, by_source, num_sources),
        (target, source, count, num_targets),
    ):
        sums = torch.bincount(node, minlength=size).cumsum(0)
        pointer = torch.cat([sums.new_zeros(1), sums])
        parts = (node, grouped, other.index_select(0, grouped), pointer)
        sides.append(Side(*(part.to(dtype) for part in parts)))
    return Edges(edge_index, order, *sides, kept, loops)


def _check_form(owner: str, edge_index: object) -> None:
    check_tensor(owner, "edge_index", edge_index)
    if edge_index.layout != torch.strided or edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise ValueError(
            f"{owner}: edge_index has shape {tuple(edge_index.shape)} and layout "
            f"{edge_index.layout}, expected (2, E), the sources above the targets; "
            f"write edge_index.T for pairs in rows, adjacency.to_dense().nonzero().T for a matrix"
        )


def _check_range(owner: str, name: str, row: Tensor, size: int) -> None:
    if row.device.type != "cpu" and row.numel() > 0:
        row = torch.stack(torch.aminmax(row)).cpu()  # the smallest and largest tell enough
    check_indices(owner, f"edge_index ({name})", row, size)
