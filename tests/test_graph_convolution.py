"""GATConv and GATv2Conv against PyTorch Geometric, in value and gradient, and against mistakes."""

import itertools
import warnings

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, gradients, normal
from torch.autograd import gradcheck, gradgradcheck

from attnlib.functional import edge_softmax
from attnlib.graph import GATConv, GATv2Conv
from attnlib.graph import _additive as additive
from attnlib.graph import _kernels as kernels
from attnlib.graph import _sparse as sparse
from attnlib.graph import _structure as structure

with warnings.catch_warnings():  # it is made with what torch calls deprecated
    warnings.simplefilter("ignore")
    import torch_geometric.nn as pyg

N, E, F, C, H, D = 11, 37, 5, 7, 3, 2
BOTH = pytest.mark.parametrize("which", [0, 1], ids=["GATConv", "GATv2Conv"])
OURS, THEIRS = (GATConv, GATv2Conv), (pyg.GATConv, pyg.GATv2Conv)
PROPERTY = settings(max_examples=25, deadline=None, derandomize=True, database=None)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def graph(num_nodes=N, num_edges=E, num_targets=None, seed=0):
    """Edges in any order, with loops and repeats; the last two nodes are isolated."""
    g = generator(seed)
    sizes = num_nodes - 2, (num_nodes if num_targets is None else num_targets) - 2
    return torch.stack([torch.randint(size, (num_edges,), generator=g) for size in sizes])


def randomise(layer, seed=3):
    g = generator(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(g, *parameter.shape))
    return layer


def twins(which, *args, **options):
    """Our layer and PyG's with one set of numbers, carried over and back."""
    ours = randomise(OURS[which](*args, **options).double())
    theirs = THEIRS[which](*args, **options).double()
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def numbers(*shape, seed=5, dtype=torch.float64):
    return normal(generator(seed), *shape, dtype=dtype).requires_grad_()


def assert_equal(ours, theirs, leaves, *inputs):
    """The same output, weights, and gradients of both in inputs and parameters."""
    output, (edges, weights) = ours(*inputs, return_attention_weights=True)
    expected, (edges_, weights_) = theirs(*inputs, return_attention_weights=True)
    assert torch.equal(edges, edges_)
    torch.testing.assert_close(output, expected, **EXACT)
    torch.testing.assert_close(weights, weights_, **EXACT)
    names = dict(ours.named_parameters())
    own = [*leaves, *names.values()]
    other = [*leaves, *(dict(theirs.named_parameters())[name] for name in names)]
    both = torch.cat([output.flatten(), weights.flatten()])
    both_ = torch.cat([expected.flatten(), weights_.flatten()])
    for got, wanted in zip(gradients(both, own), gradients(both_, other), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-10)


# ---------------------------------------------------------------- the oracle


OPTIONS = [
    {},
    {"concat": False},
    {"negative_slope": 0.7},
    {"negative_slope": -0.3},
    {"add_self_loops": False},
    {"bias": False},
    {"residual": True},
    {"residual": True, "concat": False, "bias": False},
    {"edge_dim": D},
    {"edge_dim": D, "add_self_loops": False, "negative_slope": 0.0},
]


@BOTH
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_weights_and_gradients_equal_those_of_pyg(which, options):
    ours, theirs = twins(which, F, C, heads=H, **options)
    x, leaves = numbers(N, F), []
    edge_attr = numbers(E, D) if "edge_dim" in options else None
    leaves = [x] if edge_attr is None else [x, edge_attr]
    assert_equal(ours, theirs, leaves, x, graph(), edge_attr)


@BOTH
@pytest.mark.parametrize("widths", [F, (F, 13)])
@pytest.mark.parametrize("num_targets", [5, 17])
@pytest.mark.parametrize("add_self_loops", [False, True])
def test_bipartite_graphs_equal_those_of_pyg(which, widths, num_targets, add_self_loops):
    ours, theirs = twins(which, widths, C, heads=H, residual=True, add_self_loops=add_self_loops)
    pair = numbers(N, F), numbers(num_targets, F if widths == F else 13, seed=6)
    assert_equal(ours, theirs, pair, pair, graph(num_targets=num_targets))


@pytest.mark.parametrize("same", [False, True])
def test_shared_weights_equal_those_of_pyg(same):
    ours, theirs = twins(1, F, C, heads=H, share_weights=True, residual=True)
    x, y = numbers(N, F), numbers(N, F, seed=6)
    x, leaves = (x, [x]) if same else ((x, y), [x, y])
    assert_equal(ours, theirs, leaves, x, graph())


def test_a_layer_for_two_widths_takes_one_set_of_nodes_too():
    ours, theirs = twins(0, (F, F), C, heads=H)
    x = numbers(N, F)
    assert_equal(ours, theirs, [x], x, graph())


@BOTH
def test_features_of_edges_may_be_one_number_an_edge(which):
    ours, theirs = twins(which, F, C, edge_dim=1)
    x, edge_attr = numbers(N, F), numbers(E)
    assert_equal(ours, theirs, [x, edge_attr], x, graph(), edge_attr)


def loop_layer(layer, x, edge_index):
    """GATConv from the formula of the paper, node by node."""
    values = (x @ layer.lin.weight.T).view(len(x), layer.heads, layer.out_channels)
    out = torch.zeros(len(x), layer.heads, layer.out_channels, dtype=x.dtype)
    pairs = [(j, i) for j, i in edge_index.T.tolist() if i != j] + [(i, i) for i in range(len(x))]
    for i, head in itertools.product(range(len(x)), range(layer.heads)):
        seen = [j for j, target in pairs if target == i]
        a, b = layer.att_src[0, head], layer.att_dst[0, head]
        score = torch.stack([values[j, head] @ a + values[i, head] @ b for j in seen])
        weights = torch.nn.functional.leaky_relu(score, layer.negative_slope).softmax(0)
        out[i, head] = sum(w * values[j, head] for w, j in zip(weights, seen, strict=True))
    return out.flatten(1) + layer.bias


def test_a_layer_equals_the_formula_node_by_node():
    layer, x = twins(0, F, C, heads=H)[0], numbers(N, F)
    torch.testing.assert_close(layer(x, graph()), loop_layer(layer, x, graph()))


@BOTH
@pytest.mark.parametrize("layout", ["csr", "coo", "csc", "uncoalesced"])
def test_sparse_features_give_what_dense_ones_give(which, layout):
    g = generator(2)
    x = normal(g, N, F) * (torch.rand(N, F, generator=g) < 0.3)
    x[4] = 0
    sparse_x = x.to_sparse_coo()
    if layout == "uncoalesced":
        indices, values = sparse_x.indices(), sparse_x.values()
        parts = torch.cat([indices, indices], 1), torch.cat([values * 0.25, values * 0.75])
        sparse_x = torch.sparse_coo_tensor(*parts, x.shape, check_invariants=True)
    elif layout != "coo":
        sparse_x = quietly(getattr(sparse_x, f"to_sparse_{layout}"))
    layer = twins(which, F, C, heads=H, residual=True)[0]
    expected, got = layer(x, graph()), layer(sparse_x, graph())
    torch.testing.assert_close(got, expected, **EXACT)
    leaves = [*layer.parameters()]
    torch.testing.assert_close(gradients(got, leaves), gradients(expected, leaves), **EXACT)


def quietly(call):
    """torch warns that some sparse matrices are new, and of what its own jvp is made of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


# ---------------------------------------------------------------- fast against plain


def plain(monkeypatch):
    monkeypatch.setattr(additive, "is_fast", lambda x: False)
    monkeypatch.setattr(kernels, "is_fast", lambda x: False)
    monkeypatch.setattr(sparse, "is_fast", lambda x: False)


@BOTH
@pytest.mark.parametrize("few", [0, 10**6])
@pytest.mark.parametrize("cached", [1, 100, 10**6])
def test_the_fast_way_gives_what_the_plain_way_gives(which, few, cached, monkeypatch):
    monkeypatch.setattr(kernels, "TOGETHER", few)
    monkeypatch.setattr(kernels, "MANY", few)
    monkeypatch.setattr(additive, "CACHED", cached)
    layer, x = twins(which, F, C, heads=H)[0], numbers(N, F)
    leaves = [x, *layer.parameters()]
    output = layer(x, graph())
    found = output, *gradients(output, leaves)
    plain(monkeypatch)
    output = layer(x, graph())
    torch.testing.assert_close(found, (output, *gradients(output, leaves)), **EXACT)


@BOTH
@pytest.mark.parametrize("spread", [1.0, 1e3, 1e6])
def test_scores_of_any_spread_are_weighed_in_float32(which, spread):
    layer, x = randomise(OURS[which](F, C, heads=H)), numbers(N, F, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("att"):
                parameter.mul_(spread)
    output, (edges, weights) = layer(x, graph(), return_attention_weights=True)
    assert output.isfinite().all()
    sums = torch.zeros(N, H).index_add(0, edges[1], weights)
    torch.testing.assert_close(sums, torch.ones(N, H))
    assert all(grad.isfinite().all() for grad in gradients(output, [x]))


def test_what_keeps_signs_alone_is_leaky_relu_to_the_second_derivative():
    bent = kernels._LeakyReLU.apply
    x = torch.tensor([[-2.0], [0.0], [3.0]], dtype=torch.float64, requires_grad=True)
    for slope in (0.2, -0.3):
        got, expected = bent(x, slope), torch.nn.functional.leaky_relu(x, slope)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(gradients(got, [x]), gradients(expected, [x]))
    apart = torch.tensor([[-2.0], [1.0], [3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: bent(x, 0.2).exp(), [apart])


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_softmax_on_sorted_edges_is_edge_softmax(scale):
    edges = structure.edges_of("test", graph(), N, N, False)
    scores = (normal(generator(), E, H) * scale).requires_grad_()
    with torch.no_grad():
        scores[edges.target.node == 2] = -torch.inf
        scores[3, 1] = -torch.inf
    got, expected = (
        kernels.edge_weights(scores, edges.target),
        edge_softmax(scores, edges.target.node, N),
    )
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(gradients(got, [scores]), gradients(expected, [scores]))


@BOTH
@pytest.mark.parametrize("sparse_input", [False, True])
def test_first_and_second_derivatives_are_right(which, sparse_input):
    layer = randomise(OURS[which](3, 2, heads=2).double())
    edge_index, x = graph(6, 8), numbers(6, 3)
    leaves = [*layer.parameters()]
    if sparse_input:
        features = x.detach().to_sparse_coo()
        assert gradgradcheck(lambda *_: layer(features, edge_index), leaves, fast_mode=True)
    else:
        leaves = [x, *leaves]
        assert gradcheck(lambda x, *_: layer(x, edge_index), leaves, fast_mode=True)
        assert gradgradcheck(lambda x, *_: layer(x, edge_index), leaves, fast_mode=True)


# ---------------------------------------------------------------- rules of the library


@BOTH
def test_isolated_nodes_have_the_bias_without_loops_and_themselves_with_them(which):
    layer = twins(which, F, C, heads=H, add_self_loops=False)[0]
    x = numbers(N, F)
    output = layer(x, graph())
    torch.testing.assert_close(output[-2:], layer.bias.expand(2, -1))
    assert not torch.autograd.grad(output[-1].sum(), x)[0].any()
    layer.add_self_loops = True
    (grad,) = torch.autograd.grad(layer(x, graph())[-1].square().sum(), x)
    assert grad[-1].any()
    assert not grad[:-1].any()


@BOTH
@pytest.mark.parametrize("add_self_loops", [False, True])
@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_graphs_without_edges_and_without_nodes_are_fine(which, add_self_loops, num_nodes):
    layer = twins(which, F, C, heads=H, add_self_loops=add_self_loops, residual=True)[0]
    x, empty = numbers(num_nodes, F), torch.zeros(2, 0, dtype=torch.long)
    output, (edges, weights) = layer(x, empty, return_attention_weights=True)
    loops = num_nodes if add_self_loops else 0
    assert output.shape == (num_nodes, H * C)
    assert (edges.shape, weights.shape) == ((2, loops), (loops, H))
    assert torch.autograd.grad(output.sum(), x)[0].isfinite().all()


@BOTH
def test_several_graphs_are_one_graph_in_parts(which):
    layer = twins(which, F, C, heads=H)[0]
    x, edges = [numbers(N, F, seed=s) for s in (1, 2)], [graph(seed=s) for s in (1, 2)]
    together = layer(torch.cat(x), torch.cat([edges[0], edges[1] + N], 1))
    apart = [layer(part, edge_index) for part, edge_index in zip(x, edges, strict=True)]
    torch.testing.assert_close(together, torch.cat(apart))


@BOTH
def test_nan_in_a_node_reaches_the_nodes_it_leads_to_and_no_others(which):
    layer, x, edge_index = twins(which, F, C)[0], numbers(N, F).detach(), graph()
    x[3] = torch.nan
    reached = torch.zeros(N, dtype=torch.bool)
    reached[edge_index[1, edge_index[0] == 3]] = True
    reached[3] = True
    output = layer(x, edge_index)
    assert torch.equal(output.isnan().any(1), reached)
    assert torch.equal(output.isnan().all(1), reached)


@BOTH
def test_dropout_drops_weights_scales_up_the_rest_and_returns_them_before_it(which):
    torch.manual_seed(0)
    layer = randomise(OURS[which](F, 1, heads=H, dropout=0.3, bias=False))
    x, edge_index = numbers(N, F, dtype=torch.float32).detach(), graph()
    expected, (_, weights) = layer.eval()(x, edge_index, return_attention_weights=True)
    layer.train()
    runs = [layer(x, edge_index, return_attention_weights=True) for _ in range(2000)]
    outputs = torch.stack([output for output, _ in runs])
    assert outputs.std(0).min() > 0
    torch.testing.assert_close(outputs.mean(0), expected, atol=0.12, rtol=0.05)
    torch.testing.assert_close(runs[7][1][1], weights)
    lone = outputs[:, -1]  # an isolated node has one weight, which is 1: dropped or scaled up
    dropped = (lone == 0).double().mean()
    assert abs(dropped - 0.3) < 0.03
    torch.testing.assert_close(lone.amax(0).maximum(-lone.amin(0)), expected[-1].abs() / 0.7)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("edge_dim", [None, D])
def test_half_precision_stays_half_precision(which, dtype, edge_dim):
    layer = randomise(OURS[which](F, C, heads=H, edge_dim=edge_dim).double())
    x = numbers(N, F, dtype=dtype)
    edge_attr = None if edge_dim is None else numbers(E, D, dtype=dtype)
    wide = [None if part is None else part.detach().double() for part in (x, edge_attr)]
    exact, (_, expected) = layer(wide[0], graph(), wide[1], return_attention_weights=True)
    layer.to(dtype)
    output, (_, weights) = layer(x, graph(), edge_attr, return_attention_weights=True)
    assert (output.dtype, weights.dtype) == (dtype, dtype)
    torch.testing.assert_close(weights.double(), expected, atol=0.1, rtol=0)
    torch.testing.assert_close(output.double(), exact, atol=1.0, rtol=0.1)
    assert all(grad.isfinite().all() for grad in gradients(output, [x, *layer.parameters()]))


def test_a_hub_in_half_precision_is_as_right_as_its_numbers():
    layer = randomise(GATConv(1, 1, bias=False, add_self_loops=False)).bfloat16()
    x = torch.ones(5000, 1, dtype=torch.bfloat16)
    edge_index = torch.stack([torch.arange(5000), torch.zeros(5000, dtype=torch.long)])
    torch.testing.assert_close(layer(x, edge_index)[0], layer.lin.weight[0])


@BOTH
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_autocast_computes_in_bfloat16(which, kind):
    layer, x = randomise(OURS[which](F, C, heads=H)), numbers(N, F, dtype=torch.float32).detach()
    exact = layer(x, graph())
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x.to_sparse_coo() if kind == "sparse" else x, graph())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), exact, atol=1.0, rtol=0.1)
    assert all(grad.isfinite().all() for grad in gradients(output, [*layer.parameters()]))


@BOTH
def test_transformations_of_functions_see_the_same_numbers(which):
    layer, x = twins(which, F, C, heads=H)[0], numbers(N, F).detach()
    direction = numbers(N, F, seed=8).detach()
    edge_index = graph()

    def call(x):
        return layer(x, edge_index)

    stacked = torch.stack([x, direction])
    torch.testing.assert_close(
        torch.func.vmap(call)(stacked), torch.stack([call(x), call(direction)])
    )
    got = torch.func.grad(lambda x: call(x).square().sum())(x)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(call(leaf).square().sum(), leaf)
    torch.testing.assert_close(got, expected)
    _, tangent = quietly(lambda: torch.func.jvp(call, (x,), (direction,)))
    step = (call(x + 1e-6 * direction) - call(x - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close(tangent, step, atol=1e-6, rtol=1e-6)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        found = torch.autograd.forward_ad.unpack_dual(call(dual)).tangent
    torch.testing.assert_close(found, tangent)


@BOTH
def test_a_compiled_layer_gives_the_same_numbers(which):
    layer, x = twins(which, F, C, heads=H)[0], numbers(N, F)
    edge_index = graph()
    compiled = torch.compile(layer, backend="aot_eager")
    output, expected = compiled(x, edge_index), layer(x, edge_index)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(output, [x]), gradients(expected, [x]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@BOTH
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_layers_on_a_gpu_equal_those_on_the_cpu(which, kind):
    layer, x = twins(which, F, C, heads=H)[0], numbers(N, F).detach()
    expected = layer(x, graph())
    x = x.cuda()
    got = layer.cuda()(x.to_sparse_coo() if kind == "sparse" else x, graph().cuda())
    torch.testing.assert_close(got.cpu(), expected)


# ---------------------------------------------------------------- the sorted structure


def test_a_graph_is_sorted_once_and_again_when_it_is_written_to():
    edge_index, layer, x = graph(), twins(0, F, C)[0], numbers(N, F)
    first = structure.edges_of("test", edge_index, N, N, True)
    assert structure.edges_of("test", edge_index, N, N, True) is first
    assert structure.edges_of("test", edge_index, N, N, False) is not first
    before = layer(x, edge_index)
    edge_index[:, 5] = torch.tensor([1, 8])
    assert structure.edges_of("test", edge_index, N, N, True) is not first
    torch.testing.assert_close(layer(x, edge_index), layer(x, edge_index.clone()))
    assert not torch.equal(layer(x, edge_index), before)


def test_what_is_kept_goes_when_the_graph_goes():
    layer, dropped = GATConv(F, C), []
    for add_self_loops in (False, True):
        layer.add_self_loops = add_self_loops
        edge_index, x = graph(), numbers(N, F, dtype=torch.float32).detach().to_sparse_coo()
        layer(sparse.feature_dropout(x, 0.5, True), edge_index)
        dropped += [x, edge_index]
    before = len(structure._KNOWN), len(sparse._KNOWN)
    del dropped, x, edge_index
    assert (len(structure._KNOWN), len(sparse._KNOWN)) == (before[0] - 2, before[1] - 2)


@BOTH
@pytest.mark.parametrize("inside", [False, True])
def test_a_graph_first_seen_in_inference_mode_serves_training_too(which, inside):
    layer, x = twins(which, F, C, heads=H)[0], numbers(N, F).detach().to_sparse_coo()
    edge_index = graph()
    with torch.inference_mode():
        if inside:
            edge_index, x = edge_index.clone(), x.clone()
        expected = layer(x, edge_index)
    if not inside:
        output = layer(x, edge_index)
        torch.testing.assert_close(output, expected.clone())
        assert all(grad.isfinite().all() for grad in gradients(output, [*layer.parameters()]))


@st.composite
def problems(draw):
    num_nodes, num_edges, seed = (draw(st.integers(1, n)) for n in (8, 20, 10**6))
    g = generator(seed)
    edge_index = torch.randint(num_nodes, (2, num_edges), generator=g)
    return normal(g, num_nodes, F), edge_index, torch.randperm(num_nodes, generator=g)


LAYERS = tuple(randomise(cls(F, C, heads=H).double()) for cls in OURS)


@BOTH
@PROPERTY
@given(problem=problems())
def test_renumbered_nodes_and_reordered_edges_give_the_same_outputs(which, problem):
    x, edge_index, order = problem
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    other = place[edge_index].flip(1)
    got, expected = LAYERS[which](x[order], other), LAYERS[which](x, edge_index)[order]
    torch.testing.assert_close(got, expected)


@BOTH
@PROPERTY
@given(problem=problems())
def test_weights_that_end_in_a_node_sum_to_one(which, problem):
    x, edge_index, _ = problem
    _, (edges, weights) = LAYERS[which](x, edge_index, return_attention_weights=True)
    sums = torch.zeros(len(x), H, dtype=x.dtype).index_add(0, edges[1], weights)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    loops = (edges[0] == edges[1]).sum()
    assert loops == len(x)


@PROPERTY
@given(limit=st.integers(1, 40), seed=st.integers(0, 10**6))
def test_blocks_cover_all_nodes_and_edges_in_order(limit, seed):
    side = structure.edges_of("test", graph(seed=seed), N, N, True).source
    blocks = side.blocks(limit)
    assert [block[0] for block in blocks] == [0, *(block[1] for block in blocks[:-1])]
    assert (blocks[-1][1], blocks[-1][3]) == (N, len(side.edges))
    for first, last, start, end in blocks:
        assert (start, end) == (side.pointer[first], side.pointer[last])
        assert end - start <= limit or last - first == 1


def test_layers_start_with_weights_of_moderate_size_and_biases_of_zero():
    for layer in (GATConv(F, C, heads=H), GATv2Conv(F, C, heads=H)):
        assert not layer.bias.any()
        att = layer.att_src if isinstance(layer, GATConv) else layer.att
        assert 0.2 < att.abs().max() <= (6 / (H + C)) ** 0.5
        before = att.detach().clone()
        layer.reset_parameters()
        assert not torch.equal(att, before)
        assert "5, 7, heads=3" in repr(layer)


# ---------------------------------------------------------------- errors


def call(*args, layer=GATConv, device="cpu", **options):
    return lambda: layer(F, C, **options).to(device)(*args)


x, edge_index, edge_attr = torch.zeros(N, F), graph(), torch.zeros(E, D)
outside, negative = edge_index.clone(), edge_index.clone()
outside[1, 4], negative[0, 4] = N, -1
matrix = torch.eye(N).to_sparse_coo()

ERRORS = [
    (lambda: GATConv(0, C), ValueError, "GATConv: got in_channels=0, expected at least 1"),
    (lambda: GATConv((F, 0), C), ValueError, "got in_channels=0"),
    (lambda: GATConv((F, F, F), C), ValueError, r"in_channels=\(5, 5, 5\), expected a number"),
    (lambda: GATConv(F, 0), ValueError, "got out_channels=0"),
    (lambda: GATv2Conv(F, C, heads=0), ValueError, "GATv2Conv: got heads=0"),
    (lambda: GATConv(F, C, edge_dim=0), ValueError, "got edge_dim=0"),
    (lambda: GATConv(F, 2.0), TypeError, "out_channels is a float"),
    (lambda: GATConv(F, C, dropout=1.0), ValueError, "got dropout=1.0"),
    (
        lambda: GATv2Conv((F, 13), C, share_weights=True),
        ValueError,
        r"got share_weights and in_channels=\(5, 13\), expected equal widths",
    ),
    (call([1.0, 2.0], edge_index), TypeError, "GATConv: x is a float, expected a torch.Tensor"),
    (call((x, x, x), edge_index), ValueError, "x has 3 parts, expected"),
    (call((x, None), edge_index), TypeError, "x is a NoneType"),
    (call(x.long(), edge_index), TypeError, "x is torch.int64, expected floating point"),
    (call(x.double(), edge_index), TypeError, "x is torch.float64 and the parameters are"),
    (call(x[None], edge_index), ValueError, r"x has shape \(1, 11, 5\), expected \(N, 5\)"),
    (call(x[:, :3], edge_index, layer=GATv2Conv), ValueError, r"x has shape \(11, 3\)"),
    (call(x, edge_index, device="meta"), ValueError, "x on cpu and the parameters on meta"),
    (call(x, edge_index.tolist()), TypeError, "edge_index is a list, expected a torch.Tensor"),
    (call(x, edge_index.T), ValueError, r"edge_index has shape \(37, 2\) .* expected \(2, E\)"),
    (call(x, edge_index[0]), ValueError, r"edge_index has shape \(37,\)"),
    (call(x, matrix), ValueError, "layout torch.sparse_coo, expected"),
    (call(x, edge_index.float()), TypeError, r"edge_index \(sources\) is torch.float32"),
    (call(x, edge_index > 3), TypeError, "is torch.bool, expected integers"),
    (
        call(x, outside),
        ValueError,
        r"edge_index \(targets\) holds numbers from 0 to 11, expected 0",
    ),
    (call(x, negative), ValueError, r"edge_index \(sources\) holds numbers from -1"),
    (call((x, x[:5]), edge_index), ValueError, r"\(targets\) holds .* expected 0 to 4"),
    (call(x[:0], edge_index), ValueError, "expected 0 to -1"),
    (call(x, edge_index, edge_dim=D), ValueError, "got no edge_attr and edge_dim=2, expected both"),
    (call(x, edge_index, edge_attr), ValueError, "got edge_attr and edge_dim=None"),
    (call(x, edge_index, edge_attr[1:], edge_dim=D), ValueError, r"edge_attr has shape \(36, 2\)"),
    (call(x, edge_index, edge_attr, edge_dim=3), ValueError, r"\(37, 2\), expected \(37, 3\)"),
    (call(x, edge_index, edge_attr[:, 0], edge_dim=D), ValueError, r"edge_attr has shape \(37,\)"),
    (call(x, edge_index, edge_attr.long(), edge_dim=D), TypeError, "edge_attr is torch.int64"),
    (call(x, edge_index, edge_attr.double(), edge_dim=D), TypeError, "edge_attr is torch.float64"),
    (call(x, edge_index, [1.0], edge_dim=1), TypeError, "edge_attr is a list"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
