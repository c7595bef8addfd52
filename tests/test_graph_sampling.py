"""Sampled neighbourhoods: exact where nothing is left out, fair where something is."""

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, normal

from attnlib.graph import GAT, GATConv, NeighbourLoader, sample_neighbours
from attnlib.training import evaluate, fit

N, E, F, C = 23, 61, 5, 3
PROPERTY = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def graph(num_nodes=N, num_edges=E, seed=0):
    return torch.randint(num_nodes, (2, num_edges), generator=generator(seed))


@st.composite
def problems(draw):
    num_nodes, num_edges, seed = (draw(st.integers(1, n)) for n in (12, 40, 10**6))
    seeds = torch.tensor(draw(st.lists(st.integers(0, num_nodes - 1), min_size=1, max_size=5)))
    fanouts = draw(st.lists(st.sampled_from([-1, 1, 2, 3]), min_size=1, max_size=3))
    return graph(num_nodes, num_edges, seed), num_nodes, seeds, fanouts


@PROPERTY
@given(problem=problems())
def test_a_sample_is_a_part_of_the_graph_in_its_own_numbers(problem):
    edge_index, num_nodes, seeds, fanouts = problem
    got = sample_neighbours(edge_index, num_nodes, seeds, fanouts, generator=generator())
    assert torch.equal(got.nodes[got.seeds], seeds)
    assert len(got.nodes.unique()) == len(got.nodes)
    assert torch.equal(got.nodes[got.edge_index], edge_index[:, got.edges])
    assert len(got.edges.unique()) == len(got.edges)


@PROPERTY
@given(problem=problems(), fanout=st.integers(1, 4))
def test_one_round_draws_as_many_edges_as_there_are_up_to_the_fanout(problem, fanout):
    edge_index, num_nodes, seeds, _ = problem
    got = sample_neighbours(edge_index, num_nodes, seeds, [fanout], generator=generator())
    for seed in seeds.unique().tolist():
        degree = int((edge_index[1] == seed).sum())
        drawn = int((edge_index[1, got.edges] == seed).sum())
        assert drawn == min(degree, fanout)


@PROPERTY
@given(problem=problems())
def test_with_all_neighbours_the_outputs_at_the_seeds_are_those_of_the_whole_graph(problem):
    edge_index, num_nodes, seeds, fanouts = problem
    x = normal(generator(1), num_nodes, F)
    torch.manual_seed(0)
    model = GAT(F, 4, len(fanouts), C, heads=2).double()
    got = sample_neighbours(edge_index, num_nodes, seeds, [-1] * len(fanouts))
    part = model(x[got.nodes], got.edge_index)[got.seeds]
    torch.testing.assert_close(part, model(x, edge_index)[seeds])


def test_features_of_sampled_edges_are_found_by_their_numbers():
    x, edge_attr = normal(generator(1), N, F), normal(generator(2), E, 2)
    layer = GATConv(F, C, edge_dim=2).double()
    got = sample_neighbours(graph(), N, torch.tensor([4, 9]), [-1])
    part = layer(x[got.nodes], got.edge_index, edge_attr[got.edges])[got.seeds]
    torch.testing.assert_close(part, layer(x, graph(), edge_attr)[[4, 9]])


def test_every_edge_of_a_node_is_drawn_equally_often():
    edge_index = torch.stack([torch.arange(1, 8), torch.zeros(7, dtype=torch.long)])
    g, counts = generator(), torch.zeros(7)
    for _ in range(1400):
        got = sample_neighbours(edge_index, 8, torch.tensor([0]), [3], generator=g)
        counts[got.edges] += 1
    assert counts.sum() == 3 * 1400
    torch.testing.assert_close(counts, torch.full((7,), 600.0), atol=75, rtol=0)  # 4 deviations


def test_a_mean_over_sampled_neighbours_has_the_mean_over_all_as_its_expected_value():
    edge_index, value, g = graph(7, 50), normal(generator(1), 7), generator()
    node = int(edge_index[1].mode().values)
    everyone = value[edge_index[0, edge_index[1] == node]]
    means = []
    for _ in range(1500):
        got = sample_neighbours(edge_index, 7, torch.tensor([node]), [4], generator=g)
        means.append(value[edge_index[0, got.edges]].mean())
    error = everyone.std() / (4 * 1500) ** 0.5
    assert abs(torch.stack(means).mean() - everyone.mean()) < 4 * error


def test_a_generator_repeats_a_sample_and_none_uses_that_of_torch():
    seeds = torch.arange(9)

    def sample(g):
        return sample_neighbours(graph(), N, seeds, [1, 1], generator=g).edges

    assert torch.equal(sample(generator(3)), sample(generator(3)))
    torch.manual_seed(4)
    first = sample(None)
    torch.manual_seed(4)
    assert torch.equal(sample(None), first)


def test_a_loader_goes_over_all_seeds_once_a_pass():
    seeds = torch.arange(3, 20)
    loader = NeighbourLoader(graph(), N, seeds, [2, 1], batch_size=5)
    batches = list(loader)
    assert len(loader) == len(batches) == 4
    assert torch.equal(torch.cat([b.nodes[b.seeds] for b in batches]), seeds)
    mixed = NeighbourLoader(
        graph(), N, seeds, [2, 1], batch_size=5, shuffle=True, generator=generator()
    )
    first, second = (torch.cat([b.nodes[b.seeds] for b in mixed]) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, seeds)


def test_a_model_learns_from_samples_with_fit():
    torch.manual_seed(0)
    x = normal(generator(1), N, F, dtype=torch.float32)
    label = (x[:, 0] > 0).long()
    model, seeds = GAT(F, 8, 2, 2, heads=2), torch.arange(N)

    def loss_fn(model, batch):
        output = model(x[batch.nodes], batch.edge_index)[batch.seeds]
        target = label[batch.nodes[batch.seeds]]
        return torch.nn.functional.cross_entropy(output, target), len(target)

    loader = NeighbourLoader(
        graph(), N, seeds, [3, 3], batch_size=7, shuffle=True, generator=generator()
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    history = fit(model, loader, loss_fn, optimizer, epochs=40, progress=False)
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    whole = [NeighbourLoader(graph(), N, seeds, [-1, -1], batch_size=n) for n in (4, N)]
    losses = [evaluate(model, loader, {"loss": loss_fn})["loss"] for loader in whole]
    assert abs(losses[0] - losses[1]) < 1e-5


def sample(edge_index=None, num_nodes=N, seeds=None, fanouts=(2,)):
    edge_index = graph() if edge_index is None else edge_index
    seeds = torch.tensor([1]) if seeds is None else seeds
    return lambda: sample_neighbours(edge_index, num_nodes, seeds, fanouts)


def load(**options):
    options = {"seeds": torch.arange(5), "fanouts": [2], "batch_size": 2} | options
    seeds, fanouts = options.pop("seeds"), options.pop("fanouts")
    return lambda: NeighbourLoader(graph(), N, seeds, fanouts, **options)


ERRORS = [
    (sample(num_nodes=0), ValueError, "sample_neighbours: got num_nodes=0"),
    (sample(num_nodes=9), ValueError, r"\(sources\) holds numbers .* expected 0 to 8"),
    (sample(edge_index=graph().T), ValueError, r"expected \(2, E\)"),
    (sample(edge_index=graph().float()), TypeError, "is torch.float32, expected integers"),
    (sample(seeds=torch.tensor([N])), ValueError, "seeds holds numbers from 23 to 23"),
    (sample(seeds=torch.tensor([-1])), ValueError, "seeds holds numbers from -1"),
    (sample(seeds=torch.tensor([1.0])), TypeError, "seeds is torch.float32"),
    (sample(seeds=torch.tensor(1)), ValueError, r"seeds has shape \(\)"),
    (sample(seeds=[1]), TypeError, "seeds is a list"),
    (sample(fanouts=[]), ValueError, "got no fanouts, expected one for each layer"),
    (sample(fanouts=[2, 0]), ValueError, "got fanout=0"),
    (sample(fanouts=[-2]), ValueError, "got fanout=-2"),
    (sample(fanouts=[2.0]), TypeError, "fanout is a float"),
    (load(batch_size=0), ValueError, "NeighbourLoader: got batch_size=0"),
    (load(seeds=torch.arange(0)), ValueError, "got no seeds, expected at least one"),
    (load(seeds=torch.tensor([N])), ValueError, "NeighbourLoader: seeds holds"),
    (load(fanouts=[]), ValueError, "NeighbourLoader: got no fanouts"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
