"""Train a model and measure it.

A loss function, and every measure, takes the model and a batch, and returns the mean over the items
of that batch and the number of those items: so batches of any size add up.

    def loss_fn(model, batch):
        x, y = batch
        return F.mse_loss(model(x), y), len(y)

    history = fit(model, loader, loss_fn, optimizer, epochs=20, val_loader=val_loader, patience=3)
"""

import os
from collections.abc import Iterable, Sized
from contextlib import nullcontext, suppress
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from attnlib._checks import check_positive
from attnlib.training._batches import check_precision, device_of, in_mode
from attnlib.training._checkpoint import Checkpoint
from attnlib.training._epoch import train_epoch
from attnlib.training._processes import is_first, unwrap
from attnlib.training.evaluation import LossFn, evaluate

__all__ = ["best_device", "fit"]


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
    schedule_every: str = "epoch",
    grad_clip: float | None = None,
    accumulate: int = 1,
    precision: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train `model` in place and return what was measured, one dict an epoch.

    loss of an epoch = sum_b n_b loss_b / sum_b n_b, over its batches b of n_b items
    With `val_loader` the model ends with the weights of its best epoch, else of its last; after an
    error or an interruption, with those of that moment. Train and eval modes are always put back.
    A model wrapped in DistributedDataParallel (see `distributed`) is trained by all its processes
    as by one: means are over the items of all, and the first process writes the file.

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
        scheduler: any of torch; ReduceLROnPlateau is given the monitored value, or the loss
            without `val_loader`.
        schedule_every: "epoch" or "step" (of the optimizer): when the scheduler is stepped. There
            are ceil(len(loader) / accumulate) steps in an epoch.
        grad_clip: largest norm of the gradient of all the optimizer's parameters together.
        accumulate: batches of a step. Their gradients are weighted by their items, so that the step
            is that of one large batch; the last step of an epoch may have fewer.
        precision: "bf16" or "fp16" runs model and loss, here and in the validation, under
            torch.autocast; fp16 with a scaled loss, which leaves out steps that overflow.
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
    least = {"epochs": epochs, "accumulate": accumulate}
    check_positive("fit", patience=1 if patience is None else patience, **least)
    check_precision("fit", precision)
    measures = {"loss": loss_fn, **(measures or {})}
    _check_arguments(loader, val_loader, measures, monitor, mode, patience, grad_clip)
    _check_schedule(scheduler, schedule_every, mode)
    every_step = scheduler if schedule_every == "step" else None
    device, inner = device_of(model), unwrap(model)
    scaler = GradScaler(device.type, enabled=precision == "fp16")
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
        settings |= {"accumulate": accumulate, "precision": precision}
        settings["schedule_every"] = schedule_every
        parts = {"optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}
        loaders = {"loader": loader, "val_loader": val_loader}
        saved = Checkpoint(Path(checkpoint), model, parts, loaders, device, settings)
        if saved.path.exists():
            history, best = saved.load()
        if not finished():
            saved.save(history, best)  # before any work: finds a folder that cannot be written to,
            saved.load()  # and a state that could not be read back

    epoch, total = len(history) + 1, epochs * len(loader)
    shown = progress and is_first(model) and not finished()
    try:
        with _bar(shown, len(history) * len(loader), total) as bar, in_mode(model, training=True):
            while not finished():
                loss = train_epoch(
                    model, loader, loss_fn, optimizer, device=device, precision=precision,
                    scaler=scaler, accumulate=accumulate, grad_clip=grad_clip,
                    scheduler=every_step, epoch=epoch, bar=bar,
                )  # fmt: skip
                row = {"epoch": epoch, "loss": loss}
                if val_loader is not None:
                    values = evaluate(model, val_loader, measures, precision=precision)
                    row |= {f"val_{name}": value for name, value in values.items()}
                history.append(row)
                if val_loader is not None and best_epoch() == epoch:
                    best = deepcopy(inner.state_dict())
                if isinstance(scheduler, ReduceLROnPlateau):
                    scheduler.step(row["loss" if val_loader is None else monitor])
                elif scheduler is not None and every_step is None:
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
        inner.load_state_dict(best)
    return history


def best_device() -> torch.device:
    """The fastest kind of device of this machine: cuda, mps or cpu.

    >>> best_device().type in ("cuda", "mps", "cpu")
    True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _bar(shown: bool, done: int, total: int) -> Any:
    """A tqdm bar, or something of that shape which shows nothing."""
    if shown and not os.environ.get("TQDM_DISABLE"):  # tqdm's notebook bar does not look there
        with suppress(ImportError):
            from tqdm.auto import tqdm

            return tqdm(initial=done, total=total, unit="batch")
    return nullcontext(SimpleNamespace(n=0, update=lambda: None, set_postfix=lambda row: None))


def _check_arguments(loader, val_loader, measures, monitor, mode, patience, grad_clip):
    loaders = {"loader": loader} | ({} if val_loader is None else {"val_loader": val_loader})
    for name, each in loaders.items():
        if not isinstance(each, Sized):
            got = type(each).__name__
            raise TypeError(f"fit: {name} is a {got}, expected batches with a length; pass a list")
    empty = [name for name, each in loaders.items() if len(each) == 0]
    judged = patience is not None or len(measures) > 1 or monitor != "val_loss"
    unjudged = judged and val_loader is None
    known = [f"val_{name}" for name in measures]
    bad_clip = grad_clip is not None and not grad_clip > 0
    _refuse(
        (empty, f"{empty} without data, expected at least one batch; give it some"),
        (unjudged, "got no val_loader, expected one for measures, monitor, patience; pass it"),
        (monitor not in known, f"monitor={monitor!r}, expected one of {known}; add to measures="),
        (mode not in ("min", "max"), f"mode={mode!r}, expected 'min' or 'max'; write one of them"),
        (bad_clip, f"grad_clip={grad_clip}, expected a norm above 0; write None for no limit"),
    )


def _check_schedule(scheduler, schedule_every, mode):
    every, plateau = schedule_every, isinstance(scheduler, ReduceLROnPlateau)
    other = scheduler.mode if plateau else mode
    _refuse(
        (
            every not in ("epoch", "step"),
            f"schedule_every={every!r}, expected 'epoch' or 'step'; write one of them",
        ),
        (
            every == "step" and (scheduler is None or plateau),
            f"schedule_every='step' with {type(scheduler).__name__}, expected a schedule that "
            "counts steps, such as OneCycleLR; write schedule_every='epoch'",
        ),
        (other != mode, f"ReduceLROnPlateau has mode={other!r}, expected {mode!r}; change one"),
    )


def _refuse(*cases: tuple[Any, str]) -> None:
    for wrong, message in cases:
        if wrong:
            raise ValueError(f"fit: {message}")
