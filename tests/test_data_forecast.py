"""Scaler, seasonal-naive forecast and MASE against scikit-learn, loops and numbers by hand."""

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, normal

from attnlib.data import Scaler, diebold_mariano, mase, seasonal_naive
from attnlib.data.forecast import _student_tails

T, F, HORIZON = 11, 3, 5

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def series(length=T, width=F, dtype=torch.float64):
    return 7 + 5 * normal(generator(), length, width, dtype=dtype)


# ---------------------------------------------------------------- Scaler


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("windows", [False, True])
def test_a_scaler_equals_that_of_scikit_learn(windows, missing):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    train, later = series(12), series(30)[12:]
    if missing:
        train[3, 1] = later[2, 0] = torch.nan
    theirs = preprocessing.StandardScaler().fit(train.numpy())
    ours = Scaler.fit(train.reshape(3, 4, F) if windows else train)
    torch.testing.assert_close(ours.mean, torch.as_tensor(theirs.mean_))
    torch.testing.assert_close(ours.scale, torch.as_tensor(theirs.scale_))
    expected = torch.as_tensor(theirs.transform(later.numpy()))
    torch.testing.assert_close(ours.transform(later), expected, equal_nan=True)


def test_the_training_part_comes_to_mean_0_and_deviation_1():
    scaled = Scaler.fit(series()).transform(series())
    torch.testing.assert_close(scaled.mean(0), torch.zeros(F).double())
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(F).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_a_constant_column_becomes_0_and_stays_finite(value, dtype):
    train = torch.full((1001, 1), value, dtype=dtype)
    scaler = Scaler.fit(train)
    assert scaler.scale.tolist() == [1.0]
    assert scaler.transform(train).abs().max() <= torch.finfo(dtype).eps * value
    assert scaler.transform(train + 1).isfinite().all()


@PROPERTY
@given(st.integers(1, 9), st.integers(0, 99))
def test_the_inverse_brings_every_number_back(rows, seed):
    x = 100 * normal(generator(seed), rows, F)
    scaler = Scaler.fit(series())
    torch.testing.assert_close(scaler.inverse(scaler.transform(x)), x)


def test_forecasts_of_some_columns_come_back_in_their_own_unit():
    scaler, x = Scaler.fit(series()), series(9).reshape(3, 3, F)
    scaled = scaler.transform(x)
    torch.testing.assert_close(scaler.inverse(scaled[..., [2, 0]], columns=[2, 0]), x[..., [2, 0]])


def test_missing_numbers_stay_missing_and_do_not_count():
    train = torch.tensor([[1.0], [torch.nan], [3.0]])
    scaler = Scaler.fit(train)
    assert (scaler.mean.item(), scaler.scale.item()) == (2.0, 1.0)
    assert scaler.transform(train).isnan().flatten().tolist() == [False, True, False]


def test_a_scaler_keeps_dtype_and_leaves_the_graph():
    train = series(dtype=torch.float16).requires_grad_()
    scaler = Scaler.fit(train)
    assert scaler.mean.dtype == scaler.scale.dtype == torch.float16
    assert not scaler.mean.requires_grad
    with pytest.raises(AttributeError, match="mean"):
        scaler.mean = None


# ---------------------------------------------------------------- seasonal_naive and mase


@PROPERTY
@given(season=st.integers(1, T), horizon=st.integers(1, 2 * T), lead=st.sampled_from([(), (2, 5)]))
def test_the_seasonal_naive_forecast_equals_a_loop(season, horizon, lead):
    x = normal(generator(), *lead, T, F)
    forecast = seasonal_naive(x, horizon, season)
    known = list(x.unbind(-2))
    for _ in range(horizon):
        known.append(known[-season])
    torch.testing.assert_close(forecast, torch.stack(known[T:], -2))


def test_without_a_season_the_last_value_is_repeated():
    x = series()
    assert torch.equal(seasonal_naive(x, HORIZON), x[-1].expand(HORIZON, F))


@pytest.mark.parametrize("season", [1, 4])
def test_the_scaled_error_equals_a_loop(season):
    train, target, forecast = series(), series(30)[20:], series(50)[40:]
    result = mase(forecast, target, train, season=season)
    for f in range(F):
        naive = [abs(train[t, f] - train[t - season, f]) for t in range(season, T)]
        error = sum(abs(target[:, f] - forecast[:, f])) / len(target)
        torch.testing.assert_close(result[f], error / (sum(naive) / len(naive)))
    batch = (forecast.reshape(2, 5, F), target.reshape(2, 5, F), train)
    torch.testing.assert_close(mase(*batch, season=season), result)
    one_step = mase(forecast[:1], target[:1], train)
    torch.testing.assert_close(mase(forecast[0], target[0], train), one_step)


def test_the_scaled_error_has_no_unit_and_the_naive_forecast_scores_1_on_its_own_ground():
    train, target, forecast = series(), series(30)[20:], series(50)[40:]
    scale = torch.tensor([1000.0, 0.001, 7.0], dtype=torch.float64)
    expected = mase(forecast, target, train)
    torch.testing.assert_close(mase(forecast * scale, target * scale, train * scale), expected)
    torch.testing.assert_close(mase(train[:-4], train[4:], train, season=4), torch.ones(F).double())


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_test_of_two_forecasts_equals_a_regression_on_a_constant(horizon):
    from scipy.stats import t as student
    from statsmodels.api import OLS

    first, second = normal(generator(), 2, 47).square()
    found = diebold_mariano(first, second, horizon=horizon)
    difference = (first - second).numpy()
    options = {"maxlags": horizon - 1, "kernel": "uniform", "use_correction": False}
    fit = OLS(difference, [[1.0]] * 47).fit(cov_type="HAC", cov_kwds=options)
    factor = ((47 + 1 - 2 * horizon + horizon * (horizon - 1) / 47) / 47) ** 0.5
    assert found.difference == pytest.approx(difference.mean())
    assert found.statistic == pytest.approx(fit.tvalues[0] * factor)
    assert found.p_value == pytest.approx(2 * student.sf(abs(found.statistic), 46))
    swapped = diebold_mariano(second, first, horizon=horizon)
    assert swapped.statistic == pytest.approx(-found.statistic)
    assert swapped.p_value == pytest.approx(found.p_value)


@PROPERTY
@given(st.floats(0.0, 30.0), st.integers(2, 10_000))
def test_the_tails_are_those_of_scipy(statistic, degrees):
    from scipy.stats import t as student

    wanted = 2 * student.sf(statistic, degrees)
    assert _student_tails(statistic, degrees) == pytest.approx(wanted, rel=1e-6, abs=1e-12)


def test_equal_forecasts_are_called_different_as_often_as_the_level_says():
    draws = torch.randn(400, 2, 42, generator=generator(), dtype=torch.float64)
    overlapping = draws[..., 1:] + draws[..., :-1]  # as errors two steps ahead are
    found = [diebold_mariano(a.square(), b.square(), horizon=2).p_value for a, b in overlapping]
    share = sum(p < 0.1 for p in found) / len(found)
    assert 0.06 <= share <= 0.14  # 0.1 and two and a half standard deviations


def losses(*shape):
    return normal(generator(), *shape).square()


ERRORS = [
    (lambda: Scaler.fit([[1.0]]), TypeError, "train is a list"),
    (lambda: Scaler.fit(torch.arange(4)[:, None]), TypeError, "torch.int64"),
    (lambda: Scaler.fit(torch.zeros(4)), ValueError, r"write series\[:, None\]"),
    (lambda: Scaler.fit(torch.zeros(0, 4)), ValueError, "not empty"),
    (lambda: Scaler.fit(torch.full((4, 1), torch.inf)), ValueError, "infinite number"),
    (lambda: Scaler.fit(torch.full((4, 1), torch.nan)), ValueError, "nothing but NaN"),
    (lambda: Scaler.fit(series()).transform(series(width=2)), ValueError, r"expected \(..., 3\)"),
    (lambda: Scaler.fit(series()).transform([1.0]), TypeError, "x is a list"),
    (lambda: Scaler.fit(series()).transform(series().to("meta")), ValueError, "x on meta"),
    (lambda: Scaler.fit(series()).inverse(series(width=2)), ValueError, r"columns=\[...\]"),
    (lambda: Scaler.fit(series()).inverse(series(), columns=[0]), ValueError, r"\(..., 1\)"),
    (lambda: seasonal_naive([1.0], 2), TypeError, "series is a list"),
    (lambda: seasonal_naive(torch.zeros(4), 2), ValueError, "at least 1 steps"),
    (lambda: seasonal_naive(torch.zeros(4, 1), 2, 5), ValueError, "at least 5 steps"),
    (lambda: seasonal_naive(torch.zeros(4, 1), 2, 0), ValueError, "season=0"),
    (lambda: seasonal_naive(torch.zeros(4, 1), 0), ValueError, "horizon=0"),
    (lambda: mase([1.0], series(), series()), TypeError, "forecast is a list"),
    (lambda: mase(series(), series() > 0, series()), TypeError, "target is torch.bool"),
    (lambda: mase(series(), series(), series(), season=T), ValueError, "at least 12 steps"),
    (lambda: mase(series(), series(), series(), season=0), ValueError, "season=0"),
    (lambda: mase(series(2), series(3), series()), ValueError, "forecast has shape"),
    (lambda: mase(series()[:, 0], series()[:, 0], series()), ValueError, "forecast has shape"),
    (lambda: mase(series()[:0], series()[:0], series()), ValueError, "forecast has shape"),
    (lambda: mase(series(), series(), torch.ones(T, F)), ValueError, "scales above 0"),
    (lambda: mase(series(), series() * torch.nan, series()), ValueError, "fill NaN"),
    (lambda: mase(series(), series() + 1, torch.ones(T, F)), ValueError, "scales above 0"),
    (lambda: diebold_mariano([1.0], losses(5)), TypeError, "first is a list"),
    (lambda: diebold_mariano(losses(5), torch.arange(5)), TypeError, "second is torch.int64"),
    (lambda: diebold_mariano(losses(5), losses(7)), ValueError, r"second has shape \(7,\)"),
    (lambda: diebold_mariano(losses(5, 1), losses(5, 1)), ValueError, "flatten one column"),
    (lambda: diebold_mariano(losses(2), losses(2)), ValueError, r"2 \* horizon = 2 losses"),
    (lambda: diebold_mariano(losses(6), losses(6), horizon=3), ValueError, "= 6 losses"),
    (lambda: diebold_mariano(losses(5), losses(5), horizon=0), ValueError, "horizon=0"),
    (lambda: diebold_mariano(losses(5) / 0, losses(5)), ValueError, "NaN or infinity"),
    (lambda: diebold_mariano(losses(5), losses(5)), ValueError, "equal up to a constant"),
    (lambda: diebold_mariano(losses(5) + 1, losses(5)), ValueError, "equal up to a constant"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_to_write_instead(call, kind, words):
    check_error(call, kind, words)
