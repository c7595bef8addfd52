"""Train a small model to answer like a large one."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib.compression._layers import copied
from attnlib.compression.report import Report, compare
from attnlib.training import LossFn, fit

__all__ = ["distill", "distillation_loss"]


def distillation_loss(
    teacher: nn.Module, *, temperature: float = 2.0, share: float = 0.5, ignore_index: int = -100
) -> LossFn:
    """A loss for `fit`: be right, and be as unsure as the teacher.

    share T^2 KL(softmax(teacher / T) || softmax(student / T)) + (1 - share) cross-entropy
    Both are means over the targets that are not ignored. The gradient of the first falls with 1/T^2
    as T grows, so T^2 keeps the balance of the two.

    Args:
        teacher: gives logits like the student; a copy of it is used, in eval mode.
        temperature: T, above 0; the higher, the more the small probabilities count.
        share: of the teacher's part, in [0, 1].
        ignore_index: the target that stands for padding.

    Returns:
        (student, (*inputs, targets)) -> (mean, number of targets), for logits (B, C) or (B, L, C).

    Raises:
        TypeError: a teacher that is no module.
        ValueError: a temperature or share out of range; when called, other logits than the teacher.

    Reference: Hinton et al. 2015, section 2, arXiv:1503.02531

    >>> loss_fn = distillation_loss(nn.Identity(), share=1.0)
    >>> loss, n = loss_fn(nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 2])))
    >>> loss.item(), n.item()
    (0.0, 3)
    """
    if not temperature > 0:
        raise ValueError(
            f"distillation_loss: got temperature={temperature}, expected a number above 0; "
            "write temperature=2.0"
        )
    if not 0.0 <= share <= 1.0:
        raise ValueError(
            f"distillation_loss: got share={share}, expected a number in [0, 1]; write share=0.5"
        )
    teacher = copied("distillation_loss", teacher).eval().requires_grad_(False)

    def loss_fn(student: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        *inputs, targets = batch
        logits = student(*inputs)
        with torch.no_grad():
            wanted = teacher(*inputs)
        if wanted.shape != logits.shape:
            raise ValueError(
                f"distillation_loss: the student gives logits {tuple(logits.shape)}, expected "
                f"{tuple(wanted.shape)}, those of the teacher; build it for the same classes"
            )
        kept = targets != ignore_index
        logits, wanted = logits[kept], wanted[kept]
        count = kept.sum()
        soft = F.kl_div(
            (logits / temperature).log_softmax(-1),
            (wanted / temperature).log_softmax(-1),
            reduction="sum",
            log_target=True,
        )
        hard = F.cross_entropy(logits, targets[kept], reduction="sum")
        total = share * temperature**2 * soft + (1 - share) * hard
        return total / count.clamp(min=1), count

    return loss_fn


def distill(
    teacher: nn.Module,
    student: nn.Module,
    train_loader: Iterable,
    loader: Iterable,
    measure: LossFn,
    *,
    epochs: int,
    lr: float = 1e-3,
    temperature: float = 2.0,
    share: float = 0.5,
    progress: bool = True,
) -> tuple[nn.Module, Report]:
    """Train a copy of `student` on the answers of `teacher`, with AdamW.

    For schedules, validation or checkpoints call `fit` with `distillation_loss` instead.

    Args:
        teacher: the whole model; stays as it is.
        student: a smaller one, fresh or pruned; stays as it is.
        train_loader: batches (*inputs, targets) to train on.
        loader: batches to measure both on.
        measure: (model, batch) -> (mean, number of items), such as `training.accuracy`.
        epochs: passes over `train_loader`.
        lr: learning rate.
        temperature: as in `distillation_loss`.
        share: as in `distillation_loss`.
        progress: show the bar of `fit`.

    Returns:
        The trained student, in the modes of `student`, and the report: teacher before, student
        after.

    Raises:
        TypeError: not a module, or a loader without length.
        ValueError: a temperature, share or number of epochs out of range, or other logits.
        RuntimeError: a loss that is not finite.

    >>> from attnlib.training import accuracy
    >>> batch = torch.eye(3), torch.tensor([0, 1, 2])
    >>> teacher, student = nn.Sequential(nn.Linear(3, 9), nn.Linear(9, 3)), nn.Linear(3, 3)
    >>> small, report = distill(
    ...     teacher, student, [batch], [batch], accuracy, epochs=2, progress=False
    ... )
    >>> report.before.parameters, report.after.parameters
    (66, 12)
    """
    small = copied("distill", student)
    loss_fn = distillation_loss(teacher, temperature=temperature, share=share)
    optimizer = torch.optim.AdamW(small.parameters(), lr=lr)
    fit(small, train_loader, loss_fn, optimizer, epochs=epochs, progress=progress)
    return small, compare("distill", teacher, small, loader, measure)
