"""Exercises of "GATv2 and dynamic attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import edge_softmax
from attnlib.checker import Exercise
from exercises.checks import normal


def _edges(nodes: int, count: int, seed: int) -> Tensor:
    """(2, E) random edges, so that sources and targets differ in number and order."""
    return torch.randint(nodes, (2, count), generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- the score of GATv2


def _scores(x: Tensor, edge_index: Tensor, W_q: Tensor, W_k: Tensor, u: Tensor) -> Tensor:
    source, target = edge_index
    return F.leaky_relu((x @ W_q)[target] + (x @ W_k)[source], 0.2) @ u


def _scores_with(bend):
    """The same score with another function of the sum (E, C) and of u."""

    def scores(x, edge_index, W_q, W_k, u):
        source, target = edge_index
        return bend((x @ W_q)[target] + (x @ W_k)[source], u)

    return scores


def _scores_swapped(x, edge_index, W_q, W_k, u):
    return _scores(x, edge_index.flip(0), W_q, W_k, u)


def _scores_one_matrix(x, edge_index, W_q, W_k, u):
    return _scores(x, edge_index, W_q, W_q, u)


def _scores_product(x, edge_index, W_q, W_k, u):
    source, target = edge_index
    return F.leaky_relu((x @ W_q)[target] * (x @ W_k)[source], 0.2) @ u


def _scores_bent_apart(x, edge_index, W_q, W_k, u):
    source, target = edge_index
    return (F.leaky_relu(x @ W_q, 0.2)[target] + F.leaky_relu(x @ W_k, 0.2)[source]) @ u


def _scores_softmax(x, edge_index, W_q, W_k, u):
    return edge_softmax(_scores(x, edge_index, W_q, W_k, u), edge_index[1], len(x))


def _score_cases():
    one = torch.eye(2)
    yield one, torch.tensor([[1], [0]]), one, -2 * one, torch.tensor([3.0, 5.0])
    for seed, (N, E, width, C) in enumerate(((4, 7, 3, 5), (6, 11, 2, 3))):
        yield (
            normal(N, width, seed=seed),
            _edges(N, E, seed),
            normal(width, C, seed=seed + 10),
            normal(width, C, seed=seed + 20),
            normal(C, seed=seed + 30),
        )


gatv2_scores = Exercise(
    "dynamic-attention/gatv2-scores",
    _scores,
    _score_cases,
    {
        "You weigh first and bend the number afterwards. That is the score of GAT, and static: "
        "the bend belongs before the product with u.": _scores_with(
            lambda h, u: F.leaky_relu(h @ u, 0.2)
        ),
        "There is no bend at all. The sum then falls into a number of the query and a number of "
        "the key.": _scores_with(lambda h, u: h @ u),
        "Your bend sets negative entries to zero. A leaky ReLU lets a fifth of them "
        "through.": _scores_with(lambda h, u: F.relu(h) @ u),
        "Your slope is a hundredth, which is torch's default. Here it is a fifth.": _scores_with(
            lambda h, u: F.leaky_relu(h) @ u
        ),
        "The entries of the bent sum are weighed and averaged; a dot product adds them "
        "up.": _scores_with(lambda h, u: (F.leaky_relu(h, 0.2) * u).mean(-1)),
        "The ends of the edge are exchanged. Row 0 of edge_index is the source, the key; row 1 the "
        "target, the query.": _scores_swapped,
        "Both ends go through W_q. The key has a matrix of its own.": _scores_one_matrix,
        "You multiply the two vectors. Here they are added; products belong to dot-product "
        "attention.": _scores_product,
        "Each vector is bent alone, and the bent ones are added. Then the score is again a number "
        "of the query plus a number of the key: bend the sum.": _scores_bent_apart,
        "You return weights. What is asked for is the score, before any softmax.": _scores_softmax,
    },
    hints=(
        "Which of the five steps (project, pick the ends, add, bend, weigh) comes last?",
        "x @ W_q (N, C) -> rows of the targets (E, C); the same for the sources; their sum (E, C); "
        "score (E,)",
        "hidden = <queries of the targets> + <keys of the sources>\n"
        "return <bent with slope 0.2> @ u",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- static or not


def _is_static(scores: Tensor) -> bool:
    order = scores.argsort(dim=-1)
    return bool((order == order[0]).all())


def _same_favourite(scores):
    best = scores.argmax(dim=-1)
    return bool((best == best[0]).all())


def _same_rows(scores):
    return bool(torch.allclose(scores, scores[:1].expand_as(scores)))


def _same_columns(scores):
    return _is_static(scores.T)


def _ends_only(scores):
    return _is_static(scores[[0, -1]])


def _neighbours_any(scores):
    order = scores.argsort(dim=-1)
    return bool((order == order[0]).any())


def _least_favourite(scores):
    worst = scores.argmin(dim=-1)
    return bool((worst == worst[0]).all())


def _neighbouring_columns(scores):
    up = scores.diff(dim=1) > 0
    return bool((up == up[0]).all())


def _turned(scores):
    return not _is_static(scores)


def _constant_distance(scores):
    return bool(torch.allclose(scores - scores[:, :1], (scores - scores[:, :1])[:1]))


def _static_cases():
    own, keys = normal(5, 1, seed=1), normal(1, 4, seed=2)
    both_moved = torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 1.0, 2.0, 0.0], [3.0, 2.0, 1.0, 0.0]])
    yield (torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 90.0]]),)
    yield (torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]),)
    yield (F.leaky_relu(own + keys, 0.2),)
    yield (own + keys,)
    yield (both_moved,)
    yield (torch.tensor([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0], [9.0, 8.0, 7.0]]),)
    yield (torch.tensor([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0]]),)
    yield (torch.tensor([[5.0, 1.0, 2.0], [5.0, 2.0, 1.0]]),)
    yield (normal(4, 3, seed=3),)
    yield (torch.tensor([[1.0, 3.0, 2.0], [2.0, 3.0, 1.0]]),)
    yield (torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]),)
    yield (torch.tensor([[2.0, 5.0, 4.0, 1.0], [2.5, 9.0, 3.0, 1.0]]),)
    yield (torch.tensor([[3.0, 2.0], [3.0, 1.0], [0.0, 4.0]]),)


is_static = Exercise(
    "dynamic-attention/is-static",
    _is_static,
    _static_cases,
    {
        "You compare the favourites. Two queries may agree on the best key and disagree on the "
        "second: compare whole rankings.": _same_favourite,
        "You compare the keys that come last. Compare whole rankings.": _least_favourite,
        "You compare the scores themselves. Static queries may have other scores and yet the same "
        "order.": _same_rows,
        "You compare distances between scores. A bend changes distances and leaves the order as it "
        "is.": _constant_distance,
        "You rank the queries for each key. A row belongs to a query: the keys of a row are to be "
        "ranked.": _same_columns,
        "Only the first and the last query are compared. One that differs may stand "
        "between.": _ends_only,
        "One place in common is enough for your answer. All places of all rows must "
        "agree.": _neighbours_any,
        "You compare keys that stand side by side only. Two rows may rise and fall in the same "
        "places and still rank the first and the last key differently.": _neighbouring_columns,
        "Your answer is upside down: True means that all queries rank alike.": _turned,
    },
    hints=(
        "What is the same for two queries that rank alike, if not the scores?",
        "scores (L, S) -> order of the keys in each row, (L, S), whole numbers -> one bool",
        "order = <argsort of each row>\nreturn bool(<every row of order equals the first>)",
    ),
    minutes=8,
    difficulty=1,
)


# ---------------------------------------------------------------- Dirichlet energy


def _energy(x: Tensor, edge_index: Tensor) -> Tensor:
    source, target = edge_index
    return (x[source] - x[target]).square().sum() / (2 * x.square().sum())


def _energy_no_half(x, edge_index):
    return 2 * _energy(x, edge_index)


def _energy_no_size(x, edge_index):
    return _energy(x, edge_index) * x.square().sum()


def _energy_bare(x, edge_index):
    return 2 * _energy_no_size(x, edge_index)


def _energy_absolute(x, edge_index):
    source, target = edge_index
    return (x[source] - x[target]).abs().sum() / (2 * x.abs().sum())


def _energy_of_norms(x, edge_index):
    source, target = edge_index
    return (x[source] - x[target]).norm(dim=1).sum() / (2 * x.norm(dim=1).sum())


def _energy_unsquared(x, edge_index):
    source, target = edge_index
    return (x[source] - x[target]).norm(dim=1).sum() / (2 * x.square().sum())


def _energy_touched(x, edge_index):
    return _energy(x, edge_index) * x.square().sum() / x[edge_index.unique()].square().sum()


def _energy_means(x, edge_index):
    source, target = edge_index
    return (x[source] - x[target]).square().mean() / (2 * x.square().mean())


def _energy_squares_first(x, edge_index):
    source, target = edge_index
    return (x[source].square() - x[target].square()).sum().abs() / (2 * x.square().sum())


def _energy_size_of_ends(x, edge_index):
    source, target = edge_index
    return (x[source] - x[target]).square().sum() / (2 * x[source].square().sum())


def _energy_all_pairs(x, edge_index):
    return (x[:, None] - x[None]).square().sum() / (2 * x.square().sum())


def _energy_sum_first(x, edge_index):
    source, target = edge_index
    return (x[source] - x[target]).sum(0).square().sum() / (2 * x.square().sum())


def _energy_cases():
    both = torch.tensor([[0, 1], [1, 0]])
    yield torch.tensor([[3.0], [1.0], [2.0]]), both
    for seed, (N, E, width) in enumerate(((5, 6, 3), (4, 9, 2), (7, 12, 5))):
        yield normal(N, width, seed=seed), _edges(N, E, seed + 40)


dirichlet_energy = Exercise(
    "dynamic-attention/dirichlet-energy",
    _energy,
    _energy_cases,
    {
        "The two in the denominator is missing. A link stands in edge_index in both directions and "
        "would count twice.": _energy_no_half,
        "Nothing divides by the size of the states. Doubled states would have four times the "
        "energy, though nobody became less alike.": _energy_no_size,
        "You return the sum over the edges alone. It is still to be divided by twice the size of "
        "the states.": _energy_bare,
        "You add absolute values. The energy is made of squares, above and "
        "below.": _energy_absolute,
        "You add lengths. It is the squared lengths that are added, above and "
        "below.": _energy_of_norms,
        "Above you add lengths, below squares. The differences are to be squared "
        "too.": _energy_unsquared,
        "Nodes without an edge are missing below. Every node counts there, linked or "
        "not.": _energy_touched,
        "Two means instead of two sums: one is over edges, the other over nodes, and they are not "
        "equally many.": _energy_means,
        "You square each end and then subtract. Subtract first: the difference is what is "
        "squared.": _energy_squares_first,
        "Below stands the size of the sources of all edges, so a node with many edges counts many "
        "times. Each node counts once.": _energy_size_of_ends,
        "You compare all pairs of nodes. Only pairs that are joined by an edge "
        "count.": _energy_all_pairs,
        "You add the differences before you square them, so that opposite ones cancel.": (
            _energy_sum_first
        ),
    },
    hints=(
        "How do you get a row for the source and a row for the target of every edge at once?",
        "x[source], x[target] (E, width) -> one number; x (N, width) -> one number",
        "across = <sum of the squares of the differences>\n"
        "return across / (2 * <sum of the squares of x>)",
    ),
    minutes=8,
    difficulty=1,
)


# ---------------------------------------------------------------- features of edges


def _edge_weights(x, edge_index, edge_attr, W_q, W_k, W_e, u):
    source, target = edge_index
    hidden = (x @ W_q)[target] + (x @ W_k)[source] + edge_attr @ W_e
    return edge_softmax(F.leaky_relu(hidden, 0.2) @ u, target, len(x))


def _edges_ignored(x, edge_index, edge_attr, W_q, W_k, W_e, u):
    return _edge_weights(x, edge_index, 0 * edge_attr, W_q, W_k, W_e, u)


def _edges_after_bend(x, edge_index, edge_attr, W_q, W_k, W_e, u):
    source, target = edge_index
    bent = F.leaky_relu((x @ W_q)[target] + (x @ W_k)[source], 0.2)
    return edge_softmax((bent + edge_attr @ W_e) @ u, target, len(x))


def _edges_multiplied(x, edge_index, edge_attr, W_q, W_k, W_e, u):
    source, target = edge_index
    hidden = ((x @ W_q)[target] + (x @ W_k)[source]) * (edge_attr @ W_e)
    return edge_softmax(F.leaky_relu(hidden, 0.2) @ u, target, len(x))


def _edges_softmax_over(nodes):
    def weights(x, edge_index, edge_attr, W_q, W_k, W_e, u):
        source, target = edge_index
        hidden = (x @ W_q)[target] + (x @ W_k)[source] + edge_attr @ W_e
        scores = F.leaky_relu(hidden, 0.2) @ u
        if nodes == "all":
            return scores.softmax(0)
        return scores if nodes is None else edge_softmax(scores, source, len(x))

    return weights


def _edges_swapped(x, edge_index, edge_attr, W_q, W_k, W_e, u):
    source, target = edge_index
    hidden = (x @ W_q)[source] + (x @ W_k)[target] + edge_attr @ W_e
    return edge_softmax(F.leaky_relu(hidden, 0.2) @ u, target, len(x))


def _edges_gat(x, edge_index, edge_attr, W_q, W_k, W_e, u):
    source, target = edge_index
    hidden = (x @ W_q)[target] + (x @ W_k)[source] + edge_attr @ W_e
    return edge_softmax(F.leaky_relu(hidden @ u, 0.2), target, len(x))


def _edge_cases():
    to_zero = torch.tensor([[1, 2, 0], [0, 0, 1]])
    grade, one = torch.tensor([[0.0], [1.0], [5.0]]), torch.ones(1, 1)
    yield torch.ones(3, 1), to_zero, grade, -one, one, one, torch.ones(1)
    for seed, (N, E, width, D, C) in enumerate(((4, 9, 3, 2, 5), (5, 13, 2, 3, 4))):
        yield (
            normal(N, width, seed=seed),
            _edges(N, E, seed + 50),
            normal(E, D, seed=seed + 60),
            normal(width, C, seed=seed + 70),
            normal(width, C, seed=seed + 80),
            normal(D, C, seed=seed + 90),
            normal(C, seed=seed + 95),
        )


edge_feature_weights = Exercise(
    "dynamic-attention/edge-feature-weights",
    _edge_weights,
    _edge_cases,
    {
        "The features of the edges do not matter to your weights: the third term of the sum is "
        "missing.": _edges_ignored,
        "The term of the edge comes after the bend. It belongs to the sum that is "
        "bent.": _edges_after_bend,
        "You multiply by the term of the edge. The three terms are added.": _edges_multiplied,
        "The weights of all edges together sum to one. Each target has a softmax of its "
        "own.": _edges_softmax_over("all"),
        "The weights sum to one over the edges that *leave* a node. The node that asks is the "
        "target.": _edges_softmax_over("source"),
        "These are scores. The softmax over the edges into each node is "
        "missing.": _edges_softmax_over(None),
        "W_q meets the source and W_k the target. The query is the target, row 1 of "
        "edge_index.": _edges_swapped,
        "You weigh first and bend afterwards, as GAT does. In GATv2 the bend comes "
        "before u.": _edges_gat,
    },
    hints=(
        "The sum of two terms becomes a sum of three; all of them have a row for each edge.",
        "(x @ W_q)[target] (E, C) + (x @ W_k)[source] (E, C) + edge_attr @ W_e (E, C); score (E,); "
        "weights (E,)",
        "scores = <bent sum of three> @ u\nreturn edge_softmax(scores, <who asks>, len(x))",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- mass on the planted neighbour


def _mass(weights: Tensor, edge_index: Tensor, truth: Tensor, num_nodes: int) -> Tensor:
    target = edge_index[1]
    mass = torch.zeros(num_nodes).index_add(0, target, weights * truth)
    has_truth = torch.zeros(num_nodes).index_add(0, target, truth.float()) > 0
    return mass[has_truth].mean()


def _mass_true_edges(weights, edge_index, truth, num_nodes):
    return weights[truth].mean()


def _mass_all_nodes(weights, edge_index, truth, num_nodes):
    return weights[truth].sum() / num_nodes


def _mass_all_edges(weights, edge_index, truth, num_nodes):
    return (weights * truth).mean()


def _mass_share(weights, edge_index, truth, num_nodes):
    return weights[truth].sum() / weights.sum()


def _mass_by_source(weights, edge_index, truth, num_nodes):
    return _mass(weights, edge_index.flip(0), truth, num_nodes)


def _mass_wrong(weights, edge_index, truth, num_nodes):
    return 1 - _mass(weights, edge_index, truth, num_nodes)


def _mass_summed(weights, edge_index, truth, num_nodes):
    return weights[truth].sum()


def _mass_positive(weights, edge_index, truth, num_nodes):
    mass = torch.zeros(num_nodes).index_add(0, edge_index[1], weights * truth)
    return mass[mass > 0].mean()


def _mass_hits(weights, edge_index, truth, num_nodes):
    target, hits = edge_index[1], []
    for node in target[truth].unique():
        into = target == node
        hits.append(truth[into][weights[into].argmax()])
    return torch.stack(hits).float().mean()


def _mass_cases():
    # (sources, targets), truth; a node without a truth, and one with two.
    graphs = (
        ([1, 2, 0, 2, 0], [0, 0, 1, 1, 2], [1, 0, 0, 1, 0], 3),
        ([1, 2, 3, 0, 2, 0, 1], [0, 0, 0, 1, 1, 2, 2], [1, 1, 0, 0, 1, 0, 0], 4),
        ([3, 2, 4, 1, 0, 4, 1, 3, 0], [0, 0, 0, 2, 2, 2, 3, 3, 4], [0, 1, 1, 0, 1, 0, 0, 1, 0], 5),
    )
    for seed, (sources, targets, truth, N) in enumerate(graphs):
        edge_index = torch.tensor([sources, targets])
        weights = edge_softmax(normal(len(truth), seed=seed + 5), edge_index[1], N)
        yield weights, edge_index, torch.tensor(truth).bool(), N
    edge_index = torch.tensor([[1, 2, 0], [0, 0, 1]])  # a right edge that gets nothing
    yield torch.tensor([0.0, 1.0, 1.0]), edge_index, torch.tensor([True, False, True]), 3


planted_mass = Exercise(
    "dynamic-attention/planted-mass",
    _mass,
    _mass_cases,
    {
        "You average over the true edges. A node with two of them has one mass, the sum of both: "
        "average over nodes.": _mass_true_edges,
        "You divide by all nodes. A node for which nobody knows the right neighbour has nothing to "
        "be marked on.": _mass_all_nodes,
        "You average over all edges, also those that are not right. Sum within each target, then "
        "average the nodes.": _mass_all_edges,
        "You divide by the sum of all weights, which is the number of nodes that have neighbours. "
        "Nodes without a truth do not count.": _mass_share,
        "You sum the weights at the sources. It is the target that shares out its "
        "attention.": _mass_by_source,
        "This is the mass on the wrong neighbours.": _mass_wrong,
        "You add the masses of the nodes up. A mark that can be compared is their "
        "mean.": _mass_summed,
        "You leave out nodes whose mass is 0. A right edge that gets no attention is a right edge "
        "still: ask whether there is one, not what it got.": _mass_positive,
        "You count how often the right neighbour comes first. That is a hit rate; the mass is the "
        "amount of attention that is there.": _mass_hits,
    },
    hints=(
        "First one number for each node: how much of its attention lies on its true edges?",
        "weights * truth (E,) -> summed at the targets (N,) -> the rows with a truth -> one number",
        "mass = torch.zeros(num_nodes).index_add(0, <targets>, <weights where true>)\n"
        "return mass[<nodes with a true edge>].mean()",
    ),
    minutes=12,
    difficulty=3,
)
