"""Layers and stacks of attnlib.transformer against those of torch.nn."""

import itertools

import pytest
import torch
from errors import check_error
from oracles import coin, generator, gradients, normal
from torch import nn
from torch.autograd import gradcheck

from attnlib.masks import causal_mask, padding_mask, sliding_window_mask, to_mha
from attnlib.positional import RelativeAttentionBias, RotaryEmbedding
from attnlib.recording import record_attention
from attnlib.transformer import (
    FeedForward,
    SegmentMemory,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

B, H, L, S, F, HIDDEN, LAYERS = 2, 3, 5, 7, 6, 11, 2
LENGTHS = torch.tensor([S, 3])


def randomise(module, seed=3):
    """Parameters that are all different, biases and norms included."""
    g = generator(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=parameter.dtype) / 2)
    return module


def encoder_layer(**options):
    return randomise(TransformerEncoderLayer(F, H, HIDDEN, **options).double())


def decoder_layer(**options):
    return randomise(TransformerDecoderLayer(F, H, HIDDEN, **options).double())


def sequence(length, dtype=torch.float64, seed=0):
    return normal(generator(seed), B, length, F, dtype=dtype).requires_grad_()


def blocked(mask, shape):
    return None if mask is None else to_mha(mask, shape)


# ---------------------------------------------------------------- against torch


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize(("batch_first", "dtype"), [(False, torch.float64), (True, torch.float32)])
def test_a_copied_encoder_layer_equals_torch_in_value_and_gradient(
    norm_first, activation, batch_first, dtype
):
    options = {"norm_first": norm_first, "activation": activation, "layer_norm_eps": 0.01}
    theirs = randomise(
        nn.TransformerEncoderLayer(
            F, H, HIDDEN, dropout=0.0, batch_first=batch_first, dtype=dtype, **options
        )
    )
    ours = TransformerEncoderLayer.from_torch(theirs)
    x = sequence(S, dtype)
    for mask in (None, padding_mask(LENGTHS, S), causal_mask(S), coin(generator(5), B, H, S, S)):
        if mask is not None and mask.shape[-2] == S:
            mask = mask | torch.eye(S, dtype=torch.bool)  # torch gives NaN for an empty row
        turned = x if batch_first else x.transpose(0, 1)
        expected = theirs(turned, src_mask=blocked(mask, (B, H, S, S)))
        expected = expected if batch_first else expected.transpose(0, 1)
        output = ours(x, mask=mask)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(gradients(output, [x]), gradients(expected, [x]))
    torch.testing.assert_close(ours(x, causal=True), ours(x, mask=causal_mask(S)))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", [nn.GELU(), nn.ReLU(), torch.relu])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_copied_decoder_layer_equals_torch_in_value_and_gradient(
    norm_first, activation, batch_first
):
    theirs = randomise(
        nn.TransformerDecoderLayer(
            F,
            H,
            HIDDEN,
            dropout=0.0,
            batch_first=batch_first,
            dtype=torch.float64,
            norm_first=norm_first,
            activation=activation,
            layer_norm_eps=0.01,
        )
    )
    ours = TransformerDecoderLayer.from_torch(theirs)
    x, memory = sequence(L), sequence(S, seed=1)
    turned = (x, memory) if batch_first else (x.transpose(0, 1), memory.transpose(0, 1))
    for memory_mask, causal in itertools.product((None, padding_mask(LENGTHS, S)), (False, True)):
        mask = sliding_window_mask(L, 2) | torch.eye(L, dtype=torch.bool).roll(1, 1)
        seen = mask & causal_mask(L) if causal else mask
        expected = theirs(
            *turned,
            tgt_mask=blocked(seen, (B, H, L, L)),
            memory_mask=blocked(memory_mask, (B, H, L, S)),
        )
        expected = expected if batch_first else expected.transpose(0, 1)
        output = ours(x, memory, mask=mask, memory_mask=memory_mask, causal=causal)
        torch.testing.assert_close(output, expected)
        leaves = [x, memory]
        torch.testing.assert_close(gradients(output, leaves), gradients(expected, leaves))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", [TransformerEncoderLayer, TransformerDecoderLayer])
def test_a_copy_shares_no_memory_and_keeps_mode_dropout_and_missing_biases(kind, bias):
    original = getattr(nn, kind.__name__)(F, H, HIDDEN, dropout=0.25, bias=bias).eval()
    ours = kind.from_torch(original)
    assert not ours.training
    assert (ours.dropout, ours.feed_forward.dropout) == (0.25, 0.25)
    assert (ours.feed_forward.linear1.bias is not None) == bias
    assert sum(p.numel() for p in ours.parameters()) == sum(
        p.numel() for p in original.parameters()
    )
    before = original.linear1.weight.clone()
    randomise(ours)
    torch.testing.assert_close(original.linear1.weight, before)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_stack_equals_torchs_stack_of_the_same_layers(norm_first):
    ours = randomise(
        TransformerEncoder(LAYERS, F, H, HIDDEN, norm_first=norm_first, activation="relu").double()
    )
    layer = nn.TransformerEncoderLayer(F, H, HIDDEN, 0.0, batch_first=True, norm_first=norm_first)
    norm = nn.LayerNorm(F) if norm_first else None
    theirs = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False).double()
    for i in range(LAYERS):
        theirs.layers[i].load_state_dict(in_torchs_names(ours.layers[i]))
    if norm_first:
        theirs.norm.load_state_dict(ours.norm.state_dict())
    x, mask = sequence(S), padding_mask(LENGTHS, S)
    expected = theirs(x, mask=to_mha(mask, (B, H, S, S)))
    torch.testing.assert_close(ours(x, mask=mask), expected)


def in_torchs_names(layer):
    """The state dict of one of our layers, for a layer of torch."""
    state = {}
    ours_to_theirs = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
    for name, tensor in layer.state_dict().items():
        part, _, rest = name.partition(".")
        if part in ours_to_theirs:
            state.setdefault(ours_to_theirs[part], {})[rest] = tensor
        else:
            state[rest if part == "feed_forward" else name] = tensor
    for part in ours_to_theirs.values():
        for kind in ("weight", "bias") if part in state else ():
            packed = [state[part][f"{p}_proj.{kind}"] for p in "qkv"]
            state[f"{part}.in_proj_{kind}"] = torch.cat(packed)
            state[f"{part}.out_proj.{kind}"] = state[part][f"out_proj.{kind}"]
        state.pop(part, None)
    return state


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_stack_of_decoders_equals_torchs_stack(norm_first):
    ours = randomise(
        TransformerDecoder(LAYERS, F, H, HIDDEN, norm_first=norm_first, activation="relu").double()
    )
    layer = nn.TransformerDecoderLayer(F, H, HIDDEN, 0.0, batch_first=True, norm_first=norm_first)
    norm = nn.LayerNorm(F) if norm_first else None
    theirs = nn.TransformerDecoder(layer, LAYERS, norm).double()
    for i in range(LAYERS):
        theirs.layers[i].load_state_dict(in_torchs_names(ours.layers[i]))
    if norm_first:
        theirs.norm.load_state_dict(ours.norm.state_dict())
    x, memory, memory_mask = sequence(L), sequence(S, seed=1), padding_mask(LENGTHS, S)
    options = {"memory_mask": to_mha(memory_mask, (B, H, L, S))}
    expected = theirs(x, memory, tgt_mask=~causal_mask(L), **options)
    torch.testing.assert_close(ours(x, memory, memory_mask=memory_mask), expected)
    mask = sliding_window_mask(L, 2)
    expected = theirs(x, memory, tgt_mask=~mask, **options)
    got = ours(x, memory, mask=mask, memory_mask=memory_mask, causal=False)
    torch.testing.assert_close(got, expected)


# ---------------------------------------------------------------- what a layer promises


def test_the_hidden_width_is_four_times_the_width_when_omitted():
    assert FeedForward(F).linear1.out_features == 4 * F
    assert TransformerEncoderLayer(F, H).feed_forward.linear1.out_features == 4 * F


def test_layers_of_a_stack_start_out_different():
    for stack in (TransformerEncoder(2, F, H), TransformerDecoder(2, F, H)):
        first, second = (layer.feed_forward.linear1.weight for layer in stack.layers)
        assert not torch.equal(first, second)


@pytest.mark.parametrize("norm_first", [False, True])
def test_content_of_padded_positions_never_changes_real_outputs(norm_first):
    stack = randomise(TransformerEncoder(LAYERS, F, H, norm_first=norm_first).double())
    x = sequence(S).detach()
    mask = padding_mask(LENGTHS, S)
    other = torch.where(mask[:, 0, 0, :, None], x, 100.0)
    real = mask[:, 0, 0]
    torch.testing.assert_close(stack(x, mask=mask)[real], stack(other, mask=mask)[real])
    decoder = randomise(TransformerDecoder(LAYERS, F, H, norm_first=norm_first).double())
    y = sequence(L, seed=1)
    torch.testing.assert_close(decoder(y, x, memory_mask=mask), decoder(y, other, memory_mask=mask))


def test_a_decoder_is_causal_unless_told_otherwise():
    decoder = randomise(TransformerDecoder(LAYERS, F, H).double())
    x, memory = sequence(L).detach(), sequence(S, seed=1)
    changed = x.clone()
    changed[:, 3:] *= -1
    torch.testing.assert_close(decoder(x, memory)[:, :3], decoder(changed, memory)[:, :3])
    free = {"causal": False}
    assert not torch.allclose(
        decoder(x, memory, **free)[:, :3], decoder(changed, memory, **free)[:, :3]
    )


def test_an_empty_source_gives_numbers_and_no_gradient_to_it():
    layer = decoder_layer()
    x, memory = sequence(L), sequence(S, seed=1)
    output = layer(x, memory, memory_mask=padding_mask(torch.tensor([0, S]), S))
    to_x, to_memory = gradients(output, [x, memory])
    assert output.isfinite().all()
    assert to_x.isfinite().all()
    assert not to_memory[0].any()
    assert to_memory[1].any()


def test_bias_is_added_to_the_scores_and_minus_infinity_hides():
    stack = randomise(TransformerEncoder(LAYERS, F, H).double())
    x = sequence(S)
    bias = torch.zeros(S, S, dtype=torch.float64).masked_fill(~causal_mask(S), -torch.inf)
    torch.testing.assert_close(stack(x, bias=bias), stack(x, causal=True))


def test_dropout_drops_in_all_three_places_while_training():
    layer = TransformerEncoderLayer(F, H, HIDDEN, dropout=0.5)
    x = sequence(S, torch.float32).detach()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        runs = [layer(x) for _ in range(2)]
    assert not torch.equal(*runs)
    layer.eval()
    assert torch.equal(layer(x), layer(x))
    # What is added to the input is dropped: some elements are those of the input.
    layer.train()
    nn.init.ones_(layer.self_attention.out_proj.bias)
    layer.feed_forward.linear2.weight.data.zero_()
    layer.feed_forward.linear2.bias.data.fill_(1.0)
    unchanged = (layer(x) == x).float().mean()
    assert 0.1 < unchanged < 0.4  # dropped in both branches: a quarter
    # Hidden values are dropped: with hidden values all 1 the outputs differ by position.
    feed_forward = FeedForward(F, 1009, dropout=0.5, activation="relu")
    for linear, bias in ((feed_forward.linear1, 1.0), (feed_forward.linear2, 0.0)):
        nn.init.constant_(linear.weight, 0.0 if bias else 1.0)
        nn.init.constant_(linear.bias, bias)
    sums = feed_forward(x)
    assert sums.std() > 0
    assert (sums / 1009 - 1).abs().max() < 0.3
    assert layer.self_attention.dropout == 0.5


def test_gradients_are_those_of_differences():
    encoder = randomise(TransformerEncoder(1, F, H, 5).double())
    decoder = randomise(TransformerDecoder(1, F, H, 5, norm_first=False).double())
    x, memory = (normal(generator(i), 1, 3, F).requires_grad_() for i in range(2))
    mask = padding_mask(torch.tensor([2]), 3)
    assert gradcheck(lambda x: encoder(x, mask=mask, causal=True), x)
    assert gradcheck(lambda x, memory: decoder(x, memory, memory_mask=mask), (x, memory))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_as_close_as_its_digits_allow(dtype):
    exact = randomise(TransformerEncoder(LAYERS, F, H))
    x = sequence(S, torch.float32).detach()
    expected = exact(x, causal=True)
    low = TransformerEncoder(LAYERS, F, H).to(dtype)
    low.load_state_dict(exact.state_dict())
    got = low(x.to(dtype), causal=True)
    assert got.dtype == dtype
    assert (got.float() - expected).abs().max() < 64 * torch.finfo(dtype).eps
    with torch.autocast("cpu", dtype):
        got = exact(x, causal=True)
    assert (got.float() - expected).abs().max() < 64 * torch.finfo(dtype).eps


def test_a_state_dict_makes_an_equal_stack():
    for kind in (TransformerEncoder, TransformerDecoder):
        one, other = (randomise(kind(LAYERS, F, H), seed) for seed in (1, 2))
        other.load_state_dict(one.state_dict())
        inputs = [sequence(S, torch.float32)] * (1 if kind is TransformerEncoder else 2)
        torch.testing.assert_close(one(*inputs), other(*inputs))


def test_attention_of_every_layer_can_be_recorded():
    stack = TransformerDecoder(LAYERS, F, H)
    with record_attention(stack) as maps:
        stack(sequence(L, torch.float32), sequence(S, torch.float32))
    assert {path: (tuple(m.weights.shape), m.kind) for path, m in maps.items()} == {
        f"layers.{i}.{part}_attention": ((B, H, L, size), part)
        for i in range(LAYERS)
        for part, size in (("self", L), ("cross", S))
    }


def test_a_layer_compiles_to_the_same_numbers():
    layer = encoder_layer()
    x = sequence(S).detach()
    exported = torch.export.export(layer, (x,), {"causal": True}).module()
    torch.testing.assert_close(exported(x, causal=True), layer(x, causal=True))


# ---------------------------------------------------------------- caches and memories


@pytest.mark.parametrize("cuts", [(1, 2, 4), (7,), (3, 4), (1,) * 7])
@pytest.mark.parametrize("told", ["nothing", "rotary", "relative", "grouped"])
def test_chunks_through_a_cache_equal_one_pass(cuts, told):
    options = {
        "nothing": {},
        "rotary": {"rotary": RotaryEmbedding(2)},
        "relative": {"relative": True},
        "grouped": {"num_kv_heads": 1},
    }[told]
    stack = randomise(TransformerEncoder(LAYERS, F, H, **options).double())
    x = sequence(S).detach()
    with torch.no_grad():
        expected = stack(x, causal=True)
        caches = stack.new_cache(B, S)
        pieces = [stack(piece, causal=True, cache=caches) for piece in x.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected)


@pytest.mark.parametrize("cuts", [(1, 2, 2), (5,), (1,) * 5])
@pytest.mark.parametrize("mask", [None, padding_mask(LENGTHS, S)])
def test_chunks_through_a_decoders_cache_equal_one_pass(cuts, mask):
    stack = randomise(TransformerDecoder(LAYERS, F, H).double())
    x, memory = sequence(L).detach(), sequence(S, seed=1).detach()
    with torch.no_grad():
        expected = stack(x, memory, memory_mask=mask)
        caches = stack.new_cache(memory, L, memory_mask=mask)
        pieces = [stack(piece, cache=caches) for piece in x.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected)


def test_a_reordered_decoder_cache_continues_the_chosen_examples():
    stack = randomise(TransformerDecoder(LAYERS, F, H).double())
    x, memory = sequence(L).detach(), sequence(S, seed=1).detach()
    chosen = torch.tensor([1, 1, 0])
    for mask in (None, padding_mask(LENGTHS, S), torch.ones(1, 1, 1, S, dtype=torch.bool)):
        with torch.no_grad():
            caches = stack.new_cache(memory, L, memory_mask=mask)
            stack(x[:, :2], cache=caches)
            for cache in caches:
                cache.reorder(chosen)
            got = stack(x[chosen, 2:], cache=caches)
            expected = stack(x, memory, memory_mask=mask)[chosen, 2:]
        torch.testing.assert_close(got, expected)
        assert caches[0].length == L


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("told", ["nothing", "rotary", "relative"])
def test_a_memory_of_all_earlier_segments_equals_one_pass(norm_first, told):
    options = {
        "nothing": {},
        "rotary": {"rotary": RotaryEmbedding(2)},
        "relative": {"relative": RelativeAttentionBias(H, 2)},
    }[told]
    layer = encoder_layer(norm_first=norm_first, **options)
    x = sequence(S)
    memory = SegmentMemory(max_len=S)
    pieces = [layer(piece, causal=True, past=memory) for piece in x.split([3, 1, 3], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), layer(x, causal=True))


def test_a_short_memory_holds_the_last_positions_only():
    layer, x = encoder_layer(), sequence(S).detach()
    memory = SegmentMemory(max_len=2)
    layer(x[:, :3], causal=True, past=memory)
    assert memory.length == 2
    got = layer(x[:, 3:], causal=True, past=memory)
    torch.testing.assert_close(got, layer(x[:, 1:], causal=True)[:, 2:])
    memory.reset()
    assert memory.length == 0
    torch.testing.assert_close(layer(x, causal=True, past=memory), layer(x, causal=True))


def test_no_gradient_reaches_an_earlier_segment():
    layer = encoder_layer()
    first, second = sequence(3), sequence(S, seed=1)
    memory = SegmentMemory(max_len=S)
    layer(first, causal=True, past=memory)
    output = layer(second, causal=True, past=memory)
    to_first, to_second = torch.autograd.grad(output.sum(), [first, second], allow_unused=True)
    assert to_first is None
    assert to_second.any()


# ---------------------------------------------------------------- errors

X = torch.zeros(B, L, F)
STACK = TransformerEncoder(LAYERS, F, H)


def filled_memory():
    memory = SegmentMemory(3)
    memory.append(X)
    return memory


def known(**superfluous):
    layer = TransformerDecoderLayer(F, H)
    return layer(X, cache=layer.new_cache(X, L), **superfluous)


ERRORS = [
    (lambda: FeedForward(0), ValueError, "embed_dim=0"),
    (lambda: FeedForward(F, -1), ValueError, "ffn_dim=-1"),
    (lambda: FeedForward(F, dropout=1.0), ValueError, "dropout=1.0"),
    (lambda: FeedForward(F, activation="tanh"), ValueError, "activation='tanh'"),
    (lambda: TransformerEncoderLayer(F, 4), ValueError, "num_heads=4"),
    (lambda: TransformerEncoderLayer(F, H, dropout=-0.1), ValueError, "dropout=-0.1"),
    (lambda: TransformerEncoderLayer(F, H)(X[0]), ValueError, "unsqueeze"),
    (lambda: TransformerEncoderLayer(F, H)(X[..., :5]), ValueError, r"\(2, 5, 5\)"),
    (lambda: TransformerEncoderLayer(F, H)(X.long()), TypeError, "int64"),
    (lambda: TransformerEncoderLayer(F, H)(X, mask=X[0]), TypeError, "bool"),
    (lambda: TransformerDecoderLayer(F, H)(X, X[0]), ValueError, "memory has shape"),
    (lambda: TransformerDecoderLayer(F, H)(X), ValueError, "no memory"),
    (lambda: known(memory=X), ValueError, "a memory and a cache"),
    (lambda: known(memory_mask=padding_mask(LENGTHS)), ValueError, "a memory_mask"),
    (lambda: TransformerDecoderLayer(F, H)(X[..., :5], X), ValueError, r"\(2, 5, 5\)"),
    (lambda: TransformerDecoderLayer(F, H).new_cache(X[0], 3), ValueError, "memory has shape"),
    (lambda: TransformerEncoder(0, F, H), ValueError, "num_layers=0"),
    (lambda: TransformerDecoder(-1, F, H), ValueError, "num_layers=-1"),
    (lambda: STACK(X, cache=STACK.new_cache(B, L)[:1]), ValueError, "cache has 1 for 2 layers"),
    (lambda: STACK(X, past=SegmentMemory(3)), ValueError, "past has a SegmentMemory"),
    (lambda: STACK.new_cache(0, L), ValueError, "batch_size=0"),
    (lambda: STACK(X, cache=STACK.new_cache(B, L)), RuntimeError, "gradient"),
    (lambda: SegmentMemory(0), ValueError, "max_len=0"),
    (lambda: SegmentMemory(3).append(X[0]), ValueError, "x has shape"),
    (lambda: filled_memory().append(X[:1]), ValueError, "same batch and width"),
    (lambda: filled_memory().append(X[..., :5]), ValueError, "same batch and width"),
    (lambda: TransformerEncoderLayer.from_torch(nn.Linear(2, 2)), TypeError, "Linear"),
    (
        lambda: TransformerDecoderLayer.from_torch(nn.TransformerEncoderLayer(F, H)),
        TypeError,
        "got TransformerEncoderLayer",
    ),
    (
        lambda: TransformerEncoderLayer.from_torch(
            nn.TransformerEncoderLayer(F, H, activation=nn.GELU("tanh"))
        ),
        ValueError,
        "activation",
    ),
    (
        lambda: TransformerDecoderLayer.from_torch(
            nn.TransformerDecoderLayer(F, H, activation=torch.tanh)
        ),
        ValueError,
        "activation",
    ),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_wrong_use_is_said_clearly(call, kind, words):
    check_error(call, kind, words)
