"""Exercises of "What will they look at next?"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- hit rate


def _hits(scores: Tensor, truth: Tensor, k: int) -> Tensor:
    return (scores.topk(k, dim=1).indices == truth[:, None]).any(1).float()


def _hit_rate(scores: Tensor, truth: Tensor, seen: Tensor, k: int) -> Tensor:
    return _hits(scores.masked_fill(seen, -torch.inf), truth, k).mean()


def _hit_cases():
    yield (
        torch.tensor([[0.9, 0.5, 0.1]]),
        torch.tensor([1]),
        torch.tensor([[True, False, False]]),
        1,
    )
    yield (
        torch.tensor([[-0.4, -0.9, -0.1, -0.6], [-0.8, -0.2, -0.5, -0.3]]),
        torch.tensor([0, 3]),
        torch.tensor([[False, True, True, False], [True, False, False, False]]),
        2,
    )
    for seed, (users, items, k) in enumerate(((5, 8, 3), (13, 9, 2), (17, 11, 4))):
        scores = normal(users, items, seed=seed) - 1
        truth = torch.arange(users) * 3 % items
        seen = normal(users, items, seed=seed + 9) > 0.5
        yield scores, truth, seen & ~F.one_hot(truth, items).bool(), k


hit_rate = Exercise(
    "attention-prediction/hit-rate",
    _hit_rate,
    _hit_cases,
    {
        "Seen items are still candidates. They hold the first places, for a model likes what the "
        "user has chosen before.": lambda scores, truth, seen, k: _hits(scores, truth, k).mean(),
        "Your mask is upside down: True means seen, and seen items are no candidates.": (
            lambda scores, truth, seen, k: _hits(
                scores.masked_fill(~seen, -torch.inf), truth, k
            ).mean()
        ),
        "A seen item gets the score 0. Scores may be negative, and then 0 is the "
        "best.": lambda scores, truth, seen, k: _hits(
            scores.masked_fill(seen, 0.0), truth, k
        ).mean(),
        "You take the k lowest scores. The best item has the highest one.": (
            lambda scores, truth, seen, k: _hits(
                -scores.masked_fill(seen, torch.inf), truth, k
            ).mean()
        ),
        "You look at the best item only. All of the first k places count.": (
            lambda scores, truth, seen, k: _hit_rate(scores, truth, seen, 1)
        ),
        "Your list is one place too short: the item at place k is a hit as well.": (
            lambda scores, truth, seen, k: (
                (
                    (scores.masked_fill(seen, -torch.inf) >= scores.gather(1, truth[:, None])).sum(
                        1
                    )
                    < k
                )
                .float()
                .mean()
            )
        ),
        "Your list is one place too long. A rank that starts at 0 must be less than k.": (
            lambda scores, truth, seen, k: _hit_rate(
                scores, truth, seen, min(k + 1, scores.shape[1])
            )
        ),
        "You return the number of hits. The share is this number divided by the users.": (
            lambda scores, truth, seen, k: _hits(
                scores.masked_fill(seen, -torch.inf), truth, k
            ).sum()
        ),
        "You divide by k as well, which is precision. Each user has one true item, and a hit "
        "counts 1.": lambda scores, truth, seen, k: _hit_rate(scores, truth, seen, k) / k,
        "You return a hit for each user. The mean over users is still to be taken.": (
            lambda scores, truth, seen, k: _hits(scores.masked_fill(seen, -torch.inf), truth, k)
        ),
    },
    hints=(
        "First make sure that no seen item can be among the best. Which score does that?",
        "scores (U, I), best k (U, k), truth[:, None] (U, 1), hits (U,)",
        "scores = <seen items at minus infinity>\n"
        "best = <indices of the k largest in each row>\n"
        "return <mean over users of: is the truth among them?>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- NDCG


def _rank(scores: Tensor, truth: Tensor, equals: float = 0.5) -> Tensor:
    own = scores.gather(1, truth[:, None])
    return 1 + (scores > own).sum(1) + equals * ((scores == own).sum(1) - 1)


def _ndcg(scores: Tensor, truth: Tensor, k: int) -> Tensor:
    return _gain(_rank(scores, truth), k).mean()


def _gain(rank: Tensor, k: int) -> Tensor:
    return (rank <= k) / torch.log2(1 + rank)


def _ndcg_cases():
    yield torch.tensor([[0.5, 0.9, 0.1]]), torch.tensor([0]), 2
    yield torch.tensor([[0.5, 0.9, 0.1], [0.2, 0.3, 0.4]]), torch.tensor([1, 0]), 2
    yield torch.zeros(2, 5), torch.tensor([1, 3]), 3
    for seed, (users, items, k) in enumerate(((6, 7, 4), (9, 12, 5))):
        scores = (normal(users, items, seed=seed) * 2).round()  # with ties
        yield scores, torch.arange(users) * 5 % items, k


ndcg = Exercise(
    "attention-prediction/ndcg",
    _ndcg,
    _ndcg_cases,
    {
        "Equal scores count for nothing, so a model that gives all items one score is perfect. "
        "Half of the other equals count as better.": lambda scores, truth, k: _gain(
            _rank(scores, truth, 0), k
        ).mean(),
        "All equal scores count as better. It is half of them.": lambda scores, truth, k: _gain(
            _rank(scores, truth, 1), k
        ).mean(),
        "You round half of the equals down. With an odd number of them the rank ends in a "
        "half.": lambda scores, truth, k: _gain(_rank(scores, truth).floor(), k).mean(),
        "The item itself is among your equals, which adds a half to each rank.": (
            lambda scores, truth, k: _gain(_rank(scores, truth) + 0.5, k).mean()
        ),
        "A miss must count 0. You give every rank its gain, however late it is.": (
            lambda scores, truth, k: (1 / torch.log2(1 + _rank(scores, truth))).mean()
        ),
        "Your ranks start at 0 in the logarithm: the best item divides by log 1, which is "
        "0.": lambda scores, truth, k: (
            (_rank(scores, truth) <= k) / torch.log2(_rank(scores, truth))
        ).mean(),
        "The logarithm has another base. With base 2 the best item has gain 1.": (
            lambda scores, truth, k: (
                (_rank(scores, truth) <= k) / torch.log(1 + _rank(scores, truth))
            ).mean()
        ),
        "This is the hit rate: each hit counts 1. Later places are to count less.": (
            lambda scores, truth, k: (_rank(scores, truth) <= k).float().mean()
        ),
        "You divide by the rank, as the mean reciprocal rank does. The gain falls with the "
        "logarithm.": lambda scores, truth, k: (
            (_rank(scores, truth) <= k) / _rank(scores, truth)
        ).mean(),
        "The mean is over the hits alone. A user without a hit counts 0 and is still a "
        "user.": lambda scores, truth, k: (
            _gain(_rank(scores, truth), k).sum() / (_rank(scores, truth) <= k).sum().clamp(min=1)
        ),
        "The list is one place too short: rank k is a hit.": lambda scores, truth, k: (
            (_rank(scores, truth) < k) / torch.log2(1 + _rank(scores, truth))
        ).mean(),
        "You count the lower scores. The rank counts those that are higher.": (
            lambda scores, truth, k: _ndcg(-scores, truth, k)
        ),
        "You return a gain for each user. The mean over users is still to be taken.": (
            lambda scores, truth, k: _gain(_rank(scores, truth), k)
        ),
    },
    hints=(
        "First the rank of each user's item, then its gain, then the mean.",
        "own = scores.gather(1, truth[:, None])  # (U, 1)\nrank (U,), from 1; gain (U,)",
        "rank = 1 + <how many are higher> + <how many others are equal> / 2\n"
        "return <mean over all users of: 1 / log2(1 + rank) where rank <= k, else 0>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- leave the last out


def _places_from_end(users: Tensor, times: Tensor) -> Tensor:
    """(R,): how many ratings of the same user are later."""
    same = users[:, None] == users
    return (same & (times > times[:, None])).sum(1)


def _parts(users: Tensor, times: Tensor) -> Tensor:
    return (2 - _places_from_end(users, times)).clamp(min=0)


def _parts_by_rows(users, times):
    rows = torch.arange(len(users))
    return _parts(users, rows)


def _parts_sorted(users, times):
    order = (users * (times.max() + 1) + times).argsort()
    return _parts(users, times)[order]


def _parts_by_key(factor):
    """One sort by users * factor + times, with a factor below the largest time."""

    def parts(users, times):
        order = (users * factor + times).argsort()
        last = users.bincount().cumsum(0) - 1  # where each user would end
        result = torch.zeros_like(users)
        result[order[last]], result[order[last - 1]] = 2, 1
        return result

    return parts


def _parts_globally(users, times):
    """The latest ratings of all, as many as there are users."""
    count = len(users.unique())
    parts = torch.zeros_like(users)
    order = times.argsort()
    parts[order[-2 * count : -count]], parts[order[-count:]] = 1, 2
    return parts


def _split_cases():
    yield torch.tensor([0, 0, 0]), torch.tensor([30, 10, 20])
    yield torch.tensor([0, 1, 0, 1, 0, 1, 1]), torch.tensor([50, 7, 20, 90, 40, 3, 60])
    for seed, (users, rows) in enumerate(((3, 14), (4, 23))):
        generator = torch.Generator().manual_seed(seed)
        who = torch.cat([torch.arange(users).repeat(3), torch.arange(rows - 3 * users) % users])
        who = who[torch.randperm(rows, generator=generator)]
        yield who, torch.randperm(10 * rows, generator=generator)[:rows]
    # real times: seconds since 1970, users side by side for months
    millions = torch.tensor([874, 879, 893, 884, 888, 901, 869, 906, 897])
    yield torch.tensor([1, 0, 1, 0, 2, 0, 2, 1, 2]), millions * 10**6


leave_last_out = Exercise(
    "attention-prediction/leave-last-out",
    _parts,
    _split_cases,
    {
        "You trust the order of the rows. They come in any order; the times say which is "
        "last.": _parts_by_rows,
        "The parts come sorted by user and time, but the rows that you were given are not. Put "
        "each part back at its own row.": _parts_sorted,
        "Your test part holds the latest ratings of all, so some users have several and others "
        "none. Each user has one.": _parts_globally,
        "You hold out the first ratings. Then the model learns from the future and forecasts the "
        "past.": lambda users, times: _parts(users, -times),
        "Validation and test are swapped. The latest rating is the test.": lambda users, times: (
            torch.tensor([0, 2, 1])[_parts(users, times)]
        ),
        "There is no validation part: the rating before the last one still trains.": (
            lambda users, times: 2 * (_parts(users, times) == 2).long()
        ),
        "The rating before the last one is in the test part too. It validates.": (
            lambda users, times: 2 * (_parts(users, times) > 0).long()
        ),
        "Only one user is split. The last rating of all is one user's; every user has "
        "one.": lambda users, times: _parts(torch.zeros_like(users), times),
        "Your key lets the times of one user run into the next user. Times may be near 10**9, so "
        "users must lie further apart than that.": _parts_by_key(1000),
        "Your key lets times of different users mix at once: users lie closer together in it than "
        "times do.": _parts_by_key(100),
        "Your parts are numbered backwards: 0 trains, 2 tests.": lambda users, times: (
            2 - _parts(users, times)
        ),
        "You return how many later ratings there are. The part is 2 where there is none, 1 where "
        "there is one, else 0.": _places_from_end,
    },
    hints=(
        "Treat one user at a time: which of these rows has the latest time?",
        "rows = (users == user).nonzero().flatten()  # (n,), row numbers of this user\n"
        "times[rows].argsort()                       # (n,), places in rows, earliest first",
        "for each user:\n"
        "    rows = <row numbers of this user, earliest first>\n"
        "    parts[<the last of them>] = 2 and parts[<the one before>] = 1",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- Markov chain


def _pairs(histories: list[Tensor], count: int) -> Tensor:
    pairs = torch.zeros(count, count)
    for items in histories:
        before, after = items[:-1], items[1:]
        pairs.index_put_((before, after), torch.ones(len(before)), accumulate=True)
    return pairs


def _markov_once_a_history(histories, count, alpha):
    pairs = torch.zeros(count, count)
    for items in histories:
        pairs[items[:-1], items[1:]] += 1  # a pair that comes twice adds one only
    return _smooth(pairs, _share(histories, count), alpha)


def _markov_laplace(histories, count, alpha):
    pairs, share = _pairs(histories, count), _share(histories, count)
    return (pairs + alpha * share) / (pairs.sum(1, keepdim=True) + alpha * count)


def _markov_plus_one(histories, count, alpha):
    seen = torch.cat(histories).bincount(minlength=count) + 1.0
    return _smooth(_pairs(histories, count), seen / seen.sum(), alpha)


def _share(histories: list[Tensor], count: int) -> Tensor:
    seen = torch.cat(histories).bincount(minlength=count).float()
    return seen / seen.sum()


def _smooth(pairs: Tensor, share: Tensor, alpha: float) -> Tensor:
    return (pairs + alpha * share) / (pairs.sum(1, keepdim=True) + alpha)


def _markov(histories: list[Tensor], count: int, alpha: float) -> Tensor:
    return _smooth(_pairs(histories, count), _share(histories, count), alpha)


def _markov_joined(histories, count, alpha):
    return _smooth(_pairs([torch.cat(histories)], count), _share(histories, count), alpha)


def _markov_any_later(histories, count, alpha):
    pairs = torch.zeros(count, count)
    for items in histories:
        for i in range(len(items)):
            for later in items[i + 1 :]:
                pairs[items[i], later] += 1
    return _smooth(pairs, _share(histories, count), alpha)


def _markov_once(histories, count, alpha):
    return _smooth(_pairs(histories, count).clamp(max=1), _share(histories, count), alpha)


def _markov_arrivals(histories, count, alpha):
    """Popularity from the second item of each history on."""
    return _smooth(
        _pairs(histories, count), _share([items[1:] for items in histories], count), alpha
    )


def _markov_uniform(histories, count, alpha):
    return _smooth(_pairs(histories, count), torch.full((count,), 1 / count), alpha)


def _markov_unnormalised(histories, count, alpha):
    return _pairs(histories, count) + alpha * _share(histories, count)


def _markov_counts(histories, count, alpha):
    pairs, share = _pairs(histories, count), _share(histories, count)
    return (pairs + alpha * share) / pairs.sum(1, keepdim=True).clamp(min=1)


def _markov_columns(histories, count, alpha):
    pairs, share = _pairs(histories, count), _share(histories, count)
    return (pairs + alpha * share) / (pairs.sum(0, keepdim=True) + alpha)


def _markov_swapped(histories, count, alpha):
    return _smooth(_pairs(histories, count).T, _share(histories, count), alpha)


def _markov_plain(histories, count, alpha):
    pairs = _pairs(histories, count)
    return pairs / pairs.sum(1, keepdim=True).clamp(min=1)


def _markov_raw(histories, count, alpha):
    seen = torch.cat(histories).bincount(minlength=count).float()
    return _smooth(_pairs(histories, count), seen, alpha)


def _markov_cases():
    yield [torch.tensor([0, 1, 1])], 2, 1.0
    yield [torch.tensor([0, 1, 2, 1]), torch.tensor([2, 0, 1])], 3, 0.5
    yield [torch.tensor([3, 0, 3, 0, 1, 3]), torch.tensor([2]), torch.tensor([1, 3, 0])], 5, 2.0
    yield [torch.tensor([4, 1, 0, 5, 4, 1, 2]), torch.tensor([0, 5, 5, 4, 0])], 6, 3.0


markov = Exercise(
    "attention-prediction/markov",
    _markov,
    _markov_cases,
    {
        "You joined the histories, so the first item of one person follows the last item of "
        "another. Count inside each history.": _markov_joined,
        "You count every later item. Only the one right after it makes a pair.": _markov_any_later,
        "Your table is turned: the row is the item before, the column the item "
        "after.": _markov_swapped,
        "A pair counts once, however often it comes. The table holds numbers, not yes and "
        "no.": _markov_once,
        "Inside a history a pair counts once, however often it comes. `+=` with an index list that "
        "holds a pair twice adds one only.": _markov_once_a_history,
        "Your denominator has alpha times the number of items. Here alpha is spread over all items "
        "by p, which sums to 1: a row gets alpha in all.": _markov_laplace,
        "You add one to each count of popularity, as the chapter does. Here p is the plain "
        "share.": _markov_plus_one,
        "Your columns are divided by their sums. It is a row that must sum to 1: what comes after "
        "item i.": _markov_columns,
        "There is no smoothing: pairs that were never seen have probability 0, and some rows are "
        "empty.": _markov_plain,
        "You spread alpha evenly over all items. It follows popularity.": _markov_uniform,
        "You use counts for popularity. It is a share: the entries of p sum to 1.": _markov_raw,
        "The denominator lacks alpha, so that rows sum to more than 1.": _markov_counts,
        "These are smoothed counts. Divide each row by its sum.": _markov_unnormalised,
        "Your popularity leaves out the first item of each history. All items in all histories "
        "count.": _markov_arrivals,
    },
    hints=(
        "Two tables: how often j came after i, and how popular j is. Fill them by a loop over "
        "histories.",
        "n (count, count): row = before, column = after\np (count,), sums to 1",
        "for each history: n[<item>, <next item>] += 1\n"
        "p = <count of each item in all histories> / <count of all>\n"
        "return (n + alpha * p) / (<row sums of n, as a column> + alpha)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- calibration


def _error(p: Tensor, hit: Tensor, bins: int) -> Tensor:
    return _error_with()(p, hit, bins)


def _error_with(
    order=lambda p: p.argsort(),
    distance=lambda p, hit: (p.mean() - hit.mean()).abs(),
    share=lambda rows, p, bins: len(rows) / len(p),
    cut=lambda rows, bins: rows.chunk(bins),
):
    def error(p: Tensor, hit: Tensor, bins: int) -> Tensor:
        pieces = cut(order(p), bins)
        terms = [distance(p[rows], hit[rows]) * share(rows, p, bins) for rows in pieces]
        return torch.stack(terms).sum()

    return error


def _error_of_width(p, hit, bins):
    place = (p * bins).long().clamp(max=bins - 1)
    total = torch.tensor(0.0)
    for b in range(bins):
        rows = (place == b).nonzero().flatten()
        if len(rows):
            total = total + (p[rows].mean() - hit[rows].mean()).abs() * len(rows) / len(p)
    return total


def _ece_cases():
    yield torch.tensor([0.9, 0.1, 0.3]), torch.tensor([1.0, 0.0, 0.0]), 2
    yield torch.tensor([0.7, 0.2, 0.6, 0.4, 0.05]), torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0]), 2
    for seed, (n, bins) in enumerate(((11, 3), (23, 4), (50, 7))):
        p = normal(n, seed=seed).sigmoid()
        yield p, (normal(n, seed=seed + 5).sigmoid() < p**2).float(), bins


calibration_error = Exercise(
    "attention-prediction/calibration-error",
    _error,
    _ece_cases,
    {
        "The predictions are not sorted before they are cut, so each piece holds all kinds of "
        "probabilities.": _error_with(order=lambda p: torch.arange(len(p))),
        "You sort from the largest down, so the short piece is at the other end. Sort from the "
        "smallest up.": _error_with(order=lambda p: p.argsort(descending=True)),
        "Your pieces are cut otherwise, as `tensor_split` does. `chunk` makes all pieces equal but "
        "the last, and sometimes fewer of them.": _error_with(
            cut=lambda rows, bins: rows.tensor_split(bins)
        ),
        "All pieces weigh alike. The last one may hold fewer predictions; weigh each by its "
        "number.": lambda p, hit, bins: (
            _error_with(share=lambda rows, p, bins: 1.0)(p, hit, bins)
            / len(p.argsort().chunk(bins))
        ),
        "The distances are added up, not averaged.": _error_with(share=lambda rows, p, bins: 1.0),
        "Each distance is multiplied by the number of its predictions, and the sum is not divided "
        "by their total.": _error_with(share=lambda rows, p, bins: len(rows)),
        "You keep the sign, so that too much in one piece pays for too little in "
        "another.": _error_with(distance=lambda p, hit: p.mean() - hit.mean()),
        "You square the distance. Its plain size is wanted.": _error_with(
            distance=lambda p, hit: (p.mean() - hit.mean()).square()
        ),
        "You compare each prediction with its own hit. A hit is 0 or 1 and no probability is; "
        "compare the means of a piece.": _error_with(
            distance=lambda p, hit: (p - hit).abs().mean()
        ),
        "All predictions are in one piece: this compares two means and hides where the "
        "probabilities are wrong.": lambda p, hit, bins: _error(p, hit, 1),
        "Your pieces have equal width on the scale of p. Here they have (nearly) equal numbers of "
        "predictions.": _error_of_width,
        "You return the worst piece. The weighted mean of all is wanted.": (
            lambda p, hit, bins: max(
                (p[rows].mean() - hit[rows].mean()).abs() for rows in p.argsort().chunk(bins)
            )
        ),
        "You sort p and leave the hits where they were. Sort both by the same order.": (
            lambda p, hit, bins: _error(p.sort().values, hit, bins)
        ),
    },
    hints=(
        "Sort from the smallest up, cut, compare, weigh. What must be sorted along with p?",
        "p.argsort().chunk(bins)  # a tuple of row numbers, together (n,)",
        "for rows in <row numbers in the order of p, cut>:\n"
        "    distance = |<mean p of rows> - <mean hit of rows>|\n"
        "    error += distance * <share of rows in all>",
    ),
    minutes=8,
    difficulty=2,
)
