"""Questions and answers: numbering, and the facts of InsuranceQA."""

import functools
import gzip
import json

import pytest
import torch
from errors import check_error
from small_archives import holding

from attnlib.data import answers, insurance_answers, near_duplicates

real = functools.cache(insurance_answers)


def row(text: str, right: str, wrong: str) -> dict:
    names = {"answers": right.split(), "negatives": wrong.split(), "domain": f"{text} domain"}
    return {"en": f" What  {text}? ", "zh": f"{text}吗"} | names


def small(language: str = "en"):
    files = {
        "answers": {str(n): {"en": f"Answer  {n} ", "zh": f"答{n}"} for n in range(1, 6)},
        "train": {"0": row("a", "1", "2 3"), "1": row("b", "5 2", "1 4")},
        "valid": {"0": row("c", "3", "4 1")},
        "test": {"0": row("d", "4", "1 2")},
    }
    members = {
        f"{answers._FOLDER}/{name}.json.gz": gzip.compress(json.dumps(rows).encode())
        for name, rows in files.items()
    }
    with holding(answers, members):
        return insurance_answers(language)


def test_answers_are_numbered_from_zero_and_questions_go_to_the_part_of_their_file():
    data = small()
    assert data.questions == ("What a?", "What b?", "What c?", "What d?")
    assert data.domains[3] == "d domain"
    assert data.right == ((0,), (4, 1), (2,), (3,))
    assert data.wrong.tolist() == [[1, 2], [0, 3], [3, 0], [0, 1]]
    assert data.answers[data.right[3][0]] == "Answer 4"
    assert data.parts.tolist() == [0, 0, 1, 2]
    assert data.test.questions == ("What d?",)
    assert data.test.answers == data.answers
    assert repr(data) == "AnswerSet(insurance-answers: 4 questions)"


def test_in_chinese_the_same_with_other_texts():
    data = small("zh")
    assert data.questions[0] == "a吗"
    assert data.answers[4] == "答5"
    assert data.right == small().right


ERRORS = [(lambda: insurance_answers("fr"), ValueError, "no set 'fr', expected one of en, zh")]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


@pytest.mark.network
def test_the_counts_are_those_of_the_paper():
    data = real()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [
        12_889, 2_000, 2_000
    ]  # fmt: skip
    assert len(data.answers) == len(set(data.answers)) == 27_413
    assert data.wrong.shape == (16_889, 200)
    assert len(set(data.domains)) == 12


@pytest.mark.network
def test_every_number_is_of_an_answer_and_no_right_answer_is_among_the_wrong():
    data = real()
    assert data.wrong.min() >= 0
    assert data.wrong.max() < len(data.answers)
    right = torch.zeros(len(data), len(data.answers), dtype=torch.bool)
    for question, places in enumerate(data.right):
        assert len(places) > 0
        right[question, list(places)] = True
    assert not right.gather(1, data.wrong).any()


@pytest.mark.network
def test_answers_share_words_with_their_questions_and_the_first_wrong_one_even_more():
    data = real().test
    own, first_wrong, others = 0.0, 0.0, 0.0
    for number, question in enumerate(data.questions):
        words = set(question.lower().strip("?").split())
        places = data.right[number][0], int(data.wrong[number, 0]), data.right[number - 1][0]
        shares = [len(words & set(data.answers[p].lower().split())) / len(words) for p in places]
        own, first_wrong, others = own + shares[0], first_wrong + shares[1], others + shares[2]
    assert 2 * others < own < first_wrong


@pytest.mark.network
def test_the_published_split_shares_no_question_but_some_with_the_same_words():
    data = real()
    questions = [set(part.questions) for part in (data.train, data.validation, data.test)]
    assert sum(map(len, questions)) == len(questions[0] | questions[1] | questions[2])
    parts = data.parts.tolist()
    pairs = near_duplicates(data.questions, 1.0)
    same = {max(pair) for pair in pairs if {parts[place] for place in pair} == {0, 2}}
    assert len(same) == 25
