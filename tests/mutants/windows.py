"""Bugs to plant in attnlib.data.windows and attnlib.data.forecast."""

from planting import Mutant

WINDOWS = "test_data_windows.test_windows_equal_a_loop"
SPLIT = "test_data_windows.test_parts_follow_one_another_and_leave_out_the_gap_alone"
ROLLING = "test_data_windows.test_rolling_origins_equal_a_loop"
SCALER = "test_data_forecast.test_a_scaler_equals_that_of_scikit_learn"
COMPARISON = "test_data_forecast.test_the_test_of_two_forecasts_equals_a_regression_on_a_constant"
ERROR = "test_data_forecast.test_the_scaled_error_equals_a_loop"

MUTANTS = [
    Mutant(
        "the target begins inside the input",
        "data.windows",
        "later = series[length + gap :]",
        "later = series[length + gap - 1 :]",
        "test_data_windows.test_a_target_lies_strictly_after_its_input",
    ),
    Mutant(
        "the gap forgotten",
        "data.windows",
        "later = series[length + gap :]",
        "later = series[length:]",
        WINDOWS,
    ),
    Mutant(
        "steps and variables swapped",
        "data.windows",
        "series.unfold(0, length, stride)[:count].mT",
        "series.unfold(0, length, stride)[:count].reshape(count, length, -1)",
        WINDOWS,
    ),
    Mutant(
        "first steps counted without the stride",
        "data.windows",
        "starts = stride * torch.arange",
        "starts = torch.arange",
        WINDOWS,
    ),
    Mutant(
        "a hole in the target goes unseen",
        "data.windows",
        "missing |= later_holes.unfold(0, horizon, stride).any(1)",
        "missing |= False",
        "test_data_windows.test_windows_with_a_hole_are_left_out_where_asked",
    ),
    Mutant(
        "parts that share their border",
        "data.windows",
        "*(end + gap for end in ends[1:-1])",
        "*(end + gap - 1 for end in ends[1:-1])",
        SPLIT,
    ),
    Mutant(
        "the test begins inside the training part",
        "data.windows",
        "range(end + gap, end + gap + test)",
        "range(end + gap - 1, end + gap + test - 1)",
        ROLLING,
    ),
    Mutant(
        "the last origin left out",
        "data.windows",
        "length - gap - test + 1, step)",
        "length - gap - test, step)",
        ROLLING,
    ),
    Mutant(
        "an overlap of one step passes",
        "data.windows",
        "if first <= last:",
        "if first < last:",
        "test_data_windows.test_an_overlap_of_windows_is_found_though_their_first_steps_differ",
    ),
    Mutant(
        "variance instead of deviation",
        "data.forecast",
        "scale = variance.sqrt().masked_fill",
        "scale = variance.masked_fill",
        SCALER,
    ),
    Mutant(
        "a column without spread divides by 0",
        "data.forecast",
        "masked_fill(constant, 1.0)",
        "masked_fill(constant, 0.0)",
        "test_data_forecast.test_a_constant_column_becomes_0_and_stays_finite",
    ),
    Mutant(
        "the inverse adds before it scales",
        "data.forecast",
        "return x * scale + mean",
        "return (x + mean) * scale",
        "test_data_forecast.test_the_inverse_brings_every_number_back",
    ),
    Mutant(
        "the season taken from the wrong end",
        "data.forecast",
        "series[..., -season:, :]",
        "series[..., :season, :]",
        "test_data_forecast.test_the_seasonal_naive_forecast_equals_a_loop",
    ),
    Mutant(
        "the error scaled by the step of 1 always",
        "data.forecast",
        "(train[season:] - train[:-season])",
        "(train[1:] - train[:-1])",
        ERROR,
    ),
    Mutant(
        "overlapping horizons counted as independent",
        "data.forecast",
        "for k in range(h)]",
        "for k in range(1)]",
        COMPARISON,
    ),
    Mutant(
        "no factor for few losses",
        "data.forecast",
        "math.sqrt(variance) * factor",
        "math.sqrt(variance)",
        COMPARISON,
    ),
    Mutant(
        "one tail of the two",
        "data.forecast",
        "min(1.0, 2 * float(inside)",
        "min(1.0, float(inside)",
        COMPARISON,
    ),
]
