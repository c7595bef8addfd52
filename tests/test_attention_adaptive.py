"""attnlib.attention.AdaptiveSpan against the paper's formula, one weight at a time."""

import math

import pytest
import torch
from errors import check_error
from oracles import generator, gradients, normal
from torch.autograd import gradcheck

from attnlib.attention import AdaptiveSpan, MultiHeadAttention
from attnlib.functional import attention

B, H, L, S, D = 2, 3, 5, 7, 11
MAX, RAMP = 13, 2
SPANS = [0.0, 1.5, 4.0]  # positions, one a head


def spans(values=SPANS, dtype=torch.float64):
    layer = AdaptiveSpan(len(values), MAX, ramp=RAMP).to(dtype)
    with torch.no_grad():
        layer.fraction.copy_(torch.tensor(values) / MAX)
    return layer


def share(span, distance):
    return min(max((RAMP + span - distance) / RAMP, 0.0), 1.0)


@pytest.mark.parametrize(("length", "size"), [(L, S), (S, L), (1, S), (L, 1)])
def test_the_bias_is_the_logarithm_of_the_share(length, size):
    bias = spans()(length, size)
    for h, span in enumerate(SPANS):
        for i in range(length):
            for j in range(size):
                expected = share(span, abs(i + size - length - j))
                torch.testing.assert_close(bias[h, i, j].exp().item(), expected)
    torch.testing.assert_close(spans()(L), spans()(L, L))


@pytest.mark.parametrize("need_weights", [False, True])
def test_weights_are_those_of_the_paper(need_weights):
    layer, g = spans(), generator()
    query, key, value = (normal(g, B, H, n, D) for n in (L, S, S))
    rows = []
    for i in range(L):
        position = i + S - L
        seen = [
            [share(span, position - j) if j <= position else 0.0 for j in range(S)]
            for span in SPANS
        ]
        scores = (query[:, :, i, None] * key).sum(-1) / math.sqrt(D)
        parts = torch.tensor(seen) * scores.exp()
        rows.append(parts / parts.sum(-1, keepdim=True))
    weights = torch.stack(rows, 2)
    result = attention(query, key, value, bias=layer(L, S), causal=True, need_weights=need_weights)
    torch.testing.assert_close(result[0] if need_weights else result, weights @ value)
    if need_weights:
        torch.testing.assert_close(result[1], weights)


def test_gradients_are_finite_and_come_from_the_ramp_alone():
    layer, g = spans([0.0, 3.3]), generator()  # a new span: the ramp ends at a key, share 0
    query = normal(g, 1, 2, L, D)
    bias = layer(L)
    assert bias.isneginf().any()
    [gradient] = gradients(attention(query, query, query, bias=bias), [layer.fraction])
    assert gradient.isfinite().all()
    assert gradient.all()
    wide = spans([10.0, 11.0])
    [gradient] = gradients(attention(query, query, query, bias=wide(L)), [wide.fraction])
    assert not gradient.any()


def test_gradients_pass_gradcheck():
    layer, g = spans([0.6, 3.3]), generator()
    query = normal(g, 1, 2, L, D)
    assert gradcheck(
        lambda _: attention(query, query, query, bias=layer(L), need_weights=True)[0],
        [layer.fraction],
    )


def test_the_penalty_is_the_mean_span_and_pulls_all_spans_together():
    layer = spans()
    torch.testing.assert_close(layer.penalty().item(), sum(SPANS) / 3)
    layer.penalty().backward()
    torch.testing.assert_close(layer.fraction.grad, torch.full((3,), MAX / 3).double())


def test_a_span_beyond_its_range_stays_at_the_edge_and_can_come_back():
    layer = spans([-5.0, MAX + 5.0])
    torch.testing.assert_close(layer.spans().tolist(), [0.0, float(MAX)])
    torch.testing.assert_close(layer(L), spans([0.0, MAX])(L))
    layer.spans().sum().backward()
    assert layer.fraction.grad.tolist() == [MAX, MAX]


def test_a_new_head_sees_the_ramp_alone():
    layer = spans()
    layer.reset_parameters()
    assert not layer.spans().any()
    assert (layer(40)[0, -1].exp() > 0).sum() == RAMP
    assert AdaptiveSpan(1, 7).ramp == 32


def test_a_head_learns_a_span_that_is_as_long_as_it_needs():
    """The target lies three positions back: the span grows until it is seen, and no farther."""
    layer = AdaptiveSpan(1, 20, ramp=4)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(200):
        # all keys alike but for their distance: the share of distance 3 is what can be learned
        weights = layer(40)[0].exp()
        weights = weights.tril() / weights.tril().sum(-1, keepdim=True)
        reached = weights.diagonal(-3).mean()
        loss = -reached.log() + 0.01 * layer.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert 0.5 < layer.spans().item() < 8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_layer_with_learned_spans_trains_in_every_dtype(dtype):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = MultiHeadAttention(2 * H, H).to(dtype)
    span, x = spans(dtype=dtype), normal(generator(), B, S, 2 * H, dtype=dtype)
    output = layer(x, bias=span(S), causal=True)
    assert output.dtype == dtype
    got = gradients(output, [span.fraction, *layer.parameters()])
    assert all(gradient.isfinite().all() for gradient in got)


def test_the_bias_is_where_the_layer_is():
    assert spans().to("meta")(L, S).device.type == "meta"


def test_a_saved_layer_comes_back():
    layer, fresh = spans(), spans([0.0, 0.0, 0.0])
    fresh.load_state_dict(layer.state_dict())
    torch.testing.assert_close(fresh(L), layer(L))


ERRORS = [
    (lambda: AdaptiveSpan(0, 1), ValueError, "AdaptiveSpan: got num_heads=0, expected at least 1"),
    (lambda: AdaptiveSpan(1, 0), ValueError, "got max_span=0"),
    (lambda: AdaptiveSpan(1, 1, ramp=0), ValueError, "got ramp=0"),
    (lambda: AdaptiveSpan(1, 2.5), TypeError, "max_span is a float"),
    (lambda: AdaptiveSpan(1, 1)(0), ValueError, "got length=0"),
    (lambda: AdaptiveSpan(1, 1)(1, -1), ValueError, "got size=-1"),
    (lambda: AdaptiveSpan(1, 1)(1.0), TypeError, "length is a float"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
