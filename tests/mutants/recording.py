"""Bugs to plant in attnlib.recording."""

from planting import Mutant

RECORDED = "test_recording.test_every_layer_is_recorded_under_its_path_with_its_weights_and_kind"

MUTANTS = [
    Mutant(
        "recording returns the pair",
        "recording",
        "return output if asked.pop() else result",
        "return output",
        "test_recording.test_a_caller_gets_weights_exactly_if_it_asked_for_them",
    ),
    Mutant(
        "recording keeps the weights that a caller asked for",
        "recording",
        "asked.append(bool(kwargs.get(flag, False)))",
        "asked.append(False)",
        "test_recording.test_a_caller_gets_weights_exactly_if_it_asked_for_them",
    ),
    Mutant(
        "hooks stay",
        "recording",
        "handle.remove()",
        "pass",
        "test_recording.test_hooks_are_gone_after_the_block_and_after_an_error_in_it",
    ),
    Mutant(
        "hooks of others see the pair",
        "recording",
        ", prepend=True",
        "",
        "test_recording.test_hooks_of_others_see_what_they_would_see_without_recording",
    ),
    Mutant(
        "maps keep the graph alive",
        "recording",
        "AttentionMap(weights.detach(), kind",
        "AttentionMap(weights, kind",
        "test_recording.test_nothing_is_kept_alive",
    ),
    Mutant(
        "a second call overwrites the first",
        "recording",
        "while path in maps:",
        "while False:",
        "test_recording.test_a_layer_that_is_called_again_is_recorded_again",
    ),
    Mutant(
        "kind is always self",
        "recording",
        'or key is query else "cross"',
        'or True else "cross"',
        RECORDED,
    ),
    Mutant(
        "entropy without the minus",
        "recording",
        "torch.special.entr(",
        "-torch.special.entr(",
        "test_recording.test_entropy_equals_that_of_torch",
    ),
    Mutant(
        "the first head for the mean of all",
        "recording",
        "weights.mean(0)",
        "weights[0]",
        "test_recording.test_dense_is_the_mean_over_heads",
    ),
    Mutant(
        "rows without truth count",
        "recording",
        ".sum(-1)[rows].mean()",
        ".sum(-1).mean()",
        "test_recording.test_mass_is_the_mean_share_on_the_truth_over_rows_that_have_one",
    ),
]
