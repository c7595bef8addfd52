"""attnlib.recording: maps of graphs and of time, and layers that others write."""

import math

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.utils.capture import capture_output
from oracles import coin, generator, normal
from torch import nn

from attnlib.functional import edge_softmax, masked_softmax
from attnlib.recording import AttentionMap, record_attention

B, H, L, S, N, E = 2, 3, 5, 7, 11, 29
PROPERTY = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def shares(*shape, seed=0):
    return masked_softmax(normal(generator(seed), *shape))


def edges(seed=0, nodes=N, count=E):
    return torch.randint(nodes, (2, count), generator=generator(seed))


def graph_map(seed=0, heads=(H,), **options):
    """Random edges, some of them twice, some nodes without any."""
    edge_index = edges(seed)
    scores = normal(generator(seed), E, *heads)
    weights = edge_softmax(scores, edge_index[1], N)
    return AttentionMap(weights, kind="graph", edge_index=edge_index, **{"num_nodes": N, **options})


def loop_dense(m):
    """(H, N, N), one edge and one head at a time."""
    weights = m.weights.reshape(E, -1)
    dense = torch.zeros(weights.shape[1], N, N, dtype=weights.dtype)
    for e, (source, target) in enumerate(m.edge_index.T.tolist()):
        for h in range(weights.shape[1]):
            dense[h, target, source] += weights[e, h]
    return dense


# ---------------------------------------------------------------- graphs


@pytest.mark.parametrize("heads", [(), (H,)], ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_graph_map_reads_like_the_matrix_that_it_stands_for(heads, seed):
    m = graph_map(seed, heads)
    dense = loop_dense(m).mean(0)
    torch.testing.assert_close(m.dense(), dense)
    assert m.shape == (N, N)
    for i in range(N):
        assert m.edge(i, 3) == pytest.approx(dense[i, 3].item())
        expected = dense[i].sort(descending=True).values.tolist()
        assert [w for _, w in m.top(i, N)] == pytest.approx(expected)
    target, source = (dense == dense.max()).nonzero()[0].tolist()
    assert m.top(target)[0][0] == str(source)
    assert m.edge(-1, -1) == pytest.approx(dense[-1, -1].item())


def test_the_row_of_a_graph_map_is_a_target_and_the_column_a_source():
    edge_index = torch.tensor([[0], [1]])  # 0 -> 1: node 1 attends to node 0
    m = AttentionMap(torch.ones(1), kind="graph", edge_index=edge_index)
    assert m.dense().tolist() == [[0, 0], [1, 0]]
    assert (m.edge(1, 0), m.edge(0, 1)) == (1, 0)


def test_a_bipartite_graph_has_targets_and_sources_of_its_own():
    edge_index = torch.tensor([[4, 0, 4], [0, 1, 1]])
    weights = torch.tensor([1.0, 0.25, 0.75])
    m = AttentionMap(weights, "ab", "vwxyz", "graph", edge_index, (2, 5))
    assert m.shape == (2, 5)
    assert m.top(1) == [("z", 0.75)]
    assert m.dense().tolist() == [[0, 0, 0, 0, 1], [0.25, 0, 0, 0, 0.75]]


def test_the_entropy_of_a_node_is_that_of_the_edges_into_it():
    m = graph_map()
    entropy = m.entropy()
    assert entropy.shape == (H, N)
    for h in range(H):
        for i in range(N):
            into = m.weights[m.edge_index[1] == i, h]
            expected = -(into * into.log()).sum() if len(into) else torch.tensor(0.0)
            assert entropy[h, i].item() == pytest.approx(expected.item())
    assert m.head(1).entropy().shape == (N,)
    torch.testing.assert_close(m.head(1).entropy(), entropy[1])


@pytest.mark.parametrize("heads", [(), (H,)], ids=str)
def test_the_mass_on_edges_equals_that_on_a_matrix(heads):
    m = graph_map(heads=heads)
    right = coin(generator(3), E, share=0.3)
    rows, into = [], m.edge_index[1]
    for weights in m.weights.reshape(E, -1).T:
        for i in range(N):
            if right[into == i].any():
                rows.append(weights[(into == i) & right].sum().item())
    expected = sum(rows) / len(rows)
    assert m.mass_on(right) == pytest.approx(expected)
    assert m.mass_on(right.double()) == pytest.approx(expected)
    matrix = coin(generator(4), N, N, share=0.5)
    by_edge = torch.stack([matrix[t, s] for s, t in m.edge_index.T])
    assert m.mass_on(matrix) == pytest.approx(m.mass_on(by_edge))


@given(st.permutations(range(E)))
@PROPERTY
def test_the_order_of_the_edges_does_not_matter(order):
    m, order = graph_map(), torch.tensor(order)
    other = AttentionMap(m.weights[order], None, None, "graph", m.edge_index[:, order], N)
    torch.testing.assert_close(other.dense(), m.dense())
    torch.testing.assert_close(other.entropy(), m.entropy())
    torch.testing.assert_close(other.reach(), m.reach())
    assert other.describe(N) == m.describe(N)


def test_a_graph_without_a_number_of_nodes_ends_at_its_last_edge():
    edge_index = torch.tensor([[0, 3], [1, 1]])
    m = AttentionMap(torch.ones(2) / 2, kind="graph", edge_index=edge_index)
    assert m.shape == (4, 4)
    assert AttentionMap(torch.ones(2) / 2, None, None, "graph", edge_index, 6).shape == (6, 6)


def test_a_graph_is_drawn_as_a_graph_and_a_bipartite_one_as_a_matrix():
    bipartite = AttentionMap(
        torch.ones(1), kind="graph", edge_index=torch.tensor([[4], [0]]), num_nodes=(2, 5)
    )
    for m in (graph_map(), bipartite):
        with capture_output(display=False) as captured:
            m.plot()
        assert captured.stdout == f"{m.describe()}\n"


# ---------------------------------------------------------------- time, and all kinds


def test_reach_is_the_mean_distance_of_what_is_attended():
    weights = shares(H, L, S)
    times = torch.tensor([0.0, 0.5, 2.0, 3.0, 7.0, 8.0, 13.0])
    m = AttentionMap(weights)
    expected = [
        [sum(row[j].item() * abs(times[i + 2] - times[j]).item() for j in range(S))
         for i, row in enumerate(matrix)]
        for matrix in weights
    ]  # fmt: skip
    torch.testing.assert_close(m.reach(times), torch.tensor(expected, dtype=torch.float64))
    own = torch.tensor([20.0, 21.0, 22.0, 23.0, 24.0])
    torch.testing.assert_close(m.reach(times, own)[:, 0], 20 - weights[:, 0] @ times.double())
    temporal = AttentionMap(weights, kind="temporal")
    torch.testing.assert_close(temporal.reach(times, query_times=own), m.reach(times, own))


def test_without_times_reach_counts_positions_and_hops():
    assert AttentionMap(torch.eye(L)).reach().tolist() == [0] * L
    back = AttentionMap(torch.eye(L).roll(-1, 1))  # each one the position before
    assert back.reach().tolist() == [4, 1, 1, 1, 1]
    m = graph_map()
    loops = m.edge_index[0] == m.edge_index[1]
    on_others = AttentionMap(
        (m.weights * ~loops[:, None]).mean(1), None, None, "graph", m.edge_index, N
    )
    torch.testing.assert_close(m.reach().mean(0), on_others.dense().sum(1))
    place = torch.arange(N).double() ** 2
    torch.testing.assert_close(m.reach(place).mean(0), AttentionMap(m.dense()).reach(place))


def test_the_mean_of_a_batch_is_one_example():
    weights = shares(B, H, L, S)
    m = AttentionMap(weights, keys="abcdefg", kind="cross").mean()
    torch.testing.assert_close(m.weights, weights.mean(0))
    assert (m.keys, m.kind) == ("abcdefg", "cross")


@pytest.mark.parametrize("lead", [(), (H,), (B, H)], ids=str)
def test_the_mass_of_each_head_is_that_of_its_own_map(lead):
    weights, truth = shares(*lead, L, S), coin(generator(1), L, S, share=0.2)
    by_head = AttentionMap(weights).mass_by_head(truth)
    assert by_head.shape == lead[-1:]
    for h, mass in enumerate(by_head.reshape(-1).tolist()):
        one = AttentionMap(weights).head(h) if lead else AttentionMap(weights)
        assert mass == pytest.approx(one.mass_on(truth))


def test_the_mass_of_each_head_may_have_a_truth_of_its_own():
    truth = torch.zeros(H, L, S, dtype=torch.bool)
    truth[0, 0, 1] = truth[1, 2, 3] = True
    weights = shares(H, L, S)
    mass = AttentionMap(weights).mass_by_head(truth).tolist()
    assert mass[:2] == [weights[0, 0, 1].item(), weights[1, 2, 3].item()]
    assert math.isnan(mass[2])
    on_edges = graph_map().mass_by_head(torch.ones(E))
    torch.testing.assert_close(on_edges, torch.ones(H, dtype=torch.float64))


def test_names_are_numbers_where_there_are_none():
    assert AttentionMap(shares(2, 3), keys="abc").names() == (["0", "1"], ["a", "b", "c"])


# ---------------------------------------------------------------- layers of others


class Neighbours(nn.Module):
    """A graph layer as a reader would write it, with the keyword of PyTorch Geometric."""

    weights_flag = "return_attention_weights"

    def forward(self, x, edge_index, return_attention_weights=False):
        source, target = x if isinstance(x, tuple) else (x, x)
        loops = torch.arange(min(len(source), len(target))).expand(2, -1)
        edge_index = torch.cat([edge_index, loops], 1)
        scores = torch.stack([source[edge_index[0], 0], -source[edge_index[0], 1]], 1)
        weights = edge_softmax(scores, edge_index[1], len(target))
        mixed = weights.mean(1, keepdim=True) * source[edge_index[0]]
        output = torch.zeros_like(target).index_add(0, edge_index[1], mixed)
        return (output, (edge_index, weights)) if return_attention_weights else output


class OverTime(nn.Module):
    weights_flag, map_kind = "shares", "temporal"

    def forward(self, x, shares=False):
        weights = masked_softmax(x.sum(-1))[:, None, None]
        output = (weights[:, 0] @ x)[:, 0]
        return (output, weights) if shares else output


@pytest.mark.parametrize("asked", [False, True])
def test_a_graph_layer_is_recorded_on_its_edges(asked):
    layer, x, edge_index = Neighbours(), normal(generator(), N, 2), edges()
    plain = layer(x, edge_index, return_attention_weights=asked)
    with record_attention(nn.ModuleDict({"a": layer})) as maps:
        result = layer(x, edge_index, return_attention_weights=asked)
        layer(x=x, edge_index=edge_index)
    torch.testing.assert_close(result, plain)
    assert list(maps) == ["a", "a#2"]
    for m in maps.values():
        assert (m.kind, m.shape, m.weights.shape) == ("graph", (N, N), (E + N, 2))
        torch.testing.assert_close(m.dense().sum(1), torch.ones(N, dtype=torch.float64))
        assert not m.weights.requires_grad


def test_a_bipartite_graph_layer_is_recorded_with_both_sizes():
    g = generator()
    x, edge_index = (normal(g, S, 2), normal(g, L, 2)), edges(nodes=L)
    layer = Neighbours()
    with record_attention(layer) as maps:
        layer(x, edge_index)
    assert maps[""].shape == (L, S)


def test_a_layer_may_name_the_kind_of_its_maps():
    layer, x = OverTime(), normal(generator(), B, S, 2)
    with record_attention(layer) as maps:
        output = layer(x)
    assert maps[""].kind == "temporal"
    torch.testing.assert_close(output, (maps[""].weights[:, 0] @ x)[:, 0])


# ---------------------------------------------------------------- errors


def on_graph(weights=(E,), edge_index=None, **options):
    edge_index = edges() if edge_index is None else edge_index
    options = {"kind": "graph", "num_nodes": N, **options}
    return lambda: AttentionMap(torch.ones(weights), edge_index=edge_index, **options)


def of(m, method, *args):
    return lambda: getattr(m, method)(*args)


one_head = graph_map(heads=())
wide = AttentionMap(shares(L, S), kind="cross")

ERRORS = [
    (on_graph(edge_index=[[0], [1]]), TypeError, "edge_index is list, expected torch.int64"),
    (on_graph(edge_index=edges().int()), TypeError, "edge_index is torch.int32"),
    (on_graph(edge_index=edges().T), ValueError, r"weights has shape \(29,\) and edge_index"),
    (on_graph((E, H, 2)), ValueError, r"\(29, 3, 2\) and edge_index \(2, 29\)"),
    (on_graph((0,), edges(count=0)), ValueError, "none empty"),
    (on_graph(edge_index=edges().to("meta")), ValueError, "weights on cpu and edge_index on meta"),
    (on_graph(num_nodes=N - 3), ValueError, "expected them below num_nodes=8"),
    (on_graph(num_nodes=(N, 4)), ValueError, r"num_nodes=\(11, 4\); give num_nodes as"),
    (on_graph(num_nodes=(4, N)), ValueError, r"num_nodes=\(4, 11\); give num_nodes as"),
    (on_graph(edge_index=-edges()), ValueError, "edge_index has node numbers -"),
    (on_graph(kind="self"), ValueError, "got kind='self', expected one of"),
    (on_graph(queries="ab"), ValueError, "got 2 names of queries, expected 11"),
    (of(one_head, "head", 0), ValueError, r"AttentionMap.head: weights has shape \(29,\)"),
    (of(graph_map(), "head", 3), ValueError, "got index=3, expected 0 to 2"),
    (of(graph_map(), "example", 0), ValueError, r"\(29, 3\), expected a batch"),
    (of(wide, "mean"), ValueError, "AttentionMap.mean: weights has shape"),
    (of(wide, "top", L), ValueError, "got index=5, expected 0 to 4"),
    (of(graph_map(), "edge", -N - 1, 0), ValueError, "got index=-12, expected 0 to 10"),
    (of(wide, "reach"), ValueError, r"got times \(7,\) and query_times None, expected \(7,\)"),
    (of(wide, "reach", torch.ones(3), torch.ones(5)), ValueError, r"got times \(3,\)"),
    (of(wide, "reach", None, torch.ones(5, 1)), ValueError, r"query_times \(5, 1\)"),
    (of(one_head, "mass_on", torch.ones(3)), ValueError, r"truth has shape \(3,\)"),
    (of(one_head, "mass_on", torch.ones(2, 2)), ValueError, r"truth has shape \(2, 2\)"),
    (of(one_head, "mass_by_head", torch.zeros(E)), ValueError, "mass_by_head: truth marks no"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
