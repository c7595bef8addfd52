"""Bugs to plant in attnlib._dropout."""

from planting import Mutant

SCALE = "keep.mul_(LEVELS / (LEVELS - dropped))"
BITS = "words.view(torch.int16)[: x.numel()].view(x.shape)"

MUTANTS = [
    Mutant(
        "what dropout keeps is not scaled up",
        "_dropout",
        SCALE,
        "keep",
        "test_dropout.test_what_is_kept_is_scaled_so_that_the_mean_stays",
    ),
    Mutant(
        "dropout keeps with the probability of dropping",
        "_dropout",
        "torch.ge(",
        "torch.lt(",
        "test_dropout.test_a_share_p_of_the_elements_is_dropped",
    ),
    Mutant(
        "random bits taken for unsigned",
        "_dropout",
        "dropped - LEVELS // 2",
        "dropped",
        "test_dropout.test_a_share_p_of_the_elements_is_dropped",
    ),
    Mutant(
        "four neighbours are dropped together",
        "_dropout",
        BITS,
        "words.to(torch.int16).repeat_interleave(4)[: x.numel()].view(x.shape)",
        "test_dropout.test_elements_are_dropped_independently",
    ),
    Mutant(
        "dropout in evaluation",
        "_dropout",
        "if not training or p == 0.0:",
        "if p == 0.0:",
        "test_dropout.test_nothing_is_dropped_in_evaluation_or_with_probability_zero",
    ),
]
