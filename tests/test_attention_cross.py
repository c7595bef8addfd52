"""Cross-, co- and feature attention against torch's layers and against loops."""

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, gradients, normal
from torch import nn
from torch.autograd import gradcheck

from attnlib.attention import CoAttention, CrossAttention, FeatureAttention
from attnlib.masks import padding_mask, to_mha

B, H, L, S, F, C = 2, 3, 5, 7, 6, 11

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def randomise(layer, dtype=torch.float64):
    """Parameters that are all different, biases included (they start at zero)."""
    g = generator(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(g, *parameter.shape) / 2)
    return layer.to(dtype)


def sequence(length, width=F, seed=0, dtype=torch.float64):
    return normal(generator(seed), B, length, width, dtype=dtype).requires_grad_()


def torch_twin(ours):
    """torch.nn.MultiheadAttention with the parameters of one of our layers."""
    kdim = ours.k_proj.in_features
    theirs = nn.MultiheadAttention(F, H, kdim=kdim, vdim=kdim, batch_first=True).double()
    with torch.no_grad():
        layers = [ours.q_proj, ours.k_proj, ours.v_proj]
        if kdim == F:
            theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        else:
            theirs.q_proj_weight.copy_(ours.q_proj.weight)
            theirs.k_proj_weight.copy_(ours.k_proj.weight)
            theirs.v_proj_weight.copy_(ours.v_proj.weight)
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        theirs.out_proj.load_state_dict(ours.out_proj.state_dict())
    return theirs


def seen(length, size, seed=5):
    mask = coin(generator(seed), B, 1, length, size)
    mask[..., 0] = True  # torch gives NaN for a row with nothing to attend
    return mask


def in_torch(layer, query, key, mask):
    blocked = None if mask is None else to_mha(mask, (B, H, query.shape[1], key.shape[1]))
    twin = torch_twin(layer)
    return twin(query, key, key, attn_mask=blocked, average_attn_weights=False)


# ---------------------------------------------------------------- cross-attention


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("context_dim", [None, C])
def test_cross_attention_equals_torch_in_value_weights_and_gradient(context_dim, masked):
    layer = randomise(CrossAttention(F, H, context_dim))
    x, context = sequence(L), sequence(S, context_dim or F, seed=1)
    mask = seen(L, S) if masked else None
    expected, expected_weights = in_torch(layer.attention, x, context, mask)
    output, weights = layer(x, context, mask=mask, need_weights=True)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, expected_weights)
    torch.testing.assert_close(layer(x, context, mask=mask), expected)
    leaves = [x, context]
    torch.testing.assert_close(gradients(output, leaves), gradients(expected, leaves))


# ---------------------------------------------------------------- co-attention


@pytest.mark.parametrize("masked", [False, True])
def test_co_attention_equals_two_layers_of_torch(masked):
    layer = randomise(CoAttention(F, H))
    x, y = sequence(L), sequence(S, seed=1)
    x_mask, y_mask = (seen(S, L), seen(L, S, 6)) if masked else (None, None)
    x_expected, x_weights = in_torch(layer.x_attention, x, y, y_mask)
    y_expected, y_weights = in_torch(layer.y_attention, y, x, x_mask)
    masks = {"x_mask": x_mask, "y_mask": y_mask}
    got = layer(x, y, **masks, need_weights=True)
    torch.testing.assert_close(got, (x_expected, y_expected, x_weights, y_weights))
    torch.testing.assert_close(layer(x, y, **masks), (x_expected, y_expected))
    expected = x_expected.sum(1) + y_expected.sum(1)
    output = got[0].sum(1) + got[1].sum(1)
    torch.testing.assert_close(gradients(output, [x, y]), gradients(expected, [x, y]))


@PROPERTY
@given(
    lengths=st.tuples(*[st.integers(0, L)] * B),
    sizes=st.tuples(*[st.integers(0, S)] * B),
    seed=st.integers(0, 10**6),
)
def test_padding_of_either_sequence_may_hold_anything(lengths, sizes, seed):
    layer = randomise(CoAttention(F, H))
    x, y = sequence(L, seed=seed).detach(), sequence(S, seed=seed + 1).detach()
    x_mask = padding_mask(torch.tensor(lengths), L)
    y_mask = padding_mask(torch.tensor(sizes), S)
    before = layer(x, y, x_mask=x_mask, y_mask=y_mask)
    real_x, real_y = x_mask.view(B, L, 1), y_mask.view(B, S, 1)
    after = layer(
        x.where(real_x, 1e3), y.where(real_y, 1e3), x_mask=x_mask, y_mask=y_mask, need_weights=True
    )
    for got, expected, real in zip(after[:2], before, (real_x, real_y), strict=True):
        torch.testing.assert_close(got.where(real, 0.0), expected.where(real, 0.0))
    assert not after[2].masked_select(~y_mask).any()
    assert not after[3].masked_select(~x_mask).any()


# ---------------------------------------------------------------- dropout and numerics of both


@pytest.mark.parametrize("kind", [CrossAttention, CoAttention])
def test_dropout_acts_in_training_only(kind):
    layer, x, y = randomise(kind(F, H, dropout=0.5)), sequence(L), sequence(S, seed=1)
    still = layer.eval()(x, y, need_weights=True)
    torch.testing.assert_close(layer(x, y), still[0] if kind is CrossAttention else still[:2])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = layer.train()(x, y, need_weights=True)
    count = len(still) // 2
    assert not any(torch.allclose(a, b) for a, b in zip(moved[:count], still[:count], strict=True))
    torch.testing.assert_close(moved[count:], still[count:])  # weights are those before dropout


@pytest.mark.parametrize("kind", [CrossAttention, CoAttention])
def test_gradients_pass_gradcheck_with_an_empty_row(kind):
    layer, g = randomise(kind(F, H)), generator()
    x, y = (normal(g, 1, n, F).requires_grad_() for n in (2, 3))
    mask = torch.tensor([[True, True, False], [False, False, False]])
    options = {"mask": mask} if kind is CrossAttention else {"y_mask": mask, "x_mask": mask.T}
    leaves = [x, y, *layer.parameters()]
    assert gradcheck(lambda x, y, *_: layer(x, y, **options), leaves, fast_mode=True)


# ---------------------------------------------------------------- feature attention


def feature_loop(layer, x, mask=None):
    """Output and gate, one example at a time."""
    outputs, gates = [], []
    for b in range(len(x)):
        rows = x[b].reshape(-1, x.shape[-1])
        rows = rows if mask is None else rows[mask[b].reshape(-1)]
        mean = sum(rows, torch.zeros_like(x[b].reshape(-1, x.shape[-1])[0])) / max(len(rows), 1)
        hidden = (layer.squeeze.weight @ mean + layer.squeeze.bias).clamp(min=0)
        gates.append(1 / (1 + torch.exp(-(layer.excite.weight @ hidden + layer.excite.bias))))
        outputs.append(x[b] * gates[-1])
    return torch.stack(outputs), torch.stack(gates)


@pytest.mark.parametrize("reduction", [1, 2, 4, 100])
@pytest.mark.parametrize("shape", [(), (L,), (L, S)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_feature_attention_equals_a_loop_in_value_and_gradient(masked, shape, reduction):
    layer = randomise(FeatureAttention(F, reduction=reduction))
    x = normal(generator(), B, *shape, F).requires_grad_()
    mask = coin(generator(5), B, *shape) if masked else None
    if masked:
        mask[1] = False  # an example without any position
    expected, gate = feature_loop(layer, x, mask)
    output, weights = layer(x, mask=mask, need_weights=True)
    torch.testing.assert_close((output, weights), (expected, gate))
    torch.testing.assert_close(layer(x, mask=mask), expected)
    leaves = [x, *layer.parameters()]
    torch.testing.assert_close(gradients(output, leaves), gradients(expected, leaves))
    assert ((weights > 0) & (weights < 1)).all()
    assert gradcheck(lambda x, *_: layer(x, mask=mask), leaves, fast_mode=True)


def test_the_hidden_layer_is_smaller_by_the_reduction():
    assert FeatureAttention(23).squeeze.out_features == 5
    assert FeatureAttention(3, reduction=7).squeeze.out_features == 1


def test_hidden_positions_may_hold_anything_even_nan():
    layer, x = randomise(FeatureAttention(F)), sequence(L).detach()
    mask = coin(generator(5), B, L)
    _, gate = layer(x, mask=mask, need_weights=True)
    x[~mask] = torch.nan
    output, same = layer(x, mask=mask, need_weights=True)
    torch.testing.assert_close(same, gate)
    assert output[mask].isfinite().all()


def test_a_gate_is_no_attention_map():
    assert not hasattr(FeatureAttention(F), "weights_flag")


def test_wrappers_leave_the_recording_to_the_layers_inside():
    assert not hasattr(CrossAttention(F, H), "weights_flag")
    assert not hasattr(CoAttention(F, H), "weights_flag")


# ---------------------------------------------------------------- all

KINDS = pytest.mark.parametrize("kind", [CrossAttention, CoAttention, FeatureAttention])


def apply(kind, dtype, device="cpu", layer_dtype=None):
    sizes = (F,) if kind is FeatureAttention else (F, H)
    layer = randomise(kind(*sizes), layer_dtype or dtype).to(device)
    x, y = (sequence(n, seed=n, dtype=dtype).detach().to(device) for n in (L, S))
    result = layer(x) if kind is FeatureAttention else layer(x, y)
    return torch.cat(result, 1) if isinstance(result, tuple) else result, layer


@KINDS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_precision(kind, dtype):
    exact, _ = apply(kind, torch.float64)
    output, layer = apply(kind, dtype)
    assert output.dtype == dtype
    torch.testing.assert_close(output.double(), exact, atol=0.3, rtol=0.1)
    assert all(g.isfinite().all() for g in gradients(output, [*layer.parameters()]))


@KINDS
def test_autocast_computes_in_bfloat16(kind):
    exact, _ = apply(kind, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output, layer = apply(kind, torch.float32)
    torch.testing.assert_close(output.float(), exact, atol=0.3, rtol=0.1)
    assert all(g.isfinite().all() for g in gradients(output, [*layer.parameters()]))


@KINDS
def test_layers_follow_their_device(kind):
    assert apply(kind, torch.float32, "meta")[0].device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@KINDS
def test_layers_on_a_gpu_equal_those_on_the_cpu(kind):
    expected, _ = apply(kind, torch.float64)
    torch.testing.assert_close(apply(kind, torch.float64, "cuda")[0].cpu(), expected)


@KINDS
def test_a_saved_layer_comes_back(kind):
    output, layer = apply(kind, torch.float64)
    _, fresh = apply(kind, torch.float64)
    for parameter in fresh.parameters():
        parameter.data.zero_()
    fresh.load_state_dict(layer.state_dict())
    x, y = sequence(L, seed=L), sequence(S, seed=S)
    result = fresh(x) if kind is FeatureAttention else fresh(x, y)
    torch.testing.assert_close(
        torch.cat(result, 1) if isinstance(result, tuple) else result, output
    )


@KINDS
def test_a_batch_of_one_and_a_batch_of_none_are_fine(kind):
    layer = randomise(kind(F) if kind is FeatureAttention else kind(F, H))
    for batch in (0, 1):
        x = torch.zeros(batch, 1, F, dtype=torch.float64)
        result = layer(x) if kind is FeatureAttention else layer(x, x)
        for output in result if isinstance(result, tuple) else (result,):
            assert output.shape == x.shape


# ---------------------------------------------------------------- errors

x, y, c = torch.zeros(B, L, F), torch.zeros(B, S, F), torch.zeros(B, S, C)
yes = torch.ones(L, S, dtype=torch.bool)
cross, both, feature = CrossAttention(F, H, C), CoAttention(F, H), FeatureAttention(F)

ERRORS = [
    (lambda: CrossAttention(F, 4), ValueError, r"write num_heads as one of \[1, 2, 3, 6\]"),
    (lambda: CrossAttention(F, H, 0), ValueError, "got kdim=0"),
    (lambda: CrossAttention(F, H, dropout=1.0), ValueError, "got dropout=1.0"),
    (lambda: CoAttention(0, 1), ValueError, "got embed_dim=0"),
    (lambda: CoAttention(F, H, dropout=-1), ValueError, "got dropout=-1"),
    (lambda: FeatureAttention(0), ValueError, "FeatureAttention: got num_features=0"),
    (lambda: FeatureAttention(F, reduction=0), ValueError, "got reduction=0"),
    (lambda: FeatureAttention(F, reduction=0.5), TypeError, "reduction is a float"),
    (lambda: cross(x, y), ValueError, r"key has shape \(2, 7, 6\), expected \(B, length, 11\)"),
    (lambda: cross(None, c), TypeError, "query is a NoneType"),
    (lambda: cross(x.double(), c), TypeError, "torch.float64 and the parameters are"),
    (lambda: cross(x, c, mask=yes.T), ValueError, r"mask has shape \(7, 5\)"),
    (lambda: cross(x, c, mask=yes.float()), TypeError, "mask is torch.float32"),
    (lambda: both(x, [0.0]), TypeError, "CoAttention: y is a list"),
    (lambda: both(x, c), ValueError, r"CoAttention: y has shape \(2, 7, 11\)"),
    (lambda: both(x[:, :0], y), ValueError, r"CoAttention: x has shape \(2, 0, 6\)"),
    (lambda: both(x.half(), y), TypeError, "CoAttention: x is torch.float16"),
    (lambda: both(x, y[:1].expand(3, S, F)), ValueError, "dimensions that broadcast"),
    (lambda: both(x, y, x_mask=yes), ValueError, r"mask has shape \(5, 7\)"),
    (lambda: both(x, y, y_mask=yes.T), ValueError, r"mask has shape \(7, 5\)"),
    (lambda: feature([0.0]), TypeError, "FeatureAttention: x is a list"),
    (lambda: feature(x.long()), TypeError, "x is torch.int64"),
    (lambda: feature(c), ValueError, r"x has shape \(2, 7, 11\), expected \(B, length, 6\)"),
    (lambda: feature(x[:, :0]), ValueError, "with at least one position"),
    (lambda: feature(x[0, 0]), ValueError, r"x has shape \(6,\)"),
    (lambda: feature(x.double()), TypeError, "x is torch.float64 and the parameters are"),
    (lambda: feature(x, mask=[True]), TypeError, "mask is a list"),
    (lambda: feature(x, mask=torch.ones(B, L)), TypeError, "mask is torch.float32"),
    (lambda: feature(x, mask=yes), ValueError, r"mask has shape \(5, 7\), expected \(2, 5\)"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
