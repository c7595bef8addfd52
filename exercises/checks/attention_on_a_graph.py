"""Exercises of "Attention on a graph"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import adjacency_mask, edge_softmax, masked_softmax
from attnlib.checker import Exercise
from exercises.checks import normal

CHAIN = torch.tensor([[0, 1], [1, 2]])  # 0 -> 1 -> 2
MIXED = torch.tensor([[1, 2, 3, 0, 4, 4, 3], [0, 0, 0, 2, 2, 1, 4]])  # nothing leads to node 3


# ---------------------------------------------------------------- scores


def _scores(v: Tensor, edge_index: Tensor, u_to: Tensor, u_from: Tensor) -> Tensor:
    source, target = edge_index
    return F.leaky_relu((v @ u_to)[target] + (v @ u_from)[source], 0.2)


def _bend_before(v, edge_index, u_to, u_from):
    source, target = edge_index
    return F.leaky_relu((v @ u_to)[target], 0.2) + F.leaky_relu((v @ u_from)[source], 0.2)


def _inside(v, edge_index, u_to, u_from):
    source, target = edge_index
    return F.leaky_relu(v, 0.2)[target] @ u_to + F.leaky_relu(v, 0.2)[source] @ u_from


edge_scores = Exercise(
    "attention-on-a-graph/edge-scores",
    _scores,
    [
        (
            torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
            torch.tensor([[0], [1]]),
            torch.tensor([3.0, 2.0]),
            torch.tensor([-4.0, 5.0]),
        ),
        (normal(3, 2, seed=1), CHAIN, normal(2, seed=2), normal(2, seed=3)),
        (normal(5, 3, seed=4), MIXED, normal(3, seed=5), normal(3, seed=6)),
        (normal(7, 3, seed=7) * 3, MIXED, normal(3, seed=8), normal(3, seed=9)),
    ],
    {
        "The ends have changed places: u_to belongs to the node that listens. Which row of "
        "edge_index holds the listeners?": lambda v, e, u_to, u_from: _scores(
            v, e.flip(0), u_to, u_from
        ),
        "The bend is missing: these are the plain sums. Without it the listener's part would "
        "cancel in the softmax.": lambda v, e, u_to, u_from: (v @ u_to)[e[1]] + (v @ u_from)[e[0]],
        "Negative sums have become zero. This bend is leaky: what is negative is shrunk to a "
        "fifth, not cut off.": lambda v, e, u_to, u_from: F.relu(
            (v @ u_to)[e[1]] + (v @ u_from)[e[0]]
        ),
        "The slope below zero is not the one of GAT. PyTorch's default is 0.01: the task asks "
        "for another.": lambda v, e, u_to, u_from: F.leaky_relu(
            (v @ u_to)[e[1]] + (v @ u_from)[e[0]]
        ),
        "You bend the two parts, then add. A bend of each part is not a bend of the sum: add "
        "first.": _bend_before,
        "You bend the values before the products with u. The bend acts on the finished "
        "sum.": _inside,
        "You multiply the two parts. In this score they are added: that is why it is called "
        "additive.": lambda v, e, u_to, u_from: F.leaky_relu(
            (v @ u_to)[e[1]] * (v @ u_from)[e[0]], 0.2
        ),
        "You return a table of all pairs, (N, N). One number for each edge is asked, (E,): pick "
        "the two ends of every edge.": lambda v, e, u_to, u_from: F.leaky_relu(
            (v @ u_to)[:, None] + (v @ u_from)[None, :], 0.2
        ),
    },
    hints=(
        "First one number a node for each of the two vectors, then one sum an edge.",
        "v (N, C) @ u_to (C,) -> (N,);  indexed with the targets (E,) -> (E,)",
        "to = v @ u_to; fr = v @ u_from; return <leaky bend of (to at targets + fr at sources)>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- softmax over edges


def _softmax_by(end: int):
    def weights(scores: Tensor, edge_index: Tensor, num_nodes: int) -> Tensor:
        return edge_softmax(scores, edge_index[end], num_nodes)

    return weights


def _no_exponential(scores, edge_index, num_nodes):
    target = edge_index[1]
    sums = scores.new_zeros(num_nodes).index_add(0, target, scores)
    return scores / sums[target]


def _naive(scores, edge_index, num_nodes):
    target, shares = edge_index[1], scores.exp()
    sums = scores.new_zeros(num_nodes).index_add(0, target, shares)
    return shares / sums[target]


def _one_maximum(scores, edge_index, num_nodes):
    return _naive(scores - scores.max(), edge_index, num_nodes)


def _one_maximum_and_a_crumb(scores, edge_index, num_nodes):
    target, shares = edge_index[1], (scores - scores.max()).exp()
    sums = scores.new_zeros(num_nodes).index_add(0, target, shares)
    return shares / (sums[target] + 1e-16)


def _by_count(scores, edge_index, num_nodes):
    target = edge_index[1]
    return scores.exp() / target.bincount(minlength=num_nodes)[target]


def _neighbours_in_list(scores, edge_index, num_nodes):
    _, run = torch.unique_consecutive(edge_index[1], return_inverse=True)
    return edge_softmax(scores, run, len(scores))


softmax_over_edges = Exercise(
    "attention-on-a-graph/softmax-over-edges",
    _softmax_by(1),
    [
        (torch.zeros(3), torch.tensor([[0, 1, 2], [2, 2, 1]]), 3),
        (torch.tensor([1.0, 2.0]), CHAIN, 3),
        (normal(7, seed=1), MIXED, 5),
        (normal(7, seed=2), MIXED[:, [2, 4, 0, 3, 6, 1, 5]], 5),
        (torch.tensor([1000.0, 1001.0, 3.0]), torch.tensor([[0, 1, 2], [2, 2, 1]]), 3),
    ],
    {
        "The edges that *leave* one node share one whole. A node shares out its attention among "
        "those it hears: which row tells where an edge ends?": _softmax_by(0),
        "All edges of the graph share one whole. Every node has a softmax of its own, over the "
        "edges that end in it.": lambda scores, e, n: scores.softmax(0),
        "The shares are taken from the scores without the exponential. A negative score would be "
        "a negative share, and zeros divide by zero.": _no_exponential,
        "Right for small scores. The exponential of 1000 is infinite, and infinity over infinity "
        "is NaN: what may be taken away from all scores of a node?": _naive,
        "You take away the largest score of the whole graph. A node that lies far below it "
        "underflows to 0 / 0: each node needs its own largest score.": _one_maximum,
        "A small number in the denominator hides a zero: a node that lies far below the largest "
        "score of the whole graph gets weights of 0 that should sum to one. Each node needs its "
        "own largest score.": _one_maximum_and_a_crumb,
        "You divide by the number of edges into the node, not by the sum of their exponentials: "
        "the weights do not sum to one.": _by_count,
        "Right when the edges of a node stand side by side in the list. They may come in any "
        "order: group by the node, not by the place in the list.": _neighbours_in_list,
        "These are shares of the wrong kind: every weight is 1. A softmax of a single number "
        "compares nothing: its rivals are the other edges into the node.": lambda scores, e, n: (
            torch.ones_like(scores)
        ),
    },
    hints=(
        "Three steps, each along the targets: the largest score of each node, the exponentials, "
        "their sum for each node.",
        "target (E,) -> sums (N,) by zeros(N).index_add(0, target, shares) -> sums[target] (E,)\n"
        "largest (N,) by full((N,), -inf).scatter_reduce(0, target, scores, 'amax')",
        "shares = exp(scores - <largest of the edge's target>)\n"
        "return shares / <sum of shares at the edge's target>",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- self-loops


def _loops(edge_index: Tensor, num_nodes: int) -> Tensor:
    kept = edge_index[:, edge_index[0] != edge_index[1]]
    nodes = torch.arange(num_nodes).expand(2, -1)
    return torch.cat([kept, nodes], 1)


def _append(edge_index, nodes):
    return torch.cat([edge_index, nodes.expand(2, -1)], 1)


def _no_doubles(edge_index, num_nodes):
    kept = list(dict.fromkeys((a, b) for a, b in edge_index.T.tolist() if a != b))
    kept = torch.tensor(kept, dtype=torch.int64).reshape(-1, 2).T
    return _append(kept, torch.arange(num_nodes))


def _missing_only(edge_index, num_nodes):
    has = edge_index[0, edge_index[0] == edge_index[1]]
    missing = torch.ones(num_nodes, dtype=torch.bool)
    missing[has] = False
    return _append(edge_index, missing.nonzero().flatten())


add_self_loops = Exercise(
    "attention-on-a-graph/add-self-loops",
    _loops,
    [
        (CHAIN, 3),
        (torch.tensor([[0, 1, 1], [1, 1, 0]]), 2),
        (torch.tensor([[0, 3], [3, 0]]), 5),
        (MIXED, 7),
        (torch.tensor([[2, 0, 2, 1], [2, 1, 2, 0]]), 4),
        (torch.tensor([[1, 0, 1, 2], [0, 2, 0, 2]]), 3),
        (torch.zeros(2, 0, dtype=torch.int64), 2),
    ],
    {
        "Loops that were there already now stand twice, and would count twice in the softmax. "
        "Each node gets exactly one.": lambda e, n: _append(e, torch.arange(n)),
        "Nodes that no edge touches get no loop, although they need it most. How many nodes are "
        "there?": lambda e, n: _append(e[:, e[0] != e[1]], e.unique()),
        "The number of nodes is not the largest number in the list plus one: the last nodes may "
        "be isolated. It is given.": lambda e, n: _append(
            e[:, e[0] != e[1]], torch.arange(int(e.max()) + 1 if e.numel() else 0)
        ),
        "You return the loops alone. The edges between different nodes belong to the result, "
        "in front of the loops.": lambda e, n: torch.arange(n).repeat(2, 1),
        "The loops come first. The task wants the edges in front and the loops last, in the order "
        "of the nodes, so that numbers of edges stay valid.": lambda e, n: torch.cat(
            [torch.arange(n).repeat(2, 1), e[:, e[0] != e[1]]], 1
        ),
        "The edges have been sorted, or doubled edges thrown out, with `unique`. Only loops are to "
        "be touched; the other edges keep their order.": lambda e, n: _append(
            e, torch.arange(n)
        ).unique(dim=1),
        "You throw out edges that stand there twice. Doubled edges between different nodes stay "
        "doubled: only loops are touched.": _no_doubles,
        "You have taken the loops away and added none. Filtering is the first half of the "
        "task.": lambda e, n: e[:, e[0] != e[1]],
        "You add a loop only where one is missing. A loop that stands there twice is still "
        "there twice, and the order is not the one asked for.": _missing_only,
        "The result has an edge in each row: shape (E, 2). edge_index keeps its two rows, sources "
        "above targets.": lambda e, n: _loops(e, n).T,
    },
    hints=(
        "Take away all loops first; then every node gets its one, whatever there was.",
        "edge_index (2, E) -> kept (2, E'), where source and target differ; loops (2, N); joined "
        "along dimension 1.",
        "kept = edge_index[:, <source is not target>]; nodes = torch.arange(num_nodes)\n"
        "return torch.cat([kept, <nodes above nodes>], dim=1)",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- dense


def _dense_parts(x, W, u_to, u_from):
    v = x @ W
    return v, F.leaky_relu((v @ u_to)[:, None] + (v @ u_from)[None, :], 0.2)


def _dense(x: Tensor, W: Tensor, u_to: Tensor, u_from: Tensor, mask: Tensor) -> Tensor:
    v, scores = _dense_parts(x, W, u_to, u_from)
    return masked_softmax(scores, mask) @ v


def _dense_late(x, W, u_to, u_from, mask):
    v, scores = _dense_parts(x, W, u_to, u_from)
    return (scores.softmax(1) * mask) @ v


def _dense_columns(x, W, u_to, u_from, mask):
    v, scores = _dense_parts(x, W, u_to, u_from)
    return masked_softmax(scores.T, mask.T).T @ v


def _dense_of_features(x, W, u_to, u_from, mask):
    _, scores = _dense_parts(x, W, u_to, u_from)
    return masked_softmax(scores, mask) @ x


def _dense_zero_scores(x, W, u_to, u_from, mask):
    v, scores = _dense_parts(x, W, u_to, u_from)
    return (scores * mask).softmax(1) @ v


def _dense_nan(x, W, u_to, u_from, mask):
    v, scores = _dense_parts(x, W, u_to, u_from)
    return scores.masked_fill(~mask, -torch.inf).softmax(1) @ v


def _dense_slope(slope):
    def layer(x, W, u_to, u_from, mask):
        v = x @ W
        sums = (v @ u_to)[:, None] + (v @ u_from)[None, :]
        return masked_softmax(F.leaky_relu(sums, slope), mask) @ v

    return layer


def _dense_raw(x, W, u_to, u_from, mask):
    v, scores = _dense_parts(x, W, u_to, u_from)
    return (scores * mask) @ v


def _dense_cases():
    for seed, (N, features, C, edges) in enumerate(
        (
            (3, 2, 2, torch.tensor([[0, 1, 0, 1, 2], [1, 2, 0, 1, 2]])),
            (5, 2, 3, torch.cat([MIXED, torch.arange(5).repeat(2, 1)], 1)),
            (5, 3, 2, MIXED),
        )
    ):
        yield (
            normal(N, features, seed=10 * seed),
            normal(features, C, seed=10 * seed + 1),
            normal(C, seed=10 * seed + 2) * 2,
            normal(C, seed=10 * seed + 3) * 2,
            adjacency_mask(edges, N),
        )


dense_layer = Exercise(
    "attention-on-a-graph/dense-layer",
    _dense,
    _dense_cases,
    {
        "The two vectors have changed places. Rows of the scores are listeners, and u_to is what "
        "a listener is worth.": lambda x, W, u_to, u_from, mask: _dense(x, W, u_from, u_to, mask),
        "The mask comes after the softmax: what was spent on strangers is lost, and the rows sum "
        "to less than one.": _dense_late,
        "The softmax runs over the listeners of each speaker. A row belongs to the node that "
        "asks: its entries sum to one.": _dense_columns,
        "The mask is turned around: rows have become sources. Row i says whom node i may "
        "hear.": lambda x, W, u_to, u_from, mask: _dense(x, W, u_to, u_from, mask.T),
        "You average the raw features. What is mixed are the values, x @ W.": _dense_of_features,
        "A score of zero is not 'no edge': exp(0) is 1, so strangers get a share. Which score has "
        "the exponential 0?": _dense_zero_scores,
        "Right, except for a node that nothing leads to: 0 / 0 is NaN there. It attends to "
        "nothing, and its output is zero.": _dense_nan,
        "Every node hears all nodes: the mask is not used. Graph attention is masked: strangers "
        "have weight zero.": lambda x, W, u_to, u_from, mask: _dense(
            x, W, u_to, u_from, torch.ones_like(mask)
        ),
        "The bend is missing between sum and softmax. Without it the listener cancels, and all "
        "nodes would weigh their neighbours alike.": _dense_slope(1.0),
        "The slope below zero is not the one of exercise 1. PyTorch's default is "
        "0.01.": _dense_slope(0.01),
        "This is a sum weighted by raw scores. They pass through a softmax first, so that the "
        "weights of a node are shares of one whole.": _dense_raw,
    },
    hints=(
        "The table of scores has a row for each listener and a column for each speaker.",
        "v (N, C);  v @ u_to -> (N,), as a column (N, 1);  v @ u_from -> (N,), as a row (1, N); "
        "their sum (N, N)",
        "scores = <leaky bend of column + row>; weights = masked_softmax(scores, mask); "
        "return weights @ <what is mixed>",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- receptive field


def _field(edge_index: Tensor, num_nodes: int, node: int, layers: int) -> Tensor:
    source, target = edge_index
    seen = torch.zeros(num_nodes, dtype=torch.bool)
    seen[node] = True
    for _ in range(layers):
        seen[source[seen[target]]] = True
    return seen


def _without_itself(edge_index, num_nodes, node, layers):
    source, target = edge_index
    front = torch.zeros(num_nodes, dtype=torch.bool)
    front[node] = True
    found = torch.zeros(num_nodes, dtype=torch.bool)
    for _ in range(layers):
        new = torch.zeros(num_nodes, dtype=torch.bool)
        new[source[front[target]]] = True
        found |= new
        front = new
    found[node] = False
    return found


def _last_ring(edge_index, num_nodes, node, layers):
    inner = _field(edge_index, num_nodes, node, layers - 1) if layers else None
    whole = _field(edge_index, num_nodes, node, layers)
    return whole if inner is None else whole & ~inner


def _growing_set(edge_index, num_nodes, node, layers):
    seen = torch.zeros(num_nodes, dtype=torch.bool)
    seen[node] = True
    for _ in range(layers):
        for source, target in edge_index.T.tolist():
            seen[source] |= seen[target]
    return seen


def _walks_of_length(edge_index, num_nodes, node, layers):
    seen = torch.zeros(num_nodes, dtype=torch.bool)
    seen[node] = True
    for _ in range(layers):
        new = torch.zeros(num_nodes, dtype=torch.bool)
        new[edge_index[0, seen[edge_index[1]]]] = True
        seen = new
    return seen


def _as_numbers(edge_index, num_nodes, node, layers):
    return _field(edge_index, num_nodes, node, layers).nonzero().flatten()


LINE = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])

receptive_field = Exercise(
    "attention-on-a-graph/receptive-field",
    _field,
    [
        (CHAIN, 3, 2, 1),
        (CHAIN, 3, 0, 1),
        (LINE, 6, 4, 2),
        (LINE, 6, 3, 0),
        (torch.cat([LINE, LINE.flip(0)], 1), 7, 2, 2),
        (MIXED, 5, 0, 2),
    ],
    {
        "You walk along the arrows: these are the nodes that *hear* the node. It sees those that "
        "lead to it.": lambda e, n, node, k: _field(e.flip(0), n, node, k),
        "The node does not see itself. The layers have self-loops, so its own features count: "
        "start with the node in the set.": _without_itself,
        "One layer too many. With k layers the set grows k times.": lambda e, n, node, k: _field(
            e, n, node, k + 1
        ),
        "One layer too few. The first layer already hears the neighbours: the set grows k times, "
        "from the node alone.": lambda e, n, node, k: _field(e, n, node, max(k - 1, 0)),
        "These are only the nodes at a distance of exactly k. What was seen before stays "
        "seen.": _last_ring,
        "You stop after the first neighbours, however many layers there are. Each layer carries "
        "messages over one edge more.": lambda e, n, node, k: _field(e, n, node, min(k, 1)),
        "A layer can carry a message over one edge. You have let it run through the whole graph: "
        "only k rounds are allowed.": lambda e, n, node, k: _field(e, n, node, n),
        "Your loop over the edges reads the set while it grows, so that one layer can jump "
        "several edges. Look at the set as it was before the layer.": _growing_set,
        "These are the ends of walks of exactly k edges. The layers have self-loops, so what was "
        "seen before stays seen.": _walks_of_length,
        "You treat every edge as if it ran both ways. An edge carries messages from its source to "
        "its target only.": lambda e, n, node, k: _field(torch.cat([e, e.flip(0)], 1), n, node, k),
        "You return the numbers of the nodes. Asked is a boolean for each node, (N,).": _as_numbers,
    },
    hints=(
        "Start with the node alone. In each round, whoever speaks to someone in the set joins it.",
        "seen (N,) bool;  seen[target] (E,): does the edge end in the set?  source[...] are those "
        "who join.",
        "repeat <layers> times: seen[<sources of the edges that end in the set>] = True",
    ),
    minutes=10,
    difficulty=2,
)
