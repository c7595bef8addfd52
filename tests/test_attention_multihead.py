"""What MultiHeadAttention can do beyond torch's: shared heads, positions, a cache, temperatures."""

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, gradients, loop_attention, normal
from torch import nn
from torch.autograd import gradcheck
from torch.nn.utils import parametrize, prune

from attnlib.attention import MultiHeadAttention
from attnlib.cache import KVCache
from attnlib.masks import causal_mask, sliding_window_mask
from attnlib.positional import ALiBi, RelativeAttentionBias, RelativeBias, RotaryEmbedding

B, H, G, L, S, D = 2, 6, 3, 7, 11, 2
F, KDIM = H * D, 13

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def build(dtype=torch.float64, rotary=False, relative=False, **options):
    layer = MultiHeadAttention(
        F,
        H,
        rotary=RotaryEmbedding(D) if rotary else None,
        relative=RelativeAttentionBias(H, D) if relative else None,
        **options,
    )
    g = generator(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(g, *parameter.shape) / 2)
    return layer.to(dtype)


def sequence(length=L, width=F, seed=0, dtype=torch.float64):
    return normal(generator(seed), B, length, width, dtype=dtype).requires_grad_()


def heads(layer, query, key=None, value=None):
    """Queries, keys and values of every head, (B, H, length, D), by indexing."""
    key = query if key is None else key
    value = key if value is None else value
    inputs = ((query, layer.q_proj), (key, layer.k_proj), (value, layer.v_proj))
    projected = [projection(x) for x, projection in inputs]
    shared = H // (layer.k_proj.out_features // D)
    columns = [[h, h // shared, h // shared] for h in range(H)]
    return [
        torch.stack([projected[n][..., c[n] * D : c[n] * D + D] for c in columns], 1)
        for n in range(3)
    ]


def joined(layer, context):
    return layer.out_proj(torch.cat(context.unbind(1), -1))


def check(layer, inputs, expected, **options):
    """Value, weights and gradients of a call against a context and weights of the heads."""
    context, expected_weights = expected
    expected_output = joined(layer, context)
    output, weights = layer(*inputs, need_weights=True, **options)
    plain = layer(*inputs, **options)
    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(plain, expected_output)
    torch.testing.assert_close(weights, expected_weights)
    leaves = [*inputs, *layer.parameters()]
    wanted = gradients(expected_output, leaves)
    for result in (output, plain):
        torch.testing.assert_close(gradients(result, leaves), wanted)


# ---------------------------------------------------------------- shared heads


@pytest.mark.parametrize("groups", [1, 2, G, H])
@pytest.mark.parametrize("inputs", [1, 2])
def test_neighbouring_heads_share_keys_and_values(groups, inputs):
    layer = build(num_kv_heads=groups, kdim=KDIM if inputs == 2 else None)
    layer.v_proj = build(num_kv_heads=groups, vdim=KDIM if inputs == 2 else None).v_proj
    given_inputs = [sequence(), sequence(S, KDIM, seed=1)][:inputs]
    mask = coin(generator(5), L, S if inputs == 2 else L)
    mask[2] = False
    expected = loop_attention(*heads(layer, *given_inputs), mask)
    check(layer, given_inputs, expected, mask=mask)


def test_shared_heads_have_fewer_parameters_and_a_smaller_cache():
    layer = build(num_kv_heads=G)
    assert layer.k_proj.weight.shape == layer.v_proj.weight.shape == (G * D, F)
    cache = KVCache(B, G, L, D, dtype=torch.float64)
    with torch.no_grad():
        layer(sequence(), cache=cache)
    assert cache.length == L


# ---------------------------------------------------------------- positions


@pytest.mark.parametrize("groups", [G, H])
def test_rotary_turns_queries_and_keys_before_they_are_compared(groups):
    layer, x = build(rotary=True, num_kv_heads=groups), sequence()
    query, key, value = heads(layer, x)
    turned = layer.rotary(query), layer.rotary(key)
    check(layer, [x], loop_attention(*turned, value, causal=True), causal=True)


def test_with_rotary_the_last_query_stands_at_the_last_key():
    layer, x = build(rotary=True, relative=True), sequence(S)
    late = x[:, -2:]
    torch.testing.assert_close(layer(late, x, causal=True), layer(x, causal=True)[:, -2:])
    torch.testing.assert_close(layer(late, x), layer(x)[:, -2:])


@pytest.mark.parametrize("groups", [G, H])
@pytest.mark.parametrize("with_bias", [False, True])
def test_the_relative_term_is_added_to_the_scores(with_bias, groups):
    layer, x, memory = build(relative=True, num_kv_heads=groups), sequence(), sequence(S, seed=1)
    query, key, value = heads(layer, x, memory)
    bias = normal(generator(6), H, L, S) if with_bias else None
    total = layer.relative(query, key) + (bias if with_bias else 0)
    check(layer, [x, memory], loop_attention(query, key, value, bias=total), bias=bias)


@pytest.mark.parametrize("bias", [RelativeBias(H).double(), ALiBi(H).double()], ids=["T5", "ALiBi"])
def test_biases_of_positions_fit_the_layer(bias):
    layer, x, memory = build(), sequence(), sequence(S, seed=1)
    scores = bias(L, S)
    expected = loop_attention(*heads(layer, x, memory), bias=scores.expand(B, H, L, S))
    check(layer, [x, memory], expected, bias=scores)


# ---------------------------------------------------------------- temperature


@pytest.mark.parametrize("relative", [False, True])
def test_a_temperature_divides_the_scores_of_its_head(relative):
    layer, x = build(temperature=True, relative=relative), sequence()
    query, key, value = heads(layer, x)
    temperatures = layer.log_temperature.exp()
    term = layer.relative(query, key) if relative else torch.zeros(B, H, L, L)
    bias = normal(generator(6), H, L, L)
    results = []
    for h, one in enumerate(temperatures):
        total = term[:, h] / one + bias[h]
        inputs = query[:, h], key[:, h], value[:, h]
        results.append(loop_attention(*inputs, bias=total, scale=D**-0.5 / one))
    expected = [torch.stack(parts, 1) for parts in zip(*results, strict=True)]
    check(layer, [x], expected, bias=bias)


def test_a_new_temperature_is_one_and_without_it_there_is_no_parameter():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = MultiHeadAttention(F, H, temperature=True, relative=RelativeAttentionBias(H, D))
        layer.log_temperature.data.fill_(1.0)
        layer.relative.position_bias.data.fill_(1.0)
        layer.reset_parameters()
    assert not layer.log_temperature.any()
    assert not layer.relative.position_bias.any()
    assert "log_temperature" not in MultiHeadAttention(F, H).state_dict()


# ---------------------------------------------------------------- cache


@st.composite
def cuts(draw):
    """A length and the ends of the chunks that it is read in."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    return [sum(sizes[: i + 1]) for i in range(len(sizes))]


KINDS = [
    {},
    {"num_kv_heads": G},
    {"rotary": True, "num_kv_heads": 1},
    {"relative": True, "temperature": True},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@PROPERTY
@given(ends=cuts(), seed=st.integers(0, 10**6), window=st.integers(1, 5))
def test_any_chunks_through_the_cache_equal_one_pass(kind, ends, seed, window):
    layer, total = build(**kind), ends[-1]
    x = normal(generator(seed), B, total, F)
    bias = normal(generator(seed + 1), H, total, total)
    mask = sliding_window_mask(total, window)
    cache = KVCache(B, kind.get("num_kv_heads", H), total, D, dtype=torch.float64)
    with torch.no_grad():
        whole, weights = layer(x, bias=bias, mask=mask, causal=True, need_weights=True)
        for start, end in zip([0, *ends], ends, strict=False):
            output, seen = layer(
                x[:, start:end],
                bias=bias[:, start:end, :end],
                mask=mask[start:end, :end],
                causal=True,
                cache=cache,
                need_weights=True,
            )
            torch.testing.assert_close(output, whole[:, start:end])
            torch.testing.assert_close(seen, weights[:, :, start:end, :end])
        cache.reset()
        parts = [
            layer(x[:, start:end], causal=True, cache=cache)
            for start, end in zip([0, *ends], ends, strict=False)
        ]
        torch.testing.assert_close(torch.cat(parts, 1), layer(x, causal=True))


def test_examples_continue_from_where_the_cache_was_reordered():
    layer, x, more = build(rotary=True), sequence(), sequence(1, seed=1)
    index = torch.tensor([1, 1, 0])
    cache = KVCache(B, H, L + 1, D, dtype=torch.float64)
    with torch.no_grad():
        layer(x, causal=True, cache=cache)
        cache.reorder(index)
        output = layer(more[[0, 1, 1]], causal=True, cache=cache)
        whole = layer(torch.cat([x[index], more[[0, 1, 1]]], 1), causal=True)
    torch.testing.assert_close(output, whole[:, -1:])


def test_a_cache_works_under_autocast_and_in_half_precision():
    x = sequence(dtype=torch.float32).detach()
    layer = build(torch.float32, rotary=True)
    with torch.no_grad():
        exact = layer(x, causal=True)
        with torch.autocast("cpu", torch.bfloat16):
            cache = KVCache(B, H, L, D)
            parts = [layer(x[:, i : i + 1], causal=True, cache=cache) for i in range(L)]
        layer.bfloat16()
        half = KVCache(B, H, L, D, dtype=torch.bfloat16)
        parts_half = [layer(x[:, i : i + 1].bfloat16(), cache=half) for i in range(L)]
    for result in (parts, parts_half):
        output = torch.cat(result, 1)
        assert output.dtype == torch.bfloat16
        torch.testing.assert_close(output.float(), exact, atol=0.3, rtol=0.1)


# ---------------------------------------------------------------- one product for three


class Double(nn.Module):
    def forward(self, weight):
        return 2 * weight


def hooked(layer):
    layer.k_proj.register_forward_hook(lambda module, inputs, output: 2 * output)


def hooked_before(layer):
    layer.k_proj.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],))


def pruned(layer):
    prune.l1_unstructured(layer.k_proj, "weight", amount=0.5)


def reparametrised(layer):
    parametrize.register_parametrization(layer.k_proj, "weight", Double())


def replaced(layer):
    narrow = nn.Linear(F, 1, bias=False, dtype=torch.float64)
    layer.k_proj = nn.Sequential(narrow, nn.Linear(1, F, dtype=torch.float64))


@pytest.mark.parametrize("length", [1, F // B, L])
@pytest.mark.parametrize("bias", [False, True])
def test_self_attention_with_one_product_equals_three(bias, length):
    layer, x = build(bias=bias), sequence(length)
    check(layer, [x], loop_attention(*heads(layer, x)))
    # the same numbers in another tensor, so that each projection is called
    torch.testing.assert_close(layer(x), layer(x, x.clone()), atol=1e-12, rtol=0)


@pytest.mark.parametrize("change", [hooked, hooked_before, pruned, reparametrised, replaced])
def test_a_projection_that_was_changed_is_called(change):
    layer, x = build(), sequence()
    before = layer(x)
    change(layer)
    query, key, value = (
        p(x).unflatten(-1, (H, D)).transpose(1, 2)
        for p in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    context, _ = loop_attention(query, key, value)
    torch.testing.assert_close(layer(x), joined(layer, context))
    assert not torch.allclose(layer(x), before)


def test_gradients_reach_a_frozen_neighbour_s_inputs_and_not_its_weight():
    layer, x = build(), sequence()
    layer.q_proj.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.q_proj.weight.grad is None
    assert layer.k_proj.weight.grad.any()
    assert layer.v_proj.weight.grad.any()
    assert x.grad.any()


# ---------------------------------------------------------------- numerics and state


@pytest.mark.parametrize("kind", [*KINDS, {"temperature": True, "rotary": True}], ids=str)
def test_gradients_pass_gradcheck(kind):
    layer = build(**kind)
    x = normal(generator(), 1, 2, F).requires_grad_()
    leaves = [x, *layer.parameters()]
    assert gradcheck(lambda x, *_: layer(x, causal=True), leaves, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_half_precision_stays_half_precision(kind, dtype):
    exact = build(**kind)(sequence(), causal=True)
    x = sequence(dtype=dtype)
    layer = build(dtype, **kind)
    output, weights = layer(x, causal=True, need_weights=True)
    assert (output.dtype, weights.dtype) == (dtype, dtype)
    torch.testing.assert_close(output.double(), exact, atol=0.3, rtol=0.1)
    assert all(g.isfinite().all() for g in gradients(layer(x), [x, *layer.parameters()]))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("need_weights", [False, True])
def test_autocast_computes_in_bfloat16(kind, need_weights):
    layer, x = build(torch.float32, **kind), sequence(dtype=torch.float32)
    exact = layer(x, causal=True)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(x, causal=True, need_weights=need_weights)
    output = result[0] if need_weights else result
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), exact, atol=0.3, rtol=0.1)
    assert all(g.isfinite().all() for g in gradients(output, [x, *layer.parameters()]))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_saved_layer_comes_back(kind):
    layer, x = build(**kind), sequence()
    fresh = build(**kind)
    for parameter in fresh.parameters():
        parameter.data.zero_()
    fresh.load_state_dict(layer.state_dict())
    assert fresh(x).equal(layer(x))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_layers_follow_their_device(kind):
    layer = build(**kind).to("meta")
    x = sequence().to("meta")
    cache = KVCache(B, kind.get("num_kv_heads", H), L, D, device="meta", dtype=torch.float64)
    assert layer(x, causal=True).device.type == "meta"
    with torch.no_grad():
        assert layer(x, causal=True, cache=cache).device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_layers_on_a_gpu_equal_those_on_the_cpu(kind):
    layer, x = build(**kind), sequence().detach()
    expected = layer(x, causal=True, need_weights=True)
    layer.cuda()
    got = layer(x.cuda(), causal=True, need_weights=True)
    torch.testing.assert_close(tuple(y.cpu() for y in got), expected)
    cache = KVCache(B, kind.get("num_kv_heads", H), L, D, device="cuda", dtype=torch.float64)
    with torch.no_grad():
        parts = [layer(x[:, i : i + 1].cuda(), cache=cache) for i in range(L)]
    torch.testing.assert_close(torch.cat(parts, 1).cpu(), expected[0])


def test_the_names_in_a_state_dict_stay():
    names = {f"{p}_proj.{kind}" for p in ("q", "k", "v", "out") for kind in ("weight", "bias")}
    assert set(build(rotary=True, num_kv_heads=G).state_dict()) == names


# ---------------------------------------------------------------- errors


def call(*args, build_with=None, **options):
    return lambda: MultiHeadAttention(F, H, **(build_with or {}))(*args, **options)


def cached(*sizes, **options):
    """A call with a cache of these sizes, in float32 and without gradients."""

    def run():
        with torch.no_grad():
            MultiHeadAttention(F, H, **options)(x, causal=True, cache=KVCache(*sizes))

    return run


x = torch.zeros(B, L, F)
memory = torch.zeros(B, S, F)
rotary = {"rotary": RotaryEmbedding(D)}

ERRORS = [
    (lambda: MultiHeadAttention(F, H, num_kv_heads=0), ValueError, "got num_kv_heads=0"),
    (lambda: MultiHeadAttention(F, H, num_kv_heads=1.0), TypeError, "num_kv_heads is a float"),
    (
        lambda: MultiHeadAttention(F, H, num_kv_heads=4),
        ValueError,
        r"got num_heads=6 and num_kv_heads=4, .* num_kv_heads as one of \[1, 2, 3, 6\]",
    ),
    (lambda: MultiHeadAttention(F, 5), ValueError, r"write num_heads as one of \[1, 2, 3, 4, 6"),
    (
        lambda: MultiHeadAttention(F, H, rotary=RotaryEmbedding(F)),
        ValueError,
        "rotary embedding of width 12, expected embed_dim / num_heads = 2",
    ),
    (
        lambda: MultiHeadAttention(F, H, relative=RelativeAttentionBias(H, 4)),
        ValueError,
        r"for \(heads, 1, width\) \(6, 1, 4\), expected \(6, 1, 2\)",
    ),
    (call(memory, x, build_with=rotary), ValueError, "RotaryEmbedding: got offset=-4"),
    (call(x, cache=KVCache(B, H, L, D)), RuntimeError, "KVCache.append: key needs a gradient"),
    (cached(B, H, L - 1, D), ValueError, "got 7 positions after 0, expected at most max_len=6"),
    (cached(B, H, L, D, num_kv_heads=G), ValueError, r"key has shape \(2, 3, 7, 2\), expected"),
    (cached(1, H, L, D), ValueError, r"expected \(1, 6, n, 2\)"),
    (call(x, bias=torch.zeros(H, L, S)), ValueError, r"bias has shape \(6, 7, 11\)"),
    (call(x, mask=causal_mask(L, S)), ValueError, r"mask has shape \(7, 11\)"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)


# ---------------------------------------------------------------- one position at a time


@pytest.mark.parametrize("kind", [{}, {"num_kv_heads": G}, {"bias": False}], ids=str)
def test_stacked_projections_give_the_same_and_are_forgotten(kind):
    layer, x = build(**kind), sequence()[:, :1]
    expected = layer(x)
    with layer.stacked():
        torch.testing.assert_close(layer(x), expected)
        other = layer(x, sequence(S, seed=1))  # not of one input: three products
    torch.testing.assert_close(other, layer(x, sequence(S, seed=1)))
    with torch.no_grad():
        layer.v_proj.weight.zero_()
    assert not torch.allclose(layer(x), expected)


def test_projections_that_were_changed_are_not_stacked():
    layer, x = build(), sequence()[:, :1]
    layer.q_proj.register_forward_hook(lambda module, args, output: output * 0)
    expected = layer(x)
    with layer.stacked():
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
    wide = MultiHeadAttention(F, H, kdim=F + 1)
    with wide.stacked(), pytest.raises(ValueError, match="key has shape"):
        wide(torch.zeros(B, 1, F))


@torch.no_grad()
def test_a_mask_and_a_bias_hold_for_one_new_position():
    layer, x = build(), sequence()
    hidden = torch.ones(1, L, dtype=torch.bool)
    hidden[0, 1] = False
    bias = normal(generator(3), H, 1, L)
    for terms in ({"mask": hidden}, {"bias": bias}, {"mask": hidden, "bias": bias}):
        cache = KVCache(B, H, L, D, dtype=x.dtype)
        layer(x[:, :-1], cache=cache)
        expected = layer(x[:, -1:], x, **terms)
        torch.testing.assert_close(layer(x[:, -1:], cache=cache, **terms), expected)
