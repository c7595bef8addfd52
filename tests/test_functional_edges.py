"""attnlib.functional.edge_softmax against PyTorch Geometric and a dense masked softmax."""

import math

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, gradients, normal
from torch.autograd import gradcheck, gradgradcheck

from attnlib.functional import edge_softmax, masked_softmax
from attnlib.masks import adjacency_mask

N, E, H = 7, 23, 3

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def edges(seed=0, count=E):
    """Targets in no order; node 2 has no edge."""
    index = torch.randint(0, N - 1, (count,), generator=generator(seed))
    return index + (index >= 2)


@pytest.mark.parametrize("shape", [(E,), (E, H), (E, H, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_edge_softmax_equals_pytorch_geometric_in_value_and_gradient(shape, dtype):
    geometric = pytest.importorskip("torch_geometric.utils")
    scores, index = normal(generator(), *shape).requires_grad_(), edges()
    ours = edge_softmax(scores, index.to(dtype), N)
    theirs = geometric.softmax(scores, index, num_nodes=N)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients(ours, [scores]), gradients(theirs, [scores]))


def test_edge_softmax_equals_a_dense_masked_softmax():
    pairs = torch.randperm(N * N, generator=generator(3))[:E]
    edge_index = torch.stack([pairs // N, pairs % N])
    source, target = edge_index
    dense = normal(generator(), N, N).requires_grad_()
    weights = masked_softmax(dense, adjacency_mask(edge_index, N))
    ours = edge_softmax(dense[target, source], target, N)
    torch.testing.assert_close(ours, weights[target, source])
    for got, want in zip(
        gradients(ours, [dense]), gradients(weights[target, source], [dense]), strict=True
    ):
        torch.testing.assert_close(got, want)


def test_derivatives_pass_gradcheck():
    scores, index = normal(generator(), E, 2).requires_grad_(), edges()
    assert gradcheck(lambda scores: edge_softmax(scores, index, N), [scores])
    assert gradgradcheck(lambda scores: edge_softmax(scores, index, N), [scores])


def test_minus_infinity_is_no_edge_and_a_node_of_nothing_else_gives_zeros():
    index = torch.tensor([0, 1, 0, 1, 0])
    scores = torch.tensor([1.0, -math.inf, -math.inf, -math.inf, 2.0], requires_grad=True)
    weights = edge_softmax(scores, index, 3)
    expected = torch.softmax(torch.tensor([1.0, 2.0]), 0)
    torch.testing.assert_close(weights, torch.tensor([expected[0], 0, 0, 0, expected[1]]))
    assert gradients(weights, [scores])[0].isfinite().all()


def test_nan_stays_at_its_node():
    index = torch.tensor([0, 1, 0, 1])
    weights = edge_softmax(torch.tensor([math.nan, 0.0, 1.0, 0.0]), index, 2)
    assert weights.isnan().tolist() == [True, False, True, False]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_large_scores_and_many_edges_are_safe(dtype):
    scores = torch.tensor([3e4, -3e4, 3e4], dtype=dtype)
    assert edge_softmax(scores, torch.tensor([0, 0, 1]), 2).tolist() == [1.0, 0.0, 1.0]
    weights = edge_softmax(torch.zeros(5000, dtype=dtype), torch.zeros(5000).long(), 1)
    assert weights.dtype == dtype
    assert weights.double().sum().item() == pytest.approx(1, rel=1e-2)


def test_a_graph_without_edges_gives_nothing():
    nothing = torch.zeros(0, dtype=torch.long)
    assert edge_softmax(torch.zeros(0, H), nothing, N).shape == (0, H)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler warns of torch itself
def test_the_compiler_and_the_transforms_of_torch_func_may_look():
    scores, index = normal(generator(), E), edges()

    def function(scores):
        return edge_softmax(scores, index, N)

    torch.testing.assert_close(
        torch.compile(function, backend="eager")(scores), edge_softmax(scores, index, N)
    )
    _, pushed = torch.func.jvp(function, (scores,), (scores,))
    torch.testing.assert_close(pushed, torch.func.jacrev(function)(scores) @ scores)


def test_results_are_made_on_the_device_of_the_inputs():
    weights = edge_softmax(torch.zeros(E, device="meta"), edges().to("meta"), N)
    assert weights.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_edge_softmax_on_a_gpu_equals_that_on_the_cpu():
    scores, index = normal(generator(), E, H), edges()
    ours = edge_softmax(scores.cuda(), index.cuda(), N)
    torch.testing.assert_close(ours.cpu(), edge_softmax(scores, index, N))


@PROPERTY
@given(st.integers(1, 30), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_weights_of_a_node_sum_to_one_in_any_order_of_edges(count, seed, random):
    scores, index = normal(generator(seed), count, H), edges(seed, count)
    weights = edge_softmax(scores, index, N)
    sums = torch.zeros(N, H, dtype=torch.float64).index_add(0, index, weights)
    assert (weights >= 0).all()
    for node in range(N):
        wanted = 1.0 if (index == node).any() else 0.0
        assert sums[node].tolist() == pytest.approx([wanted] * H)
    order = list(range(count))
    random.shuffle(order)
    torch.testing.assert_close(weights[order], edge_softmax(scores[order], index[order], N))


@PROPERTY
@given(st.integers(0, 10**6), st.floats(-300, 300))
def test_a_constant_added_to_the_edges_of_a_node_changes_nothing(seed, constant):
    scores, index = normal(generator(seed), E), edges(seed)
    shift = constant * (index == 3)
    torch.testing.assert_close(
        edge_softmax(scores, index, N), edge_softmax(scores + shift, index, N)
    )


ZEROS, TARGETS = torch.zeros(E, H), torch.zeros(E, dtype=torch.long)

ERRORS = [
    (lambda: edge_softmax([0.0], TARGETS, N), TypeError, "edge_softmax: scores is a list"),
    (lambda: edge_softmax(ZEROS.long(), TARGETS, N), TypeError, "scores is torch.int64"),
    (lambda: edge_softmax(ZEROS, [0] * E, N), TypeError, "edge_softmax: index is a list"),
    (lambda: edge_softmax(ZEROS, ZEROS[:, 0], N), TypeError, "index is torch.float32"),
    (lambda: edge_softmax(ZEROS, TARGETS.bool(), N), TypeError, "index is torch.bool"),
    (lambda: edge_softmax(ZEROS, TARGETS[1:], N), ValueError, r"index has shape \(22,\)"),
    (lambda: edge_softmax(ZEROS, TARGETS[None], N), ValueError, r"index has shape \(1, 23\)"),
    (lambda: edge_softmax(torch.zeros(()), TARGETS, N), ValueError, "index has shape"),
    (lambda: edge_softmax(ZEROS, TARGETS.to("meta"), N), ValueError, "index on meta"),
    (lambda: edge_softmax(ZEROS, TARGETS + N, N), ValueError, "from 7 to 7, expected 0 to 6"),
    (lambda: edge_softmax(ZEROS, TARGETS - 1, N), ValueError, "from -1 to -1"),
    (lambda: edge_softmax(ZEROS, TARGETS, 0), ValueError, "got num_nodes=0"),
    (lambda: edge_softmax(ZEROS, TARGETS, 7.0), TypeError, "num_nodes is a float"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
