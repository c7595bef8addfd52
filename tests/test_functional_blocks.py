"""Attention in blocks (chunked, windowed) against a loop in float64, torch and the dense form."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, gradients, loop_attention, normal
from torch.autograd import gradcheck, gradgradcheck

from attnlib.functional import attention, chunked_attention, windowed_attention
from attnlib.masks import padding_mask, sliding_window_mask

B, H, L, S, D, Dv = 2, 3, 5, 7, 11, 13

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True, database=None)
HALF = (torch.float16, torch.bfloat16)


def _masks(length, size):
    g = generator(7)
    masks = {
        "no mask": None,
        "(L, S)": coin(g, length, size),
        "(1, S)": coin(g, 1, size),
        "(B, 1, 1, S)": padding_mask(torch.tensor([size - 3, 0]), size),
        "(1, H, L, 1)": coin(g, 1, H, length, 1),
        "(B, H, L, S)": coin(g, B, H, length, size),
    }
    masks["(L, S)"][2] = False  # the third query may attend to nothing
    return masks


def _biases(length, size):
    g = generator(8)
    return {
        "no bias": None,
        "a number": normal(g),
        "(S,)": normal(g, size),
        "(H, 1, S)": normal(g, H, 1, size),
        "(B, 1, L, S)": normal(g, B, 1, length, size),
        "-inf": normal(g, length, size).masked_fill(~coin(g, length, size), -math.inf),
    }


MASKS, BIASES = _masks(L, S), _biases(L, S)
OPTIONS = list(itertools.product(MASKS, BIASES))
# Longer than a tile of windowed attention, and no multiple of one.
LONG, MANY = 149, 211
LONG_MASKS, LONG_BIASES = _masks(LONG, MANY), _biases(LONG, MANY)


def inputs(*lead, length=L, size=S, dtype=torch.float64, seed=0):
    g = generator(seed)
    shapes = ((length, D), (size, D), (size, Dv))
    return [normal(g, *lead, *shape, dtype=dtype).requires_grad_() for shape in shapes]


def leaf(bias):
    return None if bias is None else bias.clone().requires_grad_()


def near(window, length=L, size=S):
    """The keys in the window, spelled out."""
    ends = [i + size - length for i in range(length)]
    return torch.tensor([[end - window < j <= end for j in range(size)] for end in ends])


def both(leaves, mask=None, **options):
    """Both ways in blocks, with the loop's answer to each: the window is a mask to the loop."""
    for window in (1, 3):
        seen = near(window) if mask is None else near(window) & mask
        expected = loop_attention(*leaves, seen, **options)[0]
        yield windowed_attention(*leaves, window, mask, **options), expected
    for chunk_size, causal in ((3, False), (2, True)):
        options["causal"] = causal
        expected = loop_attention(*leaves, mask, **options)[0]
        yield chunked_attention(*leaves, mask, chunk_size=chunk_size, **options), expected


def torch_attention(leaves, mask, bias=None, scale=None):
    term = mask if bias is None else torch.where(mask, bias, -math.inf)
    return F.scaled_dot_product_attention(*leaves, attn_mask=term, scale=scale)


def equal_in_value_and_gradient(ours, theirs, leaves):
    close = {"atol": 1e-10, "rtol": 1e-10}
    torch.testing.assert_close(ours, theirs, **close)
    torch.testing.assert_close(gradients(ours, leaves), gradients(theirs, leaves), **close)


# ---------------------------------------------------------------- oracles


@pytest.mark.parametrize(("mask", "bias"), OPTIONS)
def test_blocks_equal_a_loop_in_value_and_gradient(mask, bias):
    leaves, bias = inputs(B, H), leaf(BIASES[bias])
    known = leaves if bias is None else [*leaves, bias]
    for ours, expected in both(leaves, MASKS[mask], bias=bias, scale=0.3):
        equal_in_value_and_gradient(ours, expected, known)


@pytest.mark.parametrize("mask", LONG_MASKS)
@pytest.mark.parametrize("bias", ["no bias", "(S,)", "(B, 1, L, S)", "-inf"])
def test_a_window_over_a_long_series_equals_torch_in_value_and_gradient(mask, bias):
    leaves, bias = inputs(B, H, length=LONG, size=MANY), leaf(LONG_BIASES[bias])
    known = leaves if bias is None else [*leaves, bias]
    mask = LONG_MASKS[mask]
    for window in (1, 17, 64, 300):
        seen = near(window, LONG, MANY) & (True if mask is None else mask)
        theirs = torch_attention(leaves, seen, bias)
        ours = windowed_attention(*leaves, window, mask, bias=bias)
        equal_in_value_and_gradient(ours, theirs, known)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", LONG_MASKS)
@pytest.mark.parametrize("bias", ["no bias", "(H, 1, S)", "-inf"])
def test_chunks_of_a_long_series_equal_torch_in_value_and_gradient(mask, bias, causal):
    leaves, bias = inputs(B, H, length=LONG, size=MANY), leaf(LONG_BIASES[bias])
    known = leaves if bias is None else [*leaves, bias]
    mask = LONG_MASKS[mask]
    seen = near(MANY, LONG, MANY) if causal else torch.ones(LONG, MANY, dtype=torch.bool)
    theirs = torch_attention(leaves, seen & (True if mask is None else mask), bias)
    for chunk_size in (50, 512):
        options = {"bias": bias, "causal": causal, "chunk_size": chunk_size}
        ours = chunked_attention(*leaves, mask, **options)
        equal_in_value_and_gradient(ours, theirs, known)


@pytest.mark.parametrize(("length", "size"), [(L, S), (L, L), (1, S), (1, 1)], ids=str)
def test_any_number_of_queries_and_keys_is_aligned_at_the_end(length, size):
    leaves = inputs(B, H, length=length, size=size)
    for window in (1, 2, S + 1):
        theirs = torch_attention(leaves, near(window, length, size))
        torch.testing.assert_close(windowed_attention(*leaves, window), theirs)
    theirs = torch_attention(leaves, near(size, length, size))
    torch.testing.assert_close(chunked_attention(*leaves, causal=True, chunk_size=2), theirs)
    torch.testing.assert_close(
        chunked_attention(*inputs(B, H, length=S, size=L), chunk_size=3),
        F.scaled_dot_product_attention(*inputs(B, H, length=S, size=L)),
    )


@pytest.mark.parametrize(
    "leads",
    [
        ((), (), ()),
        ((B,), (B,), (B,)),
        ((2, 1, 3), (2, 1, 3), (2, 1, 3)),
        ((B, H), (B, 1), (B, 1)),
        ((H,), (B, H), (1,)),
        ((), (), (B, H)),
    ],
    ids=str,
)
def test_leading_dimensions_are_free_and_broadcast(leads):
    leaves = [inputs(*lead)[n] for n, lead in enumerate(leads)]
    for ours, expected in both(leaves, MASKS["(L, S)"], bias=BIASES["(S,)"]):
        equal_in_value_and_gradient(ours, expected, leaves)


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_an_empty_row_gives_zero_context_and_zero_gradient(dtype):
    leaves = inputs(B, H, dtype=dtype)
    mask = coin(generator(), B, H, L, S)
    mask[:, :, 2] = False
    bias = torch.zeros(L, S, dtype=dtype).index_fill(0, torch.tensor([3]), -math.inf)
    bias.requires_grad_()
    for context in (
        chunked_attention(*leaves, mask, bias=bias, chunk_size=3),
        windowed_attention(*leaves, 4, mask, bias=bias),
    ):
        assert not context[:, :, 2:4].any()
        assert all(g.isfinite().all() for g in gradients(context, [*leaves, bias]))
        assert not any(g.any() for g in gradients(context[:, :, 2:4], [*leaves, bias]))


def test_a_batch_of_no_examples_gives_no_examples():
    leaves = inputs(0, H)
    options = {"mask": MASKS["(L, S)"], "bias": BIASES["(S,)"]}
    assert chunked_attention(*leaves, **options).shape == (0, H, L, Dv)
    assert windowed_attention(*leaves, 2, **options).shape == (0, H, L, Dv)


def test_results_are_made_on_the_device_of_the_inputs():
    leaves = [x.to("meta") for x in inputs(B, H)]
    mask, bias = MASKS["(L, S)"].to("meta"), BIASES["(S,)"].to("meta")
    chunked = chunked_attention(*leaves, mask, bias=bias, causal=True, chunk_size=2)
    windowed = windowed_attention(*leaves, 2, mask, bias=bias)
    assert {x.device.type for x in (chunked, windowed)} == {"meta"}


def test_views_are_as_good_as_contiguous_tensors_and_stay_as_they_are():
    g = generator()
    shapes = ((L, D), (S, D), (S, Dv))
    views = [normal(g, B, n, H, width).transpose(1, 2) for n, width in shapes]
    mask, bias = coin(g, 1, 1, 1, S).expand(B, H, L, S), normal(g, S, L).t()
    before = [x.clone() for x in (*views, mask, bias)]
    for ours, expected in both(views, mask, bias=bias):
        torch.testing.assert_close(ours, expected)
    assert all(x.equal(y) for x, y in zip((*views, mask, bias), before, strict=True))


def test_neither_way_stores_all_pairs():
    """What autograd keeps for the backward pass grows with the length, not with its square."""
    leaves = inputs(length=LONG, size=MANY)
    for call in (
        lambda: chunked_attention(*leaves, chunk_size=64),
        lambda: windowed_attention(*leaves, 16),
    ):
        kept = []

        def keep(x, kept=kept):
            kept.append(x)
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, torch.Tensor.clone):
            call()
        assert kept
        assert max(x.numel() for x in kept) <= MANY * Dv


# ---------------------------------------------------------------- gradients and numerics


@pytest.mark.parametrize("masked", [False, True])
def test_first_and_second_derivatives_pass_gradcheck(masked):
    g = generator()
    leaves = [normal(g, 2, *s).requires_grad_() for s in ((3, 2), (4, 2), (4, 3), (3, 4))]
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]]).bool() if masked else None

    def chunked(query, key, value, bias):
        return chunked_attention(query, key, value, mask, bias=bias, causal=True, chunk_size=3)

    def windowed(query, key, value, bias):
        return windowed_attention(query, key, value, 2, mask, bias=bias, scale=-0.7)

    for function in (chunked, windowed):
        assert gradcheck(function, leaves)
        assert gradgradcheck(function, leaves)


def test_only_the_gradients_that_are_wanted_are_given():
    query, key, value = (x.detach() for x in inputs(B, H))
    key.requires_grad_()
    for ours, expected in both([query, key, value], MASKS["(L, S)"], bias=BIASES["(S,)"]):
        equal_in_value_and_gradient(ours, expected, [key])
        [gradient] = torch.autograd.grad(ours.sum(), [key], create_graph=True)
        [wanted] = torch.autograd.grad(expected.sum(), [key])
        torch.testing.assert_close(gradient.detach(), wanted)


@pytest.mark.parametrize("spread", [10.0, 1.0])
@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
def test_the_error_is_at_most_twice_that_of_torch(dtype, spread):
    leaves = [x.detach() for x in inputs(7, H, length=LONG, size=LONG, dtype=dtype)]
    leaves = [leaves[0] * spread, leaves[1] * spread, leaves[2]]
    for window in (LONG, 31):
        mask = sliding_window_mask(LONG, window)
        exact = torch_attention([x.double() for x in leaves], mask)
        theirs = (torch_attention(leaves, mask) - exact).square().mean().sqrt()
        bound = 2 * theirs + torch.finfo(dtype).eps * exact.square().mean().sqrt()
        chunked = chunked_attention(*leaves, mask, chunk_size=32)
        for ours in (windowed_attention(*leaves, window), chunked):
            assert ours.dtype == dtype
            assert (ours - exact).square().mean().sqrt() <= bound


@pytest.mark.parametrize("dtype", HALF)
def test_gradients_in_half_precision_are_close_to_exact_ones(dtype):
    leaves = inputs(B, H, length=LONG, size=LONG, dtype=dtype)
    wide = [x.detach().double().requires_grad_() for x in leaves]
    mask = sliding_window_mask(LONG, 64)
    wanted = gradients(torch_attention(wide, mask), wide)
    for ours in (
        windowed_attention(*leaves, 64),
        chunked_attention(*leaves, mask, chunk_size=32),
    ):
        for got, want in zip(gradients(ours, leaves), wanted, strict=True):
            assert (got - want).square().mean().sqrt() <= 1e-2 * want.square().mean().sqrt()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_scores_of_any_size_are_safe(dtype):
    limit = torch.finfo(dtype).max
    query = torch.full((1, D), math.sqrt(0.5 * limit / math.sqrt(D)), dtype=dtype)
    key = torch.stack([query[0], -query[0]])
    value = torch.tensor([[1.0], [2.0]], dtype=dtype)
    assert chunked_attention(query, key, value, chunk_size=1).item() == 1.0
    assert windowed_attention(query, key, value, 2).item() == 1.0
    # A chunk of far larger scores comes last: what was summed before counts for nothing.
    bias = torch.tensor([0.0, 1e4], dtype=dtype)
    assert chunked_attention(query * 0, key, value, bias=bias, chunk_size=1).item() == 2.0


def test_autocast_computes_in_its_own_dtype():
    leaves = inputs(B, H, dtype=torch.float32)
    exact = [expected for _, expected in both(leaves)]
    with torch.autocast("cpu", torch.bfloat16):
        ours = [context for context, _ in both(leaves)]
        mixed = windowed_attention(leaves[0], leaves[1].bfloat16(), leaves[2], 3)
        found = [gradients(context, leaves) for context in ours]
    assert {x.dtype for x in (*ours, mixed)} == {torch.bfloat16}
    for got, want, grads in zip(ours, exact, found, strict=True):
        torch.testing.assert_close(got.float(), want, atol=0.05, rtol=0)
        torch.testing.assert_close(grads, gradients(want, leaves), atol=0.15, rtol=0)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_nan_is_not_hidden_from_those_who_may_see_it(which):
    leaves = [x.detach() for x in inputs(B, H)]
    leaves[which][..., 3, 0] = math.nan
    for ours in (chunked_attention(*leaves, chunk_size=2), windowed_attention(*leaves, S)):
        seen = [3] if which == 0 else [1, 2, 3, 4]
        assert ours.isnan().any(-1)[:, :, seen].all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler warns of torch itself
def test_the_compiler_and_the_transforms_of_torch_func_get_the_reference():
    query, key, value = (x.detach() for x in inputs(H))

    def chunked(query):
        return chunked_attention(query, key, value, causal=True, chunk_size=3)

    def windowed(query):
        return windowed_attention(query, key, value, 3)

    for function in (chunked, windowed):
        compiled = torch.compile(function, backend="eager")
        torch.testing.assert_close(compiled(query), function(query))
        _, pushed = torch.func.jvp(function, (query,), (query,))
        jacobian = torch.func.jacrev(function)(query)
        torch.testing.assert_close(pushed, torch.einsum("abcdef,def->abc", jacobian, query))
        several = torch.stack([query, -query])
        torch.testing.assert_close(
            torch.func.vmap(function)(several), torch.stack([function(x) for x in several])
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize("mask", ["no mask", "(L, S)"])
def test_blocks_on_a_gpu_equal_those_on_the_cpu(mask, dtype):
    leaves, mask = inputs(B, H, dtype=dtype), MASKS[mask]
    moved = [x.detach().cuda().requires_grad_() for x in leaves]
    there = None if mask is None else mask.cuda()
    atol = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}[dtype]
    for attend in (
        lambda x, mask: chunked_attention(*x, mask, causal=True, chunk_size=3),
        lambda x, mask: windowed_attention(*x, 3, mask),
    ):
        wide = [x.detach().double().requires_grad_() for x in leaves]
        exact, ours = attend(wide, mask), attend(moved, there)
        assert ours.device.type == "cuda"
        torch.testing.assert_close(ours.double().cpu(), exact, atol=atol, rtol=0)
        weights = normal(generator(1), *exact.shape)
        wanted = torch.autograd.grad(exact, wide, weights)
        found = torch.autograd.grad(ours, moved, weights.to(ours))
        for got, want in zip(found, wanted, strict=True):
            torch.testing.assert_close(got.double().cpu(), want, atol=4 * atol, rtol=0)


# ---------------------------------------------------------------- properties


sizes = st.integers(1, 9)


@st.composite
def problems(draw):
    """Query, key, value, mask and bias of any size, with L <= S; rows may be empty."""
    length = draw(sizes)
    size, width = length + draw(st.integers(0, 4)), draw(sizes)
    g = generator(draw(st.integers(0, 10**6)))
    query, key, value = normal(g, length, width), normal(g, size, width), normal(g, size, 2)
    mask = coin(g, length, size, share=draw(st.sampled_from([0.2, 0.6, 1.0])))
    return query, key, value, mask, normal(g, length, size)


@PROPERTY
@given(problems(), st.integers(1, 14), st.booleans())
def test_the_size_of_the_chunks_does_not_matter(problem, chunk_size, causal):
    *leaves, mask, bias = problem
    options = {"bias": bias, "causal": causal}
    expected = attention(*leaves, mask, **options, need_weights=True)[0]
    ours = chunked_attention(*leaves, mask, **options, chunk_size=chunk_size)
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)


@PROPERTY
@given(problems(), st.integers(1, 14))
def test_a_window_is_attention_with_a_sliding_mask(problem, window):
    *leaves, mask, bias = problem
    seen = mask & sliding_window_mask(*mask.shape[:1], window, mask.shape[1])
    expected = attention(*leaves, seen, bias=bias, need_weights=True)[0]
    ours = windowed_attention(*leaves, window, mask, bias=bias)
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)


@PROPERTY
@given(problems(), st.integers(1, 9))
def test_what_lies_outside_the_window_may_be_anything(problem, window):
    query, key, value, _, _ = problem
    before = windowed_attention(query[-1:], key, value, window)
    key[: max(0, len(key) - window)], value[: max(0, len(key) - window)] = 1e3, -1e3
    after = windowed_attention(query[-1:], key, value, window)
    torch.testing.assert_close(before, after, atol=1e-9, rtol=1e-9)


# ---------------------------------------------------------------- errors


def chunked(**changes):
    leaves = dict(zip(("query", "key", "value"), inputs(B, H), strict=True))
    return lambda: chunked_attention(**(leaves | changes))


def windowed(**changes):
    leaves = dict(zip(("query", "key", "value"), inputs(B, H), strict=True))
    return lambda: windowed_attention(**({"window": 2} | leaves | changes))


yes = torch.ones(L, S, dtype=torch.bool)

ERRORS = [
    row
    for name, call in (("chunked_attention", chunked), ("windowed_attention", windowed))
    for row in (
        (call(query=[1.0]), TypeError, f"{name}: query is a list"),
        (call(key=torch.zeros(B, H, S, D)), TypeError, f"{name}: query torch.float64"),
        (call(query=torch.zeros(B, H, L, D, device="meta").double()), ValueError, "one device"),
        (call(query=inputs(B, H, length=0)[0]), ValueError, f"{name}: query has shape"),
        (call(query=torch.zeros(B, H, L, Dv).double()), ValueError, "query has width 13"),
        (call(mask=yes.float()), TypeError, f"{name}: mask is torch.float32"),
        (call(mask=yes.T), ValueError, f"{name}: mask has shape"),
        (call(bias=yes), TypeError, f"{name}: bias is torch.bool"),
        (call(bias=torch.zeros(S, L)), ValueError, f"{name}: bias has shape"),
    )
] + [
    (chunked(chunk_size=0), ValueError, "chunked_attention: got chunk_size=0"),
    (chunked(chunk_size=2.0), TypeError, "chunk_size is a float"),
    (chunked(query=inputs(B, H, length=8)[0], causal=True), ValueError, "got 8 queries"),
    (windowed(window=0), ValueError, "windowed_attention: got window=0"),
    (windowed(window=-3), ValueError, "got window=-3"),
    (windowed(window=2.0), TypeError, "window is a float"),
    (windowed(query=inputs(B, H, length=8)[0]), ValueError, "got 8 queries and 7 keys"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
