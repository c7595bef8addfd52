"""Which of the weights a particular answer depends on, by their gradients."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from attnlib.recording.hooks import _recording
from attnlib.recording.maps import AttentionMap

__all__ = ["gradient_weighted"]


def gradient_weighted(model: nn.Module, answer: Callable[[], Tensor]) -> dict[str, AttentionMap]:
    """The weights of every layer times the gradient of an answer, where that is positive.

    relevance = max(0, d answer / d weights * weights), for each head
    A large weight on which the answer does not depend gets none. Entries are amounts, not shares:
    rows do not sum to 1. Parameters get no gradient from this.

    Args:
        model: as in `record_attention`; use it in eval mode.
        answer: called once, without arguments; runs the model and returns what to explain, a
            number or one number an example (their sum is differentiated), with its graph.

    Returns:
        Dotted path of each layer to its map, of the shape of its weights.

    Raises:
        TypeError: something that is not a module.
        RuntimeError: an answer without a graph, or one that does not depend on some layer.

    Reference: Chefer, Gur & Wolf 2021, equation 5 (here before the mean over heads),
    arXiv:2103.15679

    >>> from attnlib.attention import MultiHeadAttention
    >>> layer, x = MultiHeadAttention(6, num_heads=2), torch.ones(1, 5, 6)
    >>> gradient_weighted(layer, lambda: layer(x)[0, 0, 0])[""].weights.shape
    torch.Size([1, 2, 5, 5])
    """
    with _recording("gradient_weighted", model, detach=False) as maps:
        total = answer().sum()
    if not total.requires_grad or not all(m.weights.requires_grad for m in maps.values()):
        raise RuntimeError(
            "gradient_weighted: got an answer or weights without a graph, expected both to be "
            "differentiable; leave out torch.no_grad(), .item() and .detach()"
        )
    slopes = torch.autograd.grad(total, [m.weights for m in maps.values()], allow_unused=True)
    relevance = {}
    for (path, one), slope in zip(maps.items(), slopes, strict=True):
        if slope is None:
            raise RuntimeError(
                f"gradient_weighted: the answer does not depend on the weights of layer "
                f"{path!r}, expected all recorded layers to take part; pass the part that does"
            )
        relevance[path] = replace(one, weights=(slope * one.weights).detach().clamp_min(0.0))
    return relevance
