"""What training and measuring share: batches, modes, precision, and the mean over the items."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from attnlib.training._processes import sum_over_processes

PRECISIONS = {None: None, "bf16": torch.bfloat16, "fp16": torch.float16}


def device_of(model: nn.Module) -> torch.device:
    return next(chain(model.parameters(), model.buffers()), torch.empty(0)).device


def map_batch(function: Callable[[Any], Any], batch: Any) -> Any:
    """Apply `function` to the tensors of a batch, and to all else that can be moved."""
    if hasattr(batch, "to"):
        return function(batch)
    if isinstance(batch, dict):
        return {key: map_batch(function, value) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        parts = [map_batch(function, value) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


def to_device(batch: Any, device: torch.device) -> Any:
    return map_batch(lambda part: part.to(device), batch)


def autocast(device: torch.device, precision: str | None) -> AbstractContextManager:
    """Where torch may calculate in half precision; the parameters stay as they are."""
    dtype = PRECISIONS[precision]
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def check_precision(owner: str, precision: str | None) -> None:
    if precision not in PRECISIONS:
        raise ValueError(
            f"{owner}: got precision={precision!r}, expected one of {list(PRECISIONS)}; "
            "write None for the precision of the model"
        )


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Train or eval mode inside the block; afterwards each submodule has its own mode back."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in before:
            module.training = was_training


def call(what: str, function: Callable, model: nn.Module, batch: Any) -> tuple:
    """The mean and the number of items of a batch, or an error that says what came instead."""
    result = function(model, batch)
    match result:
        case (Tensor(ndim=0), int() | Tensor(ndim=0)):
            return result
    parts = result if isinstance(result, tuple) else [result]
    got = [list(x.shape) if isinstance(x, Tensor) else type(x).__name__ for x in parts]
    raise TypeError(
        f"{what} returned {got}, expected the mean, a tensor of shape [], and the number of items; "
        "write something like return loss.mean(), len(targets)"
    )


def mean(what: str, results: list[tuple[Tensor, int | Tensor]], model: nn.Module) -> float:
    """Mean over the items of one pass, whose numbers leave the device here, all at once."""
    values = torch.stack([value for value, _ in results]).tolist() if results else []
    counts = [int(count) for _, count in results]
    for batch, value in enumerate(values, 1):
        if not math.isfinite(value):
            raise RuntimeError(
                f"{what} is {value} in batch {batch}, expected a finite number; look for such "
                "numbers in that batch, or take a smaller learning rate or grad_clip=1.0"
            )
    total = sum(n * value for n, value in zip(counts, values, strict=True))
    total, items = sum_over_processes(model, total, sum(counts))
    if items < 1:
        raise ValueError(
            f"{what} has no items in {len(counts)} batches, expected some; give it data"
        )
    return total / items
