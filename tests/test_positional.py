"""attnlib.positional against loops, complex numbers, and the transformers library."""

import math

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, gradients, normal
from torch.autograd import gradcheck

from attnlib.attention import MultiHeadAttention
from attnlib.positional import (
    ALiBi,
    LearnedEncoding,
    RelativeAttentionBias,
    RelativeBias,
    RotaryEmbedding,
    SinusoidalEncoding,
    TimeEncoding,
)

B, H, L, S, D, F, MAX = 2, 3, 5, 7, 4, 6, 11

PROPERTY = settings(max_examples=30, deadline=None, derandomize=True, database=None)
HALVES = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])


def randomise(layer, seed=3):
    g = generator(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=parameter.dtype))
    return layer


def doubled(kind, *sizes, **options):
    """A layer that is built and computes in float64."""
    torch.set_default_dtype(torch.float64)
    try:
        return randomise(kind(*sizes, **options))
    finally:
        torch.set_default_dtype(torch.float32)


# ---------------------------------------------------------------- added to the features


@pytest.mark.parametrize("offset", [0, 4])
def test_the_sinusoidal_encoding_equals_the_formula(offset):
    layer, x = doubled(SinusoidalEncoding, F, MAX), normal(generator(), B, L, F)
    expected = x.clone()
    for p in range(L):
        for i in range(F // 2):
            angle = (p + offset) / 10000 ** (2 * i / F)
            expected[:, p, 2 * i] += math.sin(angle)
            expected[:, p, 2 * i + 1] += math.cos(angle)
    torch.testing.assert_close(layer(x, offset=offset), expected)
    assert layer.state_dict() == {}


def test_far_positions_lose_no_digit_in_the_angle():
    table = SinusoidalEncoding(2, 50_001)(torch.zeros(1, 1, 2), offset=50_000)[0, 0]
    torch.testing.assert_close(table, torch.tensor([math.sin(50_000), math.cos(50_000)]))


@pytest.mark.parametrize("offset", [0, 4])
def test_the_learned_encoding_adds_the_row_of_each_position(offset):
    layer, x = doubled(LearnedEncoding, F, MAX), normal(generator(), B, L, F).requires_grad_()
    output = layer(x, offset=offset)
    for p in range(L):
        torch.testing.assert_close(output[:, p], x[:, p] + layer.weight[p + offset])
    [gradient] = gradients(output, [layer.weight])
    used = gradient.any(-1).nonzero().flatten()
    assert used.tolist() == list(range(offset, offset + L))
    assert gradcheck(lambda y, w: layer(y, offset=offset), [x, layer.weight])


@pytest.mark.parametrize("kind", [SinusoidalEncoding, LearnedEncoding])
def test_a_chunk_with_its_offset_is_encoded_as_in_the_whole(kind):
    layer, x = kind(F, MAX), normal(generator(), B, MAX, F, dtype=torch.float32)
    parts = [layer(x[:, :3]), layer(x[:, 3:4], offset=3), layer(x[:, 4:], 4)]
    assert torch.cat(parts, 1).equal(layer(x))


def test_new_encodings_are_small_and_all_different():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = LearnedEncoding(64, 100)
        before = layer.weight.clone()
        layer.reset_parameters()
    assert 0.01 < layer.weight.std() < 0.03
    assert not layer.weight.equal(before)


def test_the_time_encoding_is_a_trend_and_waves():
    layer = doubled(TimeEncoding, F)
    times = normal(generator(), B, L).requires_grad_()
    output = layer(times)
    for f in range(F):
        angle = layer.frequency[f] * times + layer.phase[f]
        torch.testing.assert_close(output[..., f], angle if f == 0 else torch.sin(angle))
    assert gradcheck(lambda t, *_: layer(t), [times, *layer.parameters()])


def test_times_may_be_integers_and_are_multiplied_before_they_are_rounded():
    layer = TimeEncoding(F)
    times = torch.tensor([[0, 1, 5]])
    torch.testing.assert_close(layer(times), layer(times.float()))
    now = torch.tensor([[1.7e9, 1.7e9 + 1, 1.7e9 + 2]], dtype=torch.float64)
    exact = (now[..., None] * layer.frequency.double() + layer.phase.double()).sin()
    torch.testing.assert_close(layer(now)[..., 1:], exact[..., 1:].float(), atol=1e-6, rtol=0)
    assert layer(now).dtype == torch.float32


def test_new_waves_have_periods_from_short_to_long():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = TimeEncoding(F)
        before = layer.phase.clone()
        layer.reset_parameters()
    torch.testing.assert_close(layer.frequency[[0, -1]].detach(), torch.tensor([1e-4, 1.0]))
    assert layer.frequency.diff().gt(0).all()
    assert not layer.phase.equal(before)


def test_nan_among_the_times_stays_where_it_is():
    output = TimeEncoding(F)(torch.tensor([[0.0, math.nan, 1.0]]))
    assert output.isnan().any(-1).tolist() == [[False, True, False]]


# ---------------------------------------------------------------- rotary


@pytest.mark.parametrize("offset", [0, 4])
@pytest.mark.parametrize("base", [10000.0, 50.0])
def test_rotary_is_a_product_of_complex_numbers(offset, base):
    x = normal(generator(), B, H, L, D).requires_grad_()
    expected = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    angles = torch.tensor(
        [[(p + offset) * base ** (-2 * i / D) for i in range(D // 2)] for p in range(L)],
        dtype=torch.float64,
    )
    expected = torch.view_as_real(expected * torch.exp(1j * angles)).flatten(-2)
    layer = RotaryEmbedding(D, base=base)
    output = layer(x, offset=offset)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(output, [x]), gradients(expected, [x]))
    assert layer.state_dict() == {}


def test_rotary_equals_the_llama_layers_after_reordering_the_features():
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    x = normal(generator(), B, H, L, D)
    order = torch.arange(D).view(2, -1).T.flatten()
    angles = torch.arange(L)[:, None] * 10000.0 ** (-torch.arange(0, D, 2).double() / D)
    angles = torch.cat([angles, angles], -1)
    expected, _ = llama.apply_rotary_pos_emb(x, x, angles.cos()[None], angles.sin()[None])
    torch.testing.assert_close(RotaryEmbedding(D)(x[..., order]), expected[..., order])


@PROPERTY
@given(start=st.integers(0, 1000), other=st.integers(0, 1000), seed=st.integers(0, 10**6))
def test_products_of_turned_vectors_depend_on_the_distance_only(start, other, seed):
    layer, g = RotaryEmbedding(D), generator(seed)
    query, key = normal(g, B, H, L, D), normal(g, B, H, L, D)
    here = layer(query, offset=start + 5) @ layer(key, offset=start).transpose(-2, -1)
    there = layer(query, offset=other + 5) @ layer(key, offset=other).transpose(-2, -1)
    torch.testing.assert_close(here, there)
    torch.testing.assert_close(layer(query, start).norm(dim=-1), query.norm(dim=-1))


@HALVES
def test_rotary_in_half_precision_turns_far_positions_as_in_full(dtype):
    x = normal(generator(), B, H, L, D, dtype=dtype)
    layer = RotaryEmbedding(D).to(dtype)
    output = layer(x, offset=3001)
    assert output.dtype == dtype
    tolerance = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(
        output.double(), layer(x.double(), offset=3001), atol=tolerance, rtol=tolerance
    )


# ---------------------------------------------------------------- biases


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (32, 20), (8, 17), (7, 9), (4, 3)])
def test_the_buckets_equal_those_of_the_transformers_library(buckets, distance, bidirectional):
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    layer = doubled(RelativeBias, H, buckets, distance, bidirectional=bidirectional)
    for length, size in ((L, S), (S, L), (1, 300), (300, 1)):
        offsets = torch.arange(size) - torch.arange(size - length, size)[:, None]
        chosen = t5.T5Attention._relative_position_bucket(
            offsets, bidirectional, layer.num_buckets, layer.max_distance
        )
        expected = layer.weight[chosen].permute(2, 0, 1)
        torch.testing.assert_close(layer(length, size), expected)
    torch.testing.assert_close(layer(L), layer(L, L))


def test_the_gradient_of_a_relative_bias_counts_the_pairs_in_its_bucket():
    layer = RelativeBias(H, 4, 3)
    layer(3).sum().backward()
    # offsets 0 (three pairs) | -1 and -2 (two and one) | (none) | 1 and 2
    assert layer.weight.grad[:, 0].tolist() == [3, 3, 0, 3]


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 8, 11, 12, 16, 20])
def test_alibi_equals_the_paper_for_every_number_of_heads(heads):
    def slopes(n):
        """As in the appendix of the paper's code."""
        if math.log2(n).is_integer():
            start = 2 ** (-(2 ** -(math.log2(n) - 3)))
            return [start * start**i for i in range(n)]
        closest = 2 ** math.floor(math.log2(n))
        return slopes(closest) + slopes(2 * closest)[0::2][: n - closest]

    layer = doubled(ALiBi, heads)
    bias = layer(L, S)
    for h, slope in enumerate(slopes(heads)):
        for i in range(L):
            for j in range(S):
                torch.testing.assert_close(
                    bias[h, i, j].item(), -slope * abs(i + S - L - j), rtol=1e-12, atol=0
                )
    torch.testing.assert_close(layer(S), layer(S, S))
    assert layer.state_dict() == {}


@pytest.mark.parametrize("heads", [3, 8])
def test_causal_attention_with_alibi_equals_that_of_bloom(heads):
    bloom = pytest.importorskip("transformers.models.bloom.modeling_bloom")
    theirs = bloom.build_alibi_tensor(torch.ones(1, L), heads, torch.float32)
    x = normal(generator(), B, L, 2 * heads, dtype=torch.float32)
    layer = MultiHeadAttention(2 * heads, heads)
    torch.testing.assert_close(
        layer(x, bias=ALiBi(heads)(L), causal=True), layer(x, bias=theirs, causal=True)
    )


@pytest.mark.parametrize(("length", "size"), [(L, S), (S, L), (1, S), (L, 1), (L, L), (1, 1)])
def test_the_relative_term_equals_a_loop_over_pairs(length, size):
    layer, g = doubled(RelativeAttentionBias, H, D), generator()
    query, key = normal(g, B, H, length, D), normal(g, B, H, size, D)
    query.requires_grad_(), key.requires_grad_()
    weight = layer.r_proj.weight
    rows = []
    for i in range(length):
        for j in range(size):
            distance = i + size - length - j
            exponents = torch.arange(0, H * D, 2, dtype=torch.float64) / (H * D)
            angles = distance / 10000.0**exponents
            wave = torch.stack([angles.sin(), angles.cos()], -1).flatten()
            turned = (weight @ wave).view(H, D)
            by_position = ((query[:, :, i] + layer.position_bias[:, 0]) * turned).sum(-1)
            by_content = (layer.content_bias[:, 0] * key[:, :, j]).sum(-1)
            rows.append((by_position + by_content) / D**0.5)
    expected = torch.stack(rows, -1).view(B, H, length, size)
    got = layer(query, key)
    torch.testing.assert_close(got, expected)
    leaves = [query, key, *layer.parameters()]
    torch.testing.assert_close(gradients(got, leaves), gradients(expected, leaves))


def test_the_relative_term_of_late_queries_is_the_end_of_that_of_all():
    layer, x = doubled(RelativeAttentionBias, H, D), normal(generator(), B, H, S, D)
    torch.testing.assert_close(layer(x[:, :, -2:], x), layer(x, x)[:, :, -2:])


def test_a_new_relative_term_has_no_preference_for_any_content():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = RelativeAttentionBias(H, D)
        before = layer.r_proj.weight.clone()
        layer.reset_parameters()
    assert not layer.content_bias.any()
    assert not layer.position_bias.any()
    assert not layer.r_proj.weight.equal(before)


def test_relative_terms_have_gradients():
    g = generator()
    layer = doubled(RelativeAttentionBias, 1, 2)
    leaves = [normal(g, 1, 1, n, 2).requires_grad_() for n in (2, 3)]
    assert gradcheck(lambda q, k, *_: layer(q, k), [*leaves, *layer.parameters()])
    bias = doubled(RelativeBias, 2, 4, 3)
    assert gradcheck(lambda _: bias(3), [bias.weight])


# ---------------------------------------------------------------- all


def encode(kind, dtype=torch.float32, device="cpu"):
    """A new layer of a kind, and what it gives."""
    g = generator()
    x = normal(g, B, L, F, dtype=dtype).to(device)
    heads = normal(g, B, H, L, D, dtype=dtype).to(device)
    sizes = {
        ALiBi: (H,),
        LearnedEncoding: (F, MAX),
        RelativeAttentionBias: (H, D),
        RelativeBias: (H,),
        RotaryEmbedding: (D,),
        SinusoidalEncoding: (F, MAX),
        TimeEncoding: (F,),
    }[kind]
    layer = kind(*sizes).to(device, dtype)
    if kind in (ALiBi, RelativeBias):
        return layer, layer(L, S)
    if kind is RelativeAttentionBias:
        return layer, layer(heads, heads)
    if kind is TimeEncoding:
        return layer, layer(x[..., 0])
    return layer, layer(heads if kind is RotaryEmbedding else x)


KINDS = pytest.mark.parametrize(
    "kind",
    [
        ALiBi,
        LearnedEncoding,
        RelativeAttentionBias,
        RelativeBias,
        RotaryEmbedding,
        SinusoidalEncoding,
        TimeEncoding,
    ],
)


@KINDS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_comes_out_is_finite_and_has_the_dtype_that_went_in(kind, dtype):
    _, output = encode(kind, dtype)
    assert output.dtype == dtype
    assert output.isfinite().all()


@KINDS
def test_what_comes_out_is_where_the_layer_is(kind):
    _, output = encode(kind, device="meta")
    assert output.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@KINDS
def test_layers_on_a_gpu_equal_those_on_the_cpu(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, expected = encode(kind)
        torch.manual_seed(0)
        _, output = encode(kind, device="cuda")
    torch.testing.assert_close(output.cpu(), expected, atol=1e-5, rtol=1e-5)


@KINDS
def test_a_saved_layer_comes_back(kind):
    layer, _ = encode(kind)
    fresh, _ = encode(kind)
    fresh.load_state_dict(layer.state_dict())
    assert all(a.equal(b) for a, b in zip(fresh.parameters(), layer.parameters(), strict=True))


@pytest.mark.parametrize("kind", [LearnedEncoding, SinusoidalEncoding])
@HALVES
def test_features_in_half_precision_stay_so_beside_a_full_table(kind, dtype):
    x = torch.zeros(B, L, F, dtype=dtype)
    output = kind(F, MAX)(x)
    assert output.dtype == dtype


def test_layers_print_their_sizes():
    assert repr(RotaryEmbedding(D)) == "RotaryEmbedding(head_dim=4, base=10000.0)"


# ---------------------------------------------------------------- errors

x, heads = torch.zeros(B, L, F), torch.zeros(B, H, L, D)
sine, learned = SinusoidalEncoding(F, MAX), LearnedEncoding(F, MAX)
rotary, relative, times = RotaryEmbedding(D), RelativeAttentionBias(H, D), TimeEncoding(F)

ERRORS = [
    (lambda: SinusoidalEncoding(0, 1), ValueError, "SinusoidalEncoding: got embed_dim=0"),
    (lambda: SinusoidalEncoding(2, 0), ValueError, "got max_len=0"),
    (lambda: SinusoidalEncoding(5, 7), ValueError, "got embed_dim=5, expected an even width"),
    (lambda: LearnedEncoding(-1, 1), ValueError, "LearnedEncoding: got embed_dim=-1"),
    (lambda: LearnedEncoding(1, 2.0), TypeError, "max_len is a float"),
    (lambda: TimeEncoding(0), ValueError, "TimeEncoding: got embed_dim=0"),
    (lambda: RotaryEmbedding(0), ValueError, "RotaryEmbedding: got head_dim=0"),
    (lambda: RotaryEmbedding(3), ValueError, "got head_dim=3, expected an even width"),
    (lambda: RotaryEmbedding(2, base=1.0), ValueError, "got base=1.0, expected more than 1"),
    (lambda: RotaryEmbedding(2, base=math.nan), ValueError, "got base=nan"),
    (lambda: RelativeBias(0), ValueError, "RelativeBias: got num_heads=0"),
    (lambda: RelativeBias(1, 0), ValueError, "got num_buckets=0"),
    (lambda: RelativeBias(1, 3), ValueError, "got num_buckets=3 and max_distance=128"),
    (lambda: RelativeBias(1, 1, bidirectional=False), ValueError, "expected at least 2 buckets"),
    (lambda: RelativeBias(1, 32, 8), ValueError, "and a distance above 8"),
    (lambda: RelativeBias(1, 32, 16, bidirectional=False), ValueError, "a distance above 16"),
    (lambda: ALiBi(0), ValueError, "ALiBi: got num_heads=0"),
    (lambda: RelativeAttentionBias(0, 1), ValueError, "RelativeAttentionBias: got num_heads=0"),
    (lambda: RelativeAttentionBias(3, 5), ValueError, "expected an even product"),
    (lambda: sine([0.0]), TypeError, "SinusoidalEncoding: x is a list"),
    (lambda: sine(x.long()), TypeError, "x is torch.int64, expected floating point"),
    (lambda: sine(x[0]), ValueError, r"x has shape \(5, 6\)"),
    (lambda: sine(x[..., :4]), ValueError, r"x has shape \(2, 5, 4\), expected \(B, L, 6\)"),
    (lambda: sine(x, offset=7), ValueError, "got positions 7 to 11, expected 0 to 10"),
    (lambda: sine(x, offset=-1), ValueError, "got positions -1 to 3"),
    (lambda: learned(x[:, :0]), ValueError, r"LearnedEncoding: x has shape \(2, 0, 6\)"),
    (lambda: learned(x[..., :1]), ValueError, r"x has shape \(2, 5, 1\), expected \(B, L, 6\)"),
    (lambda: learned(x, offset=7), ValueError, "LearnedEncoding: got positions 7 to 11"),
    (lambda: times([0.0]), TypeError, "TimeEncoding: times is a list"),
    (lambda: times(torch.ones(1, 2, dtype=torch.bool)), TypeError, "times is torch.bool"),
    (lambda: times(torch.zeros(1, 2, dtype=torch.complex64)), TypeError, "times is torch.complex"),
    (lambda: times(torch.zeros(3)), ValueError, r"times has shape \(3,\), expected \(B, T\)"),
    (lambda: times(torch.zeros(3, 0)), ValueError, r"times has shape \(3, 0\)"),
    (lambda: rotary(None), TypeError, "RotaryEmbedding: x is a NoneType"),
    (lambda: rotary(heads.long()), TypeError, "x is torch.int64"),
    (lambda: rotary(x), ValueError, r"x has shape \(2, 5, 6\), expected \(B, H, L, 4\)"),
    (lambda: rotary(heads[..., :2]), ValueError, r"x has shape \(2, 3, 5, 2\)"),
    (lambda: rotary(heads, offset=-2), ValueError, "got offset=-2, expected 0 or more"),
    (lambda: RelativeBias(H)(0), ValueError, "RelativeBias: got length=0"),
    (lambda: RelativeBias(H)(1, -1), ValueError, "RelativeBias: got size=-1"),
    (lambda: ALiBi(H)(-1), ValueError, "ALiBi: got length=-1"),
    (lambda: ALiBi(H)(1.5), TypeError, "ALiBi: length is a float"),
    (lambda: relative(heads, x), ValueError, "RelativeAttentionBias: query has width 4 and key"),
    (lambda: relative(heads, heads.double()), TypeError, "expected one dtype"),
    (lambda: relative(heads.long(), heads), TypeError, "query is torch.int64"),
    (lambda: relative(heads[0], heads[0]), ValueError, r"query has shape \(3, 5, 4\)"),
    (lambda: relative(heads[:, :2], heads[:, :1]), ValueError, r"expected \(B, 3, length, 4\)"),
    (lambda: relative(heads, heads[:, :1]), ValueError, r"key has shape \(2, 1, 5, 4\)"),
    (lambda: relative(heads[:, :, :0], heads), ValueError, "at least one position"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
