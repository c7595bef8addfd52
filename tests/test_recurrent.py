"""attnlib.recurrent against torch's packed bidirectional layers and a loop over target steps."""

import io

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, gradients, normal
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attnlib.masks import padding_mask
from attnlib.recording import record_attention
from attnlib.recurrent import DecoderState, Seq2Seq
from attnlib.temporal import future_leak

B, L, S, SOURCES, TARGETS, EMBED, HIDDEN = 3, 5, 7, 11, 13, 4, 6
START, END = 1, 2
LENGTHS = torch.tensor([4, 7, 1])
CELLS = ("gru", "lstm")
SCORES = ("additive", "multiplicative", None)

PROPERTY = settings(max_examples=20, deadline=None, derandomize=True, database=None)
EACH_CELL = pytest.mark.parametrize("cell", CELLS)
EACH_SCORE = pytest.mark.parametrize("attention", SCORES)


def model(cell="gru", attention="additive", dtype=torch.float64, dropout=0.0):
    made = Seq2Seq(
        SOURCES, TARGETS, EMBED, HIDDEN, cell=cell, attention=attention, dropout=dropout
    ).to(dtype)
    g = generator(3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=dtype) / 2)
    return made


def tokens(vocabulary, *shape, seed=0):
    return torch.randint(vocabulary, shape, generator=generator(seed))


def source():
    return tokens(SOURCES, B, S)


def target():
    return tokens(TARGETS, B, L, seed=1)


def mask():
    return padding_mask(LENGTHS, S)


def torch_encoder(made, cell):
    """torch's own bidirectional layer with the same numbers."""
    kind = nn.GRU if cell == "gru" else nn.LSTM
    both = kind(EMBED, HIDDEN, batch_first=True, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in both.named_parameters():
            ours = made.backward_encoder if "reverse" in name else made.forward_encoder
            parameter.copy_(getattr(ours, name.removesuffix("_reverse")))
    return both


def scores_by_hand(made, state, annotations):
    layer = made.attention
    if type(layer).__name__ == "AdditiveAttention":
        hidden = torch.tanh(layer.q_proj(state) + layer.k_proj(annotations))
        return hidden @ layer.score.weight[0]
    # Luong's "general" score is bilinear: read its matrix off unit vectors.
    return torch.stack([bilinear(layer, state, a) for a in annotations])


def bilinear(layer, query, key):
    """The score of one pair, from the ratio of two weights: the other key scores 0."""
    keys = torch.stack([key, torch.zeros_like(key)])[None]
    _, weights = layer(query[None, None], keys, need_weights=True)
    return weights[0, 0, 0, 0].log() - weights[0, 0, 0, 1].log()


def translate_by_hand(made, cell, words, said):
    """Logits (L, TARGETS) and weights (L, s) of one example without padding, token by token."""
    embedded = made.source_embedding(words)
    annotations, last = torch_encoder(made, cell)(embedded[None])
    last = last[0] if cell == "lstm" else last
    start = made.bridge(torch.cat([last[0, 0], last[1, 0]]))
    kind = nn.GRUCell if cell == "gru" else nn.LSTMCell
    step = kind(EMBED, HIDDEN, dtype=torch.float64)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    step.load_state_dict({name: getattr(made.decoder, f"{name}_l0") for name in names})
    state, memory, rows, maps = torch.tanh(start), start, [], []
    for token in said:
        x = made.target_embedding(token)
        if cell == "gru":
            state = step(x, state)
        else:
            state, memory = step(x, (state, memory))
        parts = [state]
        if made.attention is not None:
            shares = scores_by_hand(made, state, annotations[0]).softmax(0)
            maps.append(shares)
            parts = [shares @ annotations[0], state]
        rows.append(made.output(torch.tanh(made.combine(torch.cat(parts)))))
    return torch.stack(rows), (torch.stack(maps) if maps else None)


@EACH_SCORE
@EACH_CELL
def test_a_padded_batch_equals_a_loop_over_examples_and_steps(cell, attention):
    made = model(cell, attention)
    logits = made(source(), target(), mask=mask())
    for b, length in enumerate(LENGTHS):
        words, said = source()[b, :length], target()[b]
        expected, shares = translate_by_hand(made, cell, words, said)
        torch.testing.assert_close(logits[b], expected)
        if attention is not None:
            again, weights = made(source(), target(), mask=mask(), need_weights=True)
            torch.testing.assert_close(again, logits)
            assert weights.shape == (B, 1, L, S)
            torch.testing.assert_close(weights[b, 0, :, :length], shares)
            assert not weights[b, ..., length:].any()


@EACH_SCORE
@EACH_CELL
def test_gradients_of_a_padded_batch_are_those_of_its_examples_one_by_one(cell, attention):
    made = model(cell, attention)
    leaves = list(made.parameters())
    together = made(source(), target(), mask=mask())
    alone = [
        made(source()[b : b + 1, :length], target()[b : b + 1]) for b, length in enumerate(LENGTHS)
    ]
    torch.testing.assert_close(gradients(together, leaves), gradients(torch.cat(alone), leaves))


@EACH_CELL
def test_annotations_equal_torch_packed_and_bidirectional(cell):
    made = model(cell)
    both = torch_encoder(made, cell)
    packed = pack_padded_sequence(
        made.source_embedding(source()), LENGTHS, batch_first=True, enforce_sorted=False
    )
    output, last = both(packed)
    expected, _ = pad_packed_sequence(output, batch_first=True, total_length=S)
    state = made.encode(source(), mask=mask())
    inside = mask()[:, 0, 0, :, None]
    torch.testing.assert_close(state.annotations * inside, expected)
    last = last[0] if cell == "lstm" else last
    start = made.bridge(torch.cat([last[0], last[1]], 1))[None]
    torch.testing.assert_close(state.hidden, torch.tanh(start))
    assert (state.cell is None) == (cell == "gru")
    if cell == "lstm":
        torch.testing.assert_close(state.cell, start)


@EACH_SCORE
@EACH_CELL
def test_what_stands_in_padding_changes_nothing(cell, attention):
    made = model(cell, attention)
    other = source().where(mask()[:, 0, 0], 9)
    torch.testing.assert_close(
        made(source(), target(), mask=mask()), made(other, target(), mask=mask())
    )
    wider = torch.cat([source(), tokens(SOURCES, B, 3, seed=4)], 1)
    torch.testing.assert_close(
        made(source(), target(), mask=mask()),
        made(wider, target(), mask=padding_mask(LENGTHS, S + 3)),
    )


@EACH_CELL
def test_without_a_mask_every_token_counts(cell):
    made = model(cell)
    full = padding_mask(torch.full((B,), S))
    torch.testing.assert_close(made(source(), target()), made(source(), target(), mask=full))
    first = padding_mask(torch.tensor([4]), S)  # one length for all
    torch.testing.assert_close(
        made(source(), target(), mask=first), made(source()[:, :4], target())
    )


@PROPERTY
@given(
    cuts=st.lists(st.integers(1, L - 1), max_size=4, unique=True),
    cell=st.sampled_from(CELLS),
    attention=st.sampled_from(SCORES),
)
def test_any_cut_of_the_target_gives_what_teacher_forcing_gives(cuts, cell, attention):
    made, pieces = model(cell, attention), []
    state = made.encode(source(), mask=mask())
    for first, end in zip([0, *sorted(cuts)], [*sorted(cuts), L], strict=True):
        logits, state = made.decode(target()[:, first:end], state)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, 1), made(source(), target(), mask=mask()))


@EACH_CELL
def test_single_steps_give_what_teacher_forcing_gives(cell):
    made, rows, maps = model(cell), [], []
    state = made.encode(source(), mask=mask())
    for i in range(L):
        _, _, weights = made.decode(target()[:, i : i + 1], state, need_weights=True)
        logits, state = made.step(target()[:, i], state)
        rows.append(logits)
        maps.append(weights)
    logits, weights = made(source(), target(), mask=mask(), need_weights=True)
    torch.testing.assert_close(torch.stack(rows, 1), logits)
    torch.testing.assert_close(torch.cat(maps, 2), weights)


@EACH_SCORE
@EACH_CELL
def test_no_logit_depends_on_a_later_target_token_and_every_annotation_on_the_whole_source(
    cell, attention
):
    made = model(cell, attention)
    assert future_leak(lambda t: made(source(), t, mask=mask()), target()) is None
    assert future_leak(lambda s: made.encode(s).annotations, source()) == (0, S - 1)


@EACH_CELL
def test_greedy_says_the_likeliest_token_until_the_end(cell):
    made, words = model(cell), tokens(SOURCES, 17, S, seed=5)
    lengths = torch.randint(1, S + 1, (17,), generator=generator(6))
    padded = padding_mask(lengths, S)
    endless = made.greedy(words, 9, start=START, end=-1, mask=padded)
    assert endless.shape == (17, 9)
    end = int(endless[:, 3].mode().values)  # a token that ends some translations, and not others
    said = made.greedy(words, 9, start=START, end=end, mask=padded)
    ends = []
    for b, length in enumerate(lengths):
        state, token, row = made.encode(words[b : b + 1, :length]), torch.tensor([START]), []
        while len(row) < 9 and end not in row:
            logits, state = made.step(token, state)
            token = logits.argmax(-1)
            row.append(int(token))
        ends.append(len(row))
        assert said[b].tolist() == (row + [end] * 9)[: said.shape[1]]
    assert said.shape == (17, max(ends))
    assert len(set(ends)) > 1
    assert not said.requires_grad
    assert made.greedy(source(), 1, start=START, end=END).shape == (B, 1)


def test_greedy_stops_when_all_have_ended():
    made = model()
    made.output.bias.data[END] += 1000
    said = made.greedy(source(), 9, start=START, end=END)
    assert said.tolist() == [[END]] * B


@EACH_CELL
@pytest.mark.parametrize("with_mask", [False, True])
def test_a_reordered_state_goes_on_as_those_examples_do(with_mask, cell):
    made, index = model(cell), torch.tensor([2, 0, 0, 1])
    state = made.encode(source(), mask=mask() if with_mask else None)
    _, state = made.decode(target()[:, :2], state)
    expected, _ = made.step(target()[:, 2], state)
    logits, _ = made.step(target()[index, 2], state.reorder(index))
    torch.testing.assert_close(logits, expected[index])


def test_a_search_over_all_translations_can_be_driven_by_steps():
    """The best of all 13^2 translations of two tokens, from states that are fanned out."""
    made, words = model(), source()[:1]
    logits, state = made.step(torch.tensor([START]), made.encode(words))
    first = logits.log_softmax(-1)[0]
    second, _ = made.step(torch.arange(TARGETS), state.reorder(torch.zeros(TARGETS).long()))
    total = first[:, None] + second.log_softmax(-1)
    best = divmod(int(total.argmax()), TARGETS)
    pairs = torch.cartesian_prod(torch.arange(TARGETS), torch.arange(TARGETS))
    read = torch.stack([torch.full((len(pairs),), START), pairs[:, 0]], 1)
    logits = made(words.expand(len(pairs), S), read).log_softmax(-1)
    all_of_them = logits.gather(2, pairs[..., None]).sum((1, 2))
    assert pairs[all_of_them.argmax()].tolist() == list(best)
    torch.testing.assert_close(total.flatten(), all_of_them)


def test_without_attention_the_start_is_all_that_the_decoder_knows():
    made = model(attention=None)
    state = made.encode(source())
    empty = DecoderState(state.hidden, state.cell, state.annotations * 0, None)
    torch.testing.assert_close(made.decode(target(), state)[0], made.decode(target(), empty)[0])
    with_attention = model()
    state = with_attention.encode(source())
    empty = DecoderState(state.hidden, state.cell, state.annotations * 0, None)
    assert not with_attention.decode(target(), state)[0].allclose(
        with_attention.decode(target(), empty)[0]
    )


@EACH_CELL
def test_a_source_without_tokens_gives_finite_logits_that_no_token_changes(cell):
    made, nothing = model(cell), padding_mask(torch.tensor([0, 3, 7]), S)
    logits, weights = made(source(), target(), mask=nothing, need_weights=True)
    other = made(tokens(SOURCES, B, S, seed=8), target(), mask=nothing)
    assert logits.isfinite().all()
    assert not weights[0].any()
    torch.testing.assert_close(logits[0], other[0])
    assert not logits[1].allclose(other[1])
    assert all(slope.isfinite().all() for slope in gradients(logits, list(made.parameters())))


@pytest.mark.parametrize("attention", ["additive", "multiplicative"])
def test_the_alignment_is_recorded(attention):
    made = model(attention=attention)
    with record_attention(made) as maps:
        logits = made(source(), target(), mask=mask())
    again, weights = made(source(), target(), mask=mask(), need_weights=True)
    torch.testing.assert_close(logits, again)
    torch.testing.assert_close(maps["attention"].weights, weights)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, 1, L, dtype=torch.float64))
    assert maps["attention"].kind == "cross"


def test_dropout_acts_in_training_only():
    made, plain = model(dropout=0.5), model()
    torch.testing.assert_close(made.eval()(source(), target()), plain(source(), target()))
    made.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not made(source(), target()).allclose(made(source(), target()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@EACH_CELL
def test_half_precision_agrees_with_double_up_to_rounding(cell, dtype):
    made = model(cell, dtype=dtype)
    logits = made(source(), target(), mask=mask())
    assert logits.dtype == dtype
    exact = made.double()(source(), target(), mask=mask())
    assert (logits.double() - exact).abs().max() < 30 * torch.finfo(dtype).eps * exact.abs().max()


@EACH_SCORE
def test_autocast_works(attention):
    made = model(attention=attention, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made(source(), target(), mask=mask())
    exact = made(source(), target(), mask=mask())
    assert (mixed - exact).abs().max() < 0.1 * exact.abs().max()


@EACH_SCORE
@EACH_CELL
def test_a_state_dict_gives_the_same_model_again(cell, attention):
    file, made = io.BytesIO(), model(cell, attention)
    torch.save(made.state_dict(), file)
    file.seek(0)
    again = Seq2Seq(SOURCES, TARGETS, EMBED, HIDDEN, cell=cell, attention=attention).double()
    again.load_state_dict(torch.load(file))
    torch.testing.assert_close(again(source(), target()), made(source(), target()))


def test_tokens_of_any_integer_type_are_read():
    made = model()
    torch.testing.assert_close(
        made(source().to(torch.int32), target().to(torch.uint8)), made(source(), target())
    )


def translate(words, said, **options):
    return model()(words, said, **options)


ERRORS = [
    (lambda: Seq2Seq(0, 2, 3, 4), ValueError, "source_vocab=0"),
    (lambda: Seq2Seq(2, 0, 3, 4), ValueError, "target_vocab=0"),
    (lambda: Seq2Seq(2, 2, 0, 4), ValueError, "embed_dim=0"),
    (lambda: Seq2Seq(2, 2, 3, 4.0), TypeError, "hidden is a float"),
    (lambda: Seq2Seq(2, 2, 3, 4, dropout=1.0), ValueError, "dropout=1.0"),
    (lambda: Seq2Seq(2, 2, 3, 4, cell="rnn"), ValueError, "cell='rnn'"),
    (lambda: Seq2Seq(2, 2, 3, 4, attention="dot"), ValueError, "attention='dot'"),
    (lambda: translate([1], target()), TypeError, "source is a list"),
    (lambda: translate(source().float(), target()), TypeError, r"source is .*source.long\(\)"),
    (lambda: translate(source(), target() > 0), TypeError, "target is torch.bool"),
    (lambda: translate(source()[0], target()), ValueError, r"source has shape \(7,\)"),
    (lambda: translate(source()[:, :0], target()), ValueError, "not empty"),
    (lambda: translate(source(), target()[:, :0]), ValueError, "not empty"),
    (lambda: translate(source() + SOURCES, target()), ValueError, "numbers from 0 to 10"),
    (lambda: translate(source(), target() - TARGETS), ValueError, "numbers from 0 to 12"),
    (lambda: translate(source(), target()[:2]), ValueError, "2 targets and 3 sources"),
    (lambda: translate(source(), target(), mask=torch.ones(B, S)), TypeError, "expected bool"),
    (
        lambda: translate(source(), target(), mask=torch.ones(B, S).bool()),
        ValueError,
        "mask has shape",
    ),
    (
        lambda: model(attention=None)(source(), target(), need_weights=True),
        ValueError,
        "need_weights=True for a model without attention",
    ),
    (lambda: model().step(3, model().encode(source())), TypeError, "token is a int"),
    (lambda: model().step(target(), model().encode(source())), ValueError, "target has shape"),
    (lambda: model().greedy(source(), 0, start=1, end=2), ValueError, "max_len=0"),
    (lambda: model().greedy(source(), 2, start=99, end=2), ValueError, "numbers from 0 to 12"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_to_write_instead(call, kind, words):
    check_error(call, kind, words)
