"""Exercises of "Graphs that do not fit"."""

import torch
from torch import Tensor

from attnlib.checker import Exercise


def _graph(num_nodes: int, num_edges: int, seed: int) -> Tensor:
    """A random graph without double edges: sources above targets."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randperm(num_nodes * num_nodes, generator=generator)[:num_edges]
    return torch.stack([pairs // num_nodes, pairs % num_nodes])


PATH = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])  # 0 -> 1 -> 2 -> 3 -> 4


# ---------------------------------------------------------------- reach


def _reach(edge_index: Tensor, num_nodes: int, seed: int, hops: int) -> Tensor:
    reached = torch.zeros(num_nodes, dtype=torch.bool)
    reached[seed] = True
    for _ in range(hops):
        new = reached.clone()
        new[edge_index[0, reached[edge_index[1]]]] = True
        reached = new
    return reached


def _ring(edge_index: Tensor, num_nodes: int, seed: int, hops: int) -> Tensor:
    reached = torch.zeros(num_nodes, dtype=torch.bool)
    reached[seed] = True
    for _ in range(hops):
        new = torch.zeros_like(reached)
        new[edge_index[0, reached[edge_index[1]]]] = True
        reached = new
    return reached


def _in_place(edge_index: Tensor, num_nodes: int, seed: int, hops: int) -> Tensor:
    reached = torch.zeros(num_nodes, dtype=torch.bool)
    reached[seed] = True
    for _ in range(hops):
        for source, target in edge_index.T.tolist():
            if reached[target]:
                reached[source] = True
    return reached


def _without_seed(edge_index: Tensor, num_nodes: int, seed: int, hops: int) -> Tensor:
    reached = _reach(edge_index, num_nodes, seed, hops)
    reached[seed] = False
    return reached


reach = Exercise(
    "large-graphs/reach",
    _reach,
    [
        (PATH, 5, 3, 2),
        (PATH, 5, 3, 0),
        (PATH, 5, 0, 3),
        (PATH.flip(1), 5, 4, 2),
        (_graph(7, 11, 0), 7, 2, 2),
        (_graph(11, 17, 1), 11, 5, 3),
        (torch.tensor([[0, 1, 2, 4], [1, 2, 0, 2]]), 5, 0, 3),
    ],
    {
        "You walk along the arrows. An edge leads from its source to its target, and it is the "
        "target that reads the source: walk from targets to sources.": lambda edge_index, n, s, h: (
            _reach(edge_index.flip(0), n, s, h)
        ),
        "One hop too many: you have also marked nodes that only one more layer would "
        "read.": lambda edge_index, n, s, h: _reach(edge_index, n, s, h + 1),
        "One hop too few. Two layers read the neighbours and their neighbours: the loop runs "
        "`hops` times.": lambda edge_index, n, s, h: _reach(edge_index, n, s, max(h - 1, 0)),
        "You keep only the nodes of the last hop. What was reached earlier is still read.": _ring,
        "The seed itself is missing. A node with zero hops still reads its own "
        "features.": _without_seed,
        "You walk in both directions. In a directed graph a node reads the sources of the edges "
        "that end in it, not the nodes to which it leads.": lambda edge_index, n, s, h: _reach(
            torch.cat([edge_index, edge_index.flip(0)], 1), n, s, h
        ),
        "You mark nodes while you walk over the edges, so that one pass may go several hops, "
        "depending on how the edges are listed. Read the old mask, write a new one.": _in_place,
        "You return the numbers of the nodes. Wanted is a mask: one boolean for each node of the "
        "graph.": lambda edge_index, n, s, h: _reach(edge_index, n, s, h).nonzero()[:, 0],
        "You return how many nodes are reached. Wanted is a mask: one boolean for each node of "
        "the graph, True where it is reached.": lambda edge_index, n, s, h: _reach(
            edge_index, n, s, h
        ).sum(),
    },
    hints=(
        "Start with a mask that is True at the seed. Which edges end in a node that is marked?",
        "reached (N,) bool; reached[edge_index[1]] (E,) bool: the edges that end in what we have.",
        "for each hop: new = reached.clone(); new[<sources of those edges>] = True; reached = new",
    ),
    minutes=10,
)


# ---------------------------------------------------------------- draw


def _draw(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    shuffled = order[edge_index[1, order] == node]
    return shuffled if k == -1 else shuffled[:k]


def _first_listed(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    incoming = (edge_index[1] == node).nonzero()[:, 0]
    return incoming if k == -1 else incoming[:k]


def _first_listed_cut(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    return (edge_index[1] == node).nonzero()[:, 0][:k]


def _cut_first_always(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    first = order[:k]
    return first[edge_index[1, first] == node]


def _cut_first(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    first = order if k == -1 else order[:k]
    return first[edge_index[1, first] == node]


def _replaced(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    incoming = _draw(edge_index, node, -1, order)
    if k == -1 or len(incoming) == 0:
        return incoming
    return incoming[torch.arange(k) % len(incoming)]


def _outgoing(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    return _draw(edge_index.flip(0), node, k, order)


def _order_of_edges(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    drawn = order[(edge_index[1] == node).nonzero()[:, 0]]
    return drawn if k == -1 else drawn[:k]


def _all_but_one(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    return order[edge_index[1, order] == node][:k]


def _one_short(edge_index: Tensor, node: int, k: int, order: Tensor) -> Tensor:
    return _draw(edge_index, node, k if k == -1 else k - 1, order)


def _order_cases() -> list[tuple[Tensor, int, int, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    star = torch.tensor([[1, 2, 3, 4, 5, 0], [0, 0, 0, 0, 1, 2]])
    wide = _graph(7, 31, 4)
    return [
        (star, 0, 2, torch.tensor([5, 3, 1, 0, 4, 2])),
        (star, 0, 9, torch.tensor([2, 5, 0, 4, 1, 3])),
        (star, 0, -1, torch.tensor([4, 3, 5, 0, 2, 1])),
        (star, 5, 2, torch.tensor([0, 1, 2, 3, 4, 5])),
        (wide, 2, 2, torch.randperm(31, generator=generator)),
        (wide, 6, 3, torch.randperm(31, generator=generator)),
    ]


draw = Exercise(
    "large-graphs/draw",
    _draw,
    _order_cases,
    {
        "You take the first edges as they are listed, so the same ones are drawn every time. The "
        "random order must decide which come first.": _first_listed,
        "You do not use the random order: these are the first edges as they are listed. (And [:k] "
        "with k = -1 drops the last one.)": _first_listed_cut,
        "You cut the random order to its first k edges and only then ask which of them end in the "
        "node. Few do: choose the node's edges first.": _cut_first_always,
        "You cut before you choose: of the first k edges of the whole graph, few or none end in "
        "the node. Choose its edges first.": _cut_first,
        "With fewer than k edges you draw some twice. Without replacement a node gives what it "
        "has.": _replaced,
        "These are edges that leave the node. It listens to the edges that end in it: the second "
        "row holds the targets.": _outgoing,
        "You index the random order by the edges of the node, which gives edges of other nodes. Go "
        "through the order, and ask of each edge in it where it ends.": _order_of_edges,
        "You return the neighbours, not the edges. Wanted are the numbers of the drawn edges; the "
        "features of edges are found by them.": lambda edge_index, node, k, order: edge_index[
            0, _draw(edge_index, node, k, order)
        ],
        "k = -1 must mean all. As the end of a slice it means all but the last.": _all_but_one,
        "You return the drawn edges sorted by number. Keep them in the random "
        "order.": lambda edge_index, node, k, order: (
            _draw(edge_index, node, k, order).sort().values
        ),
        "One edge too few is drawn. A slice [:k] holds k things.": _one_short,
    },
    hints=(
        "Walk through the edges in the given random order, keep those that end in the node.",
        "order (E,); edge_index[1, order] (E,): where the edges end, in that order.",
        "mine = order[<those that end in node>]; return all of mine if k == -1, else the first k",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- relabel


def _relabel(edge_index: Tensor, nodes: Tensor) -> Tensor:
    place = torch.full((int(edge_index.max()) + 1 + int(nodes.max()),), -1)
    place[nodes] = torch.arange(len(nodes))
    kept = (place[edge_index] >= 0).all(0)
    return place[edge_index[:, kept]]


def _unnumbered(edge_index: Tensor, nodes: Tensor) -> Tensor:
    return edge_index[:, torch.isin(edge_index, nodes).all(0)]


def _any_end(edge_index: Tensor, nodes: Tensor) -> Tensor:
    place = torch.full((int(edge_index.max()) + 1 + int(nodes.max()),), -1)
    place[nodes] = torch.arange(len(nodes))
    return place[edge_index[:, (place[edge_index] >= 0).any(0)]]


def _by_target(edge_index: Tensor, nodes: Tensor) -> Tensor:
    place = torch.full((int(edge_index.max()) + 1 + int(nodes.max()),), -1)
    place[nodes] = torch.arange(len(nodes))
    return place[edge_index[:, place[edge_index[1]] >= 0]]


def _by_source(edge_index: Tensor, nodes: Tensor) -> Tensor:
    place = torch.full((int(edge_index.max()) + 1 + int(nodes.max()),), -1)
    place[nodes] = torch.arange(len(nodes))
    return place[edge_index[:, place[edge_index[0]] >= 0]]


relabel = Exercise(
    "large-graphs/relabel",
    _relabel,
    [
        (PATH, torch.tensor([3, 2])),
        (PATH, torch.tensor([4, 0, 1])),
        (_graph(7, 17, 2), torch.tensor([5, 0, 3, 2])),
        (_graph(11, 37, 3), torch.tensor([10, 4, 7, 1, 6])),
        (PATH, torch.tensor([4, 0])),
    ],
    {
        "The edges are the right ones, but they still have the numbers of the whole graph. A layer "
        "that gets x[nodes] counts from 0.": _unnumbered,
        "You number the nodes by size. Row 0 of x[nodes] is the node that stands first in `nodes`, "
        "whatever its number is.": lambda edge_index, nodes: _relabel(
            edge_index, nodes.sort().values
        ),
        "You keep edges of which only one end is in the sample, and the other end has no number "
        "there. Both ends must be.": _any_end,
        "You look at the target only. An edge whose source was not drawn leads from nowhere: its "
        "number is -1, which would read the last row.": _by_target,
        "You look at the source only. An edge whose target was not drawn leads out of the sample: "
        "its number is -1, which would write to the last row.": _by_source,
        "You keep the edges that end in the sample, wherever they begin, and with their old "
        "numbers. Both ends must be in it, and both get new numbers.": lambda edge_index, nodes: (
            edge_index[:, torch.isin(edge_index[1], nodes)]
        ),
        "The edges that end in the sample are kept, wherever they begin, and the nodes are "
        "numbered by size. Both ends must be in it; row 0 is the node that stands first in "
        "`nodes`.": lambda edge_index, nodes: torch.searchsorted(
            nodes.sort().values, edge_index[:, torch.isin(edge_index[1], nodes)]
        ),
        "Sources and targets have changed places. The first row holds the sources, before and "
        "after.": lambda edge_index, nodes: _relabel(edge_index, nodes).flip(0),
        "You return which edges are kept, not the edges. Wanted are both ends of each, in the new "
        "numbers: shape (2, e).": lambda edge_index, nodes: (
            torch.isin(edge_index, nodes).all(0).nonzero()[:, 0]
        ),
        "You keep the edges whose numbers are below the size of the sample. The sample's nodes may "
        "have any numbers: ask whether a number is among `nodes`.": lambda edge_index, nodes: (
            edge_index[:, (edge_index < len(nodes)).all(0)]
        ),
        "The edges come out as rows, shape (e, 2). The book and the library keep them as columns, "
        "shape (2, e).": lambda edge_index, nodes: _relabel(edge_index, nodes).T,
    },
    hints=(
        "Build a table with one entry for each old number: the new number, or -1 for not drawn.",
        "place (N,) of -1; place[nodes] = 0, 1, 2, ...; place[edge_index] (2, E) has new numbers.",
        "kept = <both rows of place[edge_index] are 0 or more>; return place[edge_index[:, kept]]",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- unbiased sum


def _estimate(values: Tensor, chance: Tensor, drawn: Tensor) -> Tensor:
    return (values[drawn] / chance[drawn][:, None]).sum(0) / len(values)


def _estimate_cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [
        (
            torch.tensor([[4.0], [3.0], [2.0], [1.0]]),
            torch.full((4,), 0.5),
            torch.tensor([0, 2]),
        ),
        (torch.tensor([[4.0], [2.0]]), torch.tensor([0.8, 0.2]), torch.tensor([1])),
        (
            torch.randn(7, 3, generator=generator),
            torch.rand(7, generator=generator) * 0.9 + 0.1,
            torch.tensor([6, 1, 4]),
        ),
        (
            torch.randn(5, 2, generator=generator),
            torch.rand(5, generator=generator) * 0.9 + 0.1,
            torch.tensor([0, 3, 2, 4]),
        ),
    ]


estimate = Exercise(
    "large-graphs/estimate",
    _estimate,
    _estimate_cases,
    {
        "The plain mean of what was drawn. It is right on average only if all chances are equal: "
        "a neighbour that is drawn rarely must count for more.": lambda values, chance, drawn: (
            values[drawn].mean(0)
        ),
        "The chances are not used. The sum of the few is too small, since those not drawn are "
        "missing: what is drawn must stand for them too.": lambda values, chance, drawn: (
            values[drawn].sum(0) / len(values)
        ),
        "You multiply by the chance. A neighbour that is drawn half of the time must count "
        "double, not half.": lambda values, chance, drawn: (
            (values[drawn] * chance[drawn][:, None]).sum(0) / len(values)
        ),
        "You divide by the number drawn. With the chances the sum already stands for all "
        "neighbours: divide by their number.": lambda values, chance, drawn: (
            (values[drawn] / chance[drawn][:, None]).sum(0) / len(drawn)
        ),
        "This is the sum over all neighbours, as it should be, but the mean is wanted: one "
        "division is missing.": lambda values, chance, drawn: (
            values[drawn] / chance[drawn][:, None]
        ).sum(0),
        "You divide by the sum of the weights of the sample. That denominator changes from sample "
        "to sample, as in the softmax: biased.": lambda values, chance, drawn: (
            (values[drawn] / chance[drawn][:, None]).sum(0) / (1 / chance[drawn]).sum()
        ),
        "The chances are divided into the channels, not into the neighbours: (k, C) over (k,) "
        "pairs the last dimensions. A 1 must stand behind the k.": lambda values, chance, drawn: (
            (values[drawn] / chance[drawn]).sum(0) / len(values)
        ),
        "You take the first chances, not those of the drawn neighbours: both must be indexed by "
        "`drawn`.": lambda values, chance, drawn: (
            (values[drawn] / chance[: len(drawn), None]).sum(0) / len(values)
        ),
        "You use all neighbours. Of those that were not drawn nothing is "
        "known.": lambda values, chance, drawn: values.mean(0),
        "Everything is added up, the channels too. Each channel has a mean of its own: sum over "
        "dimension 0.": lambda values, chance, drawn: (
            (values[drawn] / chance[drawn][:, None]).sum() / len(values)
        ),
    },
    hints=(
        "A neighbour is drawn with chance p. By which number must it be multiplied, so that on "
        "average it counts once?",
        "values[drawn] (k, C); chance[drawn][:, None] (k, 1); the result (C,)",
        "total = sum over the drawn of value / chance; return total / <number of all neighbours>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- bytes


def _bytes(N: int, E: int, F: int, H: int, C: int) -> tuple[int, int]:
    lean = 4 * (N * F + 2 * N * H * C + 2 * E * H)
    return lean, lean + 4 * E * H * C


def _both(function):
    return lambda N, E, F, H, C: function(*_bytes(N, E, F, H, C), N, E, F, H, C)


layer_bytes = Exercise(
    "large-graphs/layer-bytes",
    _bytes,
    [(2, 3, 5, 1, 1), (3, 7, 5, 2, 3), (19_717, 88_648, 500, 8, 8), (5, 0, 2, 3, 4)],
    {
        "You count numbers, not bytes. A float32 takes four.": _both(
            lambda lean, plain, *sizes: (lean // 4, plain // 4)
        ),
        "You count eight bytes a number. That is float64, or an integer; float32 takes "
        "four.": _both(lambda lean, plain, *sizes: (2 * lean, 2 * plain)),
        "The messages are counted for every node instead of every edge. Each edge carries one of "
        "its own.": _both(lambda lean, plain, N, E, F, H, C: (lean, lean + 4 * N * H * C)),
        "The messages are counted as wide as the input. A message carries projected features: H "
        "heads of C channels.": _both(lambda lean, plain, N, E, F, H, C: (lean, lean + 4 * E * F)),
        "The messages are counted for one head. Each head has a message of its own.": _both(
            lambda lean, plain, N, E, F, H, C: (lean, lean + 4 * E * C)
        ),
        "The second number is that of the messages alone. Wanted is the whole layer with them: "
        "they come on top of the rest.": _both(lambda lean, plain, *sizes: (lean, plain - lean)),
        "Scores and weights are counted for one head. Each head has a score and a weight of its "
        "own for every edge.": _both(
            lambda lean, plain, N, E, F, H, C: (
                lean - 8 * E * (H - 1),
                plain - 8 * E * (H - 1),
            )
        ),
        "The input is missing: N nodes with F features each.": _both(
            lambda lean, plain, N, E, F, H, C: (lean - 4 * N * F, plain - 4 * N * F)
        ),
        "Scores and weights are counted for all pairs of nodes. Only edges have a "
        "score.": lambda N, E, F, H, C: (
            4 * (N * F + 2 * N * H * C + 2 * N * N * H),
            4 * (N * F + 2 * N * H * C + 2 * N * N * H + E * H * C),
        ),
        "Scores and weights are two tensors, one number for each edge and head in both. You "
        "count one.": _both(
            lambda lean, plain, N, E, F, H, C: (lean - 4 * E * H, plain - 4 * E * H)
        ),
        "Input, projected features, scores and weights: the output is missing. It is as large as "
        "the projected features.": _both(
            lambda lean, plain, N, E, F, H, C: (lean - 4 * N * H * C, plain - 4 * N * H * C)
        ),
        "The two results have changed places: first without messages, then with them.": _both(
            lambda lean, plain, *sizes: (plain, lean)
        ),
    },
    hints=(
        "List the tensors with their shapes, multiply each shape out, and add up.",
        "input (N, F), projected (N, H, C), scores (E, H), weights (E, H), output (N, H, C); "
        "messages (E, H, C)",
        "lean = 4 * (<the five products>); return lean, lean + 4 * <the messages>",
    ),
    minutes=8,
)
