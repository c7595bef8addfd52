"""Web pages to put in order for a query."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data._parts import Parted
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set

__all__ = ["RankingSet", "ranked_pages"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RankingSet(Parted):
    """Pages with the grade that people gave them for a query.

    `train`, `validation` and `test` are again RankingSets; all pages of a query are in one part.

    Args:
        name: of the set in the catalogue.
        features: (N, 136) float32, of page and query, in the unit of each.
        grades: (N,) int64, from 0 (irrelevant) to 4 (perfect).
        queries: (N,) int64, number of the query, pages of one query one after another.
        parts: (N,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    features: Tensor
    grades: Tensor
    queries: Tensor
    parts: Tensor

    by_row: ClassVar = ("features", "grades", "queries", "parts")
    row: ClassVar = "pages"


def ranked_pages() -> RankingSet:
    """10,000 pages for 86 queries, cut from the first fold of MSLR-WEB10K.

    The file's training half gives 36 queries for training and 7 for validation (the last of the
    file), its test half 43. So few queries make every measure uncertain: give intervals over
    queries, not pages. Queries and pages are numbers, their words were never published. The
    features have very different scales (counts, shares, lengths up to millions): take logarithms or
    ranks, then standardise by the training part. The file was cut after 5,000 pages of each half,
    so the last query of a half may lack some of its pages.

    Returns:
        RankingSet

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Qin & Liu 2013, "Introducing LETOR 4.0 datasets", arXiv:1306.2597
    """
    data_set, path = fetch_set("mslr-sample")
    rows = []
    for half in ("train", "test"):
        member = f"rankeval-0.8.2/rankeval/test/data/msn1.fold1.{half}.5k.txt"
        lines = [line.split() for line in read_member(path, member).decode().splitlines()]
        rows += [(line, 2 if half == "test" else 0) for line in lines]
    queries = np.array([int(line[1].removeprefix("qid:")) for line, _ in rows])
    parts = np.array([part for _, part in rows])
    trained_on = queries[parts == 0]
    starts = np.flatnonzero(np.diff(trained_on, prepend=-1))
    parts[starts[-7] : len(trained_on)] = 1
    features = [[cell.partition(":")[2] for cell in line[2:]] for line, _ in rows]
    return RankingSet(
        data_set.name,
        torch.from_numpy(np.array(features, dtype=np.float32)),
        torch.tensor([int(line[0]) for line, _ in rows]),
        torch.from_numpy(queries),
        torch.from_numpy(parts),
    )
