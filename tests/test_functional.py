"""attnlib.functional against a loop in float64, and against torch's own kernel."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, gradients, loop_attention, normal
from torch.autograd import gradcheck

from attnlib.functional import attention, attention_weights, masked_softmax
from attnlib.masks import causal_mask, padding_mask, sliding_window_mask

B, H, L, S, D, Dv = 2, 3, 5, 7, 11, 13

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)
HALF = (torch.float16, torch.bfloat16)


def _masks():
    g = generator(7)
    masks = {
        "no mask": None,
        "(L, S)": coin(g, L, S),
        "(1, S)": coin(g, 1, S),
        "(B, 1, 1, S)": padding_mask(torch.tensor([4, 0]), S),
        "(1, H, L, 1)": coin(g, 1, H, L, 1),
        "(B, H, L, S)": coin(g, B, H, L, S),
    }
    masks["(L, S)"][2] = False  # the third query may attend to nothing
    masks["(B, H, L, S)"][1, 2] = False
    return masks


def _biases():
    g = generator(8)
    return {
        "no bias": None,
        "a number": normal(g),
        "(S,)": normal(g, S),
        "(H, 1, S)": normal(g, H, 1, S),
        "(B, 1, L, S)": normal(g, B, 1, L, S),
        "-inf": normal(g, L, S).masked_fill(~coin(g, L, S), -math.inf),
    }


MASKS, BIASES = _masks(), _biases()
OPTIONS = list(itertools.product(MASKS, BIASES, [False, True], [None, 0.3]))
# The loop is slow, so it sees every mask and every bias, but not every combination of all.
LOOPED = [
    (mask, bias, causal, scale)
    for mask, bias, causal, scale in OPTIONS
    if (mask in ("no mask", "(L, S)") or bias == "(S,)") and causal == (scale is None)
]


def inputs(*lead, length=L, size=S, dtype=torch.float64, seed=0):
    g = generator(seed)
    shapes = ((length, D), (size, D), (size, Dv))
    return [normal(g, *lead, *shape, dtype=dtype).requires_grad_() for shape in shapes]


def leaf(bias):
    return None if bias is None else bias.clone().requires_grad_()


def allowed(mask, causal, length=L, size=S):
    """The whole mask, spelled out."""
    full = torch.ones(length, size, dtype=torch.bool)
    if causal:
        full = torch.tensor([[j <= i + size - length for j in range(size)] for i in range(length)])
    return full if mask is None else full & mask


def size_of(x):
    """Root of the mean square."""
    return x.square().mean().sqrt().item()


def both_paths(*args, **options):
    """The context by torch's kernel, and by the open computation that also gives weights."""
    return attention(*args, **options), attention(*args, **options, need_weights=True)[0]


# ---------------------------------------------------------------- oracles


@pytest.mark.parametrize(("mask", "bias", "causal", "scale"), LOOPED)
def test_attention_equals_a_loop_in_value_and_gradient(mask, bias, causal, scale):
    leaves = inputs(B, H)
    options = {"bias": leaf(BIASES[bias]), "causal": causal, "scale": scale}
    context, weights = loop_attention(*leaves, MASKS[mask], **options)
    fast = attention(*leaves, MASKS[mask], **options)
    slow, returned = attention(*leaves, MASKS[mask], **options, need_weights=True)
    alone = attention_weights(*leaves[:2], MASKS[mask], **options)
    torch.testing.assert_close(fast, context)
    torch.testing.assert_close(slow, context)
    torch.testing.assert_close(returned, weights)
    torch.testing.assert_close(alone, weights)
    if options["bias"] is not None:
        leaves.append(options["bias"])
    wanted = gradients(context, leaves)
    torch.testing.assert_close(gradients(fast, leaves), wanted)
    torch.testing.assert_close(gradients(slow, leaves), wanted)
    leaves.pop(2)  # the weights do not depend on the values
    torch.testing.assert_close(gradients(alone, leaves), gradients(weights, leaves))


@pytest.mark.parametrize(("mask", "bias", "causal", "scale"), OPTIONS)
def test_attention_equals_torch_in_value_and_gradient(mask, bias, causal, scale):
    leaves = inputs(B, H)
    attn_mask = allowed(MASKS[mask], causal)
    extra = leaf(BIASES[bias])
    if extra is not None:
        attn_mask = torch.where(attn_mask, extra, -math.inf)
    theirs = F.scaled_dot_product_attention(*leaves, attn_mask=attn_mask, scale=scale)
    options = {"bias": extra, "causal": causal, "scale": scale}
    ours = both_paths(*leaves, MASKS[mask], **options)
    if extra is not None:
        leaves.append(extra)
    for context in ours:
        torch.testing.assert_close(context, theirs)
        torch.testing.assert_close(gradients(context, leaves), gradients(theirs, leaves))


@pytest.mark.parametrize(
    ("length", "size"), [(L, S), (L, L), (S, L), (1, S), (L, 1), (1, 1)], ids=str
)
def test_attention_equals_torch_for_any_number_of_queries_and_keys(length, size):
    leaves = inputs(B, H, length=length, size=size)
    theirs = F.scaled_dot_product_attention(*leaves)
    for ours in both_paths(*leaves):
        torch.testing.assert_close(ours, theirs)
    if length <= size:
        mask = allowed(None, True, length, size)
        theirs = F.scaled_dot_product_attention(*leaves, attn_mask=mask)
        for ours in both_paths(*leaves, causal=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("bias", ["no bias", "(S,)"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "leads",
    [
        ((), (), ()),
        ((B,), (B,), (B,)),
        ((B, H), (B, H), (B, H)),
        ((2, 1, 3), (2, 1, 3), (2, 1, 3)),
        ((B, H), (B, 1), (B, 1)),  # one key and value for all heads
        ((1, H), (B, 1), (B, H)),
        ((H,), (B, H), (1,)),
        ((B, H), (), ()),
        ((), (), (B, H)),
    ],
    ids=str,
)
def test_leading_dimensions_are_free_and_broadcast(leads, causal, bias):
    leaves = [inputs(*lead)[n] for n, lead in enumerate(leads)]
    mask = MASKS["(L, S)"]
    options = {"bias": BIASES[bias], "causal": causal}
    context, weights = loop_attention(*leaves, mask, **options)
    for ours in both_paths(*leaves, mask, **options):
        torch.testing.assert_close(ours, context)
        torch.testing.assert_close(gradients(ours, leaves), gradients(context, leaves))
    returned = attention(*leaves, mask, **options, need_weights=True)[1]
    torch.testing.assert_close(returned.expand_as(weights), weights)


def test_a_mask_may_have_a_dimension_for_every_dimension_of_the_scores():
    leaves = inputs(B)
    mask = coin(generator(), B, L, S)
    context, _ = loop_attention(*leaves, mask)
    for ours in both_paths(*leaves, mask):
        torch.testing.assert_close(ours, context)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_masked_softmax_equals_torch_over_what_is_left(dim):
    scores = normal(generator(), L, S)
    mask = coin(generator(), L, S)
    mask[2], mask[:, 3] = False, False
    ours = masked_softmax(scores, mask, dim).movedim(dim, -1)
    for row, seen, got in zip(scores.movedim(dim, -1), mask.movedim(dim, -1), ours, strict=True):
        expected = torch.zeros_like(row)
        expected[seen] = torch.softmax(row[seen], 0)
        torch.testing.assert_close(got, expected)


def test_masked_softmax_without_a_mask_is_softmax():
    scores = normal(generator(), B, H, L, S)
    torch.testing.assert_close(masked_softmax(scores), torch.softmax(scores, -1))
    torch.testing.assert_close(masked_softmax(scores, dim=1), torch.softmax(scores, 1))
    torch.testing.assert_close(masked_softmax(scores[0, 0, 0]), torch.softmax(scores[0, 0, 0], 0))


# ---------------------------------------------------------------- rules


def test_weights_are_returned_only_when_asked():
    leaves = inputs(B, H)
    assert attention(*leaves).shape == (B, H, L, Dv)
    context, weights = attention(*leaves, need_weights=True)
    assert context.shape == (B, H, L, Dv)
    assert weights.shape == (B, H, L, S)


def test_causal_attention_is_aligned_at_the_last_query_and_key():
    query, key, value = inputs(B, H)
    for context in both_paths(query, key, value, causal=True):
        for i in range(L):
            last = S - L + i + 1
            alone = attention(query[..., i : i + 1, :], key[..., :last, :], value[..., :last, :])
            torch.testing.assert_close(context[..., i : i + 1, :], alone)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_an_empty_row_gives_zero_weights_zero_context_and_zero_gradient(dtype):
    leaves = inputs(B, H, dtype=dtype)
    mask = coin(generator(), B, H, L, S)
    mask[:, :, 2] = False
    weights = attention(*leaves, mask, need_weights=True)[1]
    assert not weights[:, :, 2].any()
    for context in both_paths(*leaves, mask):
        assert not context[:, :, 2].any()
        for gradient in gradients(context, leaves):
            assert gradient.isfinite().all()
        assert not gradients(context, leaves)[0][:, :, 2].any()
        assert not any(g.any() for g in gradients(context[:, :, 2], leaves))


def test_rows_that_are_all_empty_have_finite_gradients():
    leaves = inputs(B, H)
    nothing = torch.zeros(L, S, dtype=torch.bool)
    for context in both_paths(*leaves, nothing):
        assert not context.any()
        assert not any(g.any() for g in gradients(context, leaves))


def test_a_bias_of_minus_infinity_hides_and_a_whole_row_of_it_is_empty():
    leaves = inputs(B, H)
    bias = torch.zeros(L, S, dtype=torch.float64)
    bias[1, 3], bias[2] = -math.inf, -math.inf
    bias.requires_grad_()
    for context in both_paths(*leaves, bias=bias):
        torch.testing.assert_close(context, attention(*leaves, bias == 0))
        assert not context[:, :, 2].any()
        assert all(g.isfinite().all() for g in gradients(context, [*leaves, bias]))


def test_the_inputs_are_left_as_they_are():
    leaves = [x.detach() for x in inputs(B, H)]
    mask, bias = MASKS["(B, H, L, S)"].clone(), BIASES["(B, 1, L, S)"].clone()
    before = [x.clone() for x in (*leaves, mask, bias)]
    both_paths(*leaves, mask, bias=bias, causal=True)
    masked_softmax(bias, mask[:, :1])
    assert all(x.equal(y) for x, y in zip((*leaves, mask, bias), before, strict=True))


def test_views_and_expanded_tensors_are_as_good_as_contiguous_ones():
    g = generator()
    shapes = ((L, D), (S, D), (S, Dv))
    query, key, value = (normal(g, B, n, H, width).transpose(1, 2) for n, width in shapes)
    mask = coin(g, 1, 1, 1, S).expand(B, H, L, S)
    bias = normal(g, S, L).t()
    solid = [x.contiguous() for x in (query, key, value, mask)]
    for ours, expected in zip(
        both_paths(query, key, value, mask, bias=bias),
        both_paths(*solid, bias=bias.contiguous()),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected)


def test_a_batch_of_no_examples_gives_no_examples():
    leaves = inputs(0, H)
    for context in both_paths(*leaves, MASKS["(L, S)"], bias=BIASES["(S,)"], causal=True):
        assert context.shape == (0, H, L, Dv)


@pytest.mark.parametrize("causal", [False, True])
def test_results_are_made_on_the_device_of_the_inputs(causal):
    leaves = [x.to("meta") for x in inputs(B, H)]
    mask, bias = MASKS["(L, S)"].to("meta"), BIASES["(S,)"].to("meta")
    context, weights = attention(*leaves, mask, bias=bias, causal=causal, need_weights=True)
    fast = attention(*leaves, mask, bias=bias, causal=causal)
    assert {x.device.type for x in (context, weights, fast)} == {"meta"}


# ---------------------------------------------------------------- dropout


def dropped(need_weights, dropout_p, length=31):
    """Weights as dropout leaves them: with the unit matrix as value the context is the weights."""
    query, key, _ = (x.detach() for x in inputs(B, H, length=length, size=length))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"dropout_p": dropout_p, "need_weights": need_weights}
        result = attention(query, key, torch.eye(length, dtype=torch.float64), **options)
    context, weights = result if need_weights else (result, attention_weights(query, key))
    return context, weights


@pytest.mark.parametrize("dropout_p", [0.125, 0.5])  # multiples of 1 / 65536
@pytest.mark.parametrize("need_weights", [False, True])
def test_dropout_drops_a_share_of_the_weights_and_scales_up_the_rest(need_weights, dropout_p):
    context, weights = dropped(need_weights, dropout_p)
    gone = context == 0
    torch.testing.assert_close(context[~gone], weights[~gone] / (1 - dropout_p))
    assert abs(gone.double().mean().item() - dropout_p) < 0.03


def test_weights_are_returned_as_they_are_before_dropout():
    context, weights = dropped(True, 0.5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, 31, dtype=torch.float64))
    assert not torch.allclose(context.sum(-1), torch.ones(B, H, 31, dtype=torch.float64))


@pytest.mark.parametrize("need_weights", [False, True])
def test_without_dropout_no_random_number_is_drawn(need_weights):
    before = torch.random.get_rng_state()
    attention(*inputs(B, H), dropout_p=0.0, need_weights=need_weights)
    assert torch.random.get_rng_state().equal(before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_gradients_are_finite_with_dropout_masks_bias_and_empty_rows(dtype):
    leaves = inputs(B, H, dtype=dtype)
    bias = BIASES["-inf"].to(dtype).requires_grad_()
    options = {"bias": bias, "causal": True, "dropout_p": 0.5}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for context in both_paths(*leaves, MASKS["(L, S)"], **options):
            assert context.isfinite().all()
            assert not context[:, :, 2].any()
            assert all(g.isfinite().all() for g in gradients(context, [*leaves, bias]))


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_attention_pass_gradcheck(need_weights, causal, masked):
    g = generator()
    leaves = [normal(g, 2, *s).requires_grad_() for s in ((3, 2), (4, 2), (4, 3), (3, 4))]
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]]).bool() if masked else None

    def function(query, key, value, bias):
        options = {"bias": bias, "causal": causal, "need_weights": need_weights, "scale": 0.7}
        return attention(query, key, value, mask, **options)

    assert gradcheck(function, leaves)


@pytest.mark.parametrize("dim", [0, -1])
def test_gradients_of_the_weights_pass_gradcheck(dim):
    g = generator()
    query, key, scores = (normal(g, *s).requires_grad_() for s in ((3, 2), (4, 2), (3, 4)))
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()
    assert gradcheck(lambda scores: masked_softmax(scores, mask, dim), [scores])
    assert gradcheck(lambda scores: masked_softmax(scores, dim=dim), [scores])
    assert gradcheck(lambda q, k, b: attention_weights(q, k, mask, bias=b), [query, key, scores])


# ---------------------------------------------------------------- numerics


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_products_that_overflow_before_scaling_are_finite(dtype):
    limit = torch.finfo(dtype).max
    size = math.sqrt(0.5 * limit / math.sqrt(D))  # q.k = D size^2 > limit > q.k / sqrt(D)
    assert D * size**2 > limit
    query = torch.full((1, D), size, dtype=dtype)
    key = torch.stack([query[0], -query[0]])
    value = torch.tensor([[1.0], [2.0]], dtype=dtype)
    for context in both_paths(query, key, value):
        assert context.tolist() == [[1.0]]


@pytest.mark.parametrize("spread", [10.0, 3.0, 1.0, 0.1])
@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
def test_the_error_is_at_most_twice_that_of_torch(dtype, spread):
    query, key, value = (x.detach() for x in inputs(40, H, size=31, dtype=dtype))
    query, key = query * spread, key * spread
    exact = F.scaled_dot_product_attention(query.double(), key.double(), value.double())
    theirs = F.scaled_dot_product_attention(query, key, value)
    bound = 2 * size_of(theirs - exact) + torch.finfo(dtype).eps * size_of(exact)
    for ours in both_paths(query, key, value):
        assert ours.dtype == dtype
        assert size_of(ours - exact) <= bound


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_logits_of_ten_thousand_are_safe(dtype):
    one = torch.ones(1, 1, dtype=dtype)
    key = torch.tensor([[1e4], [-1e4], [0.0]], dtype=dtype)
    value = torch.tensor([[1.0], [2.0], [3.0]], dtype=dtype)
    assert attention_weights(one, key).tolist() == [[1.0, 0.0, 0.0]]
    assert attention_weights(-one, key).tolist() == [[0.0, 1.0, 0.0]]
    assert masked_softmax(-key.expand(3, 3), dim=0).sum().item() == pytest.approx(3, rel=1e-2)
    for context in both_paths(one, key, value):
        assert context.item() == 1.0
    for context in both_paths(one, key, value, bias=torch.tensor([-2e4, 2e4, 0], dtype=dtype)):
        assert context.item() == 2.0


@pytest.mark.parametrize("dtype", HALF)
def test_weights_in_half_precision_sum_to_one(dtype):
    query, key, _ = inputs(B, H, size=64, dtype=dtype)
    weights = attention_weights(query, key, bias=torch.zeros(64))  # a float32 bias is welcome
    assert weights.dtype == dtype
    one = torch.ones(B, H, L, dtype=torch.float64)
    torch.testing.assert_close(weights.double().sum(-1), one, atol=1e-2, rtol=0)


def test_a_bias_takes_the_dtype_of_the_query():
    leaves = inputs(B, H, dtype=torch.float32)
    for context in both_paths(*leaves, bias=BIASES["(S,)"]):
        assert context.dtype == torch.float32
        torch.testing.assert_close(context, attention(*leaves, bias=BIASES["(S,)"].float()))


def test_autocast_may_mix_dtypes():
    query, key, value = inputs(B, H, dtype=torch.float32)
    exact, _ = loop_attention(query, key, value, bias=BIASES["(S,)"].float())
    with torch.autocast("cpu", torch.bfloat16):
        contexts = both_paths(query, key.bfloat16(), value, bias=BIASES["(S,)"])
    for context in contexts:
        assert context.dtype == torch.bfloat16
        torch.testing.assert_close(context.float(), exact, atol=0.05, rtol=0)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("which", ["query", "key", "value"])
def test_nan_is_not_hidden_from_those_who_may_see_it(which, need_weights):
    leaves = dict(zip(("query", "key", "value"), (x.detach() for x in inputs(B, H)), strict=True))
    leaves[which][..., 3, 0] = math.nan
    mask = torch.ones(L, S, dtype=torch.bool)
    mask[1, 3] = False
    result = attention(**leaves, mask=mask, need_weights=need_weights)
    context = result[0] if need_weights else result
    seen = [3] if which == "query" else [0, 2, 3, 4]
    assert context.isnan().any(-1)[:, :, seen].all()


def test_nan_in_a_query_stays_with_that_query():
    query, key, value = (x.detach() for x in inputs(B, H))
    query[..., 3, 0] = math.nan
    for context in both_paths(query, key, value):
        assert context.isnan().any(-1).nonzero()[:, 2].unique().tolist() == [3]


def test_nan_among_the_allowed_scores_stays_and_among_the_hidden_ones_does_not():
    scores = torch.tensor([[math.nan, 0.0, 1.0]])
    assert masked_softmax(scores).isnan().all()
    hidden = masked_softmax(scores, torch.tensor([[False, True, True]]))
    torch.testing.assert_close(hidden[0, 1:], torch.softmax(scores[0, 1:], 0))
    assert hidden[0, 0] == 0


def test_scores_of_plus_infinity_give_nan_as_in_torch():
    scores = torch.tensor([[math.inf, 0.0]])
    assert masked_softmax(scores).isnan().equal(torch.softmax(scores, -1).isnan())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize(("mask", "bias", "causal", "scale"), LOOPED)
def test_attention_on_a_gpu_equals_that_on_the_cpu(mask, bias, causal, scale, dtype):
    leaves = inputs(B, H, dtype=dtype)
    mask, bias = MASKS[mask], BIASES[bias]
    options = {"causal": causal, "scale": scale}
    exact = attention(*(x.double() for x in leaves), mask, bias=bias, **options)
    wanted = gradients(exact, leaves)
    options["mask"] = None if mask is None else mask.cuda()
    options["bias"] = None if bias is None else bias.cuda()
    atol = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}[dtype]
    for context in both_paths(*(x.cuda() for x in leaves), **options):
        assert context.device.type == "cuda"
        context = context.double().cpu()
        torch.testing.assert_close(context, exact, atol=atol, rtol=0)
        torch.testing.assert_close(gradients(context, leaves), wanted, atol=4 * atol, rtol=0)


# ---------------------------------------------------------------- properties


sizes = st.integers(1, 6)


@st.composite
def problems(draw):
    """Query, key, value, mask of any size; about one row in three is empty when S is small."""
    length, size, width, seed = draw(sizes), draw(sizes), draw(sizes), draw(st.integers(0, 10**6))
    g = generator(seed)
    query, key, value = normal(g, length, width), normal(g, size, width), normal(g, size, 2)
    return query, key, value, coin(g, length, size, share=draw(st.sampled_from([0.2, 0.6, 1.0])))


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)


@PROPERTY
@given(problems())
def test_rows_sum_to_one_or_zero_and_hidden_weights_are_exactly_zero(problem):
    query, key, _, mask = problem
    weights = attention_weights(query, key, mask)
    close(weights.sum(-1), mask.any(-1).double())
    assert not weights[~mask].any()
    assert (weights >= 0).all()


@PROPERTY
@given(problems(), st.integers(0, 5))
def test_what_is_hidden_from_all_queries_may_be_anything(problem, position):
    query, key, value, mask = problem
    j = position % len(key)
    mask[:, j] = False
    before = both_paths(query, key, value, mask)
    key[j], value[j] = 1e3, -1e3
    for a, b in zip(before, both_paths(query, key, value, mask), strict=True):
        close(a, b)


@PROPERTY
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_keys_does_not_matter(problem, random):
    query, key, value, mask = problem
    order = list(range(len(key)))
    random.shuffle(order)
    permuted = both_paths(query, key[order], value[order], mask[:, order])
    for a, b in zip(both_paths(query, key, value, mask), permuted, strict=True):
        close(a, b)
    weights = attention_weights(query, key, mask)
    close(weights[:, order], attention_weights(query, key[order], mask[:, order]))


@PROPERTY
@given(problems(), st.randoms(use_true_random=False))
def test_permuted_queries_give_permuted_contexts(problem, random):
    query, key, value, mask = problem
    order = list(range(len(query)))
    random.shuffle(order)
    permuted = both_paths(query[order], key, value, mask[order])
    for a, b in zip(both_paths(query, key, value, mask), permuted, strict=True):
        close(a[order], b)


@PROPERTY
@given(problems(), st.floats(-100, 100))
def test_a_constant_added_to_a_row_of_scores_changes_nothing(problem, constant):
    query, key, value, mask = problem
    shift = torch.full((len(query), 1), constant, dtype=torch.float64)
    shifted = both_paths(query, key, value, mask, bias=shift)
    for a, b in zip(both_paths(query, key, value, mask), shifted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)
    scores = query @ key.T
    close(masked_softmax(scores, mask), masked_softmax(scores + constant, mask))


@PROPERTY
@given(problems())
def test_causal_is_the_causal_mask(problem):
    query, key, value, mask = problem
    if len(query) > len(key):
        query, mask = query[: len(key)], mask[: len(key)]
    triangle = causal_mask(len(query), len(key))
    for a, b in zip(
        both_paths(query, key, value, mask, causal=True),
        both_paths(query, key, value, mask & triangle),
        strict=True,
    ):
        close(a, b)
    for a in both_paths(query, key, value, causal=True):
        close(a, attention(query, key, value, triangle))


@PROPERTY
@given(problems(), sizes)
def test_a_window_is_attention_over_the_last_keys(problem, window):
    _, key, value, _ = problem
    mask = sliding_window_mask(len(key), window)
    for context in both_paths(key, key, value, mask):
        for i in range(len(key)):
            near = slice(max(0, i + 1 - window), i + 1)
            close(context[i : i + 1], attention(key[i : i + 1], key[near], value[near]))


@PROPERTY
@given(problems())
def test_a_context_lies_between_the_smallest_and_the_largest_value(problem):
    query, key, value, _ = problem
    for context in both_paths(query, key, value):
        assert (context <= value.amax(0) + 1e-9).all()
        assert (context >= value.amin(0) - 1e-9).all()


# ---------------------------------------------------------------- errors


def call(**changes):
    g = generator()
    arguments = {
        "query": normal(g, B, H, L, D),
        "key": normal(g, B, H, S, D),
        "value": normal(g, B, H, S, Dv),
    }
    return lambda: attention(**(arguments | changes))


def zeros(*shape, dtype=torch.float64, device="cpu"):
    return torch.zeros(*shape, dtype=dtype, device=device)


yes = torch.ones(L, S, dtype=torch.bool)

ERRORS = [
    (call(query=[1.0]), TypeError, "attention: query is a list, expected a torch.Tensor"),
    (call(key=zeros(B, H, S, D).numpy()), TypeError, "key is a ndarray"),
    (call(query=zeros(B, H, L, D).long()), TypeError, "query is torch.int64"),
    (call(value=zeros(B, H, S, Dv).bool()), TypeError, "value is torch.bool"),
    (call(query=zeros(D)), ValueError, r"query has shape \(11,\)"),
    (call(query=zeros(B, H, 0, D)), ValueError, r"query has shape \(2, 3, 0, 11\)"),
    (call(key=zeros(B, H, 0, D)), ValueError, "expected at least one position"),
    (call(value=zeros(B, H, S, 0)), ValueError, "value has shape"),
    (call(query=zeros(B, H, L, D, device="meta")), ValueError, "query on meta, key on cpu"),
    (call(key=zeros(B, H, S, D).float()), TypeError, "query torch.float64, key torch.float32"),
    (
        lambda: attention_weights(zeros(L, D, device="meta"), zeros(S, D, device="meta").float()),
        TypeError,
        "expected one dtype",
    ),
    (call(query=zeros(B, H, L, Dv)), ValueError, "query has width 13 and key has width 11"),
    (call(value=zeros(B, H, L, Dv)), ValueError, "key has 7 positions and value has 5"),
    (call(query=zeros(H, B, L, D)), ValueError, r"expected leading dimensions that broadcast"),
    (call(query=zeros(B, H, 8, D), causal=True), ValueError, "got 8 queries and 7 keys"),
    (call(mask=[[True]]), TypeError, "mask is a list"),
    (call(mask=yes.float()), TypeError, "mask is torch.float32, expected bool"),
    (call(mask=yes.int()), TypeError, r"write mask.bool\(\) for a 0/1 mask"),
    (call(mask=yes.T), ValueError, r"mask has shape \(7, 5\)"),
    (call(mask=yes[0]), ValueError, r"mask has shape \(7,\)"),
    (call(mask=yes.expand(H, L, S)), ValueError, r"mask has shape \(3, 5, 7\)"),
    (call(mask=yes.expand(1, B, H, L, S)), ValueError, r"mask has shape \(1, 2, 3, 5, 7\)"),
    (call(bias=2.0), TypeError, "bias is a float"),
    (call(bias=yes), TypeError, "pass a bool tensor as mask="),
    (call(bias=zeros(S, L)), ValueError, r"bias has shape \(7, 5\)"),
    (call(bias=zeros(1, B, H, L, S)), ValueError, "reshape it to"),
    (call(dropout_p=1.0), ValueError, "got dropout_p=1.0, expected a probability"),
    (call(dropout_p=-0.1), ValueError, "got dropout_p=-0.1"),
    (call(dropout_p=math.nan), ValueError, "got dropout_p=nan"),
    (lambda: attention_weights(zeros(L, D), zeros(S, Dv)), ValueError, "attention_weights: query"),
    (
        lambda: attention_weights(zeros(L, D), zeros(S, D), yes.T),
        ValueError,
        "attention_weights: mask",
    ),
    (
        lambda: attention_weights(zeros(L, D), zeros(S, D), bias=yes),
        TypeError,
        "attention_weights: bias",
    ),
    (
        lambda: attention_weights(zeros(S, D), zeros(L, D), causal=True),
        ValueError,
        "attention_weights: got 7 queries and 5 keys",
    ),
    (lambda: masked_softmax(None), TypeError, "masked_softmax: scores is a NoneType"),
    (lambda: masked_softmax(yes), TypeError, "masked_softmax: scores is torch.bool"),
    (lambda: masked_softmax(zeros(())), ValueError, r"scores has shape \(\)"),
    (lambda: masked_softmax(zeros(L, 0)), ValueError, r"scores has shape \(5, 0\)"),
    (lambda: masked_softmax(zeros(L, S), dim=2), ValueError, "along dim=2"),
    (lambda: masked_softmax(zeros(L, S), yes.T), ValueError, "masked_softmax: mask has shape"),
    (lambda: masked_softmax(zeros(S), yes), ValueError, r"mask has shape \(5, 7\)"),
    (lambda: masked_softmax(zeros(L, S), zeros(L, S)), TypeError, "mask is torch.float64"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
