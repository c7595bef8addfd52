"""Samples of a graph that does not fit: some nodes, and some of the edges that lead to them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attnlib._checks import check_indices, check_positive
from attnlib.graph._structure import Edges, edges_of

__all__ = ["NeighbourLoader", "Neighbourhood", "sample_neighbours"]


class Neighbourhood(NamedTuple):
    """A small graph around some seeds, its nodes renumbered from 0.

    Args:
        nodes: (n,) which nodes of the whole graph these are: x[nodes] are their features.
        edge_index: (2, e) the sampled edges, in the numbers of this graph.
        seeds: (s,) where the seeds are in `nodes`: out[seeds] are their outputs.
        edges: (e,) which edges of the whole graph these are: edge_attr[edges] are their features.
    """

    nodes: Tensor
    edge_index: Tensor
    seeds: Tensor
    edges: Tensor


def sample_neighbours(
    edge_index: Tensor,
    num_nodes: int,
    seeds: Tensor,
    fanouts: Sequence[int],
    *,
    generator: torch.Generator | None = None,
) -> Neighbourhood:
    """Draw neighbours of the seeds, then neighbours of those, one round for each layer of a model.

    Of d edges that lead to a node, min(d, fanout) are drawn, all alike and none twice, so the mean
    over what is drawn has the mean over all neighbours as its expected value. With fan-outs of -1
    everything is kept that a model of so many layers sees: its outputs at the seeds are those of
    the whole graph. A node that turns up again is not drawn for again.

    Args:
        edge_index: (2, E) integer, the source of each edge above its target. It is sorted the
            first time it is seen.
        num_nodes: N, number of nodes of the whole graph.
        seeds: (s,) integer, the nodes whose outputs are wanted.
        fanouts: edges drawn for a node in each round, those of the seeds first; -1 for all.
        generator: source of randomness, on the device of the graph; None for torch's global one.

    Returns:
        A Neighbourhood.

    Raises:
        TypeError: edges, seeds or fan-outs that are not integer.
        ValueError: a node out of range, no fan-outs, or a fan-out of 0.

    Reference: Hamilton et al. 2017, section 3.1 and appendix A, arXiv:1706.02216

    >>> edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    >>> sample_neighbours(edge_index, 3, torch.tensor([2]), [-1]).nodes
    tensor([2, 1])
    """
    owner = "sample_neighbours"
    check_positive(owner, num_nodes=num_nodes)
    _check_fanouts(owner, fanouts)
    graph = edges_of(owner, edge_index, num_nodes, num_nodes, add_self_loops=False)
    check_indices(owner, "seeds", seeds, num_nodes)
    number = torch.full((num_nodes,), -1, device=edge_index.device)  # of a node in the sample
    nodes = frontier = _number_new(number, seeds.long(), 0)
    drawn = []
    for fanout in fanouts:
        drawn.append(_draw(graph, frontier, fanout, generator))
        sources = graph.edge_index[0].index_select(0, drawn[-1])
        frontier = _number_new(number, sources, len(nodes))
        nodes = torch.cat([nodes, frontier])
    edges = torch.cat(drawn)
    return Neighbourhood(nodes, number[graph.edge_index[:, edges]], number[seeds.long()], edges)


def _number_new(number: Tensor, nodes: Tensor, first: int) -> Tensor:
    """Give the next numbers to those nodes that have none, and return them."""
    new = nodes[number[nodes] < 0].unique()
    number[new] = torch.arange(first, first + len(new), device=new.device)
    return new


def _draw(graph: Edges, nodes: Tensor, fanout: int, generator: torch.Generator | None) -> Tensor:
    """Numbers of edges that lead to `nodes`, at most `fanout` for each of them."""
    start = graph.target.pointer[nodes].long()
    degree = graph.target.pointer[nodes + 1].long() - start
    owner = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), degree)
    before = degree.cumsum(0) - degree
    rank = torch.arange(len(owner), device=nodes.device) - before[owner]
    found = graph.order[start[owner] + rank]
    if fanout == -1:
        return found
    # The edges of a node in random order, node by node: those that come first are drawn.
    shuffle = torch.randperm(len(owner), generator=generator, device=nodes.device)
    shuffle = shuffle[torch.argsort(owner[shuffle], stable=True)]
    return found[shuffle[rank < fanout]]


class NeighbourLoader:
    """Batches of seeds with their sampled neighbourhoods, for as many epochs as wanted.

    Each pass goes over all seeds once; `fit` and `evaluate` take it as their loader.

    Args:
        edge_index: (2, E) integer, the source of each edge above its target.
        num_nodes: N, number of nodes of the whole graph.
        seeds: (s,) integer, the nodes to learn from.
        fanouts: edges drawn for a node in each round, one round a layer; -1 for all.
        batch_size: seeds of a batch.
        shuffle: take the seeds in a new random order at every pass.
        generator: source of that order and of the neighbours; None for torch's global one.

    Raises:
        TypeError: edges, seeds or fan-outs that are not integer.
        ValueError: a node out of range, no seeds, no fan-outs, a fan-out of 0, a bad batch_size.

    Differs from torch_geometric.loader.NeighborLoader:
        takes and yields tensors, not Data: x[nodes] and y[nodes[seeds]] are the caller's; needs no
        compiled extension.

    >>> edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    >>> loader = NeighbourLoader(edge_index, 3, torch.arange(3), [2, 2], batch_size=2)
    >>> len(loader), [len(batch.seeds) for batch in loader]
    (2, [2, 1])
    """

    def __init__(
        self,
        edge_index: Tensor,
        num_nodes: int,
        seeds: Tensor,
        fanouts: Sequence[int],
        *,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        owner = "NeighbourLoader"
        check_positive(owner, num_nodes=num_nodes, batch_size=batch_size)
        _check_fanouts(owner, fanouts)
        edges_of(owner, edge_index, num_nodes, num_nodes, add_self_loops=False)
        check_indices(owner, "seeds", seeds, num_nodes)
        if len(seeds) == 0:
            raise ValueError(
                f"{owner}: got no seeds, expected at least one; write torch.arange(num_nodes)"
            )
        self.edge_index, self.num_nodes, self.seeds = edge_index, num_nodes, seeds
        self.fanouts, self.batch_size = fanouts, batch_size
        self.shuffle, self.generator = shuffle, generator

    def __len__(self) -> int:
        return -(-len(self.seeds) // self.batch_size)

    def __iter__(self) -> Iterator[Neighbourhood]:
        seeds = self.seeds
        if self.shuffle:
            order = torch.randperm(len(seeds), generator=self.generator, device=seeds.device)
            seeds = seeds[order]
        for batch in seeds.split(self.batch_size):
            yield sample_neighbours(
                self.edge_index, self.num_nodes, batch, self.fanouts, generator=self.generator
            )


def _check_fanouts(owner: str, fanouts: Sequence[int]) -> None:
    if len(fanouts) == 0:
        raise ValueError(
            f"{owner}: got no fanouts, expected one for each layer; write fanouts=[10, 10]"
        )
    for fanout in fanouts:
        if fanout != -1:
            check_positive(owner, fanout=fanout)
