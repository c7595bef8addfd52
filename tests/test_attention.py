"""Layers of attnlib.attention that give weights: against torch.nn.MultiheadAttention and loops."""

import itertools

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, gradients, loop_attention, normal
from torch import nn
from torch.autograd import gradcheck

from attnlib.attention import AdditiveAttention, MultiHeadAttention, MultiplicativeAttention
from attnlib.masks import causal_mask, padding_mask, to_mha

B, H, L, S, F = 2, 3, 5, 7, 6
KDIM, VDIM, HIDDEN = 11, 13, 4

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def multi_head(kdim=None, vdim=None, dropout=0.0, bias=True, dtype=torch.float64):
    layer = MultiHeadAttention(F, H, kdim=kdim, vdim=vdim, dropout=dropout, bias=bias).to(dtype)
    return randomise(layer)


def additive(dropout=0.0, dtype=torch.float64):
    return randomise(AdditiveAttention(F, KDIM, HIDDEN, dropout=dropout).to(dtype))


def multiplicative(dropout=0.0, dtype=torch.float64):
    return randomise(MultiplicativeAttention(F, KDIM, dropout=dropout).to(dtype))


def randomise(layer):
    """Parameters that are all different, biases included (they start at zero)."""
    g = generator(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=parameter.dtype))
    return layer


def sequences(kdim=F, vdim=F, batch=B, dtype=torch.float64):
    g = generator()
    shapes = ((batch, L, F), (batch, S, kdim), (batch, S, vdim))
    return [normal(g, *shape, dtype=dtype).requires_grad_() for shape in shapes]


def some_mask(*shape):
    mask = coin(generator(5), *shape)
    mask[..., 0] = True  # torch gives NaN for a row with nothing to attend
    return mask


# ---------------------------------------------------------------- MultiHeadAttention


@pytest.mark.parametrize(("batch_first", "dtype"), [(False, torch.float64), (True, torch.float32)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (KDIM, None), (KDIM, VDIM)])
def test_a_copied_layer_equals_torch_in_value_weights_and_gradient(
    kdim, vdim, bias, batch_first, dtype
):
    options = {"kdim": kdim, "vdim": vdim, "bias": bias, "batch_first": batch_first}
    theirs = randomise(nn.MultiheadAttention(F, H, **options, dtype=dtype))
    ours = MultiHeadAttention.from_torch(theirs)
    leaves = sequences(kdim or F, vdim or F, dtype=dtype)
    turned = leaves if batch_first else [x.transpose(0, 1) for x in leaves]
    for mask in (None, some_mask(L, S), some_mask(B, 1, 1, S), some_mask(B, H, L, S)):
        blocked = None if mask is None else to_mha(mask, (B, H, L, S))
        expected, expected_weights = theirs(
            *turned, attn_mask=blocked, average_attn_weights=False, need_weights=True
        )
        expected = expected if batch_first else expected.transpose(0, 1)
        output, weights = ours(*leaves, mask=mask, need_weights=True)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(weights, expected_weights)
        torch.testing.assert_close(ours(*leaves, mask=mask), expected)
        unit = torch.finfo(dtype).eps  # gradients are sums of many products as large as 50
        got, wanted = gradients(output, leaves), gradients(expected, leaves)
        torch.testing.assert_close(got, wanted, atol=1e3 * unit, rtol=1e2 * unit)


@pytest.mark.parametrize("need_weights", [False, True])
def test_bias_is_added_to_the_scores_of_every_head(need_weights):
    theirs = randomise(nn.MultiheadAttention(F, H, batch_first=True, dtype=torch.float64))
    leaves = sequences()
    for shape in ((S,), (L, S), (H, L, S), (B, 1, L, S), (B, H, L, S)):
        bias = normal(generator(6), *shape)
        added = bias.expand(B, H, L, S).reshape(B * H, L, S)  # torch adds a float mask
        expected, _ = theirs(*leaves, attn_mask=added)
        result = MultiHeadAttention.from_torch(theirs)(
            *leaves, bias=bias, need_weights=need_weights
        )
        torch.testing.assert_close(result[0] if need_weights else result, expected)


@pytest.mark.parametrize("need_weights", [False, True])
def test_causal_is_the_causal_mask_and_combines_with_a_mask(need_weights):
    layer, leaves, mask = multi_head(), sequences(), some_mask(B, 1, L, S)
    options = {"need_weights": need_weights}
    triangle = causal_mask(L, S)
    torch.testing.assert_close(
        layer(*leaves, causal=True, **options), layer(*leaves, mask=triangle, **options)
    )
    torch.testing.assert_close(
        layer(*leaves, mask=mask, causal=True, **options),
        layer(*leaves, mask=mask & triangle, **options),
    )


def test_a_key_is_the_query_and_a_value_the_key_when_omitted():
    layer = multi_head()
    query, key, _ = sequences()
    torch.testing.assert_close(layer(query), layer(query, query, query))
    torch.testing.assert_close(layer(query, key), layer(query, key, key))
    torch.testing.assert_close(layer(query, value=query * 2), layer(query, query, query * 2))


def test_each_head_sees_its_own_block_of_the_projected_features():
    layer, leaves = multi_head(), sequences()
    D = F // H
    projections = (layer.q_proj, layer.k_proj, layer.v_proj)
    projected = [p(x) for p, x in zip(projections, leaves, strict=True)]
    heads = [loop_attention(*(x[..., h * D : h * D + D] for x in projected)) for h in range(H)]
    output, weights = layer(*leaves, need_weights=True)
    torch.testing.assert_close(output, layer.out_proj(torch.cat([c for c, _ in heads], -1)))
    torch.testing.assert_close(weights, torch.stack([w for _, w in heads], 1))


def test_a_query_with_nothing_to_attend_gets_the_bias_of_the_output_projection():
    layer, leaves = multi_head(), sequences()
    mask = padding_mask(torch.tensor([0, 3]), S)
    output, weights = layer(*leaves, mask=mask, need_weights=True)
    for result in (output, layer(*leaves, mask=mask)):
        torch.testing.assert_close(result[0], layer.out_proj.bias.expand(L, F))
        got = gradients(result, [*leaves, *layer.parameters()])
        assert all(gradient.isfinite().all() for gradient in got)
        assert not any(gradient[0].any() for gradient in got[:3])
    assert not weights[0].any()


def test_the_number_of_parameters_does_not_depend_on_the_number_of_heads():
    counts = {sum(p.numel() for p in MultiHeadAttention(F, h).parameters()) for h in (1, 2, 3, 6)}
    assert counts == {4 * (F * F + F)}


def test_a_new_layer_has_scores_of_variance_near_one_and_no_bias():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = MultiHeadAttention(64, 4)
        query = layer.q_proj(torch.randn(100, 64)).unflatten(-1, (4, 16))
        key = layer.k_proj(torch.randn(100, 64)).unflatten(-1, (4, 16))
        before = layer.q_proj.weight.clone()
        layer.q_proj.bias.data.fill_(1.0)
        layer.reset_parameters()
    scores = (query * key).sum(-1) / 4
    assert 0.5 < scores.var() < 2
    assert not layer.q_proj.weight.equal(before)
    assert not any(p.bias.any() for p in layer.children())


def test_a_layer_without_bias_has_four_matrices():
    assert [name for name, _ in MultiHeadAttention(F, H, bias=False).named_parameters()] == [
        "q_proj.weight",
        "k_proj.weight",
        "v_proj.weight",
        "out_proj.weight",
    ]


@pytest.mark.parametrize("training", [False, True])
def test_a_copy_keeps_dropout_mode_and_dtype_and_shares_nothing(training):
    theirs = nn.MultiheadAttention(F, H, dropout=0.25, dtype=torch.float64).train(training)
    ours = MultiHeadAttention.from_torch(theirs)
    assert ours.training == training
    assert ours.dropout == 0.25
    assert {p.dtype for p in ours.parameters()} == {torch.float64}
    before = ours.q_proj.weight.clone()
    theirs.in_proj_weight.data.zero_()
    assert ours.q_proj.weight.equal(before)


# ---------------------------------------------------------------- AdditiveAttention


@pytest.mark.parametrize("mask", [None, (L, S), (B, 1, 1, S), (B, 1, L, S)], ids=str)
@pytest.mark.parametrize("with_value", [False, True])
def test_additive_attention_equals_a_loop_in_value_and_gradient(with_value, mask):
    layer = additive()
    query, key, value = leaves = sequences(KDIM, VDIM)
    mask = None if mask is None else coin(generator(5), *mask)
    if mask is not None:
        mask[..., 2 % mask.shape[-2], :] = False  # an empty row
    full = torch.ones(B, L, S) if mask is None else mask.expand(B, 1, L, S)[:, 0]
    mixed = value if with_value else key
    rows, contexts = [], []
    for b, i in itertools.product(range(B), range(L)):
        scores = [
            layer.score.weight[0]
            @ torch.tanh(
                layer.q_proj.weight @ query[b, i]
                + layer.q_proj.bias
                + layer.k_proj.weight @ key[b, j]
            )
            for j in range(S)
        ]
        shares = full[b, i] * torch.stack(scores).exp()
        rows.append(shares / shares.sum() if full[b, i].any() else shares)
        contexts.append(rows[-1] @ mixed[b])
    weights = torch.stack(rows).reshape(B, 1, L, S)
    context = torch.stack(contexts).reshape(B, L, -1)
    value = value if with_value else None
    got, got_weights = layer(query, key, value, mask=mask, need_weights=True)
    torch.testing.assert_close(got, context)
    torch.testing.assert_close(got_weights, weights)
    torch.testing.assert_close(layer(query, key, value, mask=mask), context)
    leaves = [*(leaves if with_value else leaves[:2]), *layer.parameters()]
    torch.testing.assert_close(gradients(got, leaves), gradients(context, leaves))


# ---------------------------------------------------------------- MultiplicativeAttention


@pytest.mark.parametrize("mask", [None, (L, S), (B, 1, 1, S), (B, 1, L, S)], ids=str)
@pytest.mark.parametrize("with_value", [False, True])
def test_multiplicative_attention_equals_a_loop_in_value_and_gradient(with_value, mask):
    layer = multiplicative()
    leaves = sequences(KDIM, VDIM)
    query, key, value = leaves if with_value else (*leaves[:2], None)
    mask = None if mask is None else coin(generator(5), *mask)
    if mask is not None:
        mask[..., 2 % mask.shape[-2], :] = False  # an empty row
    full = None if mask is None else mask.expand(B, 1, L, S)[:, 0]
    turned = torch.stack([layer.q_proj.weight @ query[b, i] for b in range(B) for i in range(L)])
    mixed = key if value is None else value
    context, weights = loop_attention(turned.view(B, L, KDIM), key, mixed, full, scale=1.0)
    got, got_weights = layer(query, key, value, mask=mask, need_weights=True)
    torch.testing.assert_close(got, context)
    torch.testing.assert_close(got_weights, weights[:, None])
    torch.testing.assert_close(layer(query, key, value, mask=mask), context)
    leaves = [*(leaves if with_value else leaves[:2]), *layer.parameters()]
    unit = 1e3 * torch.finfo(torch.float64).eps  # sums of products as large as 50
    wanted = gradients(context, leaves)
    torch.testing.assert_close(gradients(got, leaves), wanted, atol=unit, rtol=1e-7)


def test_a_new_product_has_scores_of_variance_near_one():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = MultiplicativeAttention(53, 97)
        before = layer.q_proj.weight.clone()
        layer.reset_parameters()
        scores = layer.q_proj(torch.randn(100, 53)) @ torch.randn(97, 100)
    assert 0.5 < scores.var() < 2
    assert not layer.q_proj.weight.equal(before)


# ---------------------------------------------------------------- each


def layers(**options):
    return [multi_head(KDIM, VDIM, **options), additive(**options), multiplicative(**options)]


EACH = pytest.mark.parametrize(
    "which",
    [0, 1, 2],
    ids=["MultiHeadAttention", "AdditiveAttention", "MultiplicativeAttention"],
)


@EACH
def test_dropout_acts_in_training_only_and_the_weights_are_those_before_it(which):
    layer, leaves = layers(dropout=0.5)[which], sequences(KDIM, VDIM)
    still, weights = layer.eval()(*leaves, need_weights=True)
    torch.testing.assert_close(layer(*leaves), still)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved, same = layer.train()(*leaves, need_weights=True)
        plain = layer(*leaves)
    torch.testing.assert_close(same, weights)
    torch.testing.assert_close(same.sum(-1), torch.ones_like(same[..., 0]))
    assert not torch.allclose(moved, still)
    assert not torch.allclose(plain, still)
    inputs = [*leaves, *layer.parameters()]
    assert all(g.isfinite().all() for x in (moved, plain) for g in gradients(x, inputs))


@EACH
def test_without_dropout_training_draws_no_random_number(which):
    layer = layers()[which].train()
    before = torch.random.get_rng_state()
    layer(*sequences(KDIM, VDIM), need_weights=True)
    layer(*sequences(KDIM, VDIM))
    assert torch.random.get_rng_state().equal(before)


@EACH
@pytest.mark.parametrize("need_weights", [False, True])
def test_gradients_pass_gradcheck_with_an_empty_row(which, need_weights):
    layer = layers()[which]
    mask = torch.ones(2, 3, dtype=torch.bool)
    mask[1] = False
    g = generator()
    leaves = [normal(g, 1, *s).requires_grad_() for s in ((2, F), (3, KDIM), (3, VDIM))]
    leaves += layer.parameters()
    assert gradcheck(
        lambda *x: layer(*x[:3], mask=mask, need_weights=need_weights), leaves, fast_mode=True
    )


@EACH
@pytest.mark.parametrize(("batch", "length", "size"), [(0, 2, 3), (1, 1, 1), (3, 1, 2), (1, 2, 1)])
def test_sizes_of_one_and_batches_of_none_are_fine(which, batch, length, size):
    layer = layers()[which]
    query, key, value = (
        torch.zeros(batch, *s, dtype=torch.float64)
        for s in ((length, F), (size, KDIM), (size, VDIM))
    )
    output, weights = layer(query, key, value, need_weights=True)
    assert output.shape == (batch, length, F if which == 0 else VDIM)
    assert weights.shape == (batch, H if which == 0 else 1, length, size)
    assert layer(query, key, value).shape == output.shape


def test_one_head_is_attention_on_the_projections():
    layer = randomise(MultiHeadAttention(F, 1).double())
    query, key, value = sequences()
    context, _ = loop_attention(layer.q_proj(query), layer.k_proj(key), layer.v_proj(value))
    torch.testing.assert_close(layer(query, key, value), layer.out_proj(context))


@EACH
def test_views_are_as_good_as_contiguous_tensors(which):
    layer, leaves = layers()[which], sequences(KDIM, VDIM)
    turned = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in leaves]
    torch.testing.assert_close(layer(*turned), layer(*leaves))


@EACH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_precision_with_empty_rows_too(which, dtype):
    exact, expected = layers()[which](*sequences(KDIM, VDIM), need_weights=True)
    layer, leaves = layers(dtype=dtype)[which], sequences(KDIM, VDIM, dtype=dtype)
    mask = torch.ones(L, S, dtype=torch.bool)
    output, weights = layer(*leaves, mask=mask, need_weights=True)
    assert (output.dtype, weights.dtype) == (dtype, dtype)
    torch.testing.assert_close(weights.double(), expected, atol=0.2, rtol=0)
    torch.testing.assert_close(output.double(), exact, atol=1.0, rtol=0.1)
    mask[2] = False
    for result in (layer(*leaves, mask=mask), layer(*leaves, mask=mask, need_weights=True)[0]):
        assert result.isfinite().all()
        assert all(g.isfinite().all() for g in gradients(result, leaves))


@EACH
@pytest.mark.parametrize("need_weights", [False, True])
def test_autocast_computes_in_bfloat16(which, need_weights):
    layer, leaves = layers(dtype=torch.float32)[which], sequences(KDIM, VDIM, dtype=torch.float32)
    exact = layer(*leaves)
    leaves[1] = leaves[1].bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(*leaves, mask=some_mask(L, S) | True, need_weights=need_weights)
    output = result[0] if need_weights else result
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), exact, atol=1.0, rtol=0.1)
    assert all(g.isfinite().all() for g in gradients(output, [*layer.parameters()]))


@EACH
def test_layers_follow_their_device(which):
    layer = layers()[which].to("meta")
    leaves = [x.to("meta") for x in sequences(KDIM, VDIM)]
    mask = some_mask(L, S).to("meta")
    output, weights = layer(*leaves, mask=mask, need_weights=True)
    assert {x.device.type for x in (output, weights, layer(*leaves))} == {"meta"}


def test_a_copy_and_a_causal_mask_are_made_where_the_layer_is():
    copy = MultiHeadAttention.from_torch(nn.MultiheadAttention(F, H, device="meta"))
    assert {p.device.type for p in copy.parameters()} == {"meta"}
    x = torch.zeros(B, L, F, device="meta")
    assert copy(x, causal=True, need_weights=True)[1].device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@EACH
def test_layers_on_a_gpu_equal_those_on_the_cpu(which):
    layer, leaves = layers()[which], sequences(KDIM, VDIM)
    mask = some_mask(B, 1, L, S)
    expected = layer(*leaves, mask=mask, need_weights=True)
    layer.cuda()
    moved = [x.detach().cuda() for x in leaves]
    got = layer(*moved, mask=mask.cuda(), need_weights=True)
    assert {x.device.type for x in got} == {"cuda"}
    torch.testing.assert_close(tuple(x.cpu() for x in got), expected)
    torch.testing.assert_close(layer(*moved, mask=mask.cuda()).cpu(), expected[0])


def test_layers_print_their_sizes():
    assert "embed_dim=6, num_heads=3, dropout=0.5" in repr(MultiHeadAttention(F, H, dropout=0.5))


@st.composite
def problems(draw):
    batch, length, size, seed = (draw(st.integers(1, n)) for n in (3, 6, 6, 10**6))
    g = generator(seed)
    x, memory = normal(g, batch, length, F), normal(g, batch, size, KDIM)
    return x, memory, coin(g, length, size, share=draw(st.sampled_from([0.3, 1.0])))


LAYERS = multi_head(KDIM, KDIM), additive(), multiplicative()


def attend(which, x, memory, mask):
    return LAYERS[which](x, memory, mask=mask, need_weights=True)


@EACH
@PROPERTY
@given(problem=problems())
def test_rows_sum_to_one_or_zero_and_hidden_weights_are_exactly_zero(which, problem):
    x, memory, mask = problem
    _, weights = attend(which, x, memory, mask)
    expected = mask.any(-1).double().expand(weights.shape[:-1])
    torch.testing.assert_close(weights.sum(-1), expected)
    assert not weights.masked_select(~mask).any()


@EACH
@PROPERTY
@given(problem=problems(), random=st.randoms(use_true_random=False))
def test_permuted_queries_give_permuted_outputs_and_permuted_keys_the_same(which, problem, random):
    x, memory, mask = problem
    rows, columns = list(range(x.shape[1])), list(range(memory.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    output, weights = attend(which, x, memory, mask)
    got, got_weights = attend(which, x[:, rows], memory[:, columns], mask[rows][:, columns])
    torch.testing.assert_close(got, output[:, rows])
    torch.testing.assert_close(got_weights, weights[:, :, rows][..., columns])


@EACH
@PROPERTY
@given(problem=problems(), position=st.integers(0, 5))
def test_a_hidden_position_may_hold_anything(which, problem, position):
    x, memory, mask = problem
    j = position % memory.shape[1]
    mask[:, j] = False
    output, _ = attend(which, x, memory, mask)
    memory[:, j] = 1e3
    torch.testing.assert_close(attend(which, x, memory, mask)[0], output)


# ---------------------------------------------------------------- errors


def multi(*args, **options):
    """A call of a layer whose keys have another width than its queries, in float32."""
    return lambda: MultiHeadAttention(F, H, kdim=KDIM)(*args, **options)


def add(*args, **options):
    return lambda: AdditiveAttention(F, KDIM, HIDDEN)(*args, **options)


def multiply(*args, **options):
    return lambda: MultiplicativeAttention(F, KDIM)(*args, **options)


x, memory, y = torch.zeros(B, L, F), torch.zeros(B, S, KDIM), torch.zeros(B, S, F)
yes = torch.ones(L, S, dtype=torch.bool)
torch_layer = nn.MultiheadAttention(F, H)

ERRORS = [
    (lambda: MultiHeadAttention(0, 1), ValueError, "got embed_dim=0, expected at least 1"),
    (lambda: MultiHeadAttention(F, 0), ValueError, "got num_heads=0"),
    (lambda: MultiHeadAttention(F, 2.0), TypeError, "num_heads is a float, expected an int"),
    (lambda: MultiHeadAttention(F, 4), ValueError, r"write num_heads as one of \[1, 2, 3, 6\]"),
    (lambda: MultiHeadAttention(F, H, kdim=0), ValueError, "got kdim=0"),
    (lambda: MultiHeadAttention(F, H, vdim=-1), ValueError, "got vdim=-1"),
    (lambda: MultiHeadAttention(F, H, dropout=1.0), ValueError, "got dropout=1.0"),
    (multi([1.0]), TypeError, "MultiHeadAttention: query is a list"),
    (multi(x.long(), memory, y), TypeError, "query is torch.int64, expected floating point"),
    (multi(x.double(), memory, y), TypeError, "torch.float64 and the parameters are torch.float32"),
    (multi(x, x, y), ValueError, r"key has shape \(2, 5, 6\), expected \(B, length, 11\)"),
    (multi(x, memory, memory), ValueError, r"value has shape \(2, 7, 11\)"),
    (multi(x[0], memory, y), ValueError, r"write query.unsqueeze\(0\) for one sequence"),
    (multi(x[:, :0], memory, y), ValueError, r"query has shape \(2, 0, 6\)"),
    (multi(x, memory, x), ValueError, "key has 7 positions and value has 5"),
    (multi(x, memory.expand(3, 2, S, KDIM)[:, 0], y), ValueError, "dimensions that broadcast"),
    (multi(x, memory, y, mask=yes.T), ValueError, r"mask has shape \(7, 5\)"),
    (multi(x, memory, y, mask=yes.expand(B, L, S)), ValueError, r"mask has shape \(2, 5, 7\)"),
    (multi(x, memory, y, mask=yes.float()), TypeError, "mask is torch.float32, expected bool"),
    (multi(x, memory, y, bias=yes), TypeError, "bias is torch.bool"),
    (multi(x, memory[:, :3], y[:, :3], causal=True), ValueError, "got 5 queries and 3 keys"),
    (lambda: MultiHeadAttention.from_torch(x), TypeError, "got Tensor, expected torch.nn"),
    (
        lambda: MultiHeadAttention.from_torch(nn.MultiheadAttention(F, H, add_bias_kv=True)),
        ValueError,
        "add_bias_kv or add_zero_attn",
    ),
    (
        lambda: MultiHeadAttention.from_torch(nn.MultiheadAttention(F, H, add_zero_attn=True)),
        ValueError,
        "add_bias_kv or add_zero_attn",
    ),
    (lambda: AdditiveAttention(0, 1, 1), ValueError, "AdditiveAttention: got query_dim=0"),
    (lambda: AdditiveAttention(1, 0, 1), ValueError, "got key_dim=0"),
    (lambda: AdditiveAttention(1, 1, 0), ValueError, "got hidden_dim=0"),
    (lambda: AdditiveAttention(1, 1, 1, dropout=-1), ValueError, "got dropout=-1"),
    (add(None, memory), TypeError, "query is a NoneType"),
    (add(x, memory.long()), TypeError, "AdditiveAttention: key is torch.int64"),
    (add(x, memory.half()), TypeError, "key is torch.float16 and the parameters are torch.float32"),
    (add(x[0], memory), ValueError, r"query has shape \(5, 6\)"),
    (add(x, y), ValueError, r"key has shape \(2, 7, 6\), expected \(B, length, 11\)"),
    (add(x, memory, y[:, None]), ValueError, r"value has shape \(2, 1, 7, 6\)"),
    (add(x, memory, x), ValueError, "key has 7 positions and value has 5"),
    (add(x, memory, y.long()), TypeError, "value is torch.int64"),
    (add(x, memory, y.double()), TypeError, "value torch.float64, expected one dtype"),
    (add(x[:1].expand(3, L, F), memory), ValueError, "dimensions that broadcast"),
    (add(x, memory, mask=yes.T), ValueError, "AdditiveAttention: mask has shape"),
    (add(x, memory, mask=yes.expand(B, 2, L, S)), ValueError, r"\(2, 1, 5, 7\)"),
    (add(x, memory, mask=yes.long()), TypeError, "AdditiveAttention: mask is torch.int64"),
    (lambda: MultiplicativeAttention(0, 1), ValueError, "MultiplicativeAttention: got query_dim=0"),
    (lambda: MultiplicativeAttention(1, 0), ValueError, "got key_dim=0"),
    (lambda: MultiplicativeAttention(1, 1, dropout=2), ValueError, "got dropout=2"),
    (multiply(None, memory), TypeError, "query is a NoneType"),
    (multiply(x.double(), memory), TypeError, "query is torch.float64 and the parameters are"),
    (multiply(x[0], memory), ValueError, r"MultiplicativeAttention: query has shape \(5, 6\)"),
    (multiply(x, y), ValueError, r"key has shape \(2, 7, 6\), expected \(B, length, 11\)"),
    (multiply(x, memory.half()), TypeError, "key torch.float16"),
    (multiply(x, memory, y[:, None]), ValueError, r"value has shape \(2, 1, 7, 6\)"),
    (multiply(x, memory, x), ValueError, "key has 7 positions and value has 5"),
    (multiply(x, memory, mask=yes.T), ValueError, "MultiplicativeAttention: mask has shape"),
    (multiply(x, memory, mask=yes.long()), TypeError, "MultiplicativeAttention: mask is torch.i"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
