"""Near duplicates against all pairs, and splits that must not leak."""

import re
from hashlib import sha256
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.data import group_split, near_duplicates

quick = settings(deadline=None, max_examples=50)  # no timed assertion

words = st.sampled_from(["film", "plot", "good", "bad", "very", "not", "joy"])
texts = st.lists(st.lists(words, max_size=6).map(" ".join), max_size=12)


def similarity(first: str, second: str) -> float:
    a, b = set(first.split()), set(second.split())
    return len(a & b) / len(a | b) if a and b else 0.0


@quick
@given(texts, st.sampled_from([0.3, 0.5, 0.75, 0.8, 1.0]))
def test_near_duplicates_are_those_of_a_comparison_of_all_pairs(texts, least):
    wanted = [
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if similarity(texts[i], texts[j]) >= least
    ]
    assert sorted(near_duplicates(texts, least)) == wanted


def test_case_marks_user_names_and_addresses_do_not_make_a_difference():
    variants = [
        "Damn, running late sucks.",
        "DAMN!!! running late SUCKS!!!",
        "@anonymous damn running late sucks http://url_removed",
    ]
    assert near_duplicates(variants, 1.0) == [(0, 1), (0, 2), (1, 2)]


def test_texts_without_words_are_no_duplicates_of_each_other():
    assert near_duplicates(["!!!", "@anonymous", ""]) == []


@st.composite
def rows(draw):
    texts = draw(st.lists(st.lists(words, max_size=6).map(" ".join), max_size=30))
    groups = draw(st.lists(st.integers(0, 12), min_size=len(texts), max_size=len(texts)))
    return groups, texts


@quick
@given(rows(), st.sampled_from([(0.7, 0.1, 0.2), (0.5, 0.5), (1.0,)]))
def test_no_group_and_no_near_duplicate_lies_in_two_parts(rows, shares):
    groups, texts = rows
    parts = group_split(groups, texts, shares)
    assert len(parts) == len(texts)
    assert set(parts) <= set(range(len(shares)))
    for i, j in combinations(range(len(texts)), 2):
        if groups[i] == groups[j] or similarity(texts[i], texts[j]) >= 0.75:
            assert parts[i] == parts[j]


@quick
@given(st.integers(1, 7), st.integers(50, 200))
def test_parts_have_the_wanted_shares_up_to_the_size_of_a_group(size, count):
    groups = [group for group in range(count) for _ in range(size)]
    texts = [f"text{number}" for number in range(len(groups))]
    parts = group_split(groups, texts, (0.7, 0.1, 0.2))
    for part, share in enumerate((0.7, 0.1, 0.2)):
        assert abs(parts.count(part) - share * len(groups)) <= size


@quick
@given(st.permutations(range(20)))
def test_the_order_of_the_rows_does_not_change_the_part_of_a_group(order):
    texts = [f"text{group}" for group in range(20)]
    wanted = group_split(list(range(20)), texts)
    parts = group_split(list(order), [texts[group] for group in order])
    assert [parts[order.index(group)] for group in range(20)] == wanted


def test_the_split_is_the_same_for_ever():
    # Published numbers refer to it: whoever changes the order of the groups must know.
    order = sorted(range(10), key=lambda group: sha256(f"{group}".encode()).hexdigest())
    parts = group_split(list(range(10)), [f"text{group}" for group in range(10)])
    assert [parts[group] for group in order] == [0, 0, 0, 0, 0, 0, 0, 1, 2, 2]


def test_the_split_does_not_follow_the_order_of_the_numbers():
    parts = group_split(list(range(100)), [f"text{group}" for group in range(100)])
    assert parts != sorted(parts)
    assert 5 < parts[:50].count(2) < 15


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: group_split([1], ["a", "b"]), "group_split: got 1 groups and 2 texts"),
        (lambda: group_split([1], ["a"], (0.7, 0.2)), "got shares=(0.7, 0.2), expected fractions"),
        (
            lambda: group_split([1], ["a"], (1.5, -0.5)),
            "got shares=(1.5, -0.5), expected fractions",
        ),
        (lambda: group_split([1], ["a"], ()), "got shares=(), expected fractions"),
        (lambda: near_duplicates(["a"], 0.0), "near_duplicates: got similarity=0.0, expected"),
        (lambda: near_duplicates(["a"], 1.5), "similarity=1.5, expected a share"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
