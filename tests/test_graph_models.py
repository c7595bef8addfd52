"""The GAT model against PyTorch Geometric's, with dense and sparse features."""

import pytest
import torch
from errors import check_error
from oracles import generator, gradients, normal
from test_graph_convolution import graph, pyg, randomise

from attnlib.graph import GAT
from attnlib.graph import _sparse as sparse
from attnlib.training import fit

N, E, F, HIDDEN, H, C, D = 11, 37, 5, 6, 3, 7, 2


def features(share=0.4):
    g = generator(1)
    return normal(g, N, F) * (torch.rand(N, F, generator=g) < share)


@pytest.mark.parametrize("v2", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("edge_dim", [None, D])
def test_a_model_equals_that_of_pyg_and_its_numbers_go_both_ways(v2, num_layers, edge_dim):
    ours = randomise(GAT(F, HIDDEN, num_layers, C, H, edge_dim=edge_dim, v2=v2).double())
    theirs = pyg.GAT(F, HIDDEN, num_layers, C, act="elu", heads=H, edge_dim=edge_dim, v2=v2)
    theirs.double().load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    edge_attr = None if edge_dim is None else normal(generator(2), E, D)
    expected = theirs(features(), graph(), edge_attr=edge_attr)
    torch.testing.assert_close(ours(features(), graph(), edge_attr), expected)


def test_an_output_depends_on_nodes_as_far_away_as_there_are_layers():
    path = torch.stack([torch.arange(9), torch.arange(1, 10)])
    x = normal(generator(), 10, F).requires_grad_()
    for num_layers in (1, 2, 3):
        model = randomise(GAT(F, HIDDEN, num_layers, C, H).double())
        (grad,) = torch.autograd.grad(model(x, path)[9].square().sum(), x)
        assert grad.any(1).tolist() == [False] * (9 - num_layers) + [True] * (num_layers + 1)


def test_heads_of_the_last_layer_can_be_chosen():
    assert GAT(F, HIDDEN, 2, C, H, output_heads=1).convs[1].att_src.shape == (1, 1, C)
    assert GAT(F, HIDDEN, 2, C, H).convs[1].att_src.shape == (1, H, C)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_model_drops_features_and_weights_while_training_only(kind):
    torch.manual_seed(0)
    model = randomise(GAT(F, HIDDEN, 2, C, H, dropout=0.5).double())
    x = features().to_sparse_coo() if kind == "sparse" else features()
    assert all(conv.dropout == 0.5 for conv in model.convs)
    assert not torch.equal(model(x, graph()), model(x, graph()))
    expected = model.eval()(features(), graph())
    torch.testing.assert_close(model(x, graph()), expected)
    for conv in model.convs:
        conv.dropout = 0.0
    model.train()
    assert not torch.equal(model(x, graph()), expected)  # features are dropped without weights


@pytest.mark.parametrize("kind", ["float64", "half", "needs a gradient"])
def test_dropout_of_sparse_features_zeroes_a_share_and_scales_up_the_rest(kind):
    torch.manual_seed(0)
    x = torch.eye(3000, dtype=torch.half if kind == "half" else torch.float64).to_sparse_coo()
    x.requires_grad_(kind == "needs a gradient")
    dropped = sparse.feature_dropout(x, 0.3, True)
    assert sparse.is_sparse(dropped) == (kind == "float64")
    diagonal = dropped.to_dense().detach().diagonal()
    assert abs((diagonal == 0).double().mean() - 0.3) < 0.03
    assert abs(diagonal.max() - 1 / 0.7) < 1e-3
    assert sparse.feature_dropout(x, 0.3, False) is x
    assert sparse.feature_dropout(x, 0.0, True) is x


def test_sparse_features_that_need_a_gradient_get_one():
    model = randomise(GAT(F, HIDDEN, 2, C, H).double())
    dense, x = features().requires_grad_(), features().to_sparse_coo().requires_grad_()
    (grad,) = gradients(model(x, graph()), [x])
    (expected,) = gradients(model(dense, graph()), [dense])
    torch.testing.assert_close(grad.to_dense(), expected * (features() != 0))


def test_sparse_features_that_are_written_to_are_read_again():
    model, x = randomise(GAT(F, HIDDEN, 1, C, H).double()), features().to_sparse_coo()
    model(x, graph())
    x.mul_(2)
    torch.testing.assert_close(model(x, graph()), model(2 * features(), graph()))


def test_a_model_learns_what_only_the_neighbours_know():
    torch.manual_seed(0)
    kind = torch.arange(20) % 2
    x = torch.cat([torch.nn.functional.one_hot(kind, 2), torch.zeros(20, 2)]).float()
    edge_index = torch.stack([torch.arange(20), torch.arange(20, 40)])  # to nodes that know nothing
    model = GAT(2, 8, 2, 2, heads=2)

    def loss_fn(model, batch):
        output = model(batch[0], batch[1])[20:]
        return torch.nn.functional.cross_entropy(output, kind), len(kind)

    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    history = fit(model, [(x, edge_index)], loss_fn, optimizer, epochs=60, progress=False)
    assert history[-1]["loss"] < 0.05


def test_a_model_draws_new_weights():
    model = GAT(F, HIDDEN, 2, C, H)
    before = model.convs[0].lin.weight.detach().clone()
    model.reset_parameters()
    assert not torch.equal(model.convs[0].lin.weight, before)


ERRORS = [
    (lambda: GAT(0, HIDDEN, 2, C), ValueError, "GAT: got in_channels=0"),
    (lambda: GAT(F, 0, 2, C), ValueError, "got hidden_channels=0"),
    (lambda: GAT(F, HIDDEN, 0, C), ValueError, "got num_layers=0"),
    (lambda: GAT(F, HIDDEN, 2, 0), ValueError, "got out_channels=0"),
    (lambda: GAT(F, HIDDEN, 2, C, 0), ValueError, "got heads=0"),
    (lambda: GAT(F, HIDDEN, 2, C, output_heads=0), ValueError, "got output_heads=0"),
    (lambda: GAT(F, HIDDEN, 2, C, 4), ValueError, "got hidden_channels=6 and heads=4, expected"),
    (lambda: GAT(F, HIDDEN, 2, C, dropout=1.0), ValueError, "got dropout=1.0"),
    (lambda: GAT(F, HIDDEN, 2, C)(torch.zeros(N, 2), graph()), ValueError, r"\(11, 2\)"),
    (lambda: GAT(F, HIDDEN, 2, C)(torch.zeros(N, F), graph().T), ValueError, r"expected \(2, E\)"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
