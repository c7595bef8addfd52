"""attnlib.temporal against plain loops, and planted leaks that future_leak must find."""

import io

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, gradients, loop_attention, normal
from torch import nn
from torch.autograd import gradcheck

from attnlib.masks import causal_mask, padding_mask, sliding_window_mask
from attnlib.recording import record_attention
from attnlib.temporal import (
    TemporalAttention,
    TemporalAttentionNetwork,
    VariableAttention,
    future_leak,
)

B, H, T, F, V, OUT, HORIZON, WIDTH = 2, 2, 7, 6, 3, 5, 4, 6
LENGTHS = torch.tensor([5, 7])
ENCODERS = ("lstm", "gru", "conv", "linear")

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def randomise(layer, seed=3):
    """Parameters that are all different, biases included."""
    g = generator(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=parameter.dtype) / 2)
    return layer


def layer(dtype=torch.float64, **options):
    return randomise(TemporalAttention(F, H, **options).to(dtype))


def network(encoder="gru", dtype=torch.float64, horizon=HORIZON, **options):
    made = TemporalAttentionNetwork(V, OUT, WIDTH, H, encoder=encoder, horizon=horizon, **options)
    return randomise(made.to(dtype))


def variables(dtype=torch.float64):
    return randomise(VariableAttention(V, WIDTH).to(dtype))


def series(width=V, dtype=torch.float64):
    return normal(generator(), B, T, width, dtype=dtype)


def uneven_times():
    return normal(generator(9), B, T).abs().cumsum(1) + 1000


def wave(encoding, times):
    """The encoding of times (T,) by its formula, in float64."""
    angles = times.double()[:, None] * encoding.frequency.double() + encoding.phase.double()
    return torch.cat([angles[:, :1], angles[:, 1:].sin()], 1)


def split(x):
    """(L, F) to heads (H, L, D)."""
    return x.reshape(len(x), H, -1).transpose(0, 1)


def heads(attention, query, key, value, mask):
    """The attention of one example by a loop: output (L, F) and weights (H, L, S)."""
    parts = (attention.q_proj(query), attention.k_proj(key), attention.v_proj(value))
    context, weights = loop_attention(*map(split, parts), mask=mask)
    return attention.out_proj(context.transpose(0, 1).flatten(1)), weights


# ---------------------------------------------------------------- TemporalAttention


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("with_times", [False, True])
@pytest.mark.parametrize(("causal", "window"), [(True, None), (True, 3), (False, None), (True, 99)])
def test_temporal_attention_equals_a_loop(causal, window, with_times, with_mask):
    module, x = layer(causal=causal, window=window), series(F)
    times = uneven_times() if with_times else None
    mask = coin(generator(5), B, 1, T, T) if with_mask else None
    output, weights = module(x, times, mask=mask, need_weights=True)
    torch.testing.assert_close(module(x, times, mask=mask), output)
    seen = torch.ones(T, T, dtype=torch.bool)
    if causal:
        seen = causal_mask(T) if window is None else sliding_window_mask(T, window)
    for b in range(B):
        when = times[b] - times[b, 0] if with_times else torch.arange(T)
        placed = x[b] + wave(module.time, when)
        allowed = seen & mask[b, 0] if with_mask else seen
        expected, expected_weights = heads(module.attention, placed, placed, x[b], allowed)
        torch.testing.assert_close(output[b], expected)
        torch.testing.assert_close(weights[b], expected_weights)


@pytest.mark.parametrize("window", [None, 1, 2])
def test_temporal_attention_sees_no_later_step(window):
    assert future_leak(layer(window=window), series(F)) is None
    assert future_leak(lambda x: layer()(x, uneven_times()), series(F)) is None


@pytest.mark.parametrize("window", [None, 3])
def test_a_window_changes_no_parameter_and_is_recorded(window):
    module, x = TemporalAttention(F, H, window=window).double(), series(F)
    module.load_state_dict(layer().state_dict())
    with record_attention(module) as maps:
        output = module(x)
    torch.testing.assert_close(output, layer(window=window)(x))
    assert maps["attention"].kind == "temporal"
    seen = causal_mask(T) if window is None else sliding_window_mask(T, window)
    assert torch.equal(maps["attention"].weights > 0, seen.expand(B, H, T, T))


def test_temporal_attention_learns_no_later_time():
    x, module = series(F), layer()

    def of_times(times):
        return module(x, times[..., 0])

    assert future_leak(of_times, uneven_times()[..., None]) is None


def test_without_causal_the_future_is_seen():
    assert future_leak(layer(causal=False), series(F)) == (0, 1)


def test_only_differences_of_time_count():
    module, x, times = layer(), series(F), uneven_times()
    torch.testing.assert_close(module(x, times), module(x, times + 123456))
    even = torch.arange(T).expand(B, T)
    torch.testing.assert_close(module(x), module(x, even + 2**40))
    assert not module(x, times).allclose(module(x, 2 * times))


def test_unix_seconds_lose_no_precision_in_a_single_precision_layer():
    times = 1_700_000_000 + torch.tensor([0, 1, 2, 4, 8, 9, 11])
    module, x = layer(torch.float32), series(F, torch.float32)
    near = (times - times[0]).expand(B, T)
    torch.testing.assert_close(module(x, times.expand(B, T)), module(x, near))


# ---------------------------------------------------------------- VariableAttention


@pytest.mark.parametrize("with_mask", [False, True])
def test_attention_among_variables_equals_a_loop(with_mask):
    module, x = variables(), series()
    mask = coin(generator(5), B, 1, T, V) if with_mask else None
    if with_mask:
        mask[0, 0, 2] = False
    output, weights = module(x, mask=mask, need_weights=True)
    torch.testing.assert_close(module(x, mask=mask), output)
    for b in range(B):
        for t in range(T):
            there = mask[b, 0, t] if with_mask else torch.ones(V, dtype=torch.bool)
            step = x[b, t] * there
            hidden = torch.tanh(module.hidden.weight @ step + module.hidden.bias)
            shares = (module.score.weight @ hidden + module.score.bias).exp() * there
            shares = shares / shares.sum() if there.any() else shares
            torch.testing.assert_close(weights[b, 0, t], shares)
            columns = zip(shares, step, module.scale.weight.T, module.shift.weight.T, strict=True)
            torch.testing.assert_close(output[b, t], sum(w * (v * a + c) for w, v, a, c in columns))


def test_a_variable_that_was_not_measured_is_not_read():
    module, x = variables(), series()
    mask = coin(generator(5), B, 1, T, V)
    other = x.masked_fill(~mask[:, 0], torch.nan)
    torch.testing.assert_close(module(x, mask=mask), module(other, mask=mask))


# ---------------------------------------------------------------- TemporalAttentionNetwork


def states_by_hand(net, x, times):
    """The states of one example (t, V), step by step."""
    embedded = net.embed(x) if net.variables is None else net.variables(x[None])[0]
    encoder = net.encoder
    if isinstance(encoder, nn.Identity):
        states = embedded
    elif isinstance(encoder, nn.Conv1d):
        zeros = torch.zeros(2, WIDTH, dtype=x.dtype)
        rows = torch.cat([zeros, embedded])
        kernel = encoder.weight  # (out, in, 3), the last column reads the present
        states = torch.stack(
            [
                torch.tanh(sum(kernel[:, :, k] @ rows[t + k] for k in range(3)) + encoder.bias)
                for t in range(len(x))
            ]
        )
    else:
        states = torch.stack([encoder(embedded[: t + 1])[0][-1] for t in range(len(x))])
    if net.earlier is not None:
        placed = states + wave(net.earlier.time, times - times[0])
        seen, _ = heads(net.earlier.attention, placed, placed, states, causal_mask(len(x)))
        states = net.norm(states + seen)
    return states


def forecast_by_hand(net, x, times):
    """Forecast (horizon, OUT) and weights (H, horizon, t) of one example without padding."""
    states = states_by_hand(net, x, times)
    key = states + wave(net.time, times[-1] - times)
    everything = torch.ones(len(net.steps), len(x), dtype=torch.bool)
    query = states[-1] + net.steps
    context, weights = heads(net.attention, query, key, states, everything)
    return net.head(context + net.steps), weights


@pytest.mark.parametrize("with_times", [False, True])
@pytest.mark.parametrize("options", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_padded_batch_equals_its_examples_one_by_one(encoder, options, with_times):
    attend_variables, self_attention = options
    net = network(encoder, attend_variables=attend_variables, self_attention=self_attention)
    x, mask = series(), padding_mask(LENGTHS, T)
    times = uneven_times() if with_times else None
    forecast, weights, *more = net(x, times, mask=mask, need_weights=True)
    torch.testing.assert_close(net(x, times, mask=mask), forecast)
    assert forecast.shape == (B, HORIZON, OUT)
    assert [w.shape for w in more] == [(B, 1, T, V)] * attend_variables
    for b, length in enumerate(LENGTHS):
        when = times[b, :length] if with_times else torch.arange(length)
        expected, expected_weights = forecast_by_hand(net, x[b, :length], when)
        torch.testing.assert_close(forecast[b], expected)
        torch.testing.assert_close(weights[b, ..., :length], expected_weights)
        assert not weights[b, ..., length:].any()


@pytest.mark.parametrize("self_attention", [False, True])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_a_masked_step_holds_changes_nothing(encoder, self_attention):
    net = network(encoder, self_attention=self_attention, attend_variables=True)
    x, mask = series(), coin(generator(5), B, 1, 1, T)
    mask[:, 0, 0, [1, 4]], mask[:, 0, 0, 6] = True, False
    other = x.masked_fill(~mask[:, 0, 0, :, None], torch.nan)
    torch.testing.assert_close(net(x, mask=mask), net(other, mask=mask))
    leaf = x.clone().requires_grad_()
    (slope,) = gradients(net(leaf, mask=mask), [leaf])
    assert not slope[~mask[:, 0, 0]].any()
    assert slope[mask[:, 0, 0]].all()


@pytest.mark.parametrize("self_attention", [False, True])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_state_of_the_network_depends_on_a_later_step(encoder, self_attention):
    net = network(encoder, self_attention=self_attention, attend_variables=True)
    assert future_leak(net.encode, series()) is None
    mask = padding_mask(LENGTHS, T)
    assert future_leak(lambda x: net.encode(x, uneven_times(), mask=mask), series()) is None


def test_each_step_of_the_horizon_asks_on_its_own():
    _, weights = network()(series(), need_weights=True)
    rows = weights[0, 0]
    assert not any(rows[i].allclose(rows[j]) for i in range(HORIZON) for j in range(i))


def test_an_example_without_any_step_has_no_weights_and_a_finite_forecast():
    net = network(self_attention=True)
    x = series().requires_grad_()
    forecast, weights = net(x, mask=padding_mask(torch.tensor([0, 3]), T), need_weights=True)
    assert forecast.isfinite().all()
    assert not weights[0].any()
    slopes = gradients(forecast, [x, *net.parameters()])
    assert all(slope.isfinite().all() for slope in slopes)
    assert not slopes[0][0].any()


def test_every_map_of_the_network_is_recorded():
    net = network(attend_variables=True, self_attention=True)
    with record_attention(net) as maps:
        forecast = net(series())
    torch.testing.assert_close(forecast, net(series()))
    shapes = {name: tuple(m.weights.shape) for name, m in maps.items()}
    assert shapes == {
        "variables": (B, 1, T, V),
        "earlier.attention": (B, H, T, T),
        "attention": (B, H, HORIZON, T),
    }
    kinds = {name: m.kind for name, m in maps.items()}
    assert kinds == dict.fromkeys(shapes, "temporal") | {"variables": "cross"}
    _, weights, over_variables = net(series(), need_weights=True)
    torch.testing.assert_close(maps["attention"].weights, weights)
    torch.testing.assert_close(maps["variables"].weights, over_variables)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_dropout_acts_in_training_only(encoder):
    x, net = series(), network(encoder, dropout=0.5)
    plain = network(encoder)
    torch.testing.assert_close(net.eval()(x), plain(x))
    net.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not net(x).allclose(net(x))
        assert net.attention.dropout == 0.5
        for window in (None, 3):
            attention, whole = layer(dropout=0.5, window=window), layer(window=window)
            assert not attention(series(F)).allclose(whole(series(F)))
            torch.testing.assert_close(attention.eval()(series(F)), whole(series(F)))


@PROPERTY
@given(
    length=st.integers(1, 9),
    horizon=st.integers(1, 4),
    encoder=st.sampled_from(ENCODERS),
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4),
)
def test_weights_sum_to_one_over_the_steps_that_are_there(length, horizon, encoder, lengths):
    lengths = torch.tensor(lengths).clamp(max=length)
    net = network(encoder, horizon=horizon)
    x = normal(generator(), len(lengths), length, V)
    forecast, weights = net(x, mask=padding_mask(lengths, length), need_weights=True)
    assert forecast.shape == (len(lengths), horizon, OUT)
    torch.testing.assert_close(
        weights.sum(-1),
        (lengths > 0).double()[:, None, None].expand(-1, H, horizon),
    )
    there = padding_mask(lengths, length).expand_as(weights)
    assert torch.equal(weights > 0, there)


def test_gradients_are_right():
    x = series()[:, :3].requires_grad_()
    mask = padding_mask(torch.tensor([2, 3]))
    net = network("gru", attend_variables=True, self_attention=True, horizon=1)
    assert gradcheck(lambda x: net(x, mask=mask), x)
    module = layer(window=2)
    wide = series(F)[:, :3].requires_grad_()
    assert gradcheck(module, wide)
    assert gradcheck(variables(), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_half_precision_agrees_with_double_up_to_rounding(encoder, dtype):
    net = network(encoder, dtype, attend_variables=True, self_attention=True)
    x, mask = series(dtype=dtype), padding_mask(LENGTHS, T)
    times = uneven_times()
    forecast, weights, _ = net(x, times, mask=mask, need_weights=True)
    assert forecast.dtype == weights.dtype == dtype
    exact = net.double()(x.double(), times, mask=mask)
    assert (forecast.double() - exact).abs().max() < 30 * torch.finfo(dtype).eps * exact.abs().max()


def test_autocast_works_and_keeps_the_time_stamps_precise():
    net, x = network(dtype=torch.float32, self_attention=True), series(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net(x, uneven_times().float())
    exact = net(x, uneven_times().float())
    assert (mixed - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_state_dict_gives_the_same_network_again(encoder):
    file = io.BytesIO()
    net = network(encoder, attend_variables=True, self_attention=True)
    torch.save(net.state_dict(), file)
    file.seek(0)
    again = TemporalAttentionNetwork(
        V, OUT, WIDTH, H, encoder=encoder, horizon=HORIZON, attend_variables=True,
        self_attention=True,
    ).double()  # fmt: skip
    again.load_state_dict(torch.load(file))
    torch.testing.assert_close(again(series()), net(series()))


def test_the_default_is_an_lstm_one_head_and_one_step():
    net = TemporalAttentionNetwork(V, OUT, WIDTH)
    assert isinstance(net.encoder, nn.LSTM)
    forecast, weights = net(series(dtype=torch.float32), need_weights=True)
    assert forecast.shape == (B, 1, OUT)
    assert weights.shape == (B, 1, 1, T)


# ---------------------------------------------------------------- future_leak


def later(x, distance=1):
    """Step t + distance at step t, zeros at the end."""
    return torch.cat([x[:, distance:], torch.zeros_like(x[:, :distance])], 1)


def faint(x):
    """1e-20 at the first step, 1 at the others."""
    return torch.ones(T, 1, dtype=x.dtype).index_fill(0, torch.tensor(0), 1e-20)


def attend(mask):
    return lambda x: loop_attention(x, x, x, mask)[0]


def padded_convolution(x):
    return torch.conv1d(x.mT, torch.ones(1, V, 3, dtype=x.dtype), padding=1).mT


LEAKS = {
    "looks one step ahead": (later, (0, 1)),
    "looks three steps ahead": (lambda x: x + later(x, 3), (0, 3)),
    "mask off by one": (attend(torch.ones(T, T, dtype=torch.bool).tril(1)), (0, 1)),
    "no mask": (attend(None), (0, 1)),
    "centred convolution": (padded_convolution, (0, 1)),
    "centred by the mean of all": (lambda x: x - x.mean(1, keepdim=True), (0, 1)),
    "too faint beside the others": (lambda x: faint(x) * later(x), (0, 1)),
    "from step 4 on": (lambda x: torch.cat([x[:, :4], later(x)[:, 4:]], 1), (4, 5)),
    "without gradient": (lambda x: x + later(x).round().detach(), (0, 1)),
    "without gradient, three ahead": (lambda x: x + later(x, 3).detach(), (0, 3)),
    "place of the maximum": (lambda x: x * 0 + x.argmax(1, keepdim=True), (0, T - 1)),
    "a tuple": (lambda x: (later(x), None), (0, 1)),
    "NaN until the end is known": (lambda x: x.where(later(x) > 0, torch.nan), (0, 1)),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found(name):
    model, expected = LEAKS[name]
    found = future_leak(model, series())
    if name == "place of the maximum":  # which replacement moves it depends on the numbers
        assert found is not None
        assert found[0] == 0
    else:
        assert found == expected


def test_a_bidirectional_network_leaks_and_so_does_batch_norm_while_it_trains():
    both = nn.LSTM(V, F, batch_first=True, bidirectional=True)
    assert future_leak(randomise(both.double()), series()) == (0, 1)
    norm = nn.BatchNorm1d(V).double()
    assert future_leak(lambda x: norm(x.mT).mT, series()) == (0, 1)
    norm.eval()
    assert future_leak(lambda x: norm(x.mT).mT, series()) is None


@pytest.mark.parametrize(
    "model",
    [
        lambda x: x.cumsum(1),
        lambda x: x.cummax(1).values,
        nn.LSTM(V, F, batch_first=True).double(),
        attend(causal_mask(T)),
        lambda x: torch.cat([torch.full_like(x[:, :2], torch.nan), x[:, :-2]], 1),
        lambda x: torch.zeros(B, T),
        lambda x: x.detach().sign() > 0,
    ],
    ids=["cumsum", "cummax", "lstm", "causal", "lagged with NaN", "constant", "bool"],
)
def test_what_reads_the_past_alone_passes(model):
    assert future_leak(model, series()) is None


def test_tokens_are_replaced_by_tokens_that_the_model_knows():
    tokens = torch.tensor([[1, 4, 1, 4, 2], [2, 2, 1, 1, 4]])
    table = randomise(nn.Embedding(5, F))
    assert future_leak(lambda t: table(t).cumsum(1), tokens) is None
    assert future_leak(lambda t: table(t).flip(1), tokens) == (0, 4)


def test_gradients_are_left_alone_where_they_are_not_wanted():
    def with_numpy(x):
        return torch.as_tensor(x.numpy()[:, ::-1].copy())

    assert future_leak(with_numpy, series(), gradients=False) == (0, T - 1)
    model = LEAKS["too faint beside the others"][0]
    assert future_leak(model, series(), gradients=False) == (1, 2)


def test_missing_numbers_in_the_input_hide_no_leak():
    x = series()
    x[:, 3] = torch.nan
    assert future_leak(lambda x: later(x).nan_to_num(0).round().detach(), x) is not None
    assert future_leak(lambda x: x.cumsum(1), x) is None


def test_the_model_and_the_global_generator_are_left_as_they_were():
    net, x = network().train(), series()
    before, parameters = torch.get_rng_state(), [p.clone() for p in net.parameters()]
    future_leak(net.encode, x)
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert all(map(torch.equal, net.parameters(), parameters))


ERRORS = [
    (lambda: TemporalAttention(F, H, window=0), ValueError, "window=0, expected at least 1"),
    (lambda: TemporalAttention(F, H, window=2.0), TypeError, "window is a float"),
    (lambda: TemporalAttention(F, H, causal=False, window=3), ValueError, "window=3 with causal"),
    (lambda: TemporalAttention(F, 4), ValueError, "embed_dim=6 and num_heads=4"),
    (lambda: TemporalAttention(F, H, dropout=1.0), ValueError, "dropout=1.0"),
    (lambda: layer()(series(V)), ValueError, r"x has shape \(2, 7, 3\)"),
    (lambda: layer()(series(F)[0]), ValueError, "unsqueeze"),
    (lambda: layer()(series(F)[:, :0]), ValueError, "at least one position"),
    (lambda: layer()(series(F).float()), TypeError, "float32 and the parameters are"),
    (lambda: layer()(series(F), uneven_times()[0]), ValueError, r"shape \(7,\), expected numbers"),
    (lambda: layer()(series(F), [1, 2]), TypeError, "times is a list"),
    (lambda: layer()(series(F), uneven_times() > 0), ValueError, "times is torch.bool"),
    (lambda: layer()(series(F), uneven_times().to("meta")), ValueError, "times on meta"),
    (lambda: layer()(series(F), mask=torch.ones(B, T).bool()), ValueError, "mask has shape"),
    (lambda: layer(window=2)(series(F), mask=torch.ones(B, T).bool()), ValueError, "mask has sha"),
    (lambda: layer()(series(F), mask=torch.ones(T, T)), TypeError, "expected bool"),
    (lambda: VariableAttention(0, 3), ValueError, "num_variables=0"),
    (lambda: VariableAttention(3, 0), ValueError, "embed_dim=0"),
    (lambda: variables()(series(F)), ValueError, "x has shape"),
    (lambda: variables()(series(), mask=torch.ones(B, T).bool()), ValueError, "mask has shape"),
    (lambda: TemporalAttentionNetwork(0, 1, 2), ValueError, "in_features=0"),
    (lambda: TemporalAttentionNetwork(1, 0, 2), ValueError, "out_features=0"),
    (lambda: TemporalAttentionNetwork(1, 1, 0), ValueError, "hidden=0"),
    (lambda: TemporalAttentionNetwork(1, 1, 2, horizon=0), ValueError, "horizon=0"),
    (lambda: TemporalAttentionNetwork(1, 1, 2, 3), ValueError, "num_heads=3"),
    (lambda: TemporalAttentionNetwork(1, 1, 2, dropout=-0.1), ValueError, "dropout=-0.1"),
    (lambda: TemporalAttentionNetwork(1, 1, 2, encoder="rnn"), ValueError, "encoder='rnn'"),
    (lambda: network()(series(F)), ValueError, "x has shape"),
    (lambda: network(attend_variables=True)(series(F)), ValueError, "x has shape"),
    (lambda: network()(series().float()), TypeError, "float32"),
    (lambda: network()(series()[:, :0]), ValueError, "at least one position"),
    (lambda: network()(series(), mask=torch.ones(B, T).bool()), ValueError, "mask has shape"),
    (lambda: network()(series(), mask=causal_mask(T)), ValueError, "mask has shape"),
    (lambda: network()(series(), torch.zeros(T)), ValueError, "times is torch.float32 of shape"),
    (lambda: future_leak(nn.Identity(), [1]), TypeError, "x is a list"),
    (lambda: future_leak(nn.Identity(), torch.zeros(3)), ValueError, "at least two steps"),
    (lambda: future_leak(nn.Identity(), torch.zeros(1, 1)), ValueError, "at least two steps"),
    (lambda: future_leak(lambda x: None, series()), TypeError, "output is a NoneType"),
    (lambda: future_leak(lambda x: x[:, -1:], series()), ValueError, "output has shape"),
    (lambda: future_leak(nn.Dropout(0.5), series() + 9), RuntimeError, "model.eval"),
    (lambda: future_leak(nn.Identity(), torch.ones(1, 5).long()), ValueError, "1 kind of token"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_to_write_instead(call, kind, words):
    check_error(call, kind, words)
