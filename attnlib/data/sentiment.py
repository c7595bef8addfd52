"""Sentences with the mean sentiment that people gave them."""

import difflib
import html
import re
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.splits import group_split

__all__ = ["Dropped", "SentimentSet", "vader"]

_FILES = {
    "movies": "movieReviewSnippets",
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "nyt": "nytEditorialSnippets",
}


class Dropped(NamedTuple):
    """Rows of a file that a loader leaves out, by reason."""

    repeated: int
    wordless: int
    neutral: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SentimentSet:
    """Texts with human ratings, and the part of a fixed split that each belongs to.

    `train`, `validation` and `test` are again SentimentSets. No review and no near duplicate of a
    text lies in two of them.

    Args:
        name: of the set in the catalogue.
        texts: N texts, white space and HTML entities cleaned.
        scores: (N,) float32, mean rating, from -4 (most negative) to +4 (most positive).
        groups: (N,) int64, number of the review, article or tweet a text comes from.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
        dropped: rows of the file that are left out, by reason.
    """

    name: str
    texts: tuple[str, ...]
    scores: Tensor
    groups: Tensor
    parts: Tensor
    dropped: Dropped

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"SentimentSet({self.name}: {len(self):,} texts, majority {self.majority:.3f})"

    @property
    def labels(self) -> Tensor:
        """(N,) int64, 1 where the score is above 0 (positive), else 0 (negative)."""
        return (self.scores > 0).long()

    @property
    def majority(self) -> float:
        """Share of the more frequent label, in [0.5, 1]: the accuracy of always saying it."""
        positive = self.labels.double().mean().item()
        return max(positive, 1 - positive)

    @property
    def train(self) -> "SentimentSet":
        """About 70 % of the groups, for the parameters and the vocabulary."""
        return self._part(0)

    @property
    def validation(self) -> "SentimentSet":
        """About 10 % of the groups, for every choice, such as when to stop."""
        return self._part(1)

    @property
    def test(self) -> "SentimentSet":
        """About 20 % of the groups, for the numbers that are reported."""
        return self._part(2)

    def _part(self, part: int) -> "SentimentSet":
        rows = (self.parts == part).nonzero().flatten()
        return SentimentSet(
            self.name,
            tuple(self.texts[row] for row in rows.tolist()),
            self.scores[rows],
            self.groups[rows],
            self.parts[rows],
            self.dropped,
        )


def vader(name: str, *, neutral: float | None = 0.25) -> SentimentSet:
    """Sentences that 15 to 99 people rated from -4 to +4, with a split that leaks nothing.

    Left out are repeated texts, texts without a letter or digit, and texts whose mean rating lies
    within `neutral` of 0. With the default of 0.25 a second panel of the same size would change
    fewer than 1 % of the labels; with 0 it would change 1 % (movies) to 6 % (nyt).

    The split is by review (amazon), article (nyt), or single text (tweets, and movies, whose file
    does not say which review a snippet comes from), near duplicates together.

    Args:
        name: "movies", "tweets", "amazon" or "nyt".
        neutral: rating units; 0 leaves out only exact zeros, None leaves none out (to predict
            scores rather than labels).

    Returns:
        SentimentSet

    Raises:
        ValueError: another name, or a neutral band outside [0, 4).
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Hutto & Gilbert 2014, "VADER: A parsimonious rule-based model for sentiment analysis
    of social media text", ICWSM
    """
    if name not in _FILES:
        near = difflib.get_close_matches(str(name), _FILES, n=1) or ["movies"]
        raise ValueError(
            f"vader: no set {name!r}, expected one of {', '.join(_FILES)}; write vader({near[0]!r})"
        )
    if neutral is not None and not 0 <= neutral < 4:
        raise ValueError(
            f"vader: got neutral={neutral}, expected rating units in [0, 4), or None for no band; "
            f"write neutral=0.25"
        )
    data_set, path = fetch_set(f"vader-{name}")
    content = read_member(
        path,
        "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
        f"hutto_ICWSM_2014/{_FILES[name]}_GroundTruth.txt",
    )
    texts, scores, groups = [], [], []
    seen, wordless = set(), 0
    lines = content.decode("utf-8").splitlines()
    for line in lines:
        source, score, text = line.split("\t")  # source is "review_sentence", or the number alone
        text = " ".join(html.unescape(html.unescape(text)).split())  # some are escaped twice
        if not re.search(r"\w", text):
            wordless += 1
        elif text not in seen:
            seen.add(text)
            texts.append(text)
            scores.append(float(score))
            groups.append(int(source.split("_")[0]))
    parts = group_split(groups, texts)  # before the band: the split does not depend on it
    rows = [row for row, score in enumerate(scores) if neutral is None or abs(score) > neutral]
    dropped = Dropped(
        repeated=len(lines) - wordless - len(texts),
        wordless=wordless,
        neutral=len(texts) - len(rows),
    )
    return SentimentSet(
        data_set.name,
        tuple(texts[row] for row in rows),
        torch.tensor(scores)[rows],
        torch.tensor(groups)[rows],
        torch.tensor(parts)[rows],
        dropped,
    )
