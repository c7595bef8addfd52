"""Train a model and measure it.

A loss function, and every measure, takes the model and a batch, and returns the mean over the items
of that batch and the number of those items: so batches of any size add up.

    def loss_fn(model, batch):
        x, y = batch
        return F.mse_loss(model(x), y), len(y)

    history = fit(model, loader, loss_fn, optimizer, epochs=20, val_loader=val_loader, patience=3)
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager, nullcontext, suppress
from copy import deepcopy
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from attnlib._checks import check_positive
from attnlib.training._checkpoint import Checkpoint

__all__ = ["LossFn", "best_device", "evaluate", "fit"]

# The number of items may be a tensor: a count of unpadded tokens then stays on the GPU.
LossFn = Callable[[nn.Module, Any], tuple[Tensor, int | Tensor]]


def fit(
    model: nn.Module,
    loader: Iterable,
    loss_fn: LossFn,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    val_loader: Iterable | None = None,
    measures: dict[str, LossFn] | None = None,
    monitor: str = "val_loss",
    mode: str = "min",
    patience: int | None = None,
    scheduler: LRScheduler | ReduceLROnPlateau | None = None,
    grad_clip: float | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train `model` in place and return what was measured, one dict an epoch.

    loss of an epoch = sum_b n_b loss_b / sum_b n_b, over its batches b of n_b items
    With `val_loader` the model ends with the weights of its best epoch, else of its last; after an
    error or an interruption, with those of that moment. Train and eval modes are always put back.

    Args:
        model: trained on the device it is on; batches are moved there.
        loader: batches (tensors, or tuples, lists, dicts of them), with a length, as a DataLoader.
        loss_fn: (model, batch) -> (mean loss, number of items).
        optimizer: built from the parameters to train.
        epochs: passes over the loader, those before a resume included.
        val_loader: measured with `loss_fn` and `measures` after each epoch.
        measures: name to function; "accuracy" becomes "val_accuracy" in the history, and one that
            is named "loss" takes the place of `loss_fn` in the validation.
        monitor: key of the history that tells the best epoch; the first of equals wins.
        mode: "min" if lower is better, "max" if higher is.
        patience: stop after so many epochs in a row without a new best one.
        scheduler: stepped once an epoch; ReduceLROnPlateau is given the monitored value, or the
            loss without `val_loader`.
        grad_clip: largest norm of the gradient of all the optimizer's parameters together.
        checkpoint: file, one a run, written before the first and after each epoch, always whole.
            If it exists the run continues there, bit for bit as if never stopped: the states of
            torch's generator and of `loader.generator` are in it (Python's and NumPy's are not).
            A finished run is not trained again.
        progress: show a tqdm bar if tqdm is installed and TQDM_DISABLE is not set.

    Returns:
        [{"epoch": 1, "loss": ..., "val_loss": ..., "val_<measure>": ...}, ...]: plot_history draws
        it, pandas.DataFrame makes it a table.

    Raises:
        TypeError: a loader without length, a loss function that does not return the pair.
        ValueError: an argument out of range, an empty loader, a `monitor` that is not measured.
        RuntimeError: a loss or gradient that is not finite, a loss without gradient, a checkpoint
            that cannot be written or read or is of another run; the file is left as it was.
        KeyboardInterrupt: when interrupted, with a sentence on how to continue.

    >>> x, line = torch.tensor([[0.0], [1.0], [2.0]]), nn.Linear(1, 1)
    >>> def loss_fn(model, batch):
    ...     return nn.functional.mse_loss(model(batch), 2 * batch + 1), len(batch)
    >>> optimizer = torch.optim.Adam(line.parameters(), lr=0.1)
    >>> history = fit(line, [x], loss_fn, optimizer, epochs=300, progress=False)
    >>> round(line(torch.tensor([5.0])).item(), 1)
    11.0
    """
    check_positive("fit", epochs=epochs, patience=1 if patience is None else patience)
    measures = {"loss": loss_fn, **(measures or {})}
    _check_arguments(loader, val_loader, measures, monitor, mode, patience, scheduler, grad_clip)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] | None = None

    def best_epoch() -> int:
        return (min if mode == "min" else max)(history, key=lambda row: row[monitor])["epoch"]

    def finished() -> bool:
        done = len(history)
        return done >= epochs or bool(patience and done and done - best_epoch() >= patience)

    saved = None
    if checkpoint is not None:
        monitored = None if val_loader is None else f"{mode} of {monitor} among {list(measures)}"
        settings = {"monitor": monitored, "grad_clip": grad_clip, "batches": len(loader)}
        parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        loaders = {"loader": loader, "val_loader": val_loader}
        saved = Checkpoint(Path(checkpoint), parts, loaders, _device(model), settings)
        if saved.path.exists():
            history, best = saved.load()
        if not finished():
            saved.save(history, best)  # before any work: finds a folder that cannot be written to,
            saved.load()  # and a state that could not be read back

    epoch, total = len(history) + 1, epochs * len(loader)
    shown = progress and not finished()
    try:
        with _bar(shown, len(history) * len(loader), total) as bar, _mode(model, training=True):
            while not finished():
                loss = _train_epoch(model, loader, loss_fn, optimizer, grad_clip, epoch, bar)
                row = {"epoch": epoch, "loss": loss}
                if val_loader is not None:
                    values = evaluate(model, val_loader, measures)
                    row |= {f"val_{name}": value for name, value in values.items()}
                history.append(row)
                if val_loader is not None and best_epoch() == epoch:
                    best = deepcopy(model.state_dict())
                if isinstance(scheduler, ReduceLROnPlateau):
                    scheduler.step(row["loss" if val_loader is None else monitor])
                elif scheduler is not None:
                    scheduler.step()
                if saved is not None:
                    saved.save(history, best)
                bar.set_postfix(row)
                epoch += 1
            bar.total = bar.n  # to stop early is no failure, but a notebook would draw it in red
    except KeyboardInterrupt:
        kept = "the model keeps its weights of now; pass checkpoint= to be able to continue"
        if saved is not None:
            kept = f"{saved.path} holds the whole epochs before; the same call continues there"
        raise KeyboardInterrupt(f"fit: interrupted in epoch {epoch} of {epochs}; {kept}") from None
    if best is not None:
        model.load_state_dict(best)
    return history


def _train_epoch(model, loader, loss_fn, optimizer, grad_clip, epoch, bar) -> float:
    """Go over the loader once, with a step a batch; the mean loss over its items."""
    device = _device(model)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    results = []
    for batch in loader:
        loss, count = _call("fit: loss_fn", loss_fn, model, _to(batch, device))
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        if all(parameter.grad is None for parameter in parameters):
            raise RuntimeError(
                "fit: the loss has no gradient for the optimizer, expected one for some parameter; "
                "compute it without detach, and build the optimizer from this model's parameters"
            )
        # Without a limit the norm still tells whether the gradient is finite: 0 * norm is 0 or nan.
        norm = nn.utils.clip_grad_norm_(parameters, grad_clip or math.inf)
        results.append((loss.detach() + 0 * norm, count))
        # To look at a number is to wait for it. A CPU has it already and stops before a step that
        # would spoil the weights; a GPU would idle at every batch, so there we look in _mean.
        if device.type == "cpu" and not results[-1][0].isfinite():
            break
        optimizer.step()
        bar.update()
    return _mean(f"fit: in epoch {epoch} the loss or its gradient", results)


def evaluate(model: nn.Module, loader: Iterable, measures: dict[str, LossFn]) -> dict[str, float]:
    """Measure `model` in eval mode and without gradients.

    measure = sum_b n_b m_b / sum_b n_b: the mean over all items, whatever the size of the batches
    Each measure runs the model once a batch. Train and eval modes are put back.

    Args:
        model: measured on the device it is on; batches are moved there.
        loader: batches, as in `fit`; here it needs no length.
        measures: name to (model, batch) -> (mean over the batch, number of items).

    Returns:
        Name to mean.

    Raises:
        TypeError: measures that are no dict, or one that does not return the pair.
        ValueError: no items at all.
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
    device = _device(model)
    results: dict[str, list] = {name: [] for name in measures}
    with torch.no_grad(), _mode(model, training=False):
        for batch in loader:
            batch = _to(batch, device)
            for name, measure in measures.items():
                results[name].append(_call(f"evaluate: {name}", measure, model, batch))
    return {name: _mean(f"evaluate: {name}", pairs) for name, pairs in results.items()}


def best_device() -> torch.device:
    """The fastest kind of device of this machine: cuda, mps or cpu.

    >>> best_device().type in ("cuda", "mps", "cpu")
    True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _mean(what: str, results: list[tuple[Tensor, int | Tensor]]) -> float:
    """Mean over the items of one pass, whose numbers leave the device here, all at once."""
    values = torch.stack([value for value, _ in results]).tolist() if results else []
    counts = [int(count) for _, count in results]
    for batch, value in enumerate(values, 1):
        if not math.isfinite(value):
            raise RuntimeError(
                f"{what} is {value} in batch {batch}, expected a finite number; look for such "
                "numbers in that batch, or take a smaller learning rate or grad_clip=1.0"
            )
    if sum(counts) < 1:
        raise ValueError(
            f"{what} has no items in {len(counts)} batches, expected some; give it data"
        )
    return sum(n * value for n, value in zip(counts, values, strict=True)) / sum(counts)


def _call(what: str, function: LossFn, model: nn.Module, batch: Any) -> tuple:
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


def _device(model: nn.Module) -> torch.device:
    return next(chain(model.parameters(), model.buffers()), torch.empty(0)).device


def _to(batch: Any, device: torch.device) -> Any:
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: _to(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        moved = [_to(value, device) for value in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
    return batch


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Train or eval mode inside the block; afterwards each submodule has its own mode back."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def _bar(shown: bool, done: int, total: int) -> Any:
    """A tqdm bar, or something of that shape which shows nothing."""
    if shown and not os.environ.get("TQDM_DISABLE"):  # tqdm's notebook bar does not look there
        with suppress(ImportError):
            from tqdm.auto import tqdm

            return tqdm(initial=done, total=total, unit="batch")
    return nullcontext(SimpleNamespace(n=0, update=lambda: None, set_postfix=lambda row: None))


def _check_arguments(loader, val_loader, measures, monitor, mode, patience, scheduler, grad_clip):
    loaders = {"loader": loader} | ({} if val_loader is None else {"val_loader": val_loader})
    for name, each in loaders.items():
        if not isinstance(each, Sized):
            got = type(each).__name__
            raise TypeError(f"fit: {name} is a {got}, expected batches with a length; pass a list")
    empty = [name for name, each in loaders.items() if len(each) == 0]
    judged = patience is not None or len(measures) > 1 or monitor != "val_loss"
    unjudged = judged and val_loader is None
    known = [f"val_{name}" for name in measures]
    plateau = scheduler.mode if isinstance(scheduler, ReduceLROnPlateau) else mode
    bad_clip = grad_clip is not None and not grad_clip > 0
    for wrong, message in (
        (empty, f"{empty} without data, expected at least one batch; give it some"),
        (unjudged, "got no val_loader, expected one for measures, monitor, patience; pass it"),
        (monitor not in known, f"monitor={monitor!r}, expected one of {known}; add to measures="),
        (mode not in ("min", "max"), f"mode={mode!r}, expected 'min' or 'max'; write one of them"),
        (plateau != mode, f"ReduceLROnPlateau has mode={plateau!r}, expected {mode!r}; change one"),
        (bad_clip, f"grad_clip={grad_clip}, expected a norm above 0; write None for no limit"),
    ):
        if wrong:
            raise ValueError(f"fit: {message}")
