"""Models of attnlib.transformer: from tokens to logits, in one pass and piece by piece."""

import warnings

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, gradients, normal
from test_transformer_layers import in_torchs_names
from torch import nn

from attnlib.masks import padding_mask, to_mha
from attnlib.positional import ALiBi, LearnedEncoding, SinusoidalEncoding
from attnlib.transformer import LanguageModel, TokenEmbedding, Transformer

B, H, L, S, F, V, SOURCE, MAX, LAYERS = 2, 3, 5, 7, 6, 11, 13, 17, 2
POSITIONS = ["learned", "sinusoidal", "rotary", "alibi", "relative"]
BY_DISTANCE = ["rotary", "alibi", "relative"]
LENGTHS = torch.tensor([S, 3])

PROPERTY = settings(max_examples=20, deadline=None, derandomize=True, database=None)


def randomise(module, seed=3):
    g = generator(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=parameter.dtype) / 2)
    return module


def tokens(length, vocab=V, seed=0, batch=B):
    return torch.randint(vocab, (batch, length), generator=generator(seed))


def language_model(position="learned", **options):
    return randomise(LanguageModel(V, F, H, LAYERS, MAX, position=position, **options).double())


def transformer(**options):
    return randomise(Transformer(SOURCE, V, F, H, LAYERS, MAX, **options).double())


# ---------------------------------------------------------------- TokenEmbedding


@pytest.mark.parametrize("kind", [None, LearnedEncoding, SinusoidalEncoding])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_an_embedding_is_a_row_a_token_plus_its_position(kind, dtype):
    encoding = None if kind is None else kind(F, MAX)
    layer = TokenEmbedding(V, F, encoding=encoding)
    text = tokens(L)
    table = layer.embedding.weight
    expected = torch.stack([torch.stack([table[t] for t in row]) for row in text])
    if encoding is not None:
        expected = encoding(expected, offset=4)
    torch.testing.assert_close(layer(text.to(dtype), offset=4), expected)


def test_an_embedding_starts_as_large_as_what_is_added_to_it():
    alone, waves = (TokenEmbedding(1009, F, encoding=e) for e in (None, SinusoidalEncoding(F, 5)))
    assert 0.01 < alone.embedding.weight.std() < 0.03
    assert 0.8 < waves.embedding.weight.std() < 1.2


def test_an_embedding_is_dropped_while_training():
    layer = TokenEmbedding(V, F, dropout=0.5)
    text = tokens(L)
    assert (layer(text) == 0).any()
    layer.eval()
    assert not (layer(text) == 0).any()


# ---------------------------------------------------------------- LanguageModel


def in_a_stack_of_torch(stack):
    layers = []
    for layer in stack.layers:
        width = layer.feed_forward.linear1.out_features
        copy = nn.TransformerEncoderLayer(
            F, H, width, 0.0, nn.functional.gelu, batch_first=True, norm_first=True
        ).double()
        copy.load_state_dict(in_torchs_names(layer))
        layers.append(copy)
    return layers


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "alibi"])
@pytest.mark.parametrize("ffn_dim", [None, 5])
def test_logits_and_gradients_equal_those_of_torchs_layers(position, ffn_dim):
    model = language_model(position, ffn_dim=ffn_dim)
    text = tokens(L)
    table = model.embedding.embedding.weight
    x = table[text]
    bias = torch.full((L, L), -torch.inf, dtype=torch.float64).triu(1).expand(B * H, L, L)
    if position == "alibi":
        bias = bias + ALiBi(H)(L).double().repeat(B, 1, 1)
    else:
        x = model.embedding.encoding(x)
    for layer in in_a_stack_of_torch(model.stack):
        x = layer(x, src_mask=bias)
    expected = model.head(model.stack.norm(x))
    logits = model(text)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(gradients(logits, [table]), gradients(expected, [table]))


@pytest.mark.parametrize("position", POSITIONS)
def test_no_position_sees_a_later_token(position):
    model, text = language_model(position), tokens(L)
    for i in range(1, L):
        changed = text.clone()
        changed[:, i:] = (changed[:, i:] + 1) % V
        torch.testing.assert_close(model(changed)[:, :i], model(text)[:, :i])


@pytest.mark.parametrize("position", POSITIONS)
def test_order_matters(position):
    model = language_model(position)
    one, other = model(torch.tensor([[1, 2, 3, 4]])), model(torch.tensor([[2, 1, 3, 4]]))
    assert not torch.allclose(one[:, 3], other[:, 3])


@st.composite
def cuts(draw, length):
    """Lengths of pieces that make up a text."""
    borders = draw(st.sets(st.integers(1, length - 1)))
    ends = [*sorted(borders), length]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


@PROPERTY
@given(pieces=cuts(MAX), position=st.sampled_from(POSITIONS), num_kv_heads=st.sampled_from([1, 3]))
def test_any_chunking_through_the_cache_equals_one_pass(pieces, position, num_kv_heads):
    model, text = language_model(position, num_kv_heads=num_kv_heads), tokens(MAX)
    with torch.no_grad():
        cache = model.new_cache(B)
        got = [model(piece, cache=cache) for piece in text.split(pieces, dim=1)]
        torch.testing.assert_close(torch.cat(got, dim=1), model(text))
    assert cache[-1].length == MAX


@PROPERTY
@given(pieces=cuts(MAX), position=st.sampled_from(BY_DISTANCE))
def test_any_segments_with_a_memory_of_everything_equal_one_pass(pieces, position):
    model, text = language_model(position), tokens(MAX)
    past = model.new_memory(MAX)
    got = [model(piece, past=past) for piece in text.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(got, dim=1), model(text))


def test_a_memory_reaches_back_its_length_times_the_layers_and_no_further():
    model, text = language_model("alibi"), tokens(MAX)
    changed = text.clone()
    changed[:, 0] = (changed[:, 0] + 1) % V
    reach = 2
    results = []
    for some in (text, changed):
        past = model.new_memory(reach)
        results.append(torch.cat([model(t, past=past) for t in some.split(1, dim=1)], dim=1))
    differs = (results[0] - results[1]).abs().amax(dim=(0, 2)) > 1e-12
    assert differs.nonzero().flatten().tolist() == list(range(1 + reach * LAYERS))


def test_training_on_a_segment_gives_no_gradient_through_its_memory():
    model, text = language_model("relative"), tokens(L)
    past = model.new_memory(L)
    model(text, past=past)
    assert not any(memory._states.requires_grad for memory in past)
    model(text, past=past).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("position", BY_DISTANCE)
def test_distances_have_no_longest_text(position):
    assert language_model(position)(tokens(2 * MAX)).isfinite().all()


@pytest.mark.parametrize("position", POSITIONS)
def test_a_state_dict_makes_an_equal_model(position):
    one, other = language_model(position), randomise(language_model(position), seed=7)
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(tokens(L)), other(tokens(L)))


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_work_with_and_without_a_cache(position, dtype):
    model, text = language_model(position).float(), tokens(L)
    expected = model(text)
    low = LanguageModel(V, F, H, LAYERS, MAX, position=position).to(dtype)
    low.load_state_dict(model.state_dict())
    bound = 64 * torch.finfo(dtype).eps * expected.abs().max()
    with torch.no_grad():
        got = [low(text), low(text, cache=low.new_cache(B))]
        with torch.autocast("cpu", dtype):
            got += [model(text), model(text, cache=model.new_cache(B))]
    for logits in got:
        assert logits.dtype == dtype
        assert (logits.float() - expected).abs().max() < bound


@pytest.mark.parametrize("position", ["learned", "relative"])
def test_a_model_that_is_traced_gives_the_same_numbers(position):
    model, text = language_model(position), tokens(L)
    exported = torch.export.export(model, (text,)).module()
    torch.testing.assert_close(exported(text), model(text))


def test_dropout_acts_while_training_only():
    model, text = language_model(dropout=0.5), tokens(L)
    assert model.embedding.dropout == model.stack.layers[0].dropout == 0.5
    assert not torch.equal(model(text), model(text))
    model.eval()
    assert torch.equal(model(text), model(text))


def test_a_few_steps_of_training_make_a_text_likelier():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LanguageModel(V, F, H, LAYERS, MAX)
    text = tokens(MAX)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        logits = model(text[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


# ---------------------------------------------------------------- Transformer


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("ffn_dim", [None, 5])
@pytest.mark.parametrize("padded", [False, True])
def test_a_transformer_equals_torchs_in_value_and_gradient(norm_first, ffn_dim, padded):
    model = transformer(norm_first=norm_first, ffn_dim=ffn_dim)
    sizes = (F, H, LAYERS, LAYERS, ffn_dim or 4 * F, 0.0, nn.functional.gelu)
    options = {"batch_first": True, "norm_first": norm_first, "dtype": torch.float64}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch explains which of its fast paths it cannot take
        theirs = nn.Transformer(*sizes, **options)
    for ours, copies in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        for i in range(LAYERS):
            copies.layers[i].load_state_dict(in_torchs_names(ours.layers[i]))
        if norm_first:
            copies.norm.load_state_dict(ours.norm.state_dict())
        else:
            copies.norm = None  # torch puts a norm even behind layers that end in one
    theirs.encoder.enable_nested_tensor = False
    source, target = tokens(S, SOURCE), tokens(L)
    mask = padding_mask(LENGTHS, S) if padded else None
    waves = SinusoidalEncoding(F, MAX).double()
    tables = [e.embedding.weight for e in (model.source_embedding, model.target_embedding)]
    decoded = theirs(
        waves(tables[0][source]),
        waves(tables[1][target]),
        src_mask=None if mask is None else to_mha(mask, (B, H, S, S)),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64),
        memory_mask=None if mask is None else to_mha(mask, (B, H, L, S)),
    )
    expected = model.head(decoded)
    logits = model(source, target, source_mask=mask)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(gradients(logits, tables), gradients(expected, tables))


@PROPERTY
@given(pieces=cuts(MAX), padded=st.booleans())
def test_any_chunking_of_the_target_equals_teacher_forcing(pieces, padded):
    model, source, target = transformer(), tokens(S, SOURCE), tokens(MAX)
    mask = padding_mask(LENGTHS, S) if padded else None
    with torch.no_grad():
        cache = model.new_cache(source, source_mask=mask)
        got = [model.decode(piece, cache=cache) for piece in target.split(pieces, dim=1)]
        expected = model(source, target, source_mask=mask)
    torch.testing.assert_close(torch.cat(got, dim=1), expected)


def test_decoding_reads_the_source_once():
    model, source, target = transformer(), tokens(S, SOURCE), tokens(L)
    calls = []
    for module in (
        model.encoder,
        *(layer.cross_attention.k_proj for layer in model.decoder.layers),
    ):
        module.register_forward_hook(lambda module, *_: calls.append(module))
    with torch.no_grad():
        cache = model.new_cache(source)
        for token in target.split(1, dim=1):
            model.decode(token, cache=cache)
    assert len(calls) == len(set(calls)) == 1 + LAYERS


def test_padding_of_source_and_target_never_changes_real_logits():
    model, source, target = transformer(), tokens(S, SOURCE), tokens(L)
    mask = padding_mask(LENGTHS, S)
    expected = model(source, target, source_mask=mask)
    source[1, 3:] = (source[1, 3:] + 1) % SOURCE
    target[:, 4:] = (target[:, 4:] + 1) % V
    torch.testing.assert_close(model(source, target, source_mask=mask)[:, :4], expected[:, :4])
    alone = model(source[1:, :3], target[1:, :4])
    torch.testing.assert_close(alone, expected[1:, :4])


def test_the_parts_of_a_transformer_make_the_whole():
    model, source, target = transformer(dropout=0.5), tokens(S, SOURCE), tokens(L)
    assert model.decoder.layers[0].dropout == model.target_embedding.dropout == 0.5
    model.eval()
    mask = padding_mask(LENGTHS, S)
    memory = model.encode(source, source_mask=mask)
    assert memory.shape == (B, S, F)
    whole = model(source, target, source_mask=mask)
    torch.testing.assert_close(model.decode(target, memory, source_mask=mask), whole)


# ---------------------------------------------------------------- errors

TEXT = tokens(L)
MODEL = LanguageModel(V, F, H, LAYERS, MAX)
RELATIVE = LanguageModel(V, F, H, LAYERS, MAX, position="relative")
TRANSLATOR = Transformer(SOURCE, V, F, H, LAYERS, MAX)


def cached(length):
    with torch.no_grad():
        cache = MODEL.new_cache(B)
        for _ in range(length):
            MODEL(TEXT, cache=cache)


ERRORS = [
    (lambda: TokenEmbedding(0, F), ValueError, "vocab_size=0"),
    (lambda: TokenEmbedding(V, F, dropout=1.5), ValueError, "dropout=1.5"),
    (lambda: MODEL([1, 2]), TypeError, "list"),
    (lambda: MODEL(TEXT.double()), TypeError, "float64"),
    (lambda: MODEL(TEXT > 3), TypeError, "bool"),
    (lambda: MODEL(TEXT[0]), ValueError, "unsqueeze"),
    (lambda: MODEL(TEXT[:, :0]), ValueError, "at least one token"),
    (lambda: MODEL(TEXT + V), ValueError, "expected 0 to 10"),
    (lambda: MODEL(TEXT - V), ValueError, "expected 0 to 10"),
    (lambda: MODEL(tokens(MAX + 1)), ValueError, "positions 0 to 17"),
    (lambda: cached(4), ValueError, "positions 15 to 19"),
    (lambda: MODEL(TEXT, past=MODEL.new_memory(3)), ValueError, "counted positions"),
    (
        lambda: RELATIVE(TEXT, past=RELATIVE.new_memory(3), cache=RELATIVE.new_cache(B)),
        ValueError,
        "a cache",
    ),
    (lambda: MODEL(TEXT, cache=MODEL.new_cache(B)), RuntimeError, "gradient"),
    (lambda: MODEL.new_cache(0), ValueError, "batch_size=0"),
    (lambda: MODEL.new_memory(-3), ValueError, "max_len=-3"),
    (lambda: LanguageModel(0, F, H, LAYERS, MAX), ValueError, "vocab_size=0"),
    (lambda: LanguageModel(V, F, 4, LAYERS, MAX), ValueError, "num_heads=4"),
    (lambda: LanguageModel(V, F, H, 0, MAX), ValueError, "num_layers=0"),
    (lambda: LanguageModel(V, F, H, LAYERS, 0), ValueError, "max_len=0"),
    (lambda: LanguageModel(V, F, H, LAYERS, MAX, position="cosine"), ValueError, "'cosine'"),
    (lambda: LanguageModel(V, F, H, LAYERS, MAX, dropout=1.0), ValueError, "dropout=1.0"),
    (lambda: Transformer(SOURCE, 0, F, H, LAYERS, MAX), ValueError, "target_vocab=0"),
    (lambda: Transformer(SOURCE, V, 9, H, LAYERS, MAX), ValueError, "embed_dim=9"),
    (lambda: TRANSLATOR(tokens(MAX + 1), TEXT), ValueError, "positions 0 to 17"),
    (lambda: TRANSLATOR(TEXT, TEXT + V), ValueError, "expected 0 to 10"),
    (lambda: TRANSLATOR(TEXT, TEXT[:1]), ValueError, "one source a target"),
    (lambda: TRANSLATOR(TEXT, TEXT, source_mask=TEXT), TypeError, "int64"),
    (lambda: TRANSLATOR.decode(TEXT), ValueError, "no memory"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_wrong_use_is_said_clearly(call, kind, words):
    check_error(call, kind, words)
