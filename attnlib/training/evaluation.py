"""Measure a model on all items of a loader."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from attnlib.training._batches import (
    autocast,
    call,
    check_precision,
    device_of,
    in_mode,
    mean,
    to_device,
)
from attnlib.training._processes import unwrap

__all__ = ["LossFn", "evaluate"]

# The number of items may be a tensor: a count of unpadded tokens then stays on the GPU.
LossFn = Callable[[nn.Module, Any], tuple[Tensor, int | Tensor]]


def evaluate(
    model: nn.Module,
    loader: Iterable,
    measures: dict[str, LossFn],
    *,
    precision: str | None = None,
) -> dict[str, float]:
    """Measure `model` in eval mode and without gradients.

    measure = sum_b n_b m_b / sum_b n_b: the mean over all items, whatever the size of the batches
    Each measure runs the model once a batch. Train and eval modes are put back. A model wrapped in
    DistributedDataParallel is measured over the loaders of all processes, which all must call this.

    Args:
        model: measured on the device it is on; batches are moved there.
        loader: batches, as in `fit`; here it needs no length.
        measures: name to (model, batch) -> (mean over the batch, number of items).
        precision: "bf16" or "fp16" measures under autocast; None as the model is.

    Returns:
        Name to mean.

    Raises:
        TypeError: measures that are no dict, or one that does not return the pair.
        ValueError: no items at all, or an unknown precision.
        RuntimeError: a value that is not finite.

    >>> def error(model, batch):
    ...     return (model(batch) - 1).abs().mean(), len(batch)
    >>> evaluate(nn.Identity(), [torch.tensor([1.0, 2.0]), torch.tensor([6.0])], {"error": error})
    {'error': 2.0}
    """
    if not isinstance(measures, dict):
        got = type(measures).__name__
        raise TypeError(
            f"evaluate: measures is a {got}, expected a dict; write {{'loss': loss_fn}}"
        )
    check_precision("evaluate", precision)
    # Unwrapped: a wrapped one exchanges its buffers at every batch, of which others may have fewer.
    inner, device = unwrap(model), device_of(model)
    results: dict[str, list] = {name: [] for name in measures}
    with torch.no_grad(), in_mode(inner, training=False), autocast(device, precision):
        for batch in loader:
            batch = to_device(batch, device)
            for name, measure in measures.items():
                results[name].append(call(f"evaluate: {name}", measure, inner, batch))
    return {name: mean(f"evaluate: {name}", pairs, model) for name, pairs in results.items()}
