"""attnlib.recording: maps of the real forward pass, and what can be read from them."""

import gc
import math
import weakref

import pytest
import torch
from errors import check_error
from IPython.utils.capture import capture_output
from oracles import coin, generator, normal
from torch import nn

from attnlib.attention import AdditiveAttention, MultiHeadAttention
from attnlib.functional import masked_softmax
from attnlib.masks import padding_mask
from attnlib.recording import AttentionMap, record_attention

B, H, L, S, F = 2, 3, 5, 7, 6


class Block(nn.Module):
    """Self-attention, cross-attention and additive attention, nested and out of order."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.additive = AdditiveAttention(F, F, 4, dropout=dropout)
        self.inner = nn.ModuleList([MultiHeadAttention(F, H, dropout=dropout) for _ in range(2)])

    def forward(self, x, memory, mask=None):
        x = x + self.inner[0](x, mask=mask)
        x = x + self.inner[1](x, memory)
        return x + self.additive(query=x, key=memory)


def block(**options):
    model = Block(**options).double()
    g = generator(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(g, *parameter.shape))
    return model


def sequences():
    g = generator()
    return normal(g, B, L, F), normal(g, B, S, F)


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def shares(*shape, seed=0):
    return masked_softmax(normal(generator(seed), *shape))


# ---------------------------------------------------------------- record_attention


def test_every_layer_is_recorded_under_its_path_with_its_weights_and_kind():
    model, (x, memory) = block(), sequences()
    mask = padding_mask(torch.tensor([3, 0]), L)
    with record_attention(model) as maps:
        model(x, memory, mask)
    assert {name: m.kind for name, m in maps.items()} == {
        "inner.0": "self",
        "inner.1": "cross",
        "additive": "cross",
    }
    y = x + model.inner[0](x, mask=mask)
    z = y + model.inner[1](y, memory)
    wanted = {
        "inner.0": model.inner[0](x, mask=mask, need_weights=True)[1],
        "inner.1": model.inner[1](y, memory, need_weights=True)[1],
        "additive": model.additive(z, memory, need_weights=True)[1],
    }
    for name, weights in wanted.items():
        torch.testing.assert_close(maps[name].weights, weights)


def test_the_output_and_the_gradients_are_the_same_with_and_without_recording():
    model, (x, memory) = block(), sequences()
    parameters = list(model.parameters())
    plain = model(x, memory)
    with record_attention(model):
        recorded = model(x, memory)
    torch.testing.assert_close(recorded, plain)
    torch.testing.assert_close(
        torch.autograd.grad(recorded.sum(), parameters),
        torch.autograd.grad(plain.sum(), parameters),
    )


def test_weights_are_recorded_before_dropout():
    model, (x, memory) = block(dropout=0.5).train(), sequences()
    with record_attention(model) as maps:
        model(x, memory)
    for m in maps.values():
        torch.testing.assert_close(m.weights.sum(-1), torch.ones_like(m.weights[..., 0]))


@pytest.mark.parametrize("call", ["positional", "key", "all"])
def test_attention_to_the_same_tensor_is_self_attention(call):
    x, _ = sequences()
    for layer in (MultiHeadAttention(F, H).double(), AdditiveAttention(F, F, 4).double()):
        with record_attention(layer) as maps:
            if call == "positional":
                layer(x, x)
            elif call == "key":
                layer(x, key=x)
            else:
                layer(query=x, key=x, value=2 * x)
        assert maps[""].kind == "self"


def test_attention_to_another_tensor_is_cross_attention_even_if_it_is_equal():
    layer, (x, _) = MultiHeadAttention(F, H).double(), sequences()
    with record_attention(layer) as maps:
        layer(x, x.clone())
        layer(query=x, key=x.clone())
        layer(x, None, x)
    assert [m.kind for m in maps.values()] == ["cross", "cross", "self"]


def test_a_layer_that_is_called_again_is_recorded_again():
    layer, (x, memory) = MultiHeadAttention(F, H).double(), sequences()
    model = nn.ModuleDict({"a": layer, "b": layer})  # shared weights are one layer
    with record_attention(model) as maps:
        model["a"](x)
        model["b"](x, memory)
        model["a"](x)
    assert list(maps) == ["a", "a#2", "a#3"]
    assert maps["a#2"].weights.shape == (B, H, L, S)


def test_the_model_itself_may_be_the_layer():
    layer, (x, _) = MultiHeadAttention(F, H).double(), sequences()
    with record_attention(layer) as maps:
        layer(x)
        layer(x)
    assert list(maps) == ["", "#2"]


@pytest.mark.parametrize("asked", [False, True])
def test_a_caller_gets_weights_exactly_if_it_asked_for_them(asked):
    x, memory = sequences()
    for layer in (MultiHeadAttention(F, H).double(), AdditiveAttention(F, F, 4).double()):
        plain = layer(x, memory, need_weights=asked)
        with record_attention(layer) as maps:
            result = layer(x, memory, need_weights=asked)
        torch.testing.assert_close(result, plain)
        assert isinstance(result, tuple) == asked
        assert len(maps) == 1


def test_hooks_are_gone_after_the_block_and_after_an_error_in_it():
    model, (x, memory) = block(), sequences()
    with record_attention(model) as maps:
        assert hooks(model) == 6
        model(x, memory)
    assert hooks(model) == 0
    with pytest.raises(ValueError, match="query has shape"), record_attention(model):
        model(x[0], memory)
    assert hooks(model) == 0
    model(x, memory)
    assert len(maps) == 3


def test_a_call_that_fails_does_not_disturb_the_next():
    layer, (x, memory) = MultiHeadAttention(F, H).double(), sequences()
    with record_attention(layer) as maps:
        with pytest.raises(ValueError, match="MultiHeadAttention: query has shape"):
            layer(x[0], need_weights=True)
        assert isinstance(layer(x, memory), torch.Tensor)
    assert len(maps) == 1


def test_recordings_may_be_nested():
    model, (x, memory) = block(), sequences()
    plain = model(x, memory)
    with record_attention(model) as outer:
        with record_attention(model.inner) as inner:
            output = model(x, memory)
        torch.testing.assert_close(output, plain)
        model(x, memory)
    assert list(inner) == ["0", "1"]
    assert len(outer) == 6
    torch.testing.assert_close(inner["0"].weights, outer["inner.0"].weights)


def test_hooks_of_others_see_what_they_would_see_without_recording():
    layer, (x, memory) = MultiHeadAttention(F, H).double(), sequences()
    seen = []
    layer.register_forward_hook(lambda module, args, output: seen.append(output))
    with record_attention(layer):
        layer(x, memory)
    layer(x, memory)
    torch.testing.assert_close(seen[0], seen[1])


def test_nothing_is_kept_alive():
    model, (x, memory) = block(), sequences()
    graph = weakref.WeakSet()

    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor.detach()  # with its graph it would be a cycle
            graph.add(self)

    with (
        torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor),
        record_attention(model) as maps,
    ):
        output = model(x, memory)
    assert not any(m.weights.requires_grad for m in maps.values())
    assert len(graph) > 0
    del output
    gc.collect()
    assert len(graph) == 0  # the maps hold weights, not the graph that made them
    kept = weakref.ref(maps["inner.0"])
    del maps
    gc.collect()
    assert kept() is None  # and the model does not hold the maps


def test_nan_in_a_model_is_named_where_it_is_recorded():
    model, (x, memory) = block(), sequences()
    x[0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="weights has NaN"), record_attention(model):
        model(x, memory)
    assert hooks(model) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_maps_stay_on_the_device_of_the_model():
    model, (x, memory) = block().cuda(), sequences()
    with record_attention(model) as maps:
        model(x.cuda(), memory.cuda())
    assert {m.weights.device.type for m in maps.values()} == {"cuda"}


# ---------------------------------------------------------------- AttentionMap


def test_an_example_is_cut_to_its_names():
    weights = shares(B, H, L, L)
    m = AttentionMap(weights).example(1, queries=["a", "b", "c"])
    assert m.weights.equal(weights[1, :, :3, :3])  # keys are named like queries: self-attention
    assert (m.queries, m.keys, m.kind) == (["a", "b", "c"], ["a", "b", "c"], "self")
    assert AttentionMap(weights).example(-1).weights.equal(weights[1])


def test_an_example_of_cross_attention_names_queries_and_keys_apart():
    weights = shares(B, H, L, S)
    m = AttentionMap(weights, kind="cross").example(0, queries=["a", "b"])
    assert m.weights.equal(weights[0, :, :2])
    assert (m.keys, m.kind) == (None, "cross")
    m = AttentionMap(weights, kind="cross").example(0, keys="xyz")
    assert m.weights.equal(weights[0, :, :, :3])
    assert (m.queries, m.keys) == (None, "xyz")


def test_an_example_keeps_the_names_of_the_batch():
    m = AttentionMap(shares(B, H, 2, 3), queries="ab", keys="xyz", kind="cross").example(0)
    assert (m.queries, m.keys) == ("ab", "xyz")


def test_a_head_is_taken_from_an_example_or_from_a_batch():
    weights = shares(B, H, L, S)
    batch = AttentionMap(weights, keys="abcdefg", kind="temporal").head(1)
    assert batch.weights.equal(weights[:, 1:2])
    assert (batch.keys, batch.kind) == ("abcdefg", "temporal")
    assert AttentionMap(weights[0]).head(-1).weights.equal(weights[0, 2])


@pytest.mark.parametrize("lead", [(), (H,), (1, H)])
def test_dense_is_the_mean_over_heads(lead):
    weights = shares(*lead, L, S)
    dense = AttentionMap(weights).dense()
    torch.testing.assert_close(dense, weights.reshape(-1, L, S).mean(0))
    assert AttentionMap(weights).edge(2, 3) == dense[2, 3].item()


def test_top_is_sorted_and_never_longer_than_the_keys():
    weights = torch.tensor([[0.5, 0.0, 0.125, 0.375]])
    m = AttentionMap(weights, keys=["a", "b", "c", "d"])
    assert m.top(0) == [("a", 0.5)]
    assert m.top(0, 2) == [("a", 0.5), ("d", 0.375)]
    assert m.top(0, count=9) == [("a", 0.5), ("d", 0.375), ("c", 0.125), ("b", 0.0)]
    assert AttentionMap(weights).top(0) == [("0", 0.5)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_entropy_is_zero_on_one_key_and_log_of_the_number_of_keys_when_uniform(dtype):
    weights = torch.zeros(H, 4, S, dtype=dtype)
    weights[:, 0] = 1 / S
    weights[:, 1, 3] = 1.0
    weights[:, 2, :2] = 0.5  # the last row is empty
    entropy = AttentionMap(weights).entropy()
    assert entropy.shape == (H, 4)
    expected = torch.tensor([math.log(S), 0.0, math.log(2), 0.0]).expand(H, 4)
    torch.testing.assert_close(entropy.float(), expected, atol=0.02, rtol=0)


def test_entropy_equals_that_of_torch():
    weights = shares(B, H, L, S)
    expected = torch.distributions.Categorical(weights).entropy()
    torch.testing.assert_close(AttentionMap(weights).entropy(), expected)


@pytest.mark.parametrize("lead", [(), (H,), (B, H)])
def test_mass_is_the_mean_share_on_the_truth_over_rows_that_have_one(lead):
    weights, truth = shares(*lead, L, S), coin(generator(1), L, S, share=0.2)
    truth[0], truth[1, 0] = False, True
    rows = [
        sum(row[j].item() for j in range(S) if truth[i, j])
        for matrix in weights.reshape(-1, L, S)
        for i, row in enumerate(matrix)
        if truth[i].any()
    ]
    assert AttentionMap(weights).mass_on(truth) == pytest.approx(sum(rows) / len(rows))
    assert AttentionMap(weights).mass_on(truth.double() * 5) == pytest.approx(sum(rows) / len(rows))


def test_the_mass_of_uniform_attention_is_one_over_the_number_of_keys():
    truth = torch.eye(L, dtype=torch.bool)[None, None]
    m = AttentionMap(torch.full((B, H, L, L), 1 / L))
    assert m.mass_on(truth) == pytest.approx(1 / L)
    assert m.mass_on(torch.ones(L, L)) == pytest.approx(1)


def test_a_description_names_the_strongest_key_of_the_first_rows():
    weights = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.0, 0.0], [0.5, 0.5]])
    m = AttentionMap(weights, queries=["it", "a", "pad", "z"], keys=["the", "100%"])
    assert m.describe() == (
        "it attends most to 100% (75 %). a attends most to the (100 %). pad attends to nothing. "
        "1 more row."
    )
    assert m.describe(rows=1) == "it attends most to 100% (75 %). 3 more rows."
    assert "0 attends most to 1 (75 %)." in AttentionMap(weights).describe()


@pytest.mark.parametrize("lead", [(), (1,), (H,), (1, H), (1, 1)], ids=str)
def test_a_plot_shows_one_example_with_its_description(lead):
    m = AttentionMap(shares(*lead, 2, 3))
    with capture_output(display=False) as captured:
        m.plot()
        m.plot(alt="a picture of some weights")
    assert captured.stdout == f"{m.describe()}\na picture of some weights\n"


def test_a_map_is_frozen():
    m = AttentionMap(shares(L, S))
    with pytest.raises(AttributeError, match="cannot assign to field"):
        m.kind = "cross"


# ---------------------------------------------------------------- errors


def error(method, *args, shape=(B, H, L, S), **options):
    return lambda: getattr(AttentionMap(shares(*shape)), method)(*args, **options)


def record(model):
    def call():
        with record_attention(model):
            pass

    return call


nothing = torch.zeros(L, S, dtype=torch.bool)

ERRORS = [
    (lambda: AttentionMap([[1.0]]), TypeError, "AttentionMap: weights is a list"),
    (lambda: AttentionMap(shares(L, S).numpy()), TypeError, "weights is a ndarray"),
    (lambda: AttentionMap(torch.eye(2).long()), TypeError, "weights is torch.int64"),
    (lambda: AttentionMap(shares(S)), ValueError, r"weights has shape \(7,\)"),
    (lambda: AttentionMap(shares(1, B, H, L, S)), ValueError, r"\(1, 2, 3, 5, 7\)"),
    (lambda: AttentionMap(torch.zeros(0, H, L, S)), ValueError, "none empty"),
    (lambda: AttentionMap(torch.tensor([[math.nan]])), ValueError, "NaN or negative entries"),
    (lambda: AttentionMap(-shares(L, S)), ValueError, "apply masked_softmax to scores first"),
    (lambda: AttentionMap(shares(L, S), kind="soft"), ValueError, "got kind='soft'"),
    (lambda: AttentionMap(shares(L, S), "abc"), ValueError, "got 3 names of queries, expected 5"),
    (lambda: AttentionMap(shares(L, S), keys="abc"), ValueError, "got 3 names of keys, expected 7"),
    (error("example", 2), ValueError, "AttentionMap.example: got index=2, expected 0 to 1"),
    (error("example", -3), ValueError, "got index=-3"),
    (error("example", 0, queries="abcdefg", keys="abc"), ValueError, "got 7 names of queries"),
    (error("example", 0, shape=(H, L, S)), ValueError, "this map already is one example"),
    (error("head", H), ValueError, "AttentionMap.head: got index=3, expected 0 to 2"),
    (error("head", 0, shape=(L, S)), ValueError, r"weights has shape \(5, 7\)"),
    (error("dense"), ValueError, r"got a batch of 2, expected one example"),
    (error("plot"), ValueError, r"write .example\(0\) first"),
    (error("mass_on", [[True]]), TypeError, "AttentionMap.mass_on: truth is a list"),
    (error("mass_on", nothing.T), ValueError, r"truth has shape \(7, 5\)"),
    (error("mass_on", nothing), ValueError, "truth marks no entry"),
    (record(torch.zeros(3)), TypeError, "record_attention: got Tensor, expected a torch.nn.Module"),
    (record(nn.Linear(2, 2)), ValueError, "Linear without attention layers of attnlib"),
    (record(nn.MultiheadAttention(F, H)), ValueError, "MultiHeadAttention.from_torch"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
