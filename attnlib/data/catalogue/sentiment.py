"""Sentences with a human rating."""

from attnlib.data.archives import Archive
from attnlib.data.catalogue.entry import DataSet

__all__ = ["SENTIMENT"]

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

SENTIMENT: tuple[DataSet, ...] = (
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
