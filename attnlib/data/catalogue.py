"""The data sets: what each holds, in which unit, under which licence, and in which archive."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from attnlib.data.archives import Archive, cache_folder, fetch

__all__ = ["CATALOGUE", "DataSet", "fetch_set", "find_sets"]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set.

    Args:
        name: what loaders and commands call it.
        title: what it is, in a few words.
        rows: rows of the file, before cleaning.
        content: what a row holds.
        unit: of the numbers.
        licence: as the archive states it, for what the archive holds.
        original: what we believe about the terms of the original data; the archive does not say.
        citation: authors, year, title and place of the publication to cite.
        archive: the file that holds it.
    """

    name: str
    title: str
    rows: int
    content: str
    unit: str
    licence: str
    original: str
    citation: str
    archive: Archive

    def is_cached(self) -> bool:
        """Whether the archive is in the cache with its full size; `fetch` also checks content."""
        path = cache_folder() / self.archive.filename
        return path.is_file() and path.stat().st_size == self.archive.size


_VADER = Archive(
    project="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    size=2_466_783,
)
_HUTTO = (
    "Hutto, C. J., & Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment "
    "analysis of social media text. Proceedings of the Eighth International AAAI Conference on "
    "Weblogs and Social Media (ICWSM-14), 216-225."
)
_RATING = "mean rating, from -4 (extremely negative) to +4 (extremely positive)"

CATALOGUE: tuple[DataSet, ...] = (
    DataSet(
        name="vader-movies",
        title="Sentences about films, rated for sentiment",
        rows=10_605,
        # The file's own description names Pang & Lee (2004) and at least 20 raters. The texts are
        # those of Pang & Lee (2005), and the ratings in the archive count 15 to 29 a row.
        content="one quoted snippet of a review, rated by 15 to 29 people (median 18)",
        unit=_RATING,
        licence="MIT",
        original="quotations from reviews on rottentomatoes.com, collected by Pang and Lee (2005)",
        citation=_HUTTO,
        archive=_VADER,
    ),
    DataSet(
        name="vader-tweets",
        title="Tweets, rated for sentiment",
        rows=4_200,
        content="one tweet, or a contrived variant of one (200 rows), rated by 20 to 99 people",
        unit=_RATING,
        licence="MIT",
        original="modelled on public tweets, user names and addresses removed; Twitter's terms",
        citation=_HUTTO,
        archive=_VADER,
    ),
    DataSet(
        name="vader-amazon",
        title="Sentences of product reviews, rated for sentiment",
        rows=3_708,
        content="one sentence of one of 300 reviews of 5 products, rated by 20 people",
        unit=_RATING,
        licence="MIT",
        original="customer reviews on amazon.com, collected by Hu and Liu (2004)",
        citation=_HUTTO,
        archive=_VADER,
    ),
    DataSet(
        name="vader-nyt",
        title="Sentences of newspaper opinion pieces, rated for sentiment",
        rows=5_190,
        content="one sentence of one of 498 articles, rated by 20 people",
        unit=_RATING,
        licence="MIT",
        original="quotations from articles of The New York Times, copyright of the newspaper",
        citation=_HUTTO,
        archive=_VADER,
    ),
)


def find_sets(name: str) -> list[DataSet]:
    """Data sets of that name, or of that family: `vader` finds all that begin with `vader-`.

    Args:
        name: of a set or a family.

    Returns:
        list of DataSet, at least one

    Raises:
        ValueError: none has the name; near names are given.

    >>> [data_set.name for data_set in find_sets("vader")][:2]
    ['vader-movies', 'vader-tweets']
    """
    found = [s for s in CATALOGUE if s.name == name or s.name.startswith(f"{name}-")]
    if not found:
        names = [data_set.name for data_set in CATALOGUE]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see python -m attnlib.data list"
        raise ValueError(
            f"attnlib.data: no data set {name!r}, expected one of {', '.join(names)}; {hint}"
        )
    return found


def fetch_set(name: str) -> tuple[DataSet, Path]:
    """Entry of a data set and the path of its archive, downloaded when it is not in the cache.

    Args:
        name: of one set.

    Returns:
        DataSet, Path

    Raises:
        ValueError: no set has the name.
        DataUnavailable: the archive is not in the cache and cannot be had.
    """
    data_set = find_sets(name)[0]
    return data_set, fetch(data_set.archive, data_set.name)
