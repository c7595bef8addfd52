"""Graphs in which each node must listen to one known neighbour."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib._checks import check_positive

__all__ = ["NeighbourTask", "planted_neighbour_task"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NeighbourTask:
    """A graph whose labels are each the class of one known neighbour.

    Nothing else tells the label: not the class of the node itself, nor the number of neighbours.

    Args:
        x: (N, F), the class of a node, one-hot, and what tells which neighbour counts.
        edge_index: (2, E) int64, row 0 the source, row 1 the target of each edge; no self-loops.
        labels: (N,) int64, the class to predict for each node.
        truth: (E,) bool, the one edge into each node that carries its label. Self-loops that a
            layer adds come behind these edges: pad the truth with False.
        num_classes: number of classes; the first columns of `x` are theirs.
        description: what has to be done.
    """

    x: Tensor
    edge_index: Tensor
    labels: Tensor
    truth: Tensor
    num_classes: int
    description: str

    @property
    def uniform_mass(self) -> float:
        """The share of attention on the truth when each node attends evenly to its neighbours."""
        return len(self.x) / self.edge_index.shape[1]

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        edges = self.edge_index.shape[1]
        return f"NeighbourTask({self.description}: {len(self):,} nodes, {edges:,} edges)"


def planted_neighbour_task(
    num_nodes: int,
    degree: int,
    num_classes: int,
    *,
    dynamic: bool = False,
    generator: torch.Generator | None = None,
) -> NeighbourTask:
    """A random graph in which each node takes the class of one neighbour.

    The neighbour with the highest trust, a number that each node has: every node ranks the others
    alike, which is all that the static attention of a GAT can do. With `dynamic`, the neighbour
    whose key is the one that the node wants: the ranking depends on who asks, and this needs the
    dynamic attention of a GATv2.

    Args:
        num_nodes: N, at least twice the degree.
        degree: number of edges into each node, and number of keys.
        num_classes: number of classes.
        dynamic: choose by key instead of by trust.
        generator: source of the graph; None uses torch's global one.

    Returns:
        NeighbourTask: x holds the class, one-hot, and then the trust (N, num_classes + 1), or the
        own key and the wanted key, one-hot each (N, num_classes + 2 degree).

    Raises:
        TypeError, ValueError: a size that is no int, below 1, or too few nodes for the degree.

    Reference: Brody et al. 2022, section 4 (static and dynamic attention), arXiv:2105.14491

    >>> task = planted_neighbour_task(11, 3, 5, generator=torch.Generator().manual_seed(0))
    >>> task.x.shape, task.edge_index.shape, task.truth.sum().item()
    (torch.Size([11, 6]), torch.Size([2, 33]), 11)
    """
    owner = "planted_neighbour_task"
    check_positive(owner, num_nodes=num_nodes, degree=degree, num_classes=num_classes)
    if num_nodes < 2 * degree:
        raise ValueError(
            f"{owner}: got num_nodes={num_nodes} and degree={degree}, expected at least two nodes "
            f"for each key; write num_nodes={2 * degree} or more"
        )
    nodes = torch.arange(num_nodes)
    key = nodes % degree
    neighbours = _one_of_each_key(num_nodes, degree, generator)  # (N, degree)
    classes = torch.randint(num_classes, (num_nodes,), generator=generator)
    if dynamic:
        chosen = torch.randint(degree, (num_nodes,), generator=generator)
        parts = [F.one_hot(key, degree), F.one_hot(chosen, degree)]
        description = "give the class of the neighbour with the wanted key"
    else:
        trust = torch.rand(num_nodes, generator=generator)
        chosen = trust[neighbours].argmax(dim=1)
        parts = [trust[:, None]]
        description = "give the class of the most trusted neighbour"
    x = torch.cat([F.one_hot(classes, num_classes), *parts], dim=1).float()
    edge_index = torch.stack([neighbours.flatten(), nodes.repeat_interleave(degree)])
    truth = F.one_hot(chosen, degree).flatten().bool()
    labels = classes[neighbours[nodes, chosen]]
    # In random order, so that the place of an edge tells nothing.
    order = torch.randperm(len(truth), generator=generator)
    return NeighbourTask(x, edge_index[:, order], labels, truth[order], num_classes, description)


def _one_of_each_key(num_nodes: int, degree: int, generator: torch.Generator | None) -> Tensor:
    """(N, degree): for each node and each key k another node k, k + degree, k + 2 degree, ..."""
    nodes, keys = torch.arange(num_nodes)[:, None], torch.arange(degree)
    own = keys == nodes % degree
    count = (num_nodes - keys + degree - 1) // degree - own.long()  # candidates, itself excluded
    turn = (torch.rand(num_nodes, degree, generator=generator) * count).long()
    turn += own & (turn >= nodes // degree)  # step over itself
    return keys + degree * turn
