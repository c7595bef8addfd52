"""The fast ways inside attnlib.functional.attention: exact where they run, and elsewhere left."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from oracles import coin, generator, gradients, normal
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnlib.functional import attention, chunked_attention, windowed_attention
from attnlib.masks import causal_mask, padding_mask

B, H, D = 2, 3, 11
SHORT, LONG, MANY = 37, 149, 211  # within and beyond the length up to which weights are kept
DTYPES = (torch.float32, torch.bfloat16)


def inputs(*lead, length=LONG, size=MANY, width=D, dtype=torch.float64, seed=0):
    g = generator(seed)
    shapes = ((length, D), (size, D), (size, width))
    return [normal(g, *lead, *shape, dtype=dtype).requires_grad_() for shape in shapes]


def masks(length, size):
    g = generator(5)
    return {
        "no mask": None,
        "(L, S)": coin(g, length, size).index_fill(0, torch.tensor([2]), False),
        "(B, 1, 1, S)": padding_mask(torch.tensor([size - 3, 0]), size),
        "(B, H, L, S)": coin(g, B, H, length, size),
    }


def exact(leaves, mask=None, bias=None, causal=False, scale=None):
    """Torch's open computation in float64, with the gradients it gives to the same leaves."""
    length, size = leaves[0].shape[-2], leaves[1].shape[-2]
    if causal:
        mask = causal_mask(length, size) if mask is None else mask & causal_mask(length, size)
    term = mask
    if bias is not None:
        term = bias.double() if mask is None else torch.where(mask, bias.double(), -math.inf)
    with sdpa_kernel(SDPBackend.MATH):
        leaves = (x.double() for x in leaves)
        return F.scaled_dot_product_attention(*leaves, attn_mask=term, scale=scale)


def near(ours, theirs, dtype):
    """Close in the root of the mean square: single numbers may be off by a rounding or two."""
    size = theirs.double().square().mean().sqrt().clamp(min=1e-3)
    error = (ours.double() - theirs.double()).square().mean().sqrt()
    assert (
        error <= {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1.5e-2}[dtype] * size
    )


# ---------------------------------------------------------------- exact


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", ["no mask", "(L, S)", "(B, 1, 1, S)", "(B, H, L, S)"])
@pytest.mark.parametrize(("length", "size"), [(SHORT, SHORT), (31, SHORT), (LONG, MANY)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, *DTYPES])
def test_every_way_is_exact_in_value_and_gradient(dtype, length, size, mask, causal):
    for bias, width in itertools.product((None, (size,), (H, 1, size)), (D, 13)):
        leaves = inputs(B, H, length=length, size=size, width=width, dtype=dtype)
        known, term = list(leaves), None
        if bias is not None:
            term = normal(generator(3), *bias, dtype=dtype).requires_grad_()
            known.append(term)
        hidden = masks(length, size)[mask]
        options = {"bias": term, "causal": causal, "scale": 0.4 if bias is None else None}
        ours = attention(*leaves, hidden, **options)
        theirs = exact(leaves, hidden, **options)
        assert ours.dtype == dtype
        near(ours, theirs, dtype)
        with torch.no_grad():
            near(attention(*leaves, hidden, **options), theirs, dtype)
        for got, want in zip(gradients(ours, known), gradients(theirs, known), strict=True):
            near(got, want, dtype)


@pytest.mark.parametrize("causal", [False, True])
def test_many_tiles_of_long_rows_are_exact(causal):
    leaves = inputs(2, length=797, size=809, dtype=torch.bfloat16)
    ours, theirs = attention(*leaves, causal=causal), exact(leaves, causal=causal)
    near(ours, theirs, torch.bfloat16)
    for got, want in zip(gradients(ours, leaves), gradients(theirs, leaves), strict=True):
        near(got, want, torch.bfloat16)


@pytest.mark.parametrize("causal", [False, True])
def test_many_heads_of_short_rows_are_exact(causal):
    leaves = inputs(131, length=53, size=61, dtype=torch.float32)  # 81 of them at a time
    ours, theirs = attention(*leaves, causal=causal), exact(leaves, causal=causal)
    near(ours, theirs, torch.float32)
    for got, want in zip(gradients(ours, leaves), gradients(theirs, leaves), strict=True):
        near(got, want, torch.float32)


def test_large_scores_keep_their_digits_in_half_precision():
    """Scores of some hundreds, rounded to 3 digits, would be off by 1 and weights by a factor."""
    query, key, value = (x.detach() for x in inputs(7, dtype=torch.bfloat16))
    query, key = 10 * query, 10 * key
    want = exact((query, key, value))
    theirs = F.scaled_dot_product_attention(query, key, value) - want
    ours = attention(query, key, value) - want
    assert ours.square().mean() <= 4 * theirs.square().mean()


# ---------------------------------------------------------------- left where they do not apply


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, "(L, S)", "(B, 1, 1, S)"])
@pytest.mark.parametrize("size", [5, 131])
def test_second_derivatives_are_those_of_the_reference(size, mask, causal):
    leaves = inputs(B, H, length=4, size=size, width=11, dtype=torch.float32)
    hidden = None if mask is None else masks(4, size)[mask]
    found = []
    for context in (
        attention(*leaves, hidden, causal=causal),
        exact(leaves, hidden, causal=causal),
        attention(*(x.bfloat16() for x in leaves), hidden, causal=causal),
    ):
        first = torch.autograd.grad(context.square().sum(), leaves, create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in first), leaves))
    for ours, theirs, rough in zip(*found, strict=True):
        near(ours, theirs, torch.float32)
        assert rough.isfinite().all()
        assert (rough - theirs).norm() <= 0.1 * theirs.norm().clamp(min=1e-3)


def test_second_derivatives_of_self_attention_count_every_place_once():
    x = normal(generator(), 2, 1, 3, 2).requires_grad_()  # query, key and value are one tensor
    for attend in (attention, chunked_attention, lambda *x: windowed_attention(*x, 2)):
        assert gradcheck(lambda x, attend=attend: attend(x, x, x), [x])
        assert gradgradcheck(lambda x, attend=attend: attend(x, x, x), [x])
        [first] = torch.autograd.grad(attend(x, x, x).square().sum(), [x], create_graph=True)
        [plain] = torch.autograd.grad(attend(x, x, x).square().sum(), [x])
        torch.testing.assert_close(first.detach(), plain)


def test_second_derivatives_pass_gradcheck():
    leaves = inputs(2, 1, length=3, size=4)
    bias = normal(generator(2), 3, 4)
    assert gradgradcheck(lambda *x: attention(*x, causal=True), leaves)
    assert gradgradcheck(lambda *x: attention(*x, bias=bias), leaves)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler warns of torch itself
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_compiler_may_look(dtype):
    leaves = inputs(B, H, length=5, size=7, dtype=dtype)
    ours = torch.compile(lambda *x: attention(*x, causal=True), backend="eager", fullgraph=True)
    theirs = exact(leaves, causal=True)
    near(ours(*leaves), theirs, dtype)
    for got, want in zip(gradients(ours(*leaves), leaves), gradients(theirs, leaves), strict=True):
        near(got, want, dtype)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jvp compiles rules of torch's own
@pytest.mark.parametrize("size", [7, MANY])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_transforms_of_torch_func_may_look(dtype, size):
    query, key, value = (x.detach() for x in inputs(H, length=3, size=size, dtype=dtype))

    def function(query):
        return attention(query, key, value, causal=True)

    plain = exact((query, key, value), causal=True)
    several = torch.stack([query, query])
    near(torch.func.vmap(function)(several), torch.stack([plain, plain]), dtype)
    _, pushed = torch.func.jvp(function, (query,), (query,))
    jacobian = torch.func.jacrev(function)(query)
    near(pushed, torch.einsum("abcdef,def->abc", jacobian, query), dtype)
    with forward_ad.dual_level():
        dual = function(forward_ad.make_dual(query, query))
        near(forward_ad.unpack_dual(dual).tangent, pushed, dtype)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit.trace is on its way out
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # shapes are checked, and so fixed
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_trace_holds_for_other_numbers(dtype):
    leaves = [x.detach() for x in inputs(B, H, length=5, size=7, dtype=dtype)]
    traced = torch.jit.trace(lambda q, k, v: attention(q, k, v), leaves)
    others = [x.detach() for x in inputs(B, H, length=5, size=7, dtype=dtype, seed=9)]
    near(traced(*others), exact(others), dtype)


@pytest.mark.parametrize("size", [SHORT, MANY])
def test_autocast_takes_the_fast_way_of_its_dtype(size):
    leaves = inputs(B, H, length=31, size=size, dtype=torch.float32)
    mask = masks(31, size)["(L, S)"]
    with torch.autocast("cpu", torch.bfloat16):
        ours = attention(*leaves, mask, causal=True)
        plain = attention(*(x.bfloat16() for x in leaves), mask, causal=True)
        found = gradients(ours, leaves)  # inside autocast, as few would write it
    assert ours.dtype == torch.bfloat16
    assert ours.equal(plain)
    theirs = exact(leaves, mask, causal=True)
    near(ours, theirs, torch.bfloat16)
    for got, want in zip(found, gradients(theirs, leaves), strict=True):
        assert got.dtype == torch.float32
        near(got, want, torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_dropout_drops_the_weights_alike_whether_they_are_asked_for_or_not(masked, dtype):
    leaves = inputs(B, H, dtype=dtype)
    hidden = coin(generator(5), LONG, MANY) if masked else None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = attention(*leaves, hidden, causal=True, dropout_p=0.5)
        torch.manual_seed(0)
        theirs, _ = attention(*leaves, hidden, causal=True, dropout_p=0.5, need_weights=True)
    assert ours.equal(theirs)


def test_dropout_under_autocast_rounds_no_scores():
    wide = inputs(7, dtype=torch.float32)
    query, key, value = (30 * wide[0], wide[1], wide[2])
    rounded = [x.detach().bfloat16() for x in (query, key, value)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            ours = attention(query, key, value, dropout_p=0.5)
        torch.manual_seed(0)
        theirs = attention(*rounded, dropout_p=0.5)
    assert ours.equal(theirs)


def test_the_choice_of_torchs_kernel_is_respected():
    leaves = inputs(B, H, dtype=torch.float32)
    with sdpa_kernel(SDPBackend.MATH):
        context = attention(*leaves)
        theirs = F.scaled_dot_product_attention(*leaves)
    assert context.equal(theirs)
    assert type(context.grad_fn) is type(theirs.grad_fn)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_graph_may_be_walked_twice_and_saved_tensors_are_watched(dtype):
    leaves = inputs(B, H, dtype=dtype)
    context = attention(*leaves)
    for one, other in zip(gradients(context, leaves), gradients(context, leaves), strict=True):
        assert one.equal(other)
    with torch.no_grad():
        leaves[1].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradients(context, leaves)


def test_long_attention_keeps_no_pairs_for_the_backward_pass():
    for dtype in DTYPES:
        kept = []

        def keep(x, kept=kept):
            kept.append(x)
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, torch.Tensor.clone):
            attention(*inputs(B, H, dtype=dtype), causal=True)
        # With fewer queries than keys torch takes the causal mask as a term of L x S, once.
        assert sum(x.numel() for x in kept) < B * H * LONG * MANY


def test_a_long_causal_sequence_of_bfloat16_is_left_to_the_kernel_that_skips():
    query, key, value = (
        normal(generator(n), 1, 2, 1031, 16, dtype=torch.bfloat16) for n in range(3)
    )
    got = attention(query, key, value, causal=True)
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    assert torch.equal(got, expected)
    masked = attention(query, key, value, torch.ones(1031, 1031, dtype=torch.bool), causal=True)
    torch.testing.assert_close(masked, expected, atol=2e-2, rtol=2e-2)
