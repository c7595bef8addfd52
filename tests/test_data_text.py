"""The tokeniser keeps what carries sentiment; the vocabulary knows only what training saw."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.data import Vocabulary, tokenize

quick = settings(deadline=None, max_examples=50)  # no timed assertion


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Not good, at all.", "not good , at all ."),
        ("don't can't WON'T isn’t", "do n't ca n't wo n't is n't"),
        ("it's we've I'll I'd I'm you're", "it 's we 've i 'll i 'd i 'm you 're"),
        ("great! great!! great!!!!! what?!?!", "great ! great !! great !!! what ?!?"),
        ("hm.. well.....", "hm .. well ..."),
        (
            ":) :-( ;) =D :'( :P :/ (: <3 </3 ^_^ -_- XD D:",
            ":) :-( ;) =d :'( :p :/ (: <3 </3 ^_^ -_- xd d:",
        ),
        ("yay:) (film: bad) time:day", "yay :) ( film : bad ) time : day"),
        ("@anonymous #win http://url_removed!", "@anonymous #win http://url_removed!"),
        ("at 10:30, 1,000 of 3.5/5, 50%", "at 10:30 , 1,000 of 3.5/5 , 50 %"),
        ("the U.S. 1st mp3", "the u.s. 1st mp3"),
        ("café naïve 😀👍 ½", "café naïve 😀 👍 ½"),
        ("co-writer/director ''Conan''", "co - writer / director '' conan ''"),
        ("  \n\t ", ""),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens.split()


@quick
@given(st.text())
def test_tokens_hold_every_character_of_the_text_but_white_space_and_long_runs(text):
    plain = "".join(character for character in text if character not in "!?.’")
    assert "".join(tokenize(plain)) == "".join(plain.lower().split())


@quick
@given(st.text(alphabet="abn't!?.:)-<3 #@_'"))
def test_tokens_are_never_empty_and_never_hold_white_space(text):
    assert all(token and not any(c.isspace() for c in token) for token in tokenize(text))


words = st.sampled_from(["film", "plot", "good", "bad", "joy"])
texts = st.lists(st.lists(words).map(" ".join))


@quick
@given(texts, st.integers(1, 3))
def test_a_vocabulary_holds_the_frequent_tokens_the_most_frequent_first(texts, min_count):
    vocabulary = Vocabulary.build(texts, min_count=min_count)
    counts = [" ".join(texts).split().count(token) for token in vocabulary.tokens[2:]]
    assert counts == sorted(counts, reverse=True)
    assert set(vocabulary.tokens[2:]) == {
        token for token in set(" ".join(texts).split())
        if " ".join(texts).split().count(token) >= min_count
    }  # fmt: skip
    assert vocabulary == Vocabulary.build(texts[::-1], min_count=min_count)


@quick
@given(texts)
def test_encoding_and_decoding_give_the_tokens_back(texts):
    vocabulary = Vocabulary.build(texts, min_count=1)
    tokens, lengths = vocabulary.encode(texts)
    assert tokens.dtype == lengths.dtype == torch.int64
    assert tokens.shape == (len(texts), max((len(text.split()) for text in texts), default=0))
    assert [vocabulary.decode(row) for row in tokens] == [text.split() for text in texts]
    assert lengths.tolist() == [len(text.split()) for text in texts]
    assert (tokens != Vocabulary.unknown).all()


def test_padding_is_zero_behind_the_end_and_unseen_tokens_are_one():
    vocabulary = Vocabulary.build(["good good film film plot"])
    assert vocabulary.tokens == ("<pad>", "<unknown>", "film", "good")
    tokens, lengths = vocabulary.encode(["good plot", "film", "a good film"])
    assert tokens.tolist() == [[3, 1, 0], [2, 0, 0], [1, 3, 2]]
    assert lengths.tolist() == [2, 1, 3]
    assert vocabulary.decode([3, 1, 0]) == ["good", "<unknown>"]


def test_the_text_cannot_name_the_special_tokens():
    vocabulary = Vocabulary.build(["<pad> <unknown>"], min_count=1)
    assert not (vocabulary.encode(["<pad> <unknown>"])[0] < 2).any()


def test_max_length_keeps_the_beginning():
    vocabulary = Vocabulary.build(["a b c"], min_count=1)
    tokens, lengths = vocabulary.encode(["a b c", "c"], max_length=2)
    assert [vocabulary.decode(row) for row in tokens] == [["a", "b"], ["c"]]
    assert lengths.tolist() == [2, 1]


def test_no_texts_and_empty_texts_have_a_shape():
    vocabulary = Vocabulary.build(["a"], min_count=1)
    assert vocabulary.encode([])[0].shape == (0, 0)
    assert vocabulary.encode(["", "a"])[1].tolist() == [0, 1]
    assert len(vocabulary) == 3


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: Vocabulary.build("good film"),
            TypeError,
            r"build: got one string.*write \[text\]",
        ),
        (
            lambda: Vocabulary.build([], min_count=0),
            ValueError,
            "build: got min_count=0.*at least 1",
        ),
        (lambda: Vocabulary(("a",)).encode("a"), TypeError, "encode: got one string"),
        (
            lambda: Vocabulary(("a",)).encode(["a"], max_length=0),
            ValueError,
            "encode: got max_length=0.*at least 1",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=f"Vocabulary.{words}"):
        call()
