"""Exercises of "Project 2: a graph of stocks"."""

import torch
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- correlations of the past


def _past(returns: Tensor, day: int) -> Tensor:
    return torch.corrcoef(returns[:day].T)


def _cosine(x: Tensor) -> Tensor:
    unit = x / x.norm(dim=0)
    return unit.T @ unit


past_correlations = Exercise(
    "stock-graph/past-correlations",
    _past,
    [
        (torch.tensor([[1.0, 2.0], [2.0, 1.0], [4.0, 5.0], [9.0, -9.0]]), 3),
        (normal(12, 5), 8),
        (normal(9, 3, seed=1) + 1, 6),
        (normal(20, 7, seed=2), 19),
    ],
    {
        "You use all days, the test days too. Which days are over when the day begins?": (
            lambda returns, day: torch.corrcoef(returns.T)
        ),
        "Your last day is the day itself, whose returns are only known in the evening. One "
        "day too many.": lambda returns, day: torch.corrcoef(returns[: day + 1].T),
        "One day too few: the day just before is over and may be used.": (
            lambda returns, day: torch.corrcoef(returns[: day - 1].T)
        ),
        "These are correlations of the future: you kept the days from this one on.": (
            lambda returns, day: (
                torch.corrcoef(returns[day:].T)
                if len(returns) - day > 1
                else torch.full((returns.shape[1],) * 2, torch.nan)
            )
        ),
        "You correlate days, not stocks: your result has a row for each day. What is a variable "
        "here, and where does `corrcoef` want it?": lambda returns, day: torch.corrcoef(
            returns[:day]
        ),
        "These are covariances. Stocks that move much would look close to everybody; divide by "
        "both standard deviations.": lambda returns, day: torch.cov(returns[:day].T),
        "The means were not taken off, so two stocks that both rise look alike even if their ups "
        "and downs differ.": lambda returns, day: _cosine(returns[:day]),
        "You took off the mean of each day, not the mean of each stock.": lambda returns, day: (
            _cosine(returns[:day] - returns[:day].mean(1, keepdim=True))
        ),
    },
    hints=(
        "Two questions: which rows are known, and what has to be a row for `corrcoef`?",
        "returns (T, N), known (day, N), result (N, N) with ones on the diagonal",
        "known = <the rows before the day>\nreturn <correlations of the columns of known>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- the strongest neighbours


def _strongest(correlations: Tensor, k: int) -> Tensor:
    others = correlations.clone().fill_diagonal_(-torch.inf)
    source = others.topk(k, dim=1).indices
    target = torch.arange(len(source)).repeat_interleave(k)
    return torch.stack([source.flatten(), target])


def _strongest_of(change=lambda c: c, largest=True):
    def strongest(correlations: Tensor, k: int) -> Tensor:
        others = change(correlations.clone())
        source = others.topk(k, dim=1, largest=largest).indices
        target = torch.arange(len(source)).repeat_interleave(k)
        return torch.stack([source.flatten(), target])

    return strongest


def _above_all(correlations: Tensor, k: int) -> Tensor:
    N = len(correlations)
    others = correlations.clone().fill_diagonal_(-torch.inf)
    place = others.flatten().topk(N * k).indices
    return torch.stack([place % N, place // N])


def _first_dropped(correlations: Tensor, k: int) -> Tensor:
    source = correlations.topk(k + 1, dim=1).indices[:, 1:]
    target = torch.arange(len(source)).repeat_interleave(k)
    return torch.stack([source.flatten(), target])


def _target_wrong(correlations: Tensor, k: int) -> Tensor:
    source = _strongest(correlations, k)[0]
    return torch.stack([source, torch.arange(len(correlations)).repeat(k)])


def _correlation_cases():
    yield torch.tensor([[1.0, 0.5, -0.8], [0.5, 1.0, 0.1], [-0.8, 0.1, 1.0]]), 1
    for seed, (N, k) in enumerate(((5, 2), (7, 3), (11, 4))):
        yield torch.corrcoef(normal(N, 15, seed=seed)), k
    # Stocks 1 and 4 are two shares of one company: they correlate at exactly 1.
    correlations = torch.corrcoef(normal(6, 15, seed=3))
    correlations[4], correlations[:, 4] = correlations[1], correlations[:, 1]
    correlations[[1, 1, 4, 4], [1, 4, 1, 4]] = 1.0
    yield correlations, 1


strongest = Exercise(
    "stock-graph/strongest",
    _strongest,
    _correlation_cases,
    {
        "Each stock is its own closest neighbour: the ones on the diagonal win. Hide them "
        "first.": _strongest_of(),
        "You set the diagonal to 0. That still beats a negative correlation, so some stocks may "
        "hear themselves.": _strongest_of(lambda c: c.fill_diagonal_(0.0)),
        "Source and target are swapped. The lower row holds who listens, and everybody listens "
        "to exactly k.": lambda correlations, k: _strongest(correlations, k).flip(0),
        "You rank by absolute value, so a stock that moves the other way counts as close. It "
        "was not asked for.": _strongest_of(lambda c: c.abs().fill_diagonal_(-torch.inf)),
        "These are the weakest, not the strongest.": _strongest_of(
            lambda c: c.fill_diagonal_(torch.inf), largest=False
        ),
        "You drop the first of each row and trust that it is the stock itself. Two shares of one "
        "company correlate at 1 as well, and then the wrong one may go.": _first_dropped,
        "You keep the strongest pairs of the whole table. Then some stocks have many neighbours "
        "and others none; each should have k.": _above_all,
        "The targets come in the wrong order: 0, 1, 2, 0, 1, 2. Source 0 to k - 1 all belong to "
        "target 0.": _target_wrong,
        "One neighbour too many. Did you keep a place for the stock itself?": (
            lambda correlations, k: _strongest(correlations, min(k + 1, len(correlations)))
        ),
    },
    hints=(
        "Which entry of each row must never be chosen, and what number makes sure of it?",
        "topk gives (N, k): row i holds the sources of target i. Flatten it, and write each "
        "target k times.",
        "others = <a copy with minus infinity on the diagonal>\n"
        "source = <indices of the k largest of each row>\n"
        "target = <0 k times, 1 k times, ...>\n"
        "return <sources above targets>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- a batch of days


def _day_edges(edge_index: Tensor, days: int, N: int) -> Tensor:
    return _day_edges_with()(edge_index, days, N)


def _day_edges_with(step=lambda edge_index, N: N, first=0, rows=(1, 1)):
    def day_edges(edge_index: Tensor, days: int, N: int) -> Tensor:
        offset = step(edge_index, N) * (torch.arange(days) + first)
        moved = torch.tensor(rows)[:, None, None] * offset[:, None]
        return (edge_index[:, None] + moved).flatten(1)

    return day_edges


def _day_edges_interleaved(edge_index: Tensor, days: int, N: int) -> Tensor:
    return (edge_index[:, :, None] + N * torch.arange(days)).flatten(1)


day_edges = Exercise(
    "stock-graph/day-edges",
    _day_edges,
    [
        (torch.tensor([[0, 1], [1, 0]]), 2, 3),
        (torch.tensor([[0, 1, 3, 2], [1, 2, 0, 0]]), 3, 5),
        (torch.tensor([[4, 0, 1], [0, 1, 4]]), 4, 7),
    ],
    {
        "All days share the same nodes: nothing was added, so each stock of the first day hears "
        "its neighbours several times.": _day_edges_with(step=lambda edge_index, N: 0),
        "Only the sources were moved. Now the first day listens to all later days, which is the "
        "future.": _day_edges_with(rows=(1, 0)),
        "Only the targets were moved. Now every day listens to the first one.": _day_edges_with(
            rows=(0, 1)
        ),
        "You add the number of edges. A day has N nodes, and nodes are what is "
        "numbered.": _day_edges_with(step=lambda edge_index, N: edge_index.shape[1]),
        "You add the largest number that occurs, plus one. A stock without an edge is a node as "
        "well: count N.": _day_edges_with(step=lambda edge_index, N: int(edge_index.max()) + 1),
        "You add N - 1 for each day, so the last node of a day is the first of the "
        "next.": _day_edges_with(step=lambda edge_index, N: N - 1),
        "The first day begins at N. Its first node has the number 0.": _day_edges_with(first=1),
        "You add 1 for each day instead of N.": _day_edges_with(step=lambda edge_index, N: 1),
        "Your days stand below each other, so there are more than two rows. An edge list has one "
        "row of sources and one of targets, however long.": lambda edge_index, days, N: torch.cat(
            [edge_index + N * day for day in range(days)], 0
        ),
        "The edges are right and in another order: all days of the first edge, then of the "
        "second. Asked for is day after day.": _day_edges_interleaved,
    },
    hints=(
        "Node i of day b: which number has it in the graph of all days?",
        "edge_index[:, None] (2, 1, E) plus offsets (days, 1) gives (2, days, E)",
        "offset = <N times 0, 1, ..., days - 1, as a column>\n"
        "return <edges plus offset, flattened to (2, days E)>",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- the information coefficient


def _ranks(x: Tensor) -> Tensor:
    return x.argsort(-1).argsort(-1).to(x.dtype)


def _columns_correlate(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


def _information(forecast: Tensor, truth: Tensor) -> Tensor:
    return _columns_correlate(_ranks(forecast), _ranks(truth))


def _either_precision(answer, forecast: Tensor, truth: Tensor):
    found = answer(forecast, truth)
    return found.float() if isinstance(found, Tensor) else found


information = Exercise(
    "stock-graph/information",
    _information,
    [
        (torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.1, 0.3, 0.2]])),
        (normal(4, 6), normal(4, 6, seed=1) ** 3),
        (normal(3, 8, seed=2), normal(3, 8, seed=3) ** 3),
        (normal(7, 5, seed=4), normal(7, 5, seed=5) ** 3),
    ],
    {
        "This is the correlation of the values. One wild stock can decide it; take the places in "
        "the order first.": _columns_correlate,
        "One argsort gives *which stock* stands at each place. The rank is the place of each "
        "stock: one step more.": lambda forecast, truth: _columns_correlate(
            forecast.argsort(-1).float(), truth.argsort(-1).float()
        ),
        "One argsort, and no mean taken off. The first names the stock at each place; the rank is "
        "the place of each stock, and a correlation is of what differs from the mean.": (
            lambda forecast, truth: torch.cosine_similarity(
                forecast.argsort(-1).float(), truth.argsort(-1).float(), dim=-1
            )
        ),
        "The ranks are right, but their mean was not taken off, so even unrelated orders seem to "
        "agree.": lambda forecast, truth: torch.cosine_similarity(
            _ranks(forecast), _ranks(truth), dim=-1
        ),
        "You rank each stock against its own other days, down the columns. Which dimension holds "
        "the stocks of one day?": lambda forecast, truth: _columns_correlate(
            forecast.argsort(0).argsort(0).float(), truth.argsort(0).argsort(0).float()
        ),
        "You rank over time. On one day the stocks are compared with each other: which dimension "
        "are they?": lambda forecast, truth: _information(forecast.T, truth.T),
        "Only the forecast was ranked. The truth has outliers, too.": lambda forecast, truth: (
            _columns_correlate(_ranks(forecast), truth)
        ),
        "Only the truth was ranked. Ranks are wanted of both.": lambda forecast, truth: (
            _columns_correlate(forecast, _ranks(truth))
        ),
        "This is the mean over the days. Return one number for each day: its spread over the days "
        "is needed for the interval.": lambda forecast, truth: _information(forecast, truth).mean(),
        "You correlate all days in one row. Days differ in level; each day has its own "
        "coefficient.": lambda forecast, truth: _information(
            forecast.flatten()[None], truth.flatten()[None]
        ),
        "This is a covariance of ranks. Divide by both norms, or it grows with the number of "
        "stocks.": lambda forecast, truth: (
            (_ranks(forecast) - _ranks(forecast).mean(-1, keepdim=True)) * _ranks(truth)
        ).mean(-1),
        "One of the two orders is turned round, so a perfect forecast gets -1.": (
            lambda forecast, truth: -_information(forecast, truth)
        ),
    },
    hints=(
        "Two steps: numbers to ranks, then the correlation of the ranks, day by day.",
        "x.argsort(-1) (days, N) names the stock at each place; its argsort is the place of each "
        "stock",
        "a, b = <ranks of both, minus their mean of the day>\n"
        "return <sum of a b over the stocks> / <product of the norms>",
    ),
    minutes=12,
    call=_either_precision,
    difficulty=2,
)


# ---------------------------------------------------------------- after costs


def _held(forecast: Tensor, n: int) -> Tensor:
    place = forecast.argsort(1)
    held = torch.zeros_like(forecast)
    held.scatter_(1, place[:, -n:], 1 / n)
    return held.scatter_(1, place[:, :n], -1 / n)


def _moved(held: Tensor) -> Tensor:
    return held.diff(dim=0, prepend=torch.zeros_like(held[:1])).abs().sum(1)


def _after_costs(forecast: Tensor, returns: Tensor, n: int, cost: float) -> Tensor:
    return _after_costs_with()(forecast, returns, n, cost)


def _after_costs_with(held=_held, moved=_moved):
    def after_costs(forecast: Tensor, returns: Tensor, n: int, cost: float) -> Tensor:
        positions = held(forecast, n)
        return (positions * returns).sum(1) - cost * moved(positions)

    return after_costs


def _net_of_day_before(forecast, returns, n, cost):
    return (_held_late(forecast, n) * returns).sum(1) - cost * _moved(_held(forecast, n))


def _next_day(returns: Tensor) -> Tensor:
    return torch.cat([returns[1:], torch.zeros_like(returns[:1])])


def _held_late(forecast: Tensor, n: int) -> Tensor:
    held = _held(forecast, n)
    return torch.cat([torch.zeros_like(held[:1]), held[:-1]])


def _free_first_day(held: Tensor) -> Tensor:
    return held.diff(dim=0, prepend=held[:1]).abs().sum(1)


after_costs = Exercise(
    "stock-graph/after-costs",
    _after_costs,
    [
        (
            torch.tensor([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]]),
            torch.tensor([[0.02, 0.01, 0.0], [0.0, 0.01, 0.03]]),
            1,
            0.001,
        ),
        (normal(4, 7), normal(4, 7, seed=1) / 50, 2, 0.002),
        (normal(6, 9, seed=2), normal(6, 9, seed=3) / 50, 3, 0.0005),
        (normal(3, 11, seed=4), normal(3, 11, seed=5) / 50, 4, 0.01),
    ],
    {
        "No costs are taken off. (Or bought and sold cancel in your sum: changes count without "
        "their sign.)": _after_costs_with(moved=lambda held: 0),
        "The first day is free in your sum. On it everything is bought, from nothing.": (
            _after_costs_with(moved=_free_first_day)
        ),
        "You pay for what you hold, every day. Costs fall on what *changes*.": _after_costs_with(
            moved=lambda held: held.abs().sum(1)
        ),
        "You halve what is traded. To sell one stock and buy another are two trades, and each "
        "costs.": _after_costs_with(moved=lambda held: _moved(held) / 2),
        "You take the costs of all days off every day. Each day pays for its own "
        "trades.": _after_costs_with(moved=lambda held: _moved(held).sum()),
        "The costs are added. They are a loss, whatever the return was.": _after_costs_with(
            moved=lambda held: -_moved(held)
        ),
        "Best and worst are swapped: you bet against the forecast.": _after_costs_with(
            held=lambda forecast, n: -_held(forecast, n)
        ),
        "You only buy the best. The worst n are sold as well.": _after_costs_with(
            held=lambda forecast, n: _held(forecast, n).clamp(min=0)
        ),
        "Each position is one whole dollar. All that is bought together should be one dollar: "
        "1/n each.": _after_costs_with(held=lambda forecast, n: _held(forecast, n) * n),
        "You earn the return with the positions of the day before. Here row t of both belongs "
        "together.": _net_of_day_before,
        "You hold and trade each position a day late. Row t of the forecast is held on day t, "
        "whose return is row t of the returns.": _after_costs_with(held=_held_late),
        "You earn the returns of the row after. In the chapter the return of day t + 1 was looked "
        "up; here it already stands in row t.": lambda forecast, returns, n, cost: _after_costs(
            forecast, _next_day(returns), n, cost
        ),
        "You earn the row after, and the last day earns the first row: `roll` goes round. Row t "
        "of both belongs together.": lambda forecast, returns, n, cost: _after_costs(
            forecast, returns.roll(-1, 0), n, cost
        ),
        "You add the days up. Return what each day alone brings; the sum is for a figure.": (
            lambda forecast, returns, n, cost: _after_costs(forecast, returns, n, cost).cumsum(0)
        ),
    },
    hints=(
        "Three steps: positions from the order of the forecasts, what they earn, what changes "
        "from the day before.",
        "positions (days, N), sum 0 each day; traded = sum over the stocks of "
        "|position - position of the day before|, the day before the first being all 0",
        "held = <1/n for the n highest, -1/n for the n lowest, else 0>\n"
        "traded = <sum of the absolute changes, the first from 0>\n"
        "return <sum of held times returns> - cost * traded",
    ),
    minutes=15,
    difficulty=3,
)
