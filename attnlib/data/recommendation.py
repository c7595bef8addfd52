"""Films that people rated, in the order in which they did."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data._parts import Parted
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set

__all__ = ["RatingSet", "movielens"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RatingSet(Parted):
    """Ratings sorted by user and then by time; each user's last item is held out.

    `train`, `validation` and `test` are again RatingSets: all but the last two ratings of each
    user, the last but one, and the last.

    Args:
        name: of the set in the catalogue.
        users: (R,) int64, from 0.
        items: (R,) int64, from 1; 0 is free to pad histories.
        ratings: (R,) float32, stars from 1 to 5.
        times: (R,) int64, seconds since 1 January 1970.
        titles: items + 1 names, "" for the item 0.
        years: (items + 1,) int64, in which each film came out; 0 = unknown.
        genres: names of the genres of each item, () for the item 0.
        parts: (R,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    users: Tensor
    items: Tensor
    ratings: Tensor
    times: Tensor
    titles: tuple[str, ...]
    years: Tensor
    genres: tuple[tuple[str, ...], ...]
    parts: Tensor

    by_row: ClassVar = ("users", "items", "ratings", "times", "parts")
    row: ClassVar = "ratings"

    def histories(self, length: int) -> tuple[Tensor, Tensor]:
        """The last items of each user in these rows, and how many there are.

        Args:
            length: L, items kept of a longer history, from its end.

        Returns:
            (U, L) int64, oldest first, 0 behind the end; (U,) int64, items of each history; the
            users in increasing order

        Raises:
            ValueError: length below 1.
        """
        if length < 1:
            raise ValueError(
                f"RatingSet.histories: got length={length}, expected at least 1; write length=50"
            )
        counts = self.users.unique(return_counts=True)[1]
        starts, lengths = counts.cumsum(0) - counts, counts.clamp(max=length)
        places = (starts + counts - lengths)[:, None] + torch.arange(length)
        kept = torch.arange(length) < lengths[:, None]
        return self.items[places.clamp(max=len(self) - 1)].where(kept, 0), lengths


def movielens() -> RatingSet:
    """MovieLens 100k: 943 people rated 1,682 films on a web site, September 1997 to April 1998.

    Each user has at least 20 ratings. Users rated many films in one sitting, often in the same
    second (the last two films of 415 users): within a second the order is that of the film's
    number, not a preference, and "next item" means the next that was rated, not seen. Times of
    different users overlap: the training part of one user holds ratings given after another user's
    test rating. Say whether candidates include films that the user has rated: nobody rates a film
    twice.

    18 films are in the list twice under two numbers, and film 267 has no name ("unkonwn"); they are
    left as they are.

    Returns:
        RatingSet

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Harper & Konstan 2015, "The MovieLens datasets: History and context"; Kang & McAuley
    2018, "Self-attentive sequential recommendation", arXiv:1808.09781 (the split)
    """
    data_set, path = fetch_set("movielens-100k")
    folder = "recbole/dataset_example/ml-100k/ml-100k"
    lines = read_member(path, f"{folder}.inter").decode().splitlines()[1:]
    users, items, ratings, times = np.array([line.split("\t") for line in lines], np.int64).T
    order = np.lexsort((items, times, users))
    users = users[order] - 1
    places_from_end = np.searchsorted(users, users, side="right") - 1 - np.arange(len(users))
    parts = np.clip(2 - places_from_end, 0, 2)
    films = [
        line.split("\t") for line in read_member(path, f"{folder}.item").decode().splitlines()[1:]
    ]
    assert [int(film[0]) for film in films] == list(range(1, len(films) + 1))
    return RatingSet(
        data_set.name,
        *map(torch.from_numpy, (users, items[order], ratings[order].astype(np.float32))),
        torch.from_numpy(times[order]),
        ("", *(film[1] for film in films)),
        torch.tensor([0, *(int(film[2]) if film[2].isdigit() else 0 for film in films)]),
        ((), *(tuple(film[3].split()) for film in films)),
        torch.from_numpy(parts),
    )
