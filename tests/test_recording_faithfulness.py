"""attnlib.recording: rollout, gradients, even weights, erasure, and agreement with a truth."""

import math

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, normal
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score
from torch import nn

from attnlib.attention import AdditiveAttention, MultiHeadAttention
from attnlib.functional import edge_softmax, masked_softmax
from attnlib.graph import GATConv, GATv2Conv
from attnlib.masks import causal_mask, padding_mask
from attnlib.recording import (
    AttentionMap,
    auc,
    comprehensiveness,
    erasure_curve,
    even_weights,
    gradient_weighted,
    kendall_tau,
    leave_one_out,
    record_attention,
    rollout,
    sufficiency,
)

B, H, L, S, F = 2, 3, 5, 7, 6
PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)
few = st.integers(0, 3)  # few different numbers: many ties


def shares(*shape, seed=0):
    return masked_softmax(normal(generator(seed), *shape))


def layer(cls=MultiHeadAttention, sizes=(F, H), seed=3):
    made, g = cls(*sizes).double().eval(), generator(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(normal(g, *parameter.shape))
    return made


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([layer(seed=1), layer(seed=2)])

    def forward(self, x, mask=None):
        for one in self.layers:
            x = x + one(x, mask=mask)
        return x


# ---------------------------------------------------------------- rollout


@pytest.mark.parametrize("residual", [0.0, 0.3, 0.5])
def test_rollout_multiplies_the_mixed_maps_of_all_layers(residual):
    maps = {n: AttentionMap(shares(H, L, L, seed=n), "abcde", "abcde") for n in range(3)}
    expected = torch.eye(L, dtype=torch.float64)
    rolled = rollout(maps.values(), residual=residual)
    for m, result in zip(maps.values(), rolled, strict=True):
        mixed = torch.zeros(L, L, dtype=torch.float64)
        for i in range(L):
            for j in range(L):
                weight = sum(m.weights[h, i, j] for h in range(H)) / H
                mixed[i, j] = (1 - residual) * weight + residual * (i == j)
        expected = torch.stack([sum(mixed[i, k] * expected[k] for k in range(L)) for i in range(L)])
        torch.testing.assert_close(result.weights, expected)
        assert (result.queries, result.keys) == ("abcde", "abcde")


def test_half_of_a_layer_passes_it_by_unless_said_otherwise():
    m = AttentionMap(shares(1, H, L, L))
    [rolled] = rollout([m])
    torch.testing.assert_close(rolled.weights, (m.dense() + torch.eye(L)) / 2)


def test_rows_of_a_rollout_are_shares_and_an_empty_row_passes_its_position_on():
    mask = causal_mask(L).clone()
    mask[2] = False
    maps = [AttentionMap(masked_softmax(normal(generator(n), H, L, L), mask)) for n in range(2)]
    last = rollout(maps, residual=0.0)[-1].weights
    torch.testing.assert_close(last.sum(1), torch.ones(L, dtype=torch.float64))
    assert last[2].tolist() == [0, 0, 1, 0, 0]
    assert last.triu(1).abs().max() == 0  # what no layer may see is not reached over two


def test_graphs_are_rolled_out_along_their_edges():
    edge_index = torch.tensor([[0, 1, 2, 0], [1, 2, 3, 0]])  # 0 -> 1 -> 2 -> 3
    m = AttentionMap(torch.ones(4), None, None, "graph", edge_index)
    reached = rollout([m, m], residual=0.5)[-1].weights
    assert reached[3].tolist() == [0, 0.25, 0.5, 0.25]


# ---------------------------------------------------------------- gradients


def test_relevance_is_the_positive_part_of_the_gradient_times_the_weights():
    model, x = Stack(), normal(generator(), B, L, F)
    mask = padding_mask(torch.tensor([L, 3]), L)
    maps = gradient_weighted(model, lambda: model(x, mask)[:, 0, 1])
    assert list(maps) == ["layers.0", "layers.1"]
    with record_attention(model) as plain:
        model(x, mask)
    last, step = model.layers[1], 1e-6
    before = x + model.layers[0](x, mask=mask)
    values = last.v_proj(before).unflatten(-1, (H, -1)).transpose(1, 2)
    weights = plain["layers.1"].weights

    def answer(weights):
        context = (weights @ values).transpose(1, 2).flatten(2)
        return (before + last.out_proj(context))[:, 0, 1].sum()

    expected = torch.zeros_like(weights)
    for at in torch.cartesian_prod(*(torch.arange(n) for n in weights.shape)).tolist():
        moved = weights.clone()
        moved[tuple(at)] += step
        slope = (answer(moved) - answer(weights)).item() / step
        expected[tuple(at)] = max(0.0, slope * weights[tuple(at)].item())
    torch.testing.assert_close(maps["layers.1"].weights, expected, atol=1e-6, rtol=1e-4)
    assert maps["layers.1"].weights[:, :, 1:].abs().max() == 0  # the answer is about position 0
    assert not maps["layers.0"].weights.requires_grad
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("cls", [GATConv, GATv2Conv])
def test_relevance_of_an_edge_is_what_it_brings_to_its_target_if_that_is_positive(cls):
    conv, x = layer(cls, (F, 2, H)), normal(generator(), S, F)
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [1, 2, 1, 4, 1, 6, 1]])
    [relevance] = gradient_weighted(conv, lambda: conv(x, edge_index)[1]).values()
    with torch.no_grad():
        _, (edges, weights) = conv(x, edge_index, return_attention_weights=True)
        values = (conv.lin if cls is GATConv else conv.lin_l)(x).unflatten(1, (H, 2)).sum(2)
    brought = (weights * values[edges[0]]).clamp(min=0) * (edges[1] == 1)[:, None]
    torch.testing.assert_close(relevance.weights, brought)
    assert brought.count_nonzero() >= 3


def test_relevance_of_an_answer_that_is_the_weight_itself_is_the_weight():
    class Plain(nn.Module):
        weights_flag = "need_weights"

        def forward(self, x, need_weights=False):
            weights = masked_softmax(x)
            return (weights, weights) if need_weights else weights

    x = normal(generator(), L, S).requires_grad_()
    plain = Plain()
    weights = gradient_weighted(plain, lambda: plain(x)[0, :3].sum() - plain(x)[1].sum())
    expected = torch.zeros(L, S, dtype=torch.float64)
    expected[0, :3] = masked_softmax(x)[0, :3]
    torch.testing.assert_close(weights[""].weights, expected.detach())
    assert weights["#2"].weights.abs().max() == 0  # there the answer falls with the weight


# ---------------------------------------------------------------- even weights


class Neighbours(nn.Module):
    weights_flag = "return_attention_weights"

    def __init__(self):
        super().__init__()
        self.att_src = nn.Parameter(torch.ones(F, dtype=torch.float64))
        self.att_dst = nn.Parameter(torch.ones(F, dtype=torch.float64))

    def forward(self, x, edge_index, return_attention_weights=False):
        score = (x @ self.att_src)[edge_index[0]] + (x @ self.att_dst)[edge_index[1]]
        weights = edge_softmax(score, edge_index[1], len(x))
        mixed = x[edge_index[0]] * weights[:, None]
        output = torch.zeros_like(x).index_add(0, edge_index[1], mixed)
        return (output, (edge_index, weights)) if return_attention_weights else output


@pytest.mark.parametrize(
    "made", [layer(), layer(AdditiveAttention, (F, F, 4))], ids=lambda made: type(made).__name__
)
def test_even_weights_are_one_over_what_may_be_attended(made):
    g = generator()
    x, memory = normal(g, B, L, F), normal(g, B, S, F)
    mask = padding_mask(torch.tensor([3, 0]), S)
    with even_weights(made):
        output = made(x, memory, mask=mask)
        _, weights = made(x, memory, mask=mask, need_weights=True)
    expected = torch.zeros_like(weights)
    expected[0, :, :, :3] = 1 / 3
    torch.testing.assert_close(weights, expected)
    assert not torch.allclose(output, made(x, memory, mask=mask))


def test_even_weights_in_a_graph_are_one_over_the_neighbours():
    made, x = Neighbours(), normal(generator(), 3, F)
    edge_index = torch.tensor([[0, 1, 2, 2], [1, 1, 1, 0]])
    with even_weights(made), record_attention(made) as maps:
        made(x, edge_index)
    torch.testing.assert_close(maps[""].weights.tolist(), [1 / 3, 1 / 3, 1 / 3, 1.0])


def test_a_bias_keeps_only_what_it_hides():
    made, x = layer(), normal(generator(), B, L, F)
    bias = normal(generator(1), L, L).masked_fill(~causal_mask(L), -torch.inf)
    with even_weights(made):
        _, weights = made(x, bias=bias, need_weights=True)
    torch.testing.assert_close(weights, AttentionMap(weights).weights * causal_mask(L))
    torch.testing.assert_close(weights[0, 0, 4], torch.full((L,), 1 / L, dtype=torch.float64))


@pytest.mark.parametrize("fails", [False, True])
def test_after_even_weights_the_model_is_what_it_was(fails):
    model, x = Stack(), normal(generator(), B, L, F)
    model.layers[0].q_proj.weight.requires_grad_(False)
    before, plain = [p.clone() for p in model.parameters()], model(x)
    trained = [p.requires_grad for p in model.parameters()]
    try:
        with even_weights(model):
            inside = model(x)
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert not torch.allclose(inside, plain)
    torch.testing.assert_close(list(model.parameters()), before)
    assert [p.requires_grad for p in model.parameters()] == trained
    torch.testing.assert_close(model(x), plain)
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_a_model_may_be_trained_with_even_weights():
    made, x = layer(), normal(generator(), B, L, F)
    query, value = made.q_proj.weight.clone(), made.v_proj.weight.clone()
    optimizer = torch.optim.AdamW(made.parameters(), lr=0.1)
    with even_weights(made):
        for _ in range(3):
            optimizer.zero_grad()
            made(x).square().sum().backward()
            optimizer.step()
        _, weights = made(x, need_weights=True)
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / L))
    torch.testing.assert_close(made.q_proj.weight, query)
    assert not torch.allclose(made.v_proj.weight, value)


def test_a_layer_may_name_what_makes_its_scores():
    class Own(nn.Module):
        weights_flag, score_names = "need_weights", ("sharpness",)

        def __init__(self):
            super().__init__()
            self.sharpness = nn.Parameter(torch.tensor(2.0))

        def forward(self, x, need_weights=False):
            weights = masked_softmax(self.sharpness * x)
            return (weights, weights) if need_weights else weights

    own = Own()
    with even_weights(own):
        assert own(torch.tensor([[1.0, 5.0]])).tolist() == [[0.5, 0.5]]


# ---------------------------------------------------------------- rankings


@given(st.lists(st.tuples(few, few), min_size=2, max_size=12))
@PROPERTY
def test_kendalls_tau_equals_that_of_scipy_with_ties(pairs):
    first, second = torch.tensor(pairs).T
    expected = kendalltau(first, second).statistic
    for dtype in (torch.int64, torch.float64, torch.bfloat16):
        tau = kendall_tau(first.to(dtype), second.double())
        assert tau == pytest.approx(expected, nan_ok=True)


def test_kendalls_tau_of_rankings_without_ties_and_of_infinities():
    x = normal(generator(), 31)
    assert kendall_tau(x, x.exp()) == pytest.approx(1)
    assert kendall_tau(x, -x) == pytest.approx(-1)
    y = normal(generator(1), 31)
    assert kendall_tau(x, y) == pytest.approx(kendalltau(x, y).statistic)
    assert kendall_tau(torch.tensor([1, 2, math.inf, math.inf]), torch.tensor([1, 2, 3, 3])) == 1


@given(st.lists(st.tuples(few, st.booleans()), min_size=2, max_size=12))
@PROPERTY
def test_the_area_under_the_curve_equals_that_of_scikit_learn_with_ties(pairs):
    weights = torch.tensor([w for w, _ in pairs], dtype=torch.float32)
    truth = torch.tensor([right for _, right in pairs])
    if truth.all() or not truth.any():
        return
    assert auc(weights, truth) == pytest.approx(roc_auc_score(truth, weights))
    assert auc(weights, truth.float() * 3) == pytest.approx(roc_auc_score(truth, weights))


def test_the_area_takes_maps_of_any_shape():
    weights, truth = shares(B, H, L, S), coin(generator(1), L, S)
    expected = roc_auc_score(truth.expand_as(weights).flatten(), weights.flatten())
    assert auc(weights, truth) == pytest.approx(expected)
    assert auc(torch.ones(L, S), truth) == 0.5


# ---------------------------------------------------------------- erasure


def weighted_sum(weights):
    """A model of which we know what each position does."""
    return lambda x: (x.double() * weights[: x.shape[1]]).sum(1)


def test_leaving_a_position_out_costs_what_it_gave():
    x, weights = torch.tensor([2, 0, 5, 7, 1]), torch.tensor([1.0, 4.0, -2.0, 0.5, 3.0]).double()
    effect = leave_one_out(weighted_sum(weights), x, replacement=0)
    torch.testing.assert_close(effect, x * weights)
    replaced = leave_one_out(weighted_sum(weights), x, replacement=torch.tensor(2))
    torch.testing.assert_close(replaced, (x - 2) * weights)


def test_a_position_that_is_cut_out_moves_those_behind_it():
    seen = []

    def answer(batch):
        seen.append(batch.tolist())
        return batch[:, 0].double()

    effect = leave_one_out(answer, torch.tensor([3, 1, 4]))
    assert seen == [[[3, 1, 4]], [[1, 4], [3, 4], [3, 1]]]
    assert effect.tolist() == [2, 0, 0]


def test_vectors_are_left_out_whole():
    x = normal(generator(), L, F)
    effect = leave_one_out(lambda batch: batch.sum((1, 2)), x, torch.zeros(F))
    torch.testing.assert_close(effect, x.sum(1))
    cut = leave_one_out(lambda batch: batch.sum((1, 2)), x)
    torch.testing.assert_close(cut, x.sum(1))


def test_the_model_is_asked_without_gradients():
    x = normal(generator(), L).requires_grad_()
    assert not leave_one_out(lambda batch: batch.sum(1), x).requires_grad


@pytest.mark.parametrize("keep", [False, True])
def test_a_curve_erases_or_keeps_one_position_more_at_each_step(keep):
    x, importance = torch.tensor([3.0, 1.0, 4.0, 2.0]), torch.tensor([0.2, 0.9, 0.2, 0.5])
    order = [1, 3, 0, 2]  # the first of equals first
    expected = []
    for count in range(5):
        left = set(order[:count]) if keep else set(order[count:])
        expected.append(sum(x[i].item() if i in left else -1.0 for i in range(4)))
    curve = erasure_curve(lambda b: b.sum(1), x, importance, -1.0, keep=keep)
    assert curve.tolist() == expected
    several = torch.stack([importance, x])
    curves = erasure_curve(lambda b: b.sum(1), x, several, -1.0, keep=keep)
    assert curves.shape == (2, 5)
    torch.testing.assert_close(curves[0], curve)


def test_the_right_ranking_beats_random_ones():
    x = normal(generator(), 13).abs()
    area = erasure_curve(lambda b: b.sum(1), x, x, 0.0).mean()
    random = torch.rand(17, 13, generator=generator(1))
    controls = erasure_curve(lambda b: b.sum(1), x, random, 0.0).mean(1)
    assert (area < controls).all()


def test_vectors_are_erased_whole():
    x, importance = normal(generator(), 3, F), torch.tensor([1, 3, 2])
    curve = erasure_curve(lambda b: b.sum((1, 2)), x, importance, torch.ones(F))
    rows = x.sum(1)
    expected = [rows.sum(), rows[0] + rows[2] + F, rows[0] + 2 * F, torch.tensor(3.0 * F)]
    torch.testing.assert_close(curve, torch.stack([one.double() for one in expected]))


def test_comprehensiveness_and_sufficiency_are_means_over_shares():
    g = generator()
    curves = normal(g, H, 8)  # 7 positions
    counts = [1, 1, 1, 2, 4]  # 1, 5, 10, 20 and 50 percent, rounded up
    expected = sum(curves[:, 0] - curves[:, n] for n in counts) / 5
    torch.testing.assert_close(comprehensiveness(curves), expected)
    expected = sum(curves[:, 7] - curves[:, n] for n in counts) / 5
    torch.testing.assert_close(sufficiency(curves), expected)
    torch.testing.assert_close(comprehensiveness(curves, shares=[1.0]), curves[:, 0] - curves[:, 7])
    torch.testing.assert_close(sufficiency(curves[0], shares=(0.3,)), curves[0, 7] - curves[0, 3])


# ---------------------------------------------------------------- errors


def even(model):
    def call():
        with even_weights(model):
            pass

    return call


class Unknown(nn.Module):
    weights_flag = "need_weights"


def total(batch):
    return batch.sum(1)


square, oblong = AttentionMap(shares(L, L)), AttentionMap(shares(L, S))
stack, inputs = Stack(), normal(generator(), B, L, F)
ones = torch.ones(L)


def without_graph():
    with torch.no_grad():
        return gradient_weighted(stack, lambda: stack(inputs))


def beside():
    return gradient_weighted(stack, lambda: [stack(inputs), stack.layers[0](inputs)][1])


ERRORS = [
    (lambda: rollout([]), ValueError, r"got maps of shapes \[\], expected one square shape"),
    (lambda: rollout([oblong]), ValueError, r"\[\(5, 7\)\], expected one square shape"),
    (lambda: rollout([square, AttentionMap(shares(S, S))]), ValueError, r"\(5, 5\), \(7, 7\)"),
    (lambda: rollout([square], residual=1.0), ValueError, "got residual=1.0, expected a share"),
    (lambda: rollout([AttentionMap(shares(B, H, L, L))]), ValueError, "got a batch of 2"),
    (lambda: gradient_weighted(None, total), TypeError, "gradient_weighted: got NoneType"),
    (lambda: gradient_weighted(nn.Linear(2, 2), total), ValueError, "without attention layers"),
    (without_graph, RuntimeError, "without a graph, expected both to be differentiable"),
    (beside, RuntimeError, "does not depend on the weights of layer 'layers.0'"),
    (even(3), TypeError, "even_weights: got int, expected a torch.nn.Module"),
    (even(nn.Linear(2, 2)), ValueError, "even_weights: got a Linear without attention layers"),
    (even(Unknown()), ValueError, "got a Unknown without any of"),
    (lambda: kendall_tau([1.0], ones), TypeError, "kendall_tau: first is a list"),
    (lambda: kendall_tau(ones, [1.0]), TypeError, "kendall_tau: second is a list"),
    (lambda: kendall_tau(ones, ones[:3]), ValueError, r"got shapes \(5,\) and \(3,\)"),
    (lambda: kendall_tau(ones[:1], ones[:1]), ValueError, "of at least two numbers"),
    (lambda: kendall_tau(ones[None], ones[None]), ValueError, "index one example first"),
    (lambda: kendall_tau(ones * math.nan, ones), ValueError, "kendall_tau: got NaN"),
    (lambda: auc([1.0], ones), TypeError, "auc: weights is a list"),
    (lambda: auc(ones, [1.0]), TypeError, "auc: truth is a list"),
    (lambda: auc(ones, ones[:3]), ValueError, r"auc: truth has shape \(3,\)"),
    (lambda: auc(ones, ones), ValueError, "got 5 right and 0 wrong entries"),
    (lambda: auc(ones, 0 * ones), ValueError, "got 0 right and 5 wrong entries"),
    (lambda: auc(ones * math.nan, ones), ValueError, "auc: got NaN"),
    (lambda: leave_one_out(total, [1, 2]), TypeError, "leave_one_out: x is a list"),
    (lambda: leave_one_out(total, ones[:1]), ValueError, r"x has shape \(1,\), expected \(L"),
    (lambda: leave_one_out(total, ones[0]), ValueError, r"x has shape \(\), expected"),
    (lambda: leave_one_out(lambda b: b, ones), ValueError, r"returned \(1, 5\), expected \(1,\)"),
    (lambda: leave_one_out(lambda b: 1.0, ones), ValueError, "answer returned float"),
    (lambda: erasure_curve(total, ones, [1.0], 0), TypeError, "importance is a list"),
    (lambda: erasure_curve(total, ones, ones[:2], 0), ValueError, r"importance has shape \(2,\)"),
    (lambda: erasure_curve(total, ones, ones * math.nan, 0), ValueError, "without NaN"),
    (lambda: erasure_curve(total, ones[:1], ones, 0), ValueError, "erasure_curve: x has shape"),
    (lambda: erasure_curve(lambda b: b, ones, ones, 0), ValueError, r"returned \(6, 5\)"),
    (lambda: comprehensiveness(ones, shares=[0.0]), ValueError, r"and shares \(0.0,\), expected"),
    (lambda: sufficiency(ones, shares=[]), ValueError, r"sufficiency: got a curve \(5,\)"),
    (lambda: sufficiency(ones[0]), ValueError, r"got a curve \(\)"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
