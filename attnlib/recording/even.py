"""What does a model lose when it may not choose where to look?"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from attnlib.recording.hooks import _attention_layers

__all__ = ["even_weights"]

# All scores of a layer are 0 when one factor of each term is: the query of a dot product, the last
# vector of additive attention. These are the names in attnlib (and, for graphs, in PyG).
SCORES = ("q_proj", "relative", "score", "att", "att_src", "att_dst", "att_edge")


@contextmanager
def even_weights(model: nn.Module) -> Iterator[None]:
    """Let every attention layer weigh all that it may attend alike, while the block runs.

    weights_ij = 1 / (number of keys that query i may attend)
    The parameters that make the scores are zero and frozen in the block (so a model may also be
    trained in it, which is the fairer test) and come back however it ends. Of a `bias` only what
    it hides (-inf) is left: it is a score as well. Call backward inside the block.

    Args:
        model: every submodule with a `weights_flag` is changed. A layer of your own names the
            children or parameters that make its scores zero in the class attribute `score_names`.

    Yields:
        Nothing.

    Raises:
        TypeError: something that is not a module.
        ValueError: a model without attention layers, or a layer with unknown score parameters.

    Reference: Wiegreffe & Pinter 2019, section 3.2 (uniform weights), arXiv:1908.04626

    >>> from attnlib.attention import MultiHeadAttention
    >>> layer, x = MultiHeadAttention(6, num_heads=2), torch.randn(1, 4, 6)
    >>> with even_weights(layer):
    ...     layer(x, need_weights=True)[1][0, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500], grad_fn=<SelectBackward0>)
    """
    layers = _attention_layers("even_weights", model)
    parameters = {id(p): p for layer in layers.values() for p in _score_parameters(layer)}.values()
    before = [(p, p.detach().clone(), p.requires_grad) for p in parameters]
    handles = []
    try:
        for layer in layers.values():
            handles.append(layer.register_forward_pre_hook(_flatten_bias, with_kwargs=True))
        for p, _, _ in before:
            p.requires_grad_(False).zero_()
        yield
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for p, value, trained in before:
                p.copy_(value)
                p.requires_grad_(trained)


def _flatten_bias(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    bias = kwargs.get("bias")
    if bias is not None:
        kwargs = {**kwargs, "bias": torch.zeros_like(bias).masked_fill(bias.isneginf(), -torch.inf)}
    return args, kwargs


def _score_parameters(layer: nn.Module) -> list[nn.Parameter]:
    names = getattr(layer, "score_names", SCORES)
    parts = [getattr(layer, name) for name in names if getattr(layer, name, None) is not None]
    if not parts:
        raise ValueError(
            f"even_weights: got a {type(layer).__name__} without any of {names}, expected the "
            f"parameters that make its scores; name them in its class attribute score_names"
        )
    return [
        parameter
        for part in parts
        for parameter in (part.parameters() if isinstance(part, nn.Module) else [part])
    ]
