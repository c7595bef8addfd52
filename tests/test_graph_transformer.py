"""A transformer layer on a graph: only along edges, and equal in support to the graph."""

import pytest
import torch
import torch.nn.functional as functional
from errors import check_error
from oracles import generator, gradients, loop_attention, normal
from torch.autograd import gradcheck

from attnlib.graph_transformer import GraphTransformerLayer
from attnlib.masks import adjacency_mask
from attnlib.recording import record_attention

N, E, F, H, FFN = 11, 37, 6, 3, 13


def graph(num_nodes=N):
    return torch.randint(num_nodes - 2, (2, E), generator=generator())


def layer(**options):
    g, made = generator(1), GraphTransformerLayer(F, H, FFN, **options).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(normal(g, *parameter.shape))
    return made


def features():
    return normal(generator(2), N, F).requires_grad_()


def test_a_layer_equals_its_formula_node_by_node():
    made, x = layer(), features()
    inner = made.attention
    heads = [
        projection(x).view(N, H, -1).transpose(0, 1)
        for projection in (inner.q_proj, inner.k_proj, inner.v_proj)
    ]
    context, _ = loop_attention(*heads, adjacency_mask(graph(), N))
    hidden = x + inner.out_proj(context.transpose(0, 1).reshape(N, F))
    norm = made.attention_norm
    hidden = functional.layer_norm(hidden, (F,), norm.weight, norm.bias)
    first, _, second = made.ffn
    out = hidden + second(first(hidden).clamp(min=0))
    norm = made.ffn_norm
    expected = functional.layer_norm(out, (F,), norm.weight, norm.bias)
    torch.testing.assert_close(made(x, graph()), expected)


def test_weights_and_gradients_have_the_support_of_the_graph():
    made, x = layer(), features()
    mask = adjacency_mask(graph(), N)
    with record_attention(made) as maps:
        output = made(x, graph())
    [found] = maps.values()
    assert torch.equal(found.weights.squeeze(0) > 0, mask.expand(H, N, N))
    for target in range(N):
        (grad,) = gradients(output[target], [x])
        reached = mask[target] | (torch.arange(N) == target)
        assert torch.equal(grad.any(1), reached)


def test_gradients_are_right_and_isolated_nodes_stay_finite():
    made, x = layer(), features()
    assert made(x, torch.zeros(2, 0, dtype=torch.long)).isfinite().all()
    assert gradcheck(lambda x: made(x, graph()), [x], fast_mode=True)


def test_dropout_acts_while_training_only():
    made, x = layer(dropout=0.5), features()
    assert not torch.equal(made(x, graph()), made(x, graph()))
    made.eval()
    assert torch.equal(made(x, graph()), made(x, graph()))


def test_the_inner_width_is_twice_the_outer_unless_it_is_given():
    assert GraphTransformerLayer(F, H).ffn[0].out_features == 2 * F
    assert GraphTransformerLayer(F, H, FFN).ffn[0].out_features == FFN


def test_a_layer_keeps_half_precision():
    output = layer().bfloat16()(features().bfloat16(), graph())
    assert output.dtype == torch.bfloat16
    assert output.isfinite().all()


x = torch.zeros(N, F)

ERRORS = [
    (lambda: GraphTransformerLayer(0, H), ValueError, "GraphTransformerLayer: got embed_dim=0"),
    (lambda: GraphTransformerLayer(F, 4), ValueError, "expected a divisor"),
    (lambda: GraphTransformerLayer(F, H, 0), ValueError, "got ffn_dim=0"),
    (lambda: GraphTransformerLayer(F, H, dropout=2), ValueError, "got dropout=2"),
    (lambda: GraphTransformerLayer(F, H)(x[None], graph()), ValueError, r"\(1, 11, 6\)"),
    (lambda: GraphTransformerLayer(F, H)(x[:, :2], graph()), ValueError, r"expected \(N, 6\)"),
    (lambda: GraphTransformerLayer(F, H)(x.long(), graph()), TypeError, "x is torch.int64"),
    (lambda: GraphTransformerLayer(F, H)(x, graph().T), ValueError, r"expected \(2, E\)"),
    (lambda: GraphTransformerLayer(F, H)(x, graph() + N), ValueError, "expected 0 to 10"),
    (lambda: GraphTransformerLayer(F, H)(x, graph().float()), TypeError, "expected integers"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
