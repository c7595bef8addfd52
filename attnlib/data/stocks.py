"""Prices of stocks and indices, and a graph of stocks by industry.

Prices are close to a random walk: "tomorrow is as today" is a baseline that honest models hardly
beat, and a chart of predicted against real prices looks perfect for it. Predict returns, or their
size (volatility), and fit scalers on the training part alone.
"""

import ast
import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data._parts import Parted, check_choice, parts_in_order
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.series import TimeSeries, carried_forward

__all__ = ["StockGraph", "stock_graph", "stock_series"]

# Name: set in the catalogue, member of the archive, unit (of the volume: shares).
_TABLES = {
    "panel": ("stocks-panel", "skfolio/datasets/data/sp500_dataset.csv.gz", "US dollars"),
    "market": ("stocks-panel", "skfolio/datasets/data/sp500_index.csv.gz", "points"),
    "factors": ("stocks-panel", "skfolio/datasets/data/factors_dataset.csv.gz", "US dollars"),
    "sp500": ("stocks-indices", "arch-8.0.0/arch/data/sp500/sp500.csv.gz", "points"),
    "nasdaq": ("stocks-indices", "arch-8.0.0/arch/data/nasdaq/nasdaq.csv.gz", "points"),
    "vix": ("stocks-indices", "arch-8.0.0/arch/data/vix/vix.csv.gz", "% a year"),
    "oil": ("stocks-indices", "arch-8.0.0/arch/data/wti/wti.csv.gz", "US dollars a barrel"),
}
_INDICES = ("S&P 500", "S&P 100", "NASDAQ 100", "DOW JONES", "S&P 600")  # the first one wins


def stock_series(name: str) -> TimeSeries:
    """Daily prices; `times` is midnight of the trading day, and weekends and holidays are missing.

    "panel": 20 named stocks of the S&P 500, 1990 to 2022, adjusted for splits and dividends. All
    were chosen because they were still there in 2022: what a portfolio of them earned, nobody knew
    how to earn (survivorship bias). Prices are rounded to a tenth of a cent, so early returns of
    stocks that then cost some cents after adjustment (AAPL, BBY, UNH) are off by up to 1 %.
    "market": the S&P 500 on the same days. "factors": 5 funds (momentum, quality, size, low
    volatility, value), 2014 to 2022.

    "sp500", "nasdaq": open, high, low, close and volume (shares), 1999 to 2018. "vix": volatility
    that options on the S&P 500 expect for the next 30 days, 2014 to January 2019. "oil": West Texas
    Intermediate, 1986 to January 2019. These two have rows for holidays, 46 and 290, whose price is
    carried forward: leave them out (`observed`) before taking returns.

    Args:
        name: "panel", "market", "factors", "sp500", "nasdaq", "vix" or "oil".

    Returns:
        TimeSeries

    Raises:
        ValueError: another name.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Nicolini, Manzi & Delatte 2025, "skfolio: Portfolio optimization in Python",
    arXiv:2507.04176 (the first three); Sheppard, "arch" (the others)
    """
    check_choice("stock_series", name, _TABLES)
    set_name, member, unit = _TABLES[name]
    _, path = fetch_set(set_name)
    variables, days, prices = _table(path, member)
    if "Volume" in variables:  # two days of the Nasdaq have a volume of 0
        volume = prices[:, variables.index("Volume")]
        volume[volume == 0] = np.nan
    kept = [place for place, variable in enumerate(variables) if variable != "Adj Close"]
    variables = [variables[place] for place in kept]  # of an index, it equals the close
    values, observed = carried_forward(torch.from_numpy(prices[:, kept]))
    return TimeSeries(
        f"stocks-{name}",
        _seconds(days),
        values.float(),
        observed,
        tuple(variables),
        tuple("shares" if variable == "Volume" else unit for variable in variables),
        parts_in_order(len(days)),
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StockGraph(Parted):
    """Returns and volumes of many stocks, joined where they share an industry.

    `train`, `validation` and `test` are again StockGraphs of the same stocks, one after the other
    in time: 70 %, 10 % and 20 % of the days.

    Args:
        name: of the set in the catalogue.
        times: (T,) int64, seconds since 1 January 1970, midnight of the trading day.
        returns: (T, N) float32, price of the day over that of the day before, minus 1.
        volumes: (T, N) float32, US dollars traded on the day.
        tickers: N symbols.
        industries: names of the industries of each stock; () = unknown.
        edge_index: (2, E) int64, row 0 = source, row 1 = target; both directions, no self-loops.
        parts: (T,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    times: Tensor
    returns: Tensor
    volumes: Tensor
    tickers: tuple[str, ...]
    industries: tuple[tuple[str, ...], ...]
    edge_index: Tensor
    parts: Tensor

    by_row: ClassVar = ("times", "returns", "volumes", "parts")
    row: ClassVar = "days"


def stock_graph() -> StockGraph:
    """431 stocks of the S&P 500 on 2,517 days, 4 January 2007 to 30 December 2016.

    The stocks are those that were in the index and traded through all ten years, so none of them
    failed in 2008 (survivorship bias). The last column of the file, USDOLLAR, is what cash earned
    and is left out here. Two of the largest returns, FIS on 3 July 2008 and MRO on 1 July 2011, are
    of days on which a part of the company was split off: errors of adjustment, not gains.

    The industries are those of 2025, matched by ticker symbol: later knowledge, and none for the
    stocks that have since left or changed their symbol (120 of 431, without an edge).

    Returns:
        StockGraph

    Raises:
        DataUnavailable: an archive is not in the cache and cannot be had.

    Reference: Boyd et al. 2017, "Multi-period trading via convex optimization", section 7
    """
    data_set, path = fetch_set("stocks-graph")
    folder = "cvxportfolio-1.5.1/examples/paper_examples"
    tickers, days, returns = _table(path, f"{folder}/returns.csv.gz")
    _, volume_days, volumes = _table(path, f"{folder}/volumes.csv.gz")
    tickers = tickers[:-1]  # the last one is cash
    _, path = fetch_set("stocks-industries")
    industries_of = _industries(path)
    industries = tuple(tuple(industries_of.get(ticker, ())) for ticker in tickers)
    names = sorted({name for own in industries for name in own})
    has = torch.tensor([[name in own for name in names] for own in industries]).float()
    return StockGraph(
        data_set.name,
        _seconds(days),
        torch.from_numpy(returns[:, :-1]).float(),
        torch.from_numpy(volumes[np.isin(volume_days, days)]).float(),
        tuple(tickers),
        industries,
        ((has @ has.T).fill_diagonal_(0) > 0).nonzero().T.contiguous(),
        parts_in_order(len(days)),
    )


def _table(path: Path, member: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the columns, days, and (T, F) numbers of a compressed table; "" and "." are NaN."""
    text = gzip.decompress(read_member(path, member)).decode("utf-8-sig")
    header, *rows = csv.reader(text.splitlines())
    numbers = np.array(
        [[np.nan if cell in ("", ".") else float(cell) for cell in row[1:]] for row in rows]
    )
    return header[1:], np.array([_day(row[0]) for row in rows], dtype="datetime64[D]"), numbers


def _day(text: str) -> str:
    """2018-12-31 from 12/31/2018; other dates as they are."""
    if "/" not in text:
        return text
    month, day, year = text.split("/")
    return f"{year}-{month:0>2}-{day:0>2}"


def _seconds(days: np.ndarray) -> Tensor:
    return torch.from_numpy(days.astype("datetime64[s]").astype(np.int64))


def _industries(path: Path) -> dict[str, list[str]]:
    """Industries by ticker, from a Python file that holds one literal; it is read, not run."""
    source = read_member(path, "pytickersymbols/indices_data.py").decode()
    [indices] = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
    ]
    industries: dict[str, list[str]] = {}
    for index in _INDICES:
        for company in indices[index]["companies"]:
            industries.setdefault(company["symbol"], sorted(set(company["industries"])))
    return industries
