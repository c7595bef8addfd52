"""One pass over the training data."""

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim.lr_scheduler import LRScheduler

from attnlib.training._batches import autocast, call, mean, to_device
from attnlib.training._processes import process_count, sum_counts, without_exchange

# An overflow halves the scale, from 65,536; below this one it is no overflow but NaN.
SMALLEST_SCALE = 2.0**-16


def train_epoch(
    model: nn.Module,
    loader: Iterable,
    loss_fn: Any,
    optimizer: torch.optim.Optimizer,
    *,
    device: torch.device,
    precision: str | None,
    scaler: GradScaler,
    accumulate: int,
    grad_clip: float | None,
    scheduler: LRScheduler | None,
    epoch: int,
    bar: Any,
) -> float:
    """Go over the loader once, a step every `accumulate` batches; the mean loss over its items."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    # A step from several parts: sum_b n_b gradient_b / sum_b n_b, as of one large batch.
    parts = accumulate > 1 or process_count(model) > 1
    results = []
    batches = iter(loader)
    while group := list(islice(batches, accumulate)):
        optimizer.zero_grad()
        for number, batch in enumerate(group, 1):
            with without_exchange(model, number < len(group)):
                batch = to_device(batch, device)
                with autocast(device, precision):
                    loss, count = call("fit: loss_fn", loss_fn, model, batch)
                if parts:  # a mean over no items is NaN, and as a part of a step it is nothing
                    some = torch.as_tensor(count, device=loss.device) > 0
                    loss = torch.where(some, loss, torch.zeros_like(loss))
                if loss.requires_grad:
                    scaler.scale(loss * count if parts else loss).backward()
            results.append((loss.detach(), count))
            bar.update()
        if all(parameter.grad is None for parameter in parameters):
            raise RuntimeError(
                "fit: the loss has no gradient for the optimizer, expected one for some parameter; "
                "compute it without detach, and build the optimizer from this model's parameters"
            )
        scaler.unscale_(optimizer)
        if parts:
            items = sum_counts(model, sum(count for _, count in results[-len(group) :]), device)
            items = torch.as_tensor(items).clamp(min=1)
            for parameter in parameters:
                if parameter.grad is not None:  # which its processes have divided by their number
                    parameter.grad.mul_(process_count(model)).div_(items)
        # Without a limit the norm still tells whether the gradient is finite: 0 * norm is 0 or nan.
        norm = nn.utils.clip_grad_norm_(parameters, grad_clip or math.inf)
        if not scaler.is_enabled():  # a scaler expects such gradients, and leaves out the step
            results[-1] = (results[-1][0] + 0 * norm, results[-1][1])
        # To look at a number is to wait for it. A CPU has it already and stops before a step that
        # would spoil the weights; a GPU would idle at every batch, so there we look in mean.
        losses = [loss for loss, _ in results[-len(group) :]]
        if device.type == "cpu" and not torch.stack(losses).isfinite().all():
            break
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None and scaler.get_scale() >= scale:  # no step left out
            scheduler.step()
    loss = mean(f"fit: in epoch {epoch} the loss or its gradient", results, model)
    if scaler.get_scale() < SMALLEST_SCALE:
        raise RuntimeError(
            f"fit: in epoch {epoch} the gradient is not finite at a loss scale of "
            f"{scaler.get_scale():.0e}, expected one that fits into fp16; look for NaN in the "
            "backward pass, or write precision='bf16'"
        )
    return loss
