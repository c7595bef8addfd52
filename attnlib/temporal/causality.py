"""Does a model look into the future? A test for any module, or any function, of a sequence."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib._checks import check_tensor

__all__ = ["future_leak"]


def future_leak(
    model: nn.Module | Callable[[Tensor], Tensor], x: Tensor, *, gradients: bool = True
) -> tuple[int, int] | None:
    """The first output step that a later input step reaches, with that input step, or None.

    Output step i may depend on the inputs 0 .. i. Two tests, since each is blind where the other
    sees: the inputs from step j on are replaced, and the outputs before j must stay as they are
    (finds what has no gradient: rounding, sorting, argmax); and the gradient of output i must
    be zero after i (finds what is faint beside other outputs, or saturated, so that a replacement
    does not show it). Less than rounding is no leak. It takes about T forward and T backward
    passes, so test on a short sequence; no random generator outside is touched.

    Args:
        model: x -> outputs (B, T, ...), or a tuple whose first entry they are. Without dropout:
            write `model.eval()` first, or pass a function that calls the model as you wish.
        x: (B, T) tokens or (B, T, ...) numbers, with at least two steps, that differ.
        gradients: also read gradients; False for functions that are not made of torch
            operations.

    Returns:
        (output step, input step), the input after the output, or None when there is no leak.
        Without a gradient it names the last input step that leaks, otherwise the first one.

    Raises:
        TypeError: an input or an output that is not a tensor.
        ValueError: an output of another length, fewer than two steps, tokens that are all equal.
        RuntimeError: a model that gives different outputs for the same input.

    >>> x = torch.arange(10.0).reshape(1, 5, 2)
    >>> future_leak(lambda x: x.cumsum(1), x)
    >>> future_leak(lambda x: x.flip(1), x)
    (0, 4)
    """
    owner = "future_leak"
    check_tensor(owner, "x", x)
    if x.ndim < 2 or x.shape[1] < 2 or x.numel() == 0:
        raise ValueError(
            f"{owner}: x has shape {tuple(x.shape)}, expected (B, T, ...) with at least two steps; "
            f"write x[None] for a single example"
        )
    with torch.no_grad():
        outputs = _run(model, x)
        if _changed(outputs, _run(model, x)).any():
            raise RuntimeError(
                f"{owner}: the model gives different outputs for the same input, expected the same "
                f"ones; write model.eval() first, which turns dropout off"
            )
        leaks = _leaks_on_replacement(model, x, outputs)
    if gradients and x.is_floating_point():
        leaks |= _leaks_of_gradient(model, x)
    pairs = leaks.nonzero().tolist()  # in the order of output steps, then of input steps
    return tuple(pairs[0]) if pairs else None


def _leaks_on_replacement(model: Callable, x: Tensor, outputs: Tensor) -> Tensor:
    """(T, T) bool: for each output the last step from which a replaced future changes it."""
    T = x.shape[1]
    other = _other_numbers(x)
    leaks = torch.zeros(T, T, dtype=torch.bool)
    for j in range(T - 1, 0, -1):
        replaced = torch.cat([x[:, :j], other[:, j:]], dim=1)
        changed = _changed(outputs, _run(model, replaced))
        known = leaks.any(1)
        leaks[:j, j] = changed[:j] & ~known[:j]
    return leaks


def _leaks_of_gradient(model: Callable, x: Tensor) -> Tensor:
    """(T, T) bool: which later inputs each output has a gradient of."""
    T = x.shape[1]
    leaks = torch.zeros(T, T, dtype=torch.bool)
    # cuDNN refuses the backward pass of a recurrent layer that is not training.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        leaf = x.detach().clone().requires_grad_()
        outputs = _run(model, leaf)
        if not outputs.requires_grad:
            return leaks
        pull = torch.randn(outputs.shape, generator=_generator(), dtype=torch.float64)
        pull = pull.to(outputs)
        for i in range(T - 1):
            step = torch.zeros_like(pull)
            step[:, i] = pull[:, i]
            (slope,) = torch.autograd.grad(outputs, leaf, step, retain_graph=True)
            size = slope.abs().nan_to_num(torch.inf).transpose(0, 1).flatten(1).amax(1).cpu()
            unit = torch.finfo(x.dtype).eps  # less than that of the largest is rounding
            leaks[i, i + 1 :] = size[i + 1 :] > 100 * unit * size.max()
    return leaks


def _run(model: Callable, x: Tensor) -> Tensor:
    outputs = model(x)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    check_tensor("future_leak", "output", outputs)
    if outputs.ndim < 2 or outputs.shape[:2] != x.shape[:2]:
        raise ValueError(
            f"future_leak: output has shape {tuple(outputs.shape)}, expected (B, T, ...) beginning "
            f"with {tuple(x.shape[:2])}; test the part of the model that keeps every step"
        )
    return outputs


def _changed(one: Tensor, other: Tensor) -> Tensor:
    """(T,) bool: the steps at which two outputs differ by more than rounding; NaN equals NaN."""
    unit = torch.finfo(one.dtype).eps if one.is_floating_point() else 0.0
    one, other = (x.transpose(0, 1).flatten(1).double().cpu() for x in (one, other))
    size = one[one.isfinite()].abs().amax() if one.isfinite().any() else 0.0
    differ = ((one - other).abs() > 10 * unit * size) | (one.isnan() != other.isnan())
    return differ.any(1)


def _other_numbers(x: Tensor) -> Tensor:
    """Numbers for another future: noise of the size of x, or tokens that x itself holds."""
    if x.is_floating_point():
        noise = torch.randn(x.shape, generator=_generator(), dtype=torch.float64).to(x)
        known = x.nan_to_num(0.0)
        return known + noise * (1 + known.abs().amax())
    tokens = x.unique()
    if len(tokens) < 2:
        raise ValueError(
            f"future_leak: x holds {len(tokens)} kind of token, expected two or more; "
            f"pass tokens that differ, so that one can stand in for another"
        )
    # The next token of the sorted list: every position changes, and to a token the model knows.
    return tokens[(torch.searchsorted(tokens, x) + 1) % len(tokens)]


def _generator() -> torch.Generator:
    # A seed that nobody takes for data: noise that is a multiple of x would hide changes of sign.
    return torch.Generator().manual_seed(1_729_001)
