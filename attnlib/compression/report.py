"""What a smaller model costs, beside what the whole one does."""

import io
import statistics
import time
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attnlib.compression._layers import weights
from attnlib.training import LossFn, evaluate

__all__ = ["Cost", "Report", "compare"]

REPEATS = 9  # of each model, taken in turns, so that a busy moment meets both


@dataclass(frozen=True)
class Cost:
    """What one model reaches, and what it takes.

    Args:
        measure: the mean of the measure over all items.
        parameters: numbers in the weights.
        nonzero: those that are not 0.
        bytes: size of the saved state dict.
        flops: floating point operations of one batch; a product and its sum are two. Additions to
            vectors, norms and softmax are not counted, and operations on zeros are.
        latency: time of one batch in eval mode: median, as measured on this machine, in seconds.
    """

    measure: float
    parameters: int
    nonzero: int
    bytes: int
    flops: int
    latency: float


@dataclass(frozen=True)
class Report:
    """A model before and after a compression; printed, it is a table.

    Args:
        method: what was done.
        before: the cost of the whole model.
        after: the cost of the new one.
    """

    method: str
    before: Cost
    after: Cost

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self._rows(), strict=True)]
        lines = []
        for name, *cells in self._rows():
            numbers = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *numbers]))
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        head, *rows = ("| " + " | ".join(row) + " |" for row in self._rows())
        return "\n".join([head, "| --- | ---: | ---: | ---: |", *rows])

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = [(self.method, "before", "after", "after / before")]
        for name, unit, form in (
            ("measure", 1, ".4g"),
            ("parameters", 1, ",d"),
            ("nonzero", 1, ",d"),
            ("bytes", 1, ",d"),
            ("flops", 1, ",d"),
            ("latency (ms)", 1000, ".3g"),
        ):
            field = name.removesuffix(" (ms)")
            before, after = (unit * getattr(cost, field) for cost in (self.before, self.after))
            ratio = f"{after / before:.2f}" if before else "-"
            rows.append((name, format(before, form), format(after, form), ratio))
        return rows


def compare(
    method: str, before: nn.Module, after: nn.Module, loader: Iterable, measure: LossFn
) -> Report:
    """Measure two models on the same batches.

    Neither is changed. FLOPs and latency are those of the first batch.

    Args:
        method: what made the one into the other, for the table.
        before: the whole model.
        after: the smaller one.
        loader: batches to measure on, which nothing was fitted to; gone over three times.
        measure: (model, batch) -> (mean, number of items), such as `training.accuracy`.

    Returns:
        The cost of both.

    Raises:
        TypeError: not a module, or a measure that does not return the pair.
        ValueError: no batches.

    >>> from attnlib.training import accuracy
    >>> batch = torch.eye(3), torch.tensor([0, 1, 2])
    >>> report = compare("nothing", nn.Identity(), nn.Linear(3, 3), [batch], accuracy)
    >>> report.before.measure, report.after.parameters, report.after.flops
    (1.0, 12, 54)
    """
    for name, model in (("before", before), ("after", after)):
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"compare: {name} is a {type(model).__name__}, expected a module; pass the model"
            )
    batches = list(islice(loader, 1))
    if not batches:
        raise ValueError(
            "compare: loader has no batches, expected some to measure on; pass a list or a "
            "DataLoader, not an iterator that is used up"
        )
    pair = [deepcopy(model).eval() for model in (before, after)]
    latencies = _latencies(pair, measure, batches[0])
    costs = []
    for model, latency in zip(pair, latencies, strict=True):
        numbers = weights(model)
        costs.append(
            Cost(
                measure=evaluate(model, loader, {"measure": measure})["measure"],
                parameters=sum(number.numel() for number in numbers),
                nonzero=sum(int(number.count_nonzero()) for number in numbers),
                bytes=_saved_size(model),
                flops=_flops(model, measure, batches[0]),
                latency=latency,
            )
        )
    return Report(method, *costs)


def _saved_size(model: nn.Module) -> int:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.tell()


def _flops(model: nn.Module, measure: LossFn, batch: Any) -> int:
    # Torch does not count the fused attention of a CPU, nor the products of quantised layers.
    quantised = {torch.ops.quantized.linear_dynamic: _quantised_flops}
    counter = FlopCounterMode(display=False, custom_mapping=quantised)
    with sdpa_kernel(SDPBackend.MATH):
        evaluate(model, [batch], {"measure": _inside(counter, measure)})
    return counter.get_total_flops()


def _inside(counter: FlopCounterMode, measure: LossFn) -> LossFn:
    def counted(model: nn.Module, batch: Any) -> tuple[Tensor, int | Tensor]:
        with counter:
            return measure(model, batch)

    return counted


def _quantised_flops(shape: tuple, *packed: Any, out_shape: tuple) -> int:
    return 2 * prod(shape) * out_shape[-1]


def _latencies(models: list[nn.Module], measure: LossFn, batch: Any) -> list[float]:
    times: list[list[float]] = [[] for _ in models]
    for _ in range(1 + REPEATS):
        for model, seconds in zip(models, times, strict=True):
            start = time.perf_counter()
            evaluate(model, [batch], {"measure": measure})  # whose number waits for the device
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds[1:]) for seconds in times]  # the first call warms up
