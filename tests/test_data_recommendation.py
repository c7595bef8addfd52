"""Ratings: order in time, held-out items, histories, and the facts of MovieLens 100k."""

import functools

import numpy as np
import pytest
import torch
from errors import check_error
from small_archives import holding

from attnlib.data import movielens, recommendation

real = functools.cache(movielens)

FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
ITEMS = "id\ttitle\tyear\tclass\n1\tA film\t1995\tDrama War\n2\tunkonwn\tV\tunknown\n"
ITEMS += "3\tC\t1997\tComedy\n4\tD\t1998\tCrime\n5\tE\t1998\tCrime\n"
RATINGS = ["2 1 5 300", "1 3 4 30", "1 1 5 10", "2 3 1 100", "1 4 2 20", "2 2 2 200", "2 4 3 200"]
RATINGS += ["1 5 1 40", "2 5 2 50"]


def small():
    lines = "user\titem\trating\ttime\n" + "\n".join(RATINGS).replace(" ", "\t")
    with holding(recommendation, {f"{FOLDER}.inter": lines, f"{FOLDER}.item": ITEMS}):
        return movielens()


def test_ratings_are_in_the_order_of_users_and_times_and_then_of_items():
    data = small()
    assert data.users.tolist() == [0] * 4 + [1] * 5
    assert data.items.tolist() == [1, 4, 3, 5, 5, 3, 2, 4, 1]
    assert data.times.tolist() == [10, 20, 30, 40, 50, 100, 200, 200, 300]
    assert data.ratings.tolist() == [5, 2, 4, 1, 2, 1, 2, 3, 5]
    assert data.ratings.dtype == torch.float32


def test_the_last_item_of_each_user_is_for_test_and_the_one_before_for_validation():
    data = small()
    assert data.parts.tolist() == [0, 0, 1, 2, 0, 0, 0, 1, 2]
    assert data.test.items.tolist() == [5, 1]
    assert data.validation.items.tolist() == [3, 4]
    assert data.train.items.tolist() == [1, 4, 5, 3, 2]


def test_items_have_names_years_and_genres_and_item_zero_is_free():
    data = small()
    assert data.titles == ("", "A film", "unkonwn", "C", "D", "E")
    assert data.years.tolist() == [0, 1995, 0, 1997, 1998, 1998]
    assert data.genres[:3] == ((), ("Drama", "War"), ("unknown",))


@pytest.mark.parametrize(
    ("length", "items", "lengths"),
    [
        (1, [[4], [2]], [1, 1]),
        (2, [[1, 4], [3, 2]], [2, 2]),
        (5, [[1, 4, 0, 0, 0], [5, 3, 2, 0, 0]], [2, 3]),
    ],
)
def test_a_history_is_the_last_items_the_oldest_first(length, items, lengths):
    histories, counts = small().train.histories(length)
    assert histories.tolist() == items
    assert counts.tolist() == lengths


ERRORS = [
    (lambda: small().histories(0), ValueError, "RatingSet.histories: got length=0, expected at"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


@pytest.mark.network
def test_the_counts_are_those_of_the_data_set():
    data = real()
    assert (len(data), len(data.users.unique()), len(data.titles) - 1) == (100_000, 943, 1_682)
    assert data.ratings.long().bincount().tolist() == [0, 6_110, 11_370, 27_145, 34_174, 21_201]
    assert data.users.bincount().min() >= 20
    assert data.titles[1] == "Toy Story"
    assert data.genres[1] == ("Animation", "Children's", "Comedy")


@pytest.mark.network
def test_nothing_of_the_test_part_is_seen_before():
    data = real()
    assert len(data.validation) == len(data.test) == 943
    assert len(data.train) == 100_000 - 2 * 943
    rated = data.users * 2_000 + data.items
    assert len(rated.unique()) == len(rated)
    latest = np.zeros(943, dtype=np.int64)
    np.maximum.at(latest, data.train.users.numpy(), data.train.times.numpy())
    assert (torch.from_numpy(latest) <= data.validation.times).all()
    assert (data.validation.times <= data.test.times).all()
    assert int((data.validation.times == data.test.times).sum()) == 415


@pytest.mark.network
def test_histories_are_what_a_loop_over_users_gives():
    data = real().train
    histories, lengths = data.histories(17)
    for user in range(0, 943, 50):
        own = data.items[data.users == user][-17:]
        assert histories[user, : lengths[user]].tolist() == own.tolist()
        assert not histories[user, lengths[user] :].any()
