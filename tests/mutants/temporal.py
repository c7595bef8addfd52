"""Bugs to plant in attnlib.temporal."""

from planting import Mutant

LOOP = "test_temporal.test_temporal_attention_equals_a_loop"
NETWORK = "test_temporal.test_a_padded_batch_equals_its_examples_one_by_one"
MASKED = "test_temporal.test_what_a_masked_step_holds_changes_nothing"
STATES = "test_temporal.test_no_state_of_the_network_depends_on_a_later_step"
VARIABLES = "test_temporal.test_attention_among_variables_equals_a_loop"
LEAK = "test_temporal.test_a_planted_leak_is_found"

MUTANTS = [
    Mutant(
        "a window that sees the future when weights are asked for",
        "temporal.layers",
        "recent = sliding_window_mask(T, self.window, device=query.device)",
        "recent = torch.ones(T, T, dtype=torch.bool).triu(1 - self.window)",
        LOOP,
    ),
    Mutant(
        "a window forgets the mask",
        "temporal.layers",
        "mask = recent if mask is None else mask & recent",
        "mask = recent",
        LOOP,
    ),
    Mutant(
        "the fast window forgets the mask",
        "temporal.layers",
        "windowed_attention(*heads, self.window, mask)",
        "windowed_attention(*heads, self.window)",
        LOOP,
    ),
    Mutant(
        "time measured from the last step",
        "temporal.layers",
        "times - times[:, :1]",
        "times - times[:, -1:]",
        "test_temporal.test_temporal_attention_learns_no_later_time",
    ),
    Mutant(
        "time stamps mixed into the values",
        "temporal.layers",
        "placed, value=x, mask=mask, causal=self.causal",
        "placed, value=placed, mask=mask, causal=self.causal",
        LOOP,
    ),
    Mutant(
        "softmax over time instead of variables",
        "temporal.layers",
        "masked_softmax(scores[:, None], mask)",
        "masked_softmax(scores[:, None], mask, -2)",
        VARIABLES,
    ),
    Mutant(
        "variables that are missing are read",
        "temporal.layers",
        "x = x.masked_fill(~mask.expand(B, 1, T, F).squeeze(1), 0.0)",
        "x = x + 0",
        "test_temporal.test_a_variable_that_was_not_measured_is_not_read",
    ),
    Mutant(
        "an encoder that reads both ways",
        "temporal.network",
        "return recurrent(width, width, batch_first=True)",
        "return recurrent(width, width // 2, batch_first=True, bidirectional=True)",
        STATES,
    ),
    Mutant(
        "a convolution that is centred",
        "temporal.network",
        "(self.kernel_size[0] - 1, 0))",
        "(1, 1))",
        STATES,
    ),
    Mutant(
        "the query is the last padded state",
        "temporal.network",
        "last = (observed * order).amax(1, keepdim=True)",
        "last = (0 * observed + order).amax(1, keepdim=True)",
        NETWORK,
    ),
    Mutant(
        "padding attended by the forecasts",
        "temporal.network",
        "query, key, states, mask=observed[:, None, None],",
        "query, key, states,",
        NETWORK,
    ),
    Mutant(
        "age counted from the first step",
        "temporal.network",
        "times.gather(1, last) - times",
        "times - times[:, :1]",
        NETWORK,
    ),
    Mutant(
        "masked steps reach the encoder",
        "temporal.network",
        "x = x.masked_fill(~observed[..., None], 0.0)",
        "x = x + 0",
        MASKED,
    ),
    Mutant(
        "every step of the horizon asks alike",
        "temporal.network",
        "][:, None] + self.steps",
        "][:, None] + 0 * self.steps",
        "test_temporal.test_each_step_of_the_horizon_asks_on_its_own",
    ),
    Mutant(
        "the leak test compares a step with itself",
        "temporal.causality",
        "leaks[:j, j] = changed[:j] & ~known[:j]",
        "leaks[:j, j] = changed[1 : j + 1] & ~known[:j]",
        "test_temporal.test_what_reads_the_past_alone_passes",
    ),
    Mutant(
        "the leak test replaces nothing",
        "temporal.causality",
        "other[:, j:]], dim=1)",
        "x[:, j:]], dim=1)",
        LEAK,
    ),
    Mutant(
        "the leak test skips the next step",
        "temporal.causality",
        "leaks[i, i + 1 :] = size[i + 1 :] >",
        "leaks[i, i + 2 :] = size[i + 2 :] >",
        LEAK,
    ),
    Mutant(
        "the leak test is blind to NaN",
        "temporal.causality",
        "| (one.isnan() != other.isnan())",
        "",
        LEAK,
    ),
]
