"""Windows and splits against plain loops, and leaks that the checks must find."""

from itertools import pairwise

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, normal

from attnlib.data import (
    Scaler,
    check_no_overlap,
    chronological_split,
    look_ahead,
    rolling_origin,
    sliding_windows,
)

T, F, LENGTH, HORIZON = 23, 3, 5, 2

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def series(length=T, width=F, dtype=torch.float64):
    return normal(generator(), length, width, dtype=dtype)


def holes(x):
    """The series with NaN at two places."""
    x = x.clone()
    x[4, 0] = x[17, 2] = torch.nan
    return x


# ---------------------------------------------------------------- windows


@PROPERTY
@given(
    length=st.integers(1, 6),
    horizon=st.integers(1, 4),
    gap=st.integers(0, 3),
    stride=st.integers(1, 7),
    columns=st.none() | st.lists(st.integers(-F, F - 1), min_size=1, max_size=4),
)
def test_windows_equal_a_loop(length, horizon, gap, stride, columns):
    x, times = series(), 100 + torch.arange(T) ** 2
    options = {"gap": gap, "stride": stride, "columns": columns, "times": times}
    windows = sliding_windows(x, length, horizon, **options)
    starts = [s for s in range(0, T, stride) if s + length + gap + horizon <= T]
    chosen = list(range(F)) if columns is None else columns
    assert windows.starts.tolist() == starts
    assert windows.inputs.shape == (len(starts), length, F)
    assert windows.targets.shape == (len(starts), horizon, len(chosen))
    for i, s in enumerate(starts):
        first = s + length + gap
        assert torch.equal(windows.inputs[i], x[s : s + length])
        assert torch.equal(windows.targets[i], x[first : first + horizon][:, chosen])
        assert torch.equal(windows.times[i], times[s : s + length])


@PROPERTY
@given(gap=st.integers(0, 3), stride=st.integers(1, 5))
def test_a_target_lies_strictly_after_its_input(gap, stride):
    steps = torch.arange(float(T))[:, None]
    inputs, targets, starts, times = sliding_windows(steps, LENGTH, 2, gap=gap, stride=stride)
    assert torch.equal(targets[:, 0] - inputs[:, -1], torch.full((len(inputs), 1), gap + 1.0))
    assert torch.equal(inputs[:, 0, 0], starts.double().float())
    assert times is None


def test_windows_are_views_of_the_series():
    x = series()
    windows = sliding_windows(x, LENGTH, HORIZON)
    memory = x.untyped_storage().data_ptr()
    assert windows.inputs.untyped_storage().data_ptr() == memory
    assert windows.targets.untyped_storage().data_ptr() == memory


def test_a_series_of_one_window_and_the_default_horizon():
    windows = sliding_windows(series(LENGTH + 1), LENGTH)
    assert windows.inputs.shape == (1, LENGTH, F)
    assert windows.targets.shape == (1, 1, F)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_windows_keep_the_dtype(dtype):
    windows = sliding_windows(series(dtype=dtype), LENGTH)
    assert windows.inputs.dtype == windows.targets.dtype == dtype


def test_windows_with_a_hole_are_left_out_where_asked():
    x, times = holes(series()), torch.arange(T)
    kept = sliding_windows(x, LENGTH, HORIZON, times=times, skip_missing=True)
    every = sliding_windows(x.nan_to_num(0), LENGTH, HORIZON, times=times)
    span = LENGTH + HORIZON
    good = [i for i, s in enumerate(every.starts) if not x[s : s + span].isnan().any()]
    assert 0 < len(good) < len(every.starts)
    for ours, all_of_them in zip(kept, every, strict=True):
        assert torch.equal(ours, all_of_them[good])


def test_a_hole_that_no_window_reads_does_no_harm():
    x = series()
    x[7] = torch.nan
    assert sliding_windows(x, LENGTH, stride=9).starts.tolist() == [0, 9]  # steps 0-5 and 9-14
    assert sliding_windows(x, LENGTH, gap=1, stride=16).starts.tolist() == [0, 16]
    x[7, 0] = 1.0
    assert sliding_windows(x[5:, 1:], LENGTH, skip_missing=True).starts[0] == 3
    assert sliding_windows(x[:8], 3, 5, columns=[0]).starts.tolist() == [0]  # a hole elsewhere


# ---------------------------------------------------------------- splits


@PROPERTY
@given(
    length=st.integers(20, 200),
    shares=st.sampled_from([(0.7, 0.1, 0.2), (0.5, 0.5), (1.0,), (0.25, 0.25, 0.25, 0.25)]),
    gap=st.integers(0, 1),
)
def test_parts_follow_one_another_and_leave_out_the_gap_alone(length, shares, gap):
    parts = chronological_split(length, shares, gap=gap)
    check_no_overlap(*parts)
    assert parts[0].start == 0
    assert parts[-1].stop == length
    for one, other in pairwise(parts):
        assert other.start - one.stop == gap
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * length) <= 1 + gap


def test_windows_of_the_parts_share_no_step():
    x = torch.arange(100.0)[:, None]
    parts = chronological_split(100, (0.6, 0.2, 0.2))
    used = []
    for part in parts:
        windows = sliding_windows(x[part.start : part.stop], LENGTH, HORIZON)
        used.append({*windows.inputs.flatten().tolist(), *windows.targets.flatten().tolist()})
    assert not used[0] & used[1] | used[1] & used[2] | used[0] & used[2]


@PROPERTY
@given(
    length=st.integers(12, 40),
    train=st.integers(1, 6),
    test=st.integers(1, 4),
    step=st.none() | st.integers(1, 5),
    gap=st.integers(0, 2),
    expanding=st.booleans(),
)
def test_rolling_origins_equal_a_loop(length, train, test, step, gap, expanding):
    pairs = list(rolling_origin(length, train, test, step=step, gap=gap, expanding=expanding))
    expected, end = [], train
    while end + gap + test <= length:
        first = 0 if expanding else end - train
        expected.append((range(first, end), range(end + gap, end + gap + test)))
        end += test if step is None else step
    assert pairs == expected
    for before, after in pairs:
        check_no_overlap(before, after)
    if step is None:
        check_no_overlap(*(after for _, after in pairs))


def test_an_overlap_of_windows_is_found_though_their_first_steps_differ():
    starts = sliding_windows(series(), LENGTH, HORIZON).starts
    span = LENGTH + HORIZON
    check_no_overlap(starts[:8], starts[8 + span - 1 :], span=span)
    with pytest.raises(ValueError, match="reaches step 13 and part 1 begins at step 13"):
        check_no_overlap(starts[:8], starts[8 + span - 2 :], span=span)


def test_a_random_split_is_refused():
    order = torch.randperm(T, generator=generator())
    with pytest.raises(ValueError, match="check_no_overlap"):
        check_no_overlap(order[:15], order[15:])


# ---------------------------------------------------------------- features


def centred_average(x):
    padded = torch.cat([x[:1], x, x[-1:]])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def trailing_average(x):
    result = torch.full_like(x, torch.nan)
    result[2:] = (x[:-2] + x[1:-1] + x[2:]) / 3
    return result


def filled_from_behind(x):
    """Every value that is below -1 counts as missing and takes the next one."""
    return torch.where(x < -1, torch.cat([x[1:], x[-1:]]), x)


def with_numpy(x):
    return torch.as_tensor(x.numpy().cumsum(0))


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (trailing_average, None),
        (with_numpy, None),
        (lambda x: Scaler.fit(x[:10]).transform(x)[:, :1], (0, 9)),  # the training part only
        (lambda x: Scaler.fit(x).transform(x), (0, T - 1)),
        (centred_average, (0, 1)),
        (lambda x: x.flip(0), (0, T - 1)),
    ],
    ids=["trailing", "numpy", "scaled within", "scaled by all", "centred", "reversed"],
)
def test_features_that_look_ahead_are_found(features, expected):
    assert look_ahead(features, series()) == expected


def test_the_maximum_of_everything_is_found_wherever_it_lies():
    first, later = look_ahead(lambda x: x - x.max(), series())
    assert first == 0 < later


def test_a_hole_that_is_filled_from_behind_is_found():
    found = look_ahead(filled_from_behind, series())
    assert found is not None
    first, later = found
    assert later == first + 1


def test_a_scaler_of_the_training_part_leaks_nothing_from_the_test_part():
    x, [train, test] = series(), chronological_split(T, (0.6, 0.4))
    other = x.clone()
    other[test.start :] += 100

    def scaled(x):
        return Scaler.fit(x[train.start : train.stop]).transform(x)[: train.stop]

    assert torch.equal(scaled(x), scaled(other))
    assert look_ahead(Scaler.fit(x[: train.stop]).transform, x) is None


ERRORS = [
    (lambda: sliding_windows([1.0], 2), TypeError, "series is a list"),
    (lambda: sliding_windows(torch.arange(9)[:, None], 2), TypeError, "torch.int64"),
    (lambda: sliding_windows(torch.zeros(9), 2), ValueError, r"write series\[:, None\]"),
    (lambda: sliding_windows(torch.zeros(9, 0), 2), ValueError, "neither empty"),
    (lambda: sliding_windows(series(), 0), ValueError, "length=0"),
    (lambda: sliding_windows(series(), -3), ValueError, "length=-3"),
    (lambda: sliding_windows(series(), 2, 0), ValueError, "horizon=0"),
    (lambda: sliding_windows(series(), 2, stride=0), ValueError, "stride=0"),
    (lambda: sliding_windows(series(), 2.0), TypeError, "length is a float"),
    (lambda: sliding_windows(series(), 2, gap=-1), ValueError, "gap=-1, expected an int of 0"),
    (lambda: sliding_windows(series(), 2, gap=True), ValueError, "gap=True"),
    (lambda: sliding_windows(series(), T), ValueError, "windows of 24 steps.*a series of 23"),
    (lambda: sliding_windows(series(), 2, T), ValueError, "windows of 25 steps"),
    (lambda: sliding_windows(series(), 2, columns=[]), ValueError, r"columns=\[\], expected"),
    (lambda: sliding_windows(series(), 2, columns=[3]), ValueError, "numbers from 0 to 2"),
    (lambda: sliding_windows(series(), 2, times=[1]), TypeError, "times is a list"),
    (lambda: sliding_windows(series(), 2, times=torch.arange(9)), ValueError, r"expected \(23,\)"),
    (lambda: sliding_windows(series(), 2, times=-torch.arange(T)), ValueError, "rising order"),
    (lambda: sliding_windows(series(), 2, times=torch.zeros(T)), ValueError, "rising order"),
    (
        lambda: sliding_windows(series(), 2, times=torch.full((T,), torch.nan)),
        ValueError,
        "rising order",
    ),
    (lambda: sliding_windows(holes(series()), 2), ValueError, "NaN in 6 of 21 windows"),
    (lambda: chronological_split(0), ValueError, "length=0"),
    (lambda: chronological_split(10, (0.5, 0.4)), ValueError, "sum to 1"),
    (lambda: chronological_split(10, (1.0, 0.0)), ValueError, "above 0"),
    (lambda: chronological_split(10, ()), ValueError, "above 0"),
    (lambda: chronological_split(2), ValueError, "at least one in each"),
    (lambda: chronological_split(10, gap=1), ValueError, "at least one in each"),
    (lambda: chronological_split(10, gap=-1), ValueError, "gap=-1"),
    (lambda: rolling_origin(10, 0, 1), ValueError, "train=0"),
    (lambda: rolling_origin(10, 1, 0), ValueError, "test=0"),
    (lambda: rolling_origin(10, 1, 1, step=0), ValueError, "step=0"),
    (lambda: rolling_origin(10, 8, 3), ValueError, "= 11 steps and length=10"),
    (lambda: rolling_origin(10, 8, 1, gap=2), ValueError, "= 11 steps and length=10"),
    (lambda: rolling_origin(10, 8, 1, gap=0.5), ValueError, "gap=0.5"),
    (lambda: check_no_overlap(range(3), range(2, 5)), ValueError, "leave out 1 more"),
    (lambda: check_no_overlap(range(3, 5), range(3)), ValueError, "expected it to begin at 5"),
    (lambda: check_no_overlap(range(3), range(0)), ValueError, "part 1 is empty"),
    (lambda: check_no_overlap(range(3), span=0), ValueError, "span=0"),
    (lambda: look_ahead(torch.cumsum, torch.zeros(3)), ValueError, "series has shape"),
    (lambda: look_ahead(lambda x: x, [1]), TypeError, "series is a list"),
    (lambda: look_ahead(lambda x: x, torch.zeros(1, 2)), ValueError, "at least two steps"),
    (lambda: look_ahead(lambda x: x[1:], series()), ValueError, "output has shape"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_to_write_instead(call, kind, words):
    check_error(call, kind, words)
