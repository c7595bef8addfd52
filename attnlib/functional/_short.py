"""Attention over few keys in training: the weights are kept, a few heads are computed at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Scores of the heads that are computed together, in bytes: what the cache of a core holds.
GROUP = 1 << 20


@dataclass(frozen=True)
class Short:
    """Attention over query (G, L, D), key (G, S, D), value (G, S, Dv), G = product of `lead`.

    A kernel that forgets the weights computes seven products of this size, forward and backward;
    this one computes six, and for few keys the weights take no more memory than the inputs. Every
    step writes into memory that is there already: to ask for new memory costs as much as a step.
    `slow` computes the same from tensors with their leading dimensions.
    """

    lead: tuple[int, ...]
    scale: float
    causal: bool
    slow: Callable[..., Tensor]

    def reference(self, query, key, value, mask, bias):
        apart = (x.unflatten(0, self.lead) if self.lead else x[0] for x in (query, key, value))
        return self.slow(*apart, mask, bias).reshape(*query.shape[:2], value.shape[-1])

    def forward(self, query, key, value, mask, bias):
        (G, L, _), S = query.shape, key.shape[-2]
        context = query.new_empty(G, L, value.shape[-1])
        weights = query.new_empty(G, L, S)
        hidden = query.new_zeros(())
        if self.causal:
            hidden = query.new_full((L, S), -torch.inf).triu(S - L + 1)
        for heads in groups(weights):
            some = weights[heads]
            # The query is scaled before the product, which may overflow where the scores do not.
            torch.baddbmm(hidden, query[heads] * self.scale, key[heads].mT, out=some)
            torch.softmax(some, -1, out=some)
            torch.bmm(some, value[heads], out=context[heads])
        return context, (weights,)

    def backward(self, gradient, inputs, kept):
        query, key, value, _, _ = inputs
        [weights] = kept
        of_query, of_key, of_value = (torch.empty_like(x) for x in (query, key, value))
        for heads in groups(weights):
            some, sent = weights[heads], gradient[heads]
            torch.bmm(some.mT, sent, out=of_value[heads])
            of_scores = torch.bmm(sent, value[heads].mT)  # of the weights, as yet
            # weights * (of_weights - their weighted mean), in one pass
            torch._softmax_backward_data(of_scores, some, -1, some.dtype, grad_input=of_scores)
            of_query[heads].baddbmm_(of_scores, key[heads], beta=0, alpha=self.scale)
            of_key[heads].baddbmm_(of_scores.mT, query[heads], beta=0, alpha=self.scale)
        return of_query, of_key, of_value, None


def groups(weights: Tensor) -> list[slice]:
    """Slices of the heads, each with about GROUP bytes of weights."""
    size = max(1, GROUP // (weights[:1].nbytes or 1))
    return [slice(start, start + size) for start in range(0, len(weights), size)]
