"""Questions on insurance, and the answers to find for them."""

import gzip
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data._parts import Parted, check_choice
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set

__all__ = ["AnswerSet", "insurance_answers"]

_FOLDER = "insuranceqa_data-1.0/insuranceqa_data"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnswerSet(Parted):
    """Questions with the numbers of their right answers and of wrong ones.

    `train`, `validation` and `test` are again AnswerSets over the same answers.

    Args:
        name: of the set in the catalogue.
        questions: N texts.
        domains: N names of the kind of insurance that a question is about.
        right: the places in `answers` of the right answers to each question, at least one.
        wrong: (N, 200) int64, the places in `answers` of candidates that are not marked as right.
        answers: A texts.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    questions: tuple[str, ...]
    domains: tuple[str, ...]
    right: tuple[tuple[int, ...], ...]
    wrong: Tensor
    answers: tuple[str, ...]
    parts: Tensor

    by_row: ClassVar = ("questions", "domains", "right", "wrong", "parts")
    row: ClassVar = "questions"


def insurance_answers(language: str = "en") -> AnswerSet:
    """InsuranceQA: questions of people, answers of professionals, and the published split.

    To find the right answer among all 27,413, or among the right and 200 wrong ones. The wrong ones
    were found by a search for the question's words, the best hit first: that one has more words of
    the question (71 %) than the right answer (62 %), and nobody checked that it is wrong. Shuffle
    them before taking a few. The published split shares no question, yet 890 of the 2,000 test
    questions have nearly the words of a training one ("term life" for "whole life"): report the
    others on their own (`near_duplicates` finds them). To tell the domain is trivial (98 %).
    In Chinese 209 test questions read exactly like a training one.

    Args:
        language: "en", or "zh" for a machine translation of it.

    Returns:
        AnswerSet

    Raises:
        ValueError: another language.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Feng et al. 2015, "Applying deep learning to answer selection: A study and an open
    task", arXiv:1508.01585
    """
    check_choice("insurance_answers", language, ("en", "zh"))
    data_set, path = fetch_set("insurance-answers")
    answers, *parts = (
        json.loads(gzip.decompress(read_member(path, f"{_FOLDER}/{name}.json.gz")))
        for name in ("answers", "train", "valid", "test")
    )
    # Answers are numbered from 1 in the order of the file.
    assert list(answers) == [str(number) for number in range(1, len(answers) + 1)]
    rows = [row for part in parts for row in part.values()]
    return AnswerSet(
        data_set.name,
        tuple(_clean(row[language]) for row in rows),
        tuple(row["domain"] for row in rows),
        tuple(tuple(int(number) - 1 for number in row["answers"]) for row in rows),
        torch.from_numpy(np.array([row["negatives"] for row in rows], dtype=np.int64) - 1),
        tuple(_clean(answer[language]) for answer in answers.values()),
        torch.tensor([part for part, rows in enumerate(parts) for _ in rows]),
    )


def _clean(text: str) -> str:
    return " ".join(text.split())
