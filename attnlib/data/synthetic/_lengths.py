"""How long the examples of a task are."""

import torch
from torch import Tensor

from attnlib._checks import check_positive


def random_lengths(
    owner: str,
    num_examples: int,
    longest: int,
    shortest: int | None,
    generator: torch.Generator | None,
    unit: str = "length",
) -> Tensor:
    """(B,) int64, random between the shortest and the longest."""
    total = "num_pairs" if unit == "pairs" else "length"
    check_positive(owner, num_examples=num_examples, **{total: longest})
    if shortest is None:
        return torch.full((num_examples,), longest)
    check_positive(owner, **{f"min_{unit}": shortest})
    if shortest > longest:
        raise ValueError(
            f"{owner}: got min_{unit}={shortest} above {total}={longest}, expected at most "
            f"{longest}; swap them"
        )
    return torch.randint(shortest, longest + 1, (num_examples,), generator=generator)
