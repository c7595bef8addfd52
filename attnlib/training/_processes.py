"""What a model wrapped in DistributedDataParallel changes: sums over its processes.

A model that is not wrapped has one process, and nothing here costs anything.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def unwrap(model: nn.Module) -> nn.Module:
    return model.module if isinstance(model, DistributedDataParallel) else model


def process_count(model: nn.Module) -> int:
    return model.process_group.size() if isinstance(model, DistributedDataParallel) else 1


def is_first(model: nn.Module) -> bool:
    """Whether this process is the one that writes and shows."""
    return process_count(model) == 1 or model.process_group.rank() == 0


def without_exchange(model: nn.Module, wanted: bool) -> AbstractContextManager:
    """Where gradients are only added up: they are exchanged once a step, not once a batch."""
    return model.no_sync() if wanted and process_count(model) > 1 else nullcontext()


def sum_counts(model: nn.Module, count: int | Tensor, device: torch.device) -> int | Tensor:
    """The number of items of a step in all processes, without a look at it."""
    if process_count(model) == 1:
        return count
    total = torch.as_tensor(count, device=device).clone()
    dist.all_reduce(total, group=model.process_group)
    return total


def sum_over_processes(model: nn.Module, *values: float) -> list[float]:
    if process_count(model) == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=model.device)
    dist.all_reduce(total, group=model.process_group)
    return total.tolist()


def gather(model: nn.Module, value: Any) -> list:
    """The value of each process, in all of them."""
    if process_count(model) == 1:
        return [value]
    gathered = [None] * process_count(model)
    dist.all_gather_object(gathered, value, group=model.process_group)
    return gathered


def wait_for_all(model: nn.Module) -> None:
    if process_count(model) > 1:
        dist.barrier(model.process_group)
