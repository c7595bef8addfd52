"""Real data sets from the package index, and tasks whose right attention map is known.

No data set is part of the library. A loader reads its archive from the cache and fetches it once
when it is not there; `python -m attnlib.data fetch` fetches all, so that the rest runs offline.
"""

from attnlib.data.archives import Archive, DataUnavailable, cache_folder, fetch, read_member
from attnlib.data.batches import TensorBatches
from attnlib.data.catalogue import CATALOGUE, DataSet, fetch_set, find_sets
from attnlib.data.sentiment import SentimentSet, vader
from attnlib.data.splits import group_split, near_duplicates
from attnlib.data.synthetic import MarkedTask, copy_task, lookup_task, reverse_task
from attnlib.data.text import Vocabulary, tokenize

__all__ = [
    "CATALOGUE",
    "Archive",
    "DataSet",
    "DataUnavailable",
    "MarkedTask",
    "SentimentSet",
    "TensorBatches",
    "Vocabulary",
    "cache_folder",
    "copy_task",
    "fetch",
    "fetch_set",
    "find_sets",
    "group_split",
    "lookup_task",
    "near_duplicates",
    "read_member",
    "reverse_task",
    "tokenize",
    "vader",
]
