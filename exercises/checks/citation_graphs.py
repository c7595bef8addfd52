"""Exercises of "GAT on citation graphs"."""

from collections.abc import Callable

import torch
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- row-normalise sparse features


def _rows(x: Tensor, divide) -> Tensor:
    x = x.coalesce()
    indices, values = x.indices(), x.values()
    divided = divide(x, indices, values)
    return torch.sparse_coo_tensor(indices, divided, x.shape, check_invariants=True).coalesce()


def _sum_of_rows(x: Tensor, indices: Tensor, values: Tensor) -> Tensor:
    return torch.zeros(x.shape[0], dtype=values.dtype).index_add_(0, indices[0], values)


def _normalise(x: Tensor) -> Tensor:
    return _rows(x, lambda x, i, v: v / _sum_of_rows(x, i, v)[i[0]])


def _by_column(x: Tensor, i: Tensor, v: Tensor) -> Tensor:
    total = torch.zeros(x.shape[1], dtype=v.dtype).index_add_(0, i[1], v)
    return v / total[i[1]]


def _by_norm(x: Tensor, i: Tensor, v: Tensor) -> Tensor:
    return v / _sum_of_rows(x, i, v.square()).sqrt()[i[0]]


def _by_count(x: Tensor, i: Tensor, v: Tensor) -> Tensor:
    return v / torch.bincount(i[0], minlength=x.shape[0])[i[0]]


def _by_one_or_more(x: Tensor, i: Tensor, v: Tensor) -> Tensor:
    return v / _sum_of_rows(x, i, v).clamp(min=1)[i[0]]


def _through_dense(x: Tensor) -> Tensor:
    dense = x.to_dense()
    return (dense / dense.sum(1, keepdim=True)).to_sparse_coo().coalesce()


def _bags() -> list[tuple[Tensor]]:
    dense = [
        [[1.0, 0.0, 1.0], [0.0, 4.0, 0.0]],
        [[0.0, 2.0, 6.0], [0.0, 0.0, 0.0], [1.0, 1.0, 2.0], [0.0, 0.25, 0.25]],
    ]
    cases = [(torch.tensor(rows).to_sparse_coo(),) for rows in dense]
    many = normal(7, 11, seed=1).abs() * (normal(7, 11, seed=2) > 0.3)
    many[4] = 0
    return [*cases, (many.to_sparse_coo(),)]


normalise_rows = Exercise(
    "citation-graphs/normalise-rows",
    _normalise,
    _bags,
    {
        "The columns sum to one, not the rows. A column is a word, a row is a paper: divide each "
        "number by the sum of its own row.": lambda x: _rows(x, _by_column),
        "The rows have length one, but they do not sum to one. You divide by the root of the sum "
        "of squares; the paper divides by the sum.": lambda x: _rows(x, _by_norm),
        "You divide by how many words a paper has, which is its sum only where every word counts "
        "one. PubMed's numbers are no ones: add them up.": lambda x: _rows(x, _by_count),
        "A paper without any word has the sum zero, and zero divided by zero is NaN. A stored "
        "number never meets such a row: divide those alone.": _through_dense,
        "The result is right but dense: all the zeros are stored. Give it back sparse, with the "
        "same places and new numbers.": lambda x: _normalise(x).to_dense(),
        "You divide by the sum of all numbers, so all papers together sum to one. Each paper has "
        "a sum of its own.": lambda x: _rows(x, lambda x, i, v: v / v.sum()),
        "Rows whose sum is below one keep it: clamp(min=1) divides them by one. A guard against "
        "zero must be smaller than every sum, and stored numbers need none.": lambda x: _rows(
            x, _by_one_or_more
        ),
        "You divide by the largest number of the row. Then the largest becomes one, and the sum "
        "is anything.": lambda x: _rows(
            x, lambda x, i, v: v / x.to_dense().amax(1)[i[0]].clamp(min=1e-12)
        ),
    },
    hints=(
        "Read the stored numbers alone: a zero divided by anything stays zero.",
        "x = x.coalesce(); x.indices() is (2, n), rows above columns; x.values() is (n,). The "
        "sums are (N,): index_add_ adds each value to the sum of its row.",
        "sums = torch.zeros(N).index_add_(0, <row of each number>, values)\n"
        "return torch.sparse_coo_tensor(x.indices(), values / sums[<row of each number>], x.shape)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- a graph both ways, with loops


def _clean(pairs: Tensor, num_nodes: int, *, both=True, loops=True, once=True, own=False) -> Tensor:
    source, target = pairs
    if not own:
        source, target = pairs[:, source != target]
    if both:
        source, target = torch.cat([source, target]), torch.cat([target, source])
    if loops:
        nodes = torch.arange(num_nodes)
        source, target = torch.cat([source, nodes]), torch.cat([target, nodes])
    numbers = source * num_nodes + target
    numbers = numbers.unique() if once else numbers.sort().values
    return torch.stack([numbers // num_nodes, numbers % num_nodes])


def _both_but_once(pairs: Tensor, num_nodes: int) -> Tensor:
    """Only the loops of nodes that occur in a pair."""
    seen = pairs.unique()
    loops = torch.stack([seen, seen])
    return _clean(torch.cat([pairs, loops], 1), num_nodes, loops=False, own=True)


def _side_by_side(pairs: Tensor, num_nodes: int) -> Tensor:
    return torch.cat([pairs, pairs.flip(0), torch.arange(num_nodes).expand(2, -1)], 1)


def _loops_last(pairs: Tensor, num_nodes: int) -> Tensor:
    links = torch.cat([pairs, pairs.flip(0)], 1).unique(dim=1)
    return torch.cat([links, torch.arange(num_nodes).expand(2, -1)], 1)


def _pairs() -> list[tuple[Tensor, int]]:
    few = torch.tensor([[0], [1]])
    some = torch.tensor([[0, 2, 1, 3, 0], [1, 0, 0, 3, 1]])
    many = torch.randint(9, (2, 20), generator=torch.Generator().manual_seed(3))
    return [(few, 3), (some, 4), (some, 6), (many, 11)]


prepare_edges = Exercise(
    "citation-graphs/prepare-edges",
    _clean,
    _pairs,
    {
        "Each citation runs one way only. Here papers hear from those they cite and from those "
        "that cite them: add the pairs turned round.": lambda p, n: _clean(p, n, both=False),
        "The loops are missing: a paper would not hear itself, and one without any link would "
        "have nothing to average.": lambda p, n: _clean(p, n, loops=False, own=False),
        "Some edges are there twice, and an edge that is there twice has twice the weight. Two "
        "papers may cite each other, and turned round that pair is there already.": lambda p, n: (
            _clean(p, n, once=False)
        ),
        "Only papers that cite themselves have a loop. Each node needs one: add the pairs of 0 and "
        "0, 1 and 1, and so on.": lambda p, n: _clean(p, n, loops=False, own=True),
        "The three pieces stand side by side, but some edges are there twice and nothing is sorted "
        "yet. One call of unique, over columns, does both.": _side_by_side,
        "The loops stand at the end, and some are there twice. Add them first, then remove what "
        "is there twice.": _loops_last,
        "Sorted, but edges are there twice: those between papers that cite each other, and the "
        "loops of papers that cite themselves.": lambda p, n: _clean(p, n, once=False, own=True),
        "Nodes without any pair have no loop. Count the nodes by num_nodes, not by who occurs in "
        "the pairs.": _both_but_once,
        "Sources and targets are right as a set, but the order is not: sort by source, then by "
        "target.": lambda p, n: _clean(p, n)[:, torch.argsort(_clean(p, n)[1], stable=True)],
        "The shape is (E, 2). The book's edge lists are (2, E): sources in row 0, targets in "
        "row 1.": lambda p, n: _clean(p, n).T.contiguous(),
        "You return a dense table of nodes by nodes. PubMed's would have hundreds of millions of "
        "cells: give back the list of edges.": lambda p, n: torch.zeros(n, n).index_put_(
            tuple(_clean(p, n)), torch.tensor(1.0)
        ),
    },
    hints=(
        "Three pieces side by side: the pairs, the pairs turned round, and a loop for each node. "
        "Then remove what is there twice.",
        "pairs.flip(0) turns round (2, E); torch.arange(num_nodes).expand(2, -1) is (2, N). "
        "unique(dim=1) removes doubles, and sorts.",
        "edges = torch.cat([<pairs>, <turned round>, <loops>], dim=1)\nreturn <each column once>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- edge softmax


def _edge_softmax(
    scores: Tensor, index: Tensor, size: int, shift: bool = True, least: float = -torch.inf
) -> Tensor:
    H = scores.shape[1]
    places = index[:, None].expand(-1, H)
    largest = torch.full((size, H), least).scatter_reduce_(0, places, scores, "amax")
    e = (scores - largest[index]).exp() if shift else scores.exp()
    return e / torch.zeros(size, H).index_add_(0, index, e)[index]


def _no_shift(scores: Tensor, edge_index: Tensor, num_nodes: int) -> Tensor:
    return _edge_softmax(scores, edge_index[1], num_nodes, shift=False)


def _shift_by(largest: Callable[[Tensor], Tensor]) -> Callable:
    return lambda s, e, n: _edge_softmax(s - largest(s), e[1], n, shift=False)


def _one_head(scores: Tensor, edge_index: Tensor, num_nodes: int) -> Tensor:
    target = edge_index[1]
    e = (scores - scores.max()).exp()
    return e / torch.zeros(num_nodes).index_add_(0, target, e.sum(1))[target][:, None]


def _edges() -> list[tuple[Tensor, Tensor, int]]:
    star = torch.tensor([[0, 1, 2, 2], [0, 0, 0, 1]])
    ring = torch.tensor([[0, 1, 2, 3, 0, 1, 2], [1, 2, 3, 0, 0, 0, 1]])
    large = torch.randint(6, (2, 17), generator=torch.Generator().manual_seed(5))
    return [
        (torch.tensor([[0.0], [0.0], [0.0], [2.0]]), star, 3),
        (normal(7, 2, seed=6), ring, 4),
        (normal(17, 3, seed=7) * 3, large, 8),
        (torch.tensor([[1000.0, 1.0], [1001.0, 0.0], [5.0, 1.0], [-3.0, 1.0]]), star, 3),
        (torch.tensor([[-1000.0], [-1001.0], [-1000.0], [-999.0]]), star, 3),
    ]


edge_softmax = Exercise(
    "citation-graphs/edge-softmax",
    lambda scores, edge_index, num_nodes: _edge_softmax(scores, edge_index[1], num_nodes),
    _edges,
    {
        "You share out by source: what a node sends sums to one. It is the node that listens, the "
        "target, whose weights sum to one.": lambda s, e, n: _edge_softmax(s, e[0], n),
        "One softmax over all edges of the graph: all weights together sum to one. Each target "
        "has a whole of its own.": lambda s, e, n: s.softmax(0),
        "The softmax runs over the heads of one edge. The heads do not compete, the edges that "
        "lead to one node do.": lambda s, e, n: s.softmax(1),
        "Right for small scores, but exp(1000) is infinite. Subtract the largest score of each "
        "target before the exponential.": _no_shift,
        "Right for most scores, but 0 / 0 where all scores of a node are far below zero: a table "
        "of largest scores that starts with zeros never goes below. Start with -inf, or leave "
        "the start out (include_self=False).": lambda s, e, n: _edge_softmax(s, e[1], n, least=0.0),
        "You subtract the largest score of all. A node whose scores lie a thousand below gets "
        "0 / 0: subtract the largest of each target, not of all.": _shift_by(Tensor.max),
        "You subtract the largest score of each head. A node whose scores lie a thousand below "
        "gets 0 / 0: subtract the largest of each target.": _shift_by(lambda s: s.amax(0)),
        "The heads share one sum. Each head is a softmax of its own: keep the last dimension when "
        "you add up.": _one_head,
        "You return the exponentials. Divide each by the sum at its target.": lambda s, e, n: (
            s - s.amax(0)
        ).exp(),
        "You divide by the number of edges, not by the sum of exponentials: the mean ignores the "
        "scores.": lambda s, e, n: _edge_softmax(torch.zeros_like(s), e[1], n),
    },
    hints=(
        "Three steps for each target: largest score, exponentials, division by their sum.",
        "scores (E, H) -> sums (N, H) by index_add_ over the targets -> sums[target] is (E, H) "
        "again. The largest: scatter_reduce_(0, index, scores, 'amax').",
        "e = (scores - <largest at the target>).exp()\n"
        "sums = torch.zeros(num_nodes, H).index_add_(0, <targets>, e)\nreturn e / <sum at target>",
    ),
    minutes=12,
    difficulty=3,
)


# ---------------------------------------------------------------- normalisation of the GCN


def _gcn(edge_index: Tensor, num_nodes: int, power=(-0.5, -0.5), loop=True, count=True) -> Tensor:
    loops = torch.arange(num_nodes).expand(2, -1)
    full = torch.cat([edge_index, loops], 1)
    source, target = full if loop else edge_index
    degree = torch.bincount((full if count else edge_index)[1], minlength=num_nodes)
    degree = degree.clamp(min=1).float()
    left, right = degree ** power[0], degree ** power[1]
    matrix = torch.zeros(num_nodes, num_nodes)
    matrix[target, source] = left[target] * right[source]
    return matrix


def _plain_gcn(edge_index: Tensor, num_nodes: int, loop: bool, caught: bool = False) -> Tensor:
    matrix = torch.zeros(num_nodes, num_nodes)
    matrix[edge_index[1], edge_index[0]] = 1
    scale = matrix.sum(1) ** -0.5
    scale = torch.where(scale.isinf(), 0.0, scale) if caught else scale
    matrix = matrix + torch.eye(num_nodes) if loop else matrix
    return scale[:, None] * matrix * scale


def _graphs() -> list[tuple[Tensor, int]]:
    path = torch.tensor([[0, 1], [1, 0]])
    star = torch.tensor([[0, 1, 0, 2, 0, 3], [1, 0, 2, 0, 3, 0]])
    tail = torch.tensor([[0, 1, 1, 2, 2, 3, 1, 3], [1, 0, 2, 1, 3, 2, 3, 1]])
    return [(path, 2), (path, 3), (star, 4), (tail, 5)]


gcn_weights = Exercise(
    "citation-graphs/gcn-weights",
    _gcn,
    _graphs,
    {
        "The rows sum to one: you divide by the degree of the target alone. The GCN shares the "
        "division out, a root for either end.": lambda e, n: _gcn(e, n, (-1.0, 0.0)),
        "You divide by the product of the two degrees, without the root. Edges between papers "
        "with many links become too weak.": lambda e, n: _gcn(e, n, (-1.0, -1.0)),
        "The loops are missing: the diagonal is zero, and a paper forgets itself in each "
        "layer.": lambda e, n: _gcn(e, n, loop=False),
        "The loops are there, but the degrees were counted before they were added. Every degree "
        "is one too small.": lambda e, n: _gcn(e, n, count=False),
        "No loop was added: the diagonal is zero, the degrees are too small, and a paper without "
        "links divides by zero.": lambda e, n: _plain_gcn(e, n, loop=False),
        "No loop was added, neither to the table nor to the degrees. You caught the division by "
        "zero; with the loops it cannot happen.": lambda e, n: _gcn(e, n, loop=False, count=False),
        "You count the degrees before you add the loops, so a paper without links divides by "
        "zero. First the loops, then the row sums.": lambda e, n: _plain_gcn(e, n, loop=True),
        "You count the degrees before you add the loops, and a paper without links loses its loop "
        "with its division by zero. First the loops, then the row sums.": lambda e, n: _plain_gcn(
            e, n, loop=True, caught=True
        ),
        "You multiply by the roots of the degrees instead of dividing: papers with many links "
        "drown all others.": lambda e, n: _gcn(e, n, (0.5, 0.5)),
        "This is the plain adjacency with loops. The division by the roots of the degrees is "
        "still to come.": lambda e, n: _gcn(e, n, (0.0, 0.0)),
        "You divide by the degree of the source alone: the columns sum to one. The matrix should "
        "be symmetric.": lambda e, n: _gcn(e, n, (0.0, -1.0)),
    },
    hints=(
        "First A + I as a dense table, then its row sums: they are the degrees.",
        "A[target, source] = 1, (N, N); degree (N,); scale = degree ** -0.5, (N,). Each entry is "
        "multiplied by the scale of its row and by that of its column.",
        "A = <table of ones at the edges> + torch.eye(N)\nscale = A.sum(1) ** -0.5\n"
        "return scale[:, None] * A * <the scale of the columns>",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- early stopping


def _early(losses, accuracies, patience, *, either=True, strict=False, kept="both", late=False):
    least, most, waited, best = float("inf"), 0.0, 0, 0
    for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
        lower = loss < least if strict else loss <= least
        higher = accuracy > most if strict else accuracy >= most
        resets = (lower or higher) if either is True else (lower if either == "loss" else higher)
        if either == "and":
            resets = lower and higher
        waited = 0 if resets else waited + 1
        keep = {
            "both": lower and higher,
            "either": lower or higher,
            "loss": lower,
            "accuracy": higher,
            "last": True,
        }[kept]
        best = epoch if keep else best
        if keep or not late:
            least, most = min(loss, least), max(accuracy, most)
        if waited == patience:
            return best, epoch
    return best, len(losses) - 1


def _runs() -> list[tuple[list[float], list[float], int]]:
    generator = torch.Generator().manual_seed(9)
    noise = torch.rand(2, 40, generator=generator)
    losses = [round(1 / (1 + 0.1 * e) + 0.3 * n, 2) for e, n in enumerate(noise[0].tolist())]
    shares = [round(min(0.3 + 0.02 * e, 0.7) + 0.1 * n, 2) for e, n in enumerate(noise[1].tolist())]
    return [
        ([3.0, 2.0, 2.5, 2.6, 2.7], [0.2, 0.4, 0.3, 0.3, 0.2], 2),
        ([3.0, 2.0, 1.0, 2.0, 3.0, 4.0], [0.5, 0.4, 0.3, 0.4, 0.6, 0.5], 2),
        ([2.0, 2.0, 3.0, 2.0, 3.0, 3.0], [0.5, 0.5, 0.4, 0.5, 0.5, 0.4], 3),
        ([3.0, 2.0, 1.0, 0.9, 1.5, 1.6, 1.7], [0.3, 0.4, 0.5, 0.45, 0.5, 0.4, 0.4], 2),
        ([3.0, 2.0, 1.0, 0.5], [0.3, 0.5, 0.4, 0.4], 2),
        (losses, shares, 4),
        (losses, shares, 100),
    ]


early_stop = Exercise(
    "citation-graphs/early-stop",
    _early,
    _runs,
    {
        "You watch the loss alone. Here an epoch with a better accuracy also starts the waiting "
        "anew.": lambda a, b, p: _early(a, b, p, either="loss"),
        "You watch the accuracy alone. Here an epoch with a lower loss also starts the waiting "
        "anew.": lambda a, b, p: _early(a, b, p, either="accuracy"),
        "You look at the losses alone, for going on and for keeping. The accuracies have a say in "
        "both.": lambda a, b, p: _early(a, b, p, either="loss", kept="loss"),
        "You look at the accuracies alone, for going on and for keeping. The losses have a say in "
        "both.": lambda a, b, p: _early(a, b, p, either="accuracy", kept="accuracy"),
        "You keep every epoch in which one of the two is as good as before. One is enough to go "
        "on; to be kept an epoch needs both.": lambda a, b, p: _early(a, b, p, kept="either"),
        "You note the least loss and the greatest accuracy only when an epoch is kept. They are "
        "the best of all epochs before: note them in every epoch.": lambda a, b, p: _early(
            a, b, p, late=True
        ),
        "You go on only when both are better. One of the two is enough to go on; both are needed "
        "to be kept.": lambda a, b, p: _early(a, b, p, either="and"),
        "You keep the epoch with the lowest loss, whatever its accuracy. Kept is an epoch in "
        "which both are at least as good as before.": lambda a, b, p: _early(a, b, p, kept="loss"),
        "You keep the last epoch with the greatest accuracy, whatever its loss. Kept is an epoch "
        "in which both are at least as good as before.": lambda a, b, p: _early(
            a, b, p, kept="accuracy"
        ),
        "You keep the last epoch of all. The waiting is spent on epochs that were not better: go "
        "back to the one that was.": lambda a, b, p: _early(a, b, p, kept="last"),
        "An epoch that is exactly as good counts as better in this rule: compare with <= and "
        ">=.": lambda a, b, p: _early(a, b, p, strict=True),
        "One epoch too many: the run ends with the epoch in which the waiting reaches the "
        "patience.": lambda a, b, p: _early(a, b, p + 1),
        "The pair is the wrong way round: first the epoch that is kept, then the last one that "
        "ran.": lambda a, b, p: _early(a, b, p)[::-1],
    },
    hints=(
        "Go through the epochs with four notes: least loss, most accuracy, epochs waited, best "
        "epoch. Compare before you update the notes.",
        "lower = loss <= least; higher = accuracy >= most. `or` decides whether to go on waiting, "
        "`and` whether to keep.",
        "waited = 0 if <lower or higher> else waited + 1\nif <lower and higher>: best = epoch\n"
        "<update least and most>\nif waited == patience: return best, epoch",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- split


def _order(count: int, seed: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()


def _split(labels: Tensor, per_class: int, seed: int, *, unknown=False, first=False, total=None):
    names = labels.tolist()
    order = list(range(len(labels))) if first else _order(len(labels), seed)
    taken: dict[int, int] = {}
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for paper in order:
        name = names[paper]
        if name < 0 and not unknown:
            continue
        if total is not None:
            if int(mask.sum()) < total:
                mask[paper] = True
        elif taken.get(name, 0) < per_class:
            taken[name] = taken.get(name, 0) + 1
            mask[paper] = True
    return mask


def _no_seed(labels: Tensor, per_class: int, seed: int) -> Tensor:
    return _split(labels, per_class, seed + 1)


def _total(labels: Tensor, per_class: int, seed: int) -> Tensor:
    return _split(labels, per_class, seed, total=per_class * int(labels.max() + 1))


def _class_by_class(labels: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([choose(labels == c) for c in range(int(labels.max()) + 1)])


def _masked(labels: Tensor, papers: Tensor) -> Tensor:
    return torch.zeros(len(labels), dtype=torch.bool).index_fill_(0, papers, True)


def _wrong_places(labels: Tensor, per_class: int, seed: int) -> Tensor:
    order = torch.tensor(_order(len(labels), seed))
    return _masked(labels, _class_by_class(labels, lambda of: order[of][:per_class]))


def _numbers(labels: Tensor, per_class: int, seed: int) -> Tensor:
    order = torch.tensor(_order(len(labels), seed))
    return _class_by_class(labels, lambda of: order[of[order]][:per_class])


def _anew(labels: Tensor, per_class: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)

    def choose(of: Tensor) -> Tensor:
        order = torch.randperm(len(labels), generator=generator)
        return order[of[order]][:per_class]

    return _masked(labels, _class_by_class(labels, choose))


def _within(labels: Tensor, per_class: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)

    def choose(of: Tensor) -> Tensor:
        papers = of.nonzero()[:, 0]
        return papers[torch.randperm(len(papers), generator=generator)][:per_class]

    return _masked(labels, _class_by_class(labels, choose))


def _labels() -> list[tuple[Tensor, int, int]]:
    small = torch.tensor([0, 1, 0, 1, 0, 1])
    some = torch.tensor([2, 0, 1, -1, 2, 0, 1, 0, 0, -1, 2, 1, 0, 0])
    many = torch.randint(-1, 4, (60,), generator=torch.Generator().manual_seed(4))
    return [(small, 1, 0), (some, 2, 1), (some, 2, 2), (many, 5, 3)]


seeded_split = Exercise(
    "citation-graphs/seeded-split",
    _split,
    _labels,
    {
        "You take the first papers of each class as they stand in the file, whatever the seed. "
        "Go through them in the order of the permutation.": lambda labels, k, seed: _split(
            labels, k, seed, first=True
        ),
        "The number of papers is right in all, but not in each class. Count class by class: rare "
        "subjects would else have next to none.": _total,
        "A paper with the label -1 has no known subject. It cannot be trained on: leave it "
        "out.": lambda labels, k, seed: _split(labels, k, seed, unknown=True),
        "You return the numbers of the papers. Wanted is a mask, one boolean for each "
        "paper.": lambda labels, k, seed: _split(labels, k, seed).nonzero()[:, 0],
        "You return the numbers of the papers, class by class. Wanted is a mask (N,), one boolean "
        "for each paper: start with False and set theirs.": _numbers,
        "The papers are of other classes than you think: `order[labels == c]` asks for the labels "
        "in the order of the file. Ask labels[order].": _wrong_places,
        "You draw a new permutation for each class. One is drawn, before the loop, and every "
        "class goes through it.": _anew,
        "You permute the papers of each class by themselves. One permutation of all papers is "
        "drawn, and every class goes through it.": _within,
        "The mask is upside down: True should mark the papers that are trained "
        "on.": lambda labels, k, seed: ~_split(labels, k, seed),
        "The papers are another random choice than asked for. Draw once, "
        "torch.randperm(len(labels)), from a generator with this very seed.": _no_seed,
    },
    hints=(
        "Go through the papers in random order, and take one while its class still needs some.",
        "order = torch.randperm(len(labels), generator=...) -> (N,); for each class, "
        "labels[order] == c says where its papers stand in that order.",
        "for c in range(<number of classes>):\n    papers = order[labels[order] == c][:per_class]\n"
        "    mask[papers] = True",
    ),
    minutes=10,
)
