"""Bugs to plant in attnlib._checks."""

from planting import Mutant

ERRORS = "test_functional.test_errors_say_what_was_got_what_was_expected_and_what_to_write"

EDGES = ERRORS.replace("functional", "functional_edges")

MUTANTS = [
    Mutant("float masks accepted", "_checks", "if mask.dtype != torch.bool:", "if False:", ERRORS),
    Mutant(
        "masks of three dimensions accepted",
        "_checks",
        "mask.ndim not in (2, len(shape)) or ",
        "",
        ERRORS,
    ),
    Mutant("more queries than keys accepted", "_checks", "if L > S:", "if False:", ERRORS),
    Mutant(
        "negative nodes accepted",
        "_checks",
        "if low < 0 or high >= size:",
        "if high >= size:",
        EDGES,
    ),
    Mutant("one node too many accepted", "_checks", "high >= size:", "high > size:", EDGES),
]
