"""How a kernel with a hand-written backward becomes a function that autograd can use.

A kernel computes attention in another order than the reference, to save memory or time, and
computes its gradients itself. Where that is not enough (second derivatives, the compiler, the
transforms of torch.func) the reference stands in: the same numbers, more slowly.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad


class Kernel(Protocol):
    """Attention computed in an order of its own; `mask` and `bias` may be None throughout."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, bias: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The context, and what the backward wants to be kept."""

    def backward(
        self, gradient: Tensor, inputs: tuple[Tensor | None, ...], kept: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        """The gradients of query, key, value and bias."""

    def reference(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        """The same context in operations that can be differentiated any number of times."""


def run(
    kernel: Kernel,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """The context by the kernel where one can run, and else by its reference."""
    if not kernels_run():
        return kernel.reference(query, key, value, mask, bias)
    return _Run.apply(kernel, query, key, value, mask, bias)


def kernels_run() -> bool:
    """Whether operations are simply executed: nobody traces them and nobody transforms them.

    torch.compile, torch.jit.trace, torch.func and forward-mode derivatives each want rules that a
    hand-written backward does not have.
    """
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def cast_as_torch_does(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Under autocast, the dtype that torch's own attention would compute in; else as they are."""
    kind = tensors[0].device.type
    if not _autocasts(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return tuple(x if x.dtype == torch.float64 else x.to(dtype) for x in tensors)


def plain_dtypes(kind: str) -> AbstractContextManager:
    """Autocast off: it has done its work, and would round what a kernel keeps in float32."""
    return torch.autocast(kind, enabled=False) if _autocasts(kind) else nullcontext()


def _autocasts(kind: str) -> bool:
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernel, query, key, value, mask, bias):
        with plain_dtypes(query.device.type):
            context, kept = kernel.forward(query, key, value, mask, bias)
        ctx.kernel = kernel
        ctx.save_for_backward(query, key, value, mask, bias, *kept)
        return context

    @staticmethod
    def backward(ctx, gradient):
        inputs, kept = ctx.saved_tensors[:5], ctx.saved_tensors[5:]
        with plain_dtypes(gradient.device.type):
            if torch.is_grad_enabled():  # create_graph=True: the gradient will be differentiated
                gradients = _by_reference(ctx, inputs, gradient)
            else:
                gradients = ctx.kernel.backward(gradient, inputs, kept)
        *first, bias = gradients
        return None, *first, None, bias


def _by_reference(ctx, inputs, gradient):
    # An alias for each: in self-attention query, key and value may be one tensor, and the
    # gradient of each is wanted alone.
    query, key, value, mask, bias = (None if x is None else x.view_as(x) for x in inputs)
    wanted = (*ctx.needs_input_grad[1:4], ctx.needs_input_grad[5])
    aliases = zip((query, key, value, bias), wanted, strict=True)
    leaves = [x for x, want in aliases if want]
    context = ctx.kernel.reference(query, key, value, mask, bias)
    found = iter(torch.autograd.grad(context, leaves, gradient, create_graph=True))
    return tuple(next(found) if want else None for want in wanted)


def part(term: Tensor, rows: slice, keys: slice) -> tuple:
    """The index of a block in a mask or bias, whose sizes may be 1 where it broadcasts."""
    whole = slice(None)
    return (
        ...,
        rows if term.shape[-2] > 1 else whole,
        keys if term.shape[-1] > 1 else whole,
    )


def default_scale(query: Tensor, scale: float | None) -> float:
    return 1 / math.sqrt(query.shape[-1]) if scale is None else scale
