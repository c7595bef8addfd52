"""Prices and returns: what is left out, how days match, and the facts of the real files."""

import functools
import gzip
from itertools import pairwise

import numpy as np
import pytest
import torch
from errors import check_error
from small_archives import check_parts, holding

from attnlib.data import stock_graph, stock_series, stocks

series = functools.cache(stock_series)
graph = functools.cache(stock_graph)

NAMES = ["panel", "market", "factors", "sp500", "nasdaq", "vix", "oil"]
FOLDER = "cvxportfolio-1.5.1/examples/paper_examples"
RETURNS = "Date,AAA,BBB,CCC,DDD,USDOLLAR\n2007-01-04,0.1,0.2,0.3,0.4,9\n2007-01-05,-0.1,0,0,0,9\n"
VOLUMES = "Date,AAA,BBB,CCC,DDD\n2007-01-03,1,1,1,1\n2007-01-04,2,2,2,2\n2007-01-05,3,3,3,3\n"


def small_graph():
    company = "{{'symbol': '{}', 'industries': {}}}"
    first = company.format("AAA", "['Banks', 'Financials']"), company.format("BBB", "['Energy']")
    second = company.format("BBB", "['Banks']"), company.format("CCC", "['Energy', 'Energy']")
    indices = "INDICES = {"
    for name in stocks._INDICES:
        own = {"S&P 500": first, "S&P 600": second}.get(name, ())
        indices += f"'{name}': {{'companies': [{', '.join(own)}]}}, "
    members = {
        f"{FOLDER}/returns.csv.gz": gzip.compress(RETURNS.encode()),
        f"{FOLDER}/volumes.csv.gz": gzip.compress(VOLUMES.encode()),
        "pytickersymbols/indices_data.py": indices + "}\nprint('executed')\n",
    }
    with holding(stocks, members):
        return stock_graph()


def test_cash_is_no_stock_and_volumes_are_of_the_days_of_the_returns():
    data = small_graph()
    assert data.tickers == ("AAA", "BBB", "CCC", "DDD")
    assert torch.equal(data.returns, torch.tensor([[0.1, 0.2, 0.3, 0.4], [-0.1, 0, 0, 0]]))
    assert data.volumes.tolist() == [[2] * 4, [3] * 4]
    assert data.times.diff().tolist() == [24 * 3_600]


def test_stocks_are_joined_by_an_industry_of_the_first_index_that_knows_them(capsys):
    data = small_graph()
    assert data.industries == (("Banks", "Financials"), ("Energy",), ("Energy",), ())
    assert data.edge_index.tolist() == [[1, 2], [2, 1]]
    assert capsys.readouterr().out == ""  # the file of industries is read, not run


def test_a_day_without_a_price_has_the_last_one_and_no_volume_is_missing():
    lines = "Date,Open,Adj Close,Volume\n12/31/1998,1,8,5\n1/4/1999,2,8,0\n1/5/1999,.,8,7\n"
    members = {"arch-8.0.0/arch/data/nasdaq/nasdaq.csv.gz": gzip.compress(lines.encode())}
    with holding(stocks, members):
        data = stock_series("nasdaq")
    assert data.variables == ("Open", "Volume")
    assert data.units == ("points", "shares")
    assert data.values.tolist() == [[1, 5], [2, 5], [2, 7]]
    assert data.observed.tolist() == [[True, True], [True, False], [False, True]]
    days = data.times.numpy().astype("datetime64[s]").astype("datetime64[D]")
    assert [str(day) for day in days] == ["1998-12-31", "1999-01-04", "1999-01-05"]


ERRORS = [(lambda: stock_series("dax"), ValueError, "no set 'dax', expected one of panel, market")]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


# --- the real archives -------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "days", "variables", "missing"),
    [
        ("panel", 8_313, 20, 0),
        ("market", 8_313, 1, 0),
        ("factors", 2_264, 5, 0),
        ("sp500", 5_031, 5, 0),
        ("nasdaq", 5_031, 5, 2),
        ("vix", 1_305, 1, 46),
        ("oil", 8_611, 1, 290),
    ],
)
def test_the_counts_are_those_of_the_files(name, days, variables, missing):
    data = series(name)
    assert data.values.shape == (days, variables)
    assert int((~data.observed).sum()) == missing
    assert len(data.variables) == len(data.units) == variables
    assert not data.values.isnan().any()
    assert (data.values > 0).all()


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_the_days_are_trading_days_and_the_parts_follow_one_another(name):
    data = series(name)
    assert (data.times.diff() > 0).all()
    weekday = (data.times // (24 * 3_600) + 3) % 7
    assert weekday.max() < 5
    check_parts(data, tolerance=0.001)
    for one, next_one in pairwise((data.train, data.validation, data.test)):
        assert one.times.max() < next_one.times.min()


@pytest.mark.network
@pytest.mark.parametrize("name", ["sp500", "nasdaq"])
def test_the_highest_price_is_the_highest_and_the_lowest_the_lowest(name):
    data = series(name)
    for price in ("Open", "Close"):
        assert (data.column("Low") <= data.column(price)).all()
        assert (data.column(price) <= data.column("High")).all()


@pytest.mark.network
def test_two_sources_agree_on_the_index():
    ours, other = series("market"), series("sp500")
    days, mine, others = np.intersect1d(ours.times, other.times, return_indices=True)
    assert len(days) > 5_000
    torch.testing.assert_close(
        ours.column("SP500")[mine], other.column("Close")[others], rtol=2e-3, atol=0
    )


@pytest.mark.network
def test_the_graph_has_the_stocks_of_the_paper_and_all_parts_in_time():
    data = graph()
    assert data.returns.shape == data.volumes.shape == (2_517, 431)
    assert len(set(data.tickers)) == len(data.industries) == 431
    assert "USDOLLAR" not in data.tickers
    assert sum(not own for own in data.industries) == 120
    check_parts(data, tolerance=0.001)
    assert data.train.times.max() < data.validation.times.min()
    assert data.validation.times.max() < data.test.times.min()
    assert data.train.edge_index.shape == data.edge_index.shape


@pytest.mark.network
def test_a_return_is_of_the_day_itself():
    data, prices = graph(), series("panel")
    apple = prices.column("AAPL")
    days, mine, theirs = np.intersect1d(data.times, prices.times[1:], return_indices=True)
    ours = data.returns[mine, data.tickers.index("AAPL")]
    same_day = (apple[1:] / apple[:-1] - 1)[theirs]
    assert len(days) > 2_500
    assert torch.corrcoef(torch.stack([ours, same_day]))[0, 1] > 0.98


@pytest.mark.network
def test_edges_go_both_ways_and_join_stocks_that_move_together():
    data = graph()
    joined = torch.zeros(431, 431, dtype=torch.bool)
    joined[data.edge_index[0], data.edge_index[1]] = True
    assert torch.equal(joined, joined.T)
    assert not joined.diagonal().any()
    known = torch.tensor([bool(own) for own in data.industries])
    correlation = data.returns.T.corrcoef()
    apart = known & known[:, None] & ~joined & ~torch.eye(431, dtype=torch.bool)
    assert correlation[joined].mean() > correlation[apart].mean() + 0.08


@pytest.mark.network
def test_returns_and_volumes_are_likely():
    data = graph()
    assert data.returns.min() > -1
    assert data.returns.max() < 1
    assert data.volumes.min() >= 0
    assert 1e7 < data.volumes.median() < 1e9
