"""How models of attnlib.transformer write: against loops that know no cache and no tensor trick."""

import itertools
import math

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, normal

from attnlib.masks import padding_mask
from attnlib.transformer import (
    LanguageModel,
    Transformer,
    beam_search,
    generate,
    sampling_distribution,
)

B, H, L, S, F, V, SOURCE, MAX, LAYERS = 2, 3, 5, 7, 6, 11, 13, 17, 2

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def randomise(module, seed=3):
    g = generator(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=parameter.dtype) / 2)
    return module


def tokens(length, vocab=V, seed=0, batch=B):
    return torch.randint(vocab, (batch, length), generator=generator(seed))


def language_model(vocab=V, position="learned", **options):
    return randomise(LanguageModel(vocab, F, H, LAYERS, MAX, position=position, **options).double())


def translator(vocab=V, **options):
    return randomise(Transformer(SOURCE, vocab, F, H, LAYERS, MAX, **options).double())


def logits_without_cache(model, text, source=None, source_mask=None):
    """Logits of what follows a text: all of it is read again."""
    model.eval()
    with torch.no_grad():
        if source is None:
            return model(text)[:, -1]
        return model(source, text, source_mask=source_mask)[:, -1]


# ---------------------------------------------------------------- sampling_distribution


def loop_distribution(logits, temperature, top_k, top_p):
    """The definition, one token at a time, with Python's numbers."""
    weights = [math.exp((x - max(logits)) / temperature) for x in logits]
    p = [w / sum(weights) for w in weights]
    order = sorted(range(len(p)), key=lambda token: (-logits[token], token))
    order = order[:top_k]
    share = sum(p[token] for token in order)
    p = [x / share if token in order else 0.0 for token, x in enumerate(p)]
    if top_p is not None:
        nucleus, mass = [], 0.0
        for token in order:
            if mass >= top_p:
                break
            nucleus.append(token)
            mass += p[token]
        p = [x / mass if token in nucleus else 0.0 for token, x in enumerate(p)]
    return p


@PROPERTY
@given(
    logits=st.lists(st.integers(-5, 5), min_size=1, max_size=V),
    temperature=st.sampled_from([0.1, 0.7, 1.0, 3.0]),
    top_k=st.none() | st.integers(1, V),
    top_p=st.none() | st.sampled_from([0.01, 0.331, 0.5077, 0.913]),
)
def test_a_sampling_distribution_is_its_definition(logits, temperature, top_k, top_p):
    top_k = None if top_k is None else min(top_k, len(logits))
    logits = [x + 0.013 * i for i, x in enumerate(logits)] if top_p else logits  # no near ties
    rows = torch.tensor([logits, logits[::-1]], dtype=torch.float64)
    got = sampling_distribution(rows, temperature=temperature, top_k=top_k, top_p=top_p)
    expected = [loop_distribution(r, temperature, top_k, top_p) for r in rows.tolist()]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


def test_nothing_cut_is_the_softmax():
    logits = normal(generator(), B, L, V)
    for options in ({}, {"top_k": V}, {"top_p": 1.0}):
        torch.testing.assert_close(sampling_distribution(logits, **options), logits.softmax(-1))


def test_temperature_zero_is_the_limit_of_small_temperatures():
    logits = normal(generator(), B, V)
    zero = sampling_distribution(logits, temperature=0)
    torch.testing.assert_close(sampling_distribution(logits, temperature=1e-300), zero)
    assert torch.equal(zero.argmax(-1), logits.argmax(-1))
    assert torch.equal(zero.sum(-1), torch.ones(B, dtype=torch.float64))


def test_an_impossible_token_stays_impossible():
    logits = torch.tensor([0.0, -torch.inf, 1.0])
    for options in ({}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.99}):
        p = sampling_distribution(logits, **options)
        assert p[1] == 0
        assert p.isfinite().all()


def test_nan_and_rows_without_a_possible_token_are_not_hidden():
    for broken in (torch.nan, -torch.inf):
        logits = torch.stack([torch.zeros(V), torch.full((V,), broken)])
        p = sampling_distribution(logits, top_p=0.9)
        assert p[1].isnan().all()
        assert p[0].isfinite().all()


# ---------------------------------------------------------------- generate


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "alibi", "relative"])
@pytest.mark.parametrize("batch", [1, 2])
def test_greedy_text_equals_a_loop_without_a_cache(position, batch):
    model, text = language_model(position=position), tokens(L, batch=batch)
    got = generate(model, text, MAX - L, temperature=0)
    for _ in range(MAX - L):
        text = torch.cat([text, logits_without_cache(model, text).argmax(-1)[:, None]], dim=1)
    assert torch.equal(got, text)


@pytest.mark.parametrize("mask", [None, padding_mask(torch.tensor([S, 3]), S)])
def test_a_greedy_translation_equals_a_loop_without_a_cache(mask):
    model, source, text = translator(), tokens(S, SOURCE), torch.zeros(B, 1, dtype=torch.int64)
    options = {"source": source, "source_mask": mask}
    got = generate(model, text, L, temperature=0, **options)
    for _ in range(L):
        token = logits_without_cache(model, text, source, mask).argmax(-1)
        text = torch.cat([text, token[:, None]], dim=1)
    assert torch.equal(got, text)


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.7}, {"top_k": 5, "top_p": 0.9}]
)
def test_frequencies_are_those_of_the_distribution(options):
    many = 4001
    model, prompt = language_model(), tokens(3, batch=1)
    texts = generate(model, prompt.expand(many, -1), 2, generator=generator(), **options)
    p = sampling_distribution(logits_without_cache(model, prompt), **options)[0]
    for place in (3, 4):  # the second token given the most frequent first one
        counts = texts[:, place].bincount(minlength=V)
        spread = (p * (1 - p) * len(texts)).sqrt()
        assert ((counts - p * len(texts)).abs() <= 4.5 * spread).all()
        texts = texts[texts[:, 3] == p.argmax()] if place == 3 else texts
        p = sampling_distribution(logits_without_cache(model, texts[:1, :4]), **options)[0]


def test_a_generator_repeats_a_text_and_greedy_uses_none():
    model, prompt = language_model(), tokens(L)
    one, same, other = (generate(model, prompt, 7, generator=generator(i)) for i in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    g = generator(1)
    generate(model, prompt, 7, temperature=0, generator=g)
    assert torch.equal(g.get_state(), generator(1).get_state())


def test_a_text_that_has_ended_repeats_its_end_and_all_ended_stop_early():
    model, prompt = language_model(), tokens(L)
    plain = generate(model, prompt, MAX - L, temperature=0)
    new = plain[:, L:].tolist()
    for end in range(V):
        got = generate(model, prompt, MAX - L, temperature=0, end=end)
        stops = [row.index(end) + 1 if end in row else MAX - L for row in new]
        assert got.shape == (B, L + max(stops))
        for row, text, stop in zip(got[:, L:].tolist(), new, stops, strict=True):
            assert row == text[:stop] + [end] * (max(stops) - stop)
    assert any(len(set(row)) < V for row in new)  # some `end` is reached, some is not


def test_drawn_texts_stand_still_after_their_end():
    model, prompt = language_model(), tokens(L, batch=31)
    drawn = generate(model, prompt, MAX - L, end=4, generator=generator())[:, L:].tolist()
    ends = [row.index(4) if 4 in row else len(row) for row in drawn]
    assert len(set(ends)) > 3
    for row, end in zip(drawn, ends, strict=True):
        assert row[end:] == [4] * (len(row) - end)


def test_writing_needs_no_gradient_and_no_dropout_and_leaves_the_mode():
    model, prompt = language_model(dropout=0.5), tokens(L)
    for mode in (True, False):
        model.train(mode)
        one, same = (generate(model, prompt, 7, temperature=0) for _ in range(2))
        assert torch.equal(one, same)
        assert model.training == model.stack.layers[0].training == mode
        beam_search(model, prompt, 2, beams=2)
        assert model.training == mode
    frozen = model.train().embedding.eval()
    generate(model, prompt, 2)
    assert model.training
    assert not frozen.training
    translates = translator()
    with pytest.raises(ValueError, match="expected 0 to 12"):
        generate(translates, prompt, 2, source=prompt + SOURCE)
    assert translates.training
    broken = language_model()
    torch.nn.init.constant_(broken.head.bias, torch.nan)
    with pytest.raises(RuntimeError, match="NaN"):
        generate(broken, prompt, 7)
    assert broken.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_of_half_precision_write(dtype):
    model = language_model().to(dtype)
    assert generate(model, tokens(L), 7, top_p=0.9, generator=generator()).shape == (B, L + 7)
    texts, scores = beam_search(model, tokens(L), 3, beams=2)
    assert scores.dtype == torch.float32
    assert texts.shape == (B, 2, L + 3)


# ---------------------------------------------------------------- beam_search


def log_probability(model, text, new, **options):
    """log p of the tokens `new` after `text` (1, L), without a cache."""
    total = 0.0
    for token in new:
        p = logits_without_cache(model, text, **options)[0].log_softmax(-1)
        total += p[token].item()
        text = torch.cat([text, torch.tensor([[token]])], dim=1)
    return total


def normaliser(length, penalty):
    return ((5 + length) / 6) ** penalty


def all_texts(vocab, longest, end):
    """Every way to go on: texts that end, and those of full length that do not."""
    for length in range(1, longest + 1):
        for new in itertools.product(range(vocab), repeat=length):
            if end not in new[:-1] and (new[-1] == end or length == longest):
                yield new


@pytest.mark.parametrize("end", [None, 2])
@pytest.mark.parametrize("penalty", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("translates", [False, True])
def test_with_enough_beams_the_search_is_exhaustive(end, penalty, translates):
    vocab, longest = 3, 3
    model = (translator if translates else language_model)(vocab)
    prompt = torch.tensor([[1, 0]])
    options = {"source": tokens(S, SOURCE, batch=1)} if translates else {}
    scores = {
        new: log_probability(model, prompt, new, **options) / normaliser(len(new), penalty)
        for new in all_texts(vocab, longest, end)
    }
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    beams = vocab**longest
    texts, found = beam_search(
        model, prompt, longest, beams=beams, end=end, length_penalty=penalty, **options
    )
    expected = torch.tensor([score for _, score in ranked], dtype=torch.float64)
    torch.testing.assert_close(found[0, : len(ranked)], expected)
    assert (found[0, len(ranked) :] == -torch.inf).all()
    for row, (new, _) in zip(texts[0].tolist(), ranked, strict=False):
        assert row == [1, 0, *new] + [end] * (longest - len(new))


def loop_beam_search(model, prompt, longest, beams, end, penalty):
    """The same search with lists, without a cache and without stopping early."""
    live, results = [(0.0, [])], []
    for length in range(1, longest + 1):
        longer = []
        for total, new in live:
            text = torch.cat([prompt, torch.tensor([new], dtype=torch.int64)], dim=1)
            p = logits_without_cache(model, text)[0].log_softmax(-1).tolist()
            for token, x in enumerate(p):
                ends = token == end
                (results if ends else longer).append(
                    ((total + x) / (normaliser(length, penalty) if ends else 1), [*new, token])
                )
        live = sorted(longer, reverse=True)[:beams]
    results += [(total / normaliser(longest, penalty), new) for total, new in live]
    return sorted(results, reverse=True)[:beams]


@pytest.mark.parametrize("beams", [1, 2, 3])
@pytest.mark.parametrize("end", [None, 1, 2, 3])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_few_beams_find_what_a_loop_finds(beams, end, penalty):
    model, prompts = language_model(5), tokens(3, 5)
    texts, scores = beam_search(model, prompts, 6, beams=beams, end=end, length_penalty=penalty)
    for b in range(B):
        expected = loop_beam_search(model, prompts[b : b + 1], 6, beams, end, penalty)
        for text, score, (total, new) in zip(texts[b], scores[b], expected, strict=True):
            width = texts.shape[-1] - 3
            assert text.tolist() == prompts[b].tolist() + new + [end] * (width - len(new))
            torch.testing.assert_close(score.item(), total)


def test_one_beam_without_an_end_is_greedy():
    model, prompt = language_model(), tokens(L)
    texts, _ = beam_search(model, prompt, 7, beams=1)
    assert torch.equal(texts[:, 0], generate(model, prompt, 7, temperature=0))


def test_padding_of_the_source_does_not_change_what_beams_find():
    model, source = translator(), tokens(S, SOURCE)
    mask = padding_mask(torch.tensor([S, 3]), S)
    start = torch.zeros(B, 1, dtype=torch.int64)
    texts, scores = beam_search(model, start, L, beams=3, end=1, source=source, source_mask=mask)
    alone = beam_search(model, start[1:], L, beams=3, end=1, source=source[1:, :3])
    width = min(texts.shape[-1], alone[0].shape[-1])
    assert torch.equal(texts[1:, :, :width], alone[0][..., :width])
    torch.testing.assert_close(scores[1:], alone[1])


def test_a_search_stops_when_no_beginning_can_become_better():
    model, prompt = language_model(), tokens(L)
    with torch.no_grad():
        model.head.bias[4] = 50.0
    texts, scores = beam_search(model, prompt, MAX - L, beams=1, end=4)
    assert texts.shape == (B, 1, L + 1)
    assert (texts[..., -1] == 4).all()
    assert (scores > -1e-6).all()


def test_a_search_goes_on_while_a_longer_text_may_become_better():
    model, prompt = language_model(2), tokens(L, 2, batch=1)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([0.4, 0.6]).log())  # to end at once is the likeliest
    texts, scores = beam_search(model, prompt, MAX - L, beams=1, end=1, length_penalty=4.0)
    [(score, new)] = loop_beam_search(model, prompt, MAX - L, 1, 1, 4.0)
    assert texts[0, 0, L:].tolist() == new == [0] * (MAX - L - 1) + [1]
    torch.testing.assert_close(scores.item(), score)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_models_write_on_a_gpu_what_they_write_on_a_cpu():
    prompt, source = tokens(L), tokens(S, SOURCE)
    mask = padding_mask(torch.tensor([S, 3]), S)
    for model, options in (
        (language_model(position="relative"), {}),
        (translator(), {"source": source, "source_mask": mask}),
    ):
        moved = {name: x.cuda() for name, x in options.items()}
        text = generate(model, prompt, 7, temperature=0, **options)
        texts, scores = beam_search(model, prompt, 5, beams=3, end=1, **options)
        model.cuda()
        got = generate(model, prompt.cuda(), 7, temperature=0, **moved)
        assert torch.equal(got.cpu(), text)
        drawn = generate(
            model, prompt.cuda(), 7, top_p=0.9, generator=torch.Generator("cuda"), **moved
        )
        assert drawn.is_cuda
        found = beam_search(model, prompt.cuda(), 5, beams=3, end=1, **moved)
        assert torch.equal(found[0].cpu(), texts)
        torch.testing.assert_close(found[1].cpu(), scores)


# ---------------------------------------------------------------- errors

PROMPT = tokens(L)
MODEL = LanguageModel(V, F, H, LAYERS, MAX)
TRANSLATOR = Transformer(SOURCE, V, F, H, LAYERS, MAX)


def diverged():
    model = LanguageModel(V, F, H, LAYERS, MAX)
    torch.nn.init.constant_(model.head.bias, torch.nan)
    return model


ERRORS = [
    (lambda: sampling_distribution(PROMPT), TypeError, "int64"),
    (lambda: generate(MODEL, PROMPT, 3, temperature=-1.0), ValueError, "temperature=-1.0"),
    (lambda: generate(MODEL, PROMPT, 3, temperature=math.nan), ValueError, "temperature=nan"),
    (lambda: generate(MODEL, PROMPT, 3, temperature=math.inf), ValueError, "temperature=inf"),
    (lambda: generate(MODEL, PROMPT, 3, top_k=0), ValueError, "top_k=0"),
    (lambda: generate(MODEL, PROMPT, 3, top_k=2.0), TypeError, "float"),
    (lambda: generate(MODEL, PROMPT, 3, top_k=V + 1), ValueError, "12 for 11 tokens"),
    (lambda: generate(MODEL, PROMPT, 3, top_p=0.0), ValueError, "top_p=0.0"),
    (lambda: generate(MODEL, PROMPT, 3, top_p=1.5), ValueError, "top_p=1.5"),
    (lambda: generate(MODEL, PROMPT, 3, top_p=math.nan), ValueError, "top_p=nan"),
    (lambda: generate(MODEL, PROMPT, 0), ValueError, "max_new_tokens=0"),
    (lambda: generate(MODEL, PROMPT, 2.0), TypeError, "float"),
    (lambda: generate(MODEL, PROMPT, MAX), ValueError, "at most max_len=17"),
    (lambda: generate(MODEL, tokens(MAX + 1), 1), ValueError, "18 tokens of prompt"),
    (lambda: generate(MODEL, PROMPT[0], 3), ValueError, "prompt is"),
    (lambda: generate(MODEL, PROMPT[:, :0], 3), ValueError, "start token"),
    (lambda: generate(MODEL, [[1, 2]], 3), ValueError, "prompt is list"),
    (lambda: generate(MODEL, PROMPT.float(), 3), TypeError, "float32"),
    (lambda: generate(MODEL, PROMPT + V, 3), ValueError, "0 to 10"),
    (lambda: generate(MODEL, PROMPT, 3, end=V), ValueError, "end=11"),
    (lambda: generate(MODEL, PROMPT, 3, end=-1), ValueError, "end=-1"),
    (lambda: generate(MODEL, PROMPT, 3, source=PROMPT), ValueError, "a source for a Lang"),
    (lambda: generate(MODEL, PROMPT, 3, source_mask=PROMPT > 1), ValueError, "no source for a L"),
    (lambda: generate(TRANSLATOR, PROMPT, 3), ValueError, "no source for a Trans"),
    (lambda: generate(TRANSLATOR, PROMPT, 3, source=PROMPT[:1]), ValueError, "2 prompts for 1"),
    (lambda: generate(MODEL.stack, PROMPT, 3), TypeError, "TransformerEncoder"),
    (lambda: generate(diverged(), PROMPT, 3), RuntimeError, "NaN"),
    (lambda: beam_search(MODEL, PROMPT, 3, beams=0), ValueError, "beams=0"),
    (lambda: beam_search(MODEL, PROMPT, MAX, beams=2), ValueError, "max_len=17"),
    (lambda: beam_search(MODEL, PROMPT, 3, beams=2, end=V), ValueError, "end=11"),
    (
        lambda: beam_search(MODEL, PROMPT, 3, beams=2, length_penalty=-0.5),
        ValueError,
        "length_penalty=-0.5",
    ),
    (lambda: beam_search(diverged(), PROMPT, 3, beams=2), RuntimeError, "NaN"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_wrong_use_is_said_clearly(call, kind, words):
    check_error(call, kind, words)
