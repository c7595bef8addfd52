"""`AttentionMap`: who attends to whom, with names; the same reading for words, nodes and times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnlib._checks import check_floating, check_names
from attnlib.recording._edges import check_edges, graph_shape, head_mean, sum_at_targets, to_matrix
from attnlib.recording._measures import distances, for_each_head, right_entries

__all__ = ["AttentionMap"]

KINDS = ("self", "cross", "graph", "temporal")


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Who attends to whom, and how much, with names for the positions.

    weights[..., i, j] is the share of its attention that query i gives to key j. In a graph the
    queries are the targets of the edges and the keys their sources, and with an `edge_index` only
    the edges have weights. An empty row (nothing may be attended) has weights 0 and entropy 0.

    Args:
        weights: (L, S), (H, L, S) or (B, H, L, S): probabilities, rows sum to 1 or 0. With an
            edge_index (E,) or (E, H), where the edges into a node sum to 1.
        queries: L names of the queries; their numbers when omitted.
        keys: S names of the keys; their numbers when omitted.
        kind: one of self, cross, graph, temporal (the keys are steps in time).
        edge_index: (2, E), int64: sources in row 0, targets in row 1; for kind graph only.
        num_nodes: N, or (targets, sources) of a bipartite graph; enough for the edges if omitted.

    Raises:
        TypeError: weights that are not a floating point tensor, an edge_index not of int64.
        ValueError: other dimensions, NaN or negative weights, names or nodes that do not fit.

    >>> m = AttentionMap(torch.tensor([[0.25, 0.75], [1.0, 0.0]]), keys=["the", "cat"])
    >>> m.top(0)
    [('cat', 0.75)]
    >>> edges = torch.tensor([[0, 1, 2], [2, 2, 1]])  # 0 -> 2, 1 -> 2, 2 -> 1
    >>> m = AttentionMap(torch.tensor([0.25, 0.75, 1.0]), kind="graph", edge_index=edges)
    >>> m.dense()[2]
    tensor([0.2500, 0.7500, 0.0000])
    """

    weights: Tensor
    queries: Sequence[str] | None = None
    keys: Sequence[str] | None = None
    kind: str = "self"
    edge_index: Tensor | None = None
    num_nodes: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_floating("AttentionMap", "weights", self.weights)
        if self.edge_index is not None:
            check_edges(self.weights, self.edge_index)
        elif not 2 <= self.weights.ndim <= 4 or 0 in self.weights.shape:
            raise ValueError(
                f"AttentionMap: weights has shape {tuple(self.weights.shape)}, expected (L, S), "
                f"(H, L, S) or (B, H, L, S), none empty; index the tensor first"
            )
        if not bool((self.weights >= 0).all()):
            raise ValueError(
                "AttentionMap: weights has NaN or negative entries, expected probabilities; "
                "look for NaN in the input of the layer, or apply masked_softmax to scores first"
            )
        if self.kind not in KINDS or (self.edge_index is not None and self.kind != "graph"):
            raise ValueError(
                f"AttentionMap: got kind={self.kind!r}, expected one of {KINDS}, graph with an "
                f"edge_index; write kind='self' when queries and keys are the same positions"
            )
        check_names("AttentionMap", self.shape, self.queries, self.keys)

    @property
    def shape(self) -> tuple[int, int]:
        """(L, S): how many queries and keys there are."""
        if self.edge_index is None:
            return tuple(self.weights.shape[-2:])
        return graph_shape(self.edge_index, self.num_nodes)

    def names(self) -> tuple[list[str], list[str]]:
        """Names of the queries and of the keys; their numbers where they have none.

        >>> AttentionMap(torch.ones(1, 2) / 2, queries=["it"]).names()
        (['it'], ['0', '1'])
        """
        queries, keys = (range(n) for n in self.shape)
        queries, keys = self.queries or queries, self.keys or keys
        return [str(name) for name in queries], [str(name) for name in keys]

    def example(
        self,
        index: int,
        *,
        queries: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
    ) -> "AttentionMap":
        """The map of one example of a batch, cut to the named positions.

        Args:
            index: which example.
            queries: names of its first positions; the rest is padding and is cut off.
            keys: the same for the keys; for self-attention the queries when omitted.

        Returns:
            A map (H, L, S).

        >>> AttentionMap(torch.ones(2, 3, 4, 4) / 4).example(0, queries=["a", "b"]).weights.shape
        torch.Size([3, 2, 2])
        """
        self._check_batch("example")
        _check_index("AttentionMap.example", index, len(self.weights))
        if keys is None and self.kind == "self":
            keys = queries
        queries, keys = queries or self.queries, keys or self.keys
        rows, columns = (None if names is None else len(names) for names in (queries, keys))
        return AttentionMap(self.weights[index, :, :rows, :columns], queries, keys, self.kind)

    def mean(self) -> "AttentionMap":
        """The mean map (H, L, S) of a batch, for examples whose positions compare.

        >>> AttentionMap(torch.ones(2, 3, 4, 4) / 4).mean().weights.shape
        torch.Size([3, 4, 4])
        """
        self._check_batch("mean")
        return replace(self, weights=self.weights.mean(0))

    def head(self, index: int) -> "AttentionMap":
        """The map of one head: (L, S), (B, 1, L, S) of a batch, or (E,) of a graph.

        >>> AttentionMap(torch.ones(3, 4, 4) / 4).head(0).weights.shape
        torch.Size([4, 4])
        """
        dim = -3 if self.edge_index is None else -1
        if self.weights.ndim == (2 if self.edge_index is None else 1):
            raise ValueError(
                f"AttentionMap.head: weights has shape {tuple(self.weights.shape)}, expected "
                f"(H, L, S), (B, H, L, S) or (E, H); use the map as it is, it is one head"
            )
        _check_index("AttentionMap.head", index, self.weights.shape[dim])
        weights = self.weights.select(dim, index)
        return replace(self, weights=weights[:, None] if weights.ndim == 3 else weights)

    def dense(self) -> Tensor:
        """The weights of one example as a matrix (L, S), averaged over heads.

        >>> AttentionMap(torch.ones(3, 2, 5) / 5).dense().shape
        torch.Size([2, 5])
        """
        weights = self._one_example()
        if self.edge_index is not None:
            return to_matrix(head_mean(weights), self.edge_index, self.shape)
        return weights if weights.ndim == 2 else weights.mean(0)

    def edge(self, query: int, key: int) -> float:
        """The weight that query number `query` gives to key number `key`, averaged over heads.

        >>> AttentionMap(torch.tensor([[0.25, 0.75]])).edge(0, 1)
        0.75
        """
        return self._row(query)[key].item()

    def top(self, query: int, count: int = 1) -> list[tuple[str, float]]:
        """The keys that a query attends to most, averaged over heads, largest first.

        Args:
            query: number of the query.
            count: how many keys; all of them when there are fewer.

        Returns:
            Pairs of the name of a key and its weight.

        >>> AttentionMap(torch.tensor([[0.25, 0.75]])).top(0, count=2)
        [('1', 0.75), ('0', 0.25)]
        """
        weights, index = self._row(query).topk(min(count, self.shape[1]))
        _, keys = self.names()
        return [(keys[j], w) for j, w in zip(index.tolist(), weights.tolist(), strict=True)]

    def entropy(self) -> Tensor:
        """How widely each query spreads its attention: 0 on one key, log(S) when uniform.

        entropy_i = -sum_j weights_ij log(weights_ij), in nats

        Returns:
            The shape of the weights without keys: (L,), (H, L) or (B, H, L).

        >>> AttentionMap(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).entropy()
        tensor([0.6931, 0.0000])
        """
        return self._sum_of(torch.special.entr(self.weights))

    def reach(self, times: Tensor | None = None, query_times: Tensor | None = None) -> Tensor:
        """How far each query looks: the mean distance of what it attends to.

        reach_i = sum_j weights_ij |query_times_i - times_j|

        Args:
            times: (S,), real: when (or where) the keys are, in any unit; their numbers when
                omitted, and in a graph one hop for an edge, none for a loop.
            query_times: (L,), the same for the queries; when omitted those of the last L keys.
                Where queries and keys are not the same positions it has to be given.

        Returns:
            The shape of `entropy()`, in the unit of the times.

        >>> AttentionMap(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])).reach()
        tensor([1.0000, 0.5000])
        """
        distance = distances(self.shape, self.edge_index, self.kind, times, query_times)
        if self.edge_index is not None:
            distance = for_each_head(distance, self.weights)
        return self._sum_of(self.weights * distance.to(self.weights.device))

    def mass_on(self, truth: Tensor) -> float:
        """The share of attention that lies where it should, over the rows that have a truth.

        Args:
            truth: broadcastable to the weights, in a graph (E,) or (N, N) with a row a target;
                True (or positive) where attention is right. Rows without any do not count.

        Returns:
            A share in [0, 1]. Even attention over S keys with one right key gives 1 / S.

        >>> AttentionMap(torch.tensor([[0.2, 0.8]])).mass_on(torch.tensor([[False, True]]))
        0.800000011920929
        """
        mass, rows = self._mass("mass_on", truth)
        return mass[rows].mean().item()

    def mass_by_head(self, truth: Tensor) -> Tensor:
        """The share of `mass_on` for each head by itself, (H,): which head does the work?

        A head to which the truth says nothing gets NaN.

        >>> AttentionMap(torch.eye(2).expand(3, 2, 2)).mass_by_head(torch.eye(2))
        tensor([1., 1., 1.])
        """
        mass, rows = self._mass("mass_by_head", truth)
        others = tuple(d for d in range(mass.ndim) if d != mass.ndim - 2)
        return mass.masked_fill(~rows, 0.0).sum(others) / rows.sum(others)

    def describe(self, rows: int = 3) -> str:
        """One sentence a row for the first rows: the text alternative of a picture.

        Args:
            rows: how many rows to describe; the others are counted.

        Returns:
            Text. The weights of several heads are averaged.

        >>> AttentionMap(torch.tensor([[0.25, 0.75]]), ["it"], ["the", "cat"]).describe()
        'it attends most to cat (75 %).'
        """
        (names, _), sentences = self.names(), []
        for i, name in enumerate(names[:rows]):
            [(key, weight)] = self.top(i)
            where = f"most to {key} ({100 * weight:.0f} %)" if weight > 0 else "to nothing"
            sentences.append(f"{name} attends {where}.")
        if (more := len(names) - rows) > 0:
            sentences.append(f"{more} more row{'s' if more > 1 else ''}.")
        return " ".join(sentences)

    def plot(self, alt: str | None = None) -> None:
        """Show one example as a heat map, as one heat map a head, or a graph as a graph.

        Args:
            alt: what the picture shows, in words; `describe()` when omitted.

        >>> AttentionMap(torch.eye(2)).plot()
        0 attends most to 0 (100 %). 1 attends most to 1 (100 %).
        """
        from attnlib import viz  # the one upward import: drawing is optional and comes last

        alt = self.describe() if alt is None else alt
        weights, (L, S) = self._one_example(), self.shape
        if self.edge_index is not None and L == S:
            mean, names = head_mean(weights), self.keys
            figure = viz.plot_graph_attention(mean, self.edge_index, L, names=names).figure
        elif self.edge_index is None and weights.ndim == 3 and len(weights) > 1:
            figure = viz.plot_heads(weights, queries=self.queries, keys=self.keys)
        else:
            figure = viz.plot_attention(self.dense(), queries=self.queries, keys=self.keys).figure
        viz.show(figure, alt)

    def _sum_of(self, values: Tensor) -> Tensor:
        """The sum over the keys of values of the shape of the weights."""
        if self.edge_index is None:
            return values.sum(-1)
        return sum_at_targets(values, self.edge_index, self.shape[0])

    def _mass(self, method: str, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Weight on the truth, and whether there is a truth, for each row of each head."""
        right = right_entries(f"AttentionMap.{method}", self.weights, self.edge_index, truth)
        return self._sum_of(self.weights * right), self._sum_of(right.long()) > 0

    def _row(self, query: int) -> Tensor:
        """(S,): what one query attends to; of a large graph only the edges into it are read."""
        _check_index("AttentionMap", query, self.shape[0])
        query %= self.shape[0]
        if self.edge_index is None:
            return self.dense()[query]
        into = self.edge_index[1] == query
        row = self.weights.new_zeros(self.shape[1])
        return row.index_add(0, self.edge_index[0, into], head_mean(self.weights)[into])

    def _check_batch(self, method: str) -> None:
        if self.weights.ndim != 4:
            raise ValueError(
                f"AttentionMap.{method}: weights has shape {tuple(self.weights.shape)}, expected "
                f"a batch (B, H, L, S); this map already is one example"
            )

    def _one_example(self) -> Tensor:
        if self.weights.ndim == 4 and len(self.weights) > 1:
            raise ValueError(
                f"AttentionMap: got a batch of {len(self.weights)}, expected one example; "
                f"write .example(0) first"
            )
        return self.weights[0] if self.weights.ndim == 4 else self.weights


def _check_index(owner: str, index: int, size: int) -> None:
    if not -size <= index < size:
        raise ValueError(f"{owner}: got index={index}, expected 0 to {size - 1}; count from 0")
