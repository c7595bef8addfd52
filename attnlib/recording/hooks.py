"""`record_attention`: hooks that ask every attention layer for its weights.

To make a layer of your own recordable, name its weights keyword in the class attribute
`weights_flag` and return `(output, weights)` when that keyword is True: weights (B, H, L, S), or
`(edge_index, weights (E, H))` of a graph layer. Wrappers around such a layer need nothing. A class
attribute `map_kind` says "temporal" or "graph" where the weights are not over words. The tensor
that is returned should be the one that is used, so that `gradient_weighted` can follow it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from attnlib.recording.maps import AttentionMap

__all__ = ["record_attention"]


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, AttentionMap]]:
    """Record the weights of every attention layer while the block runs.

    The outputs of the model are unchanged, up to rounding (torch's kernel returns no weights, so
    they are computed openly), and the hooks are removed however the block ends. A layer that is
    called again (a second batch, shared weights) is kept under `name#2`.

    Args:
        model: a module; every submodule with a `weights_flag` is recorded (the name of its
            keyword that makes it return weights as well; set it to record a layer of your own).

    Yields:
        A dict that fills up: dotted path of the layer ("" for the model itself) to the map,
        weights (B, H, L, S), or (E, H) on the edges of a graph, detached, before dropout, on the
        device of the model. Its kind is the layer's `map_kind`, else graph, self or cross.

    Raises:
        TypeError: something that is not a module.
        ValueError: a model without any attention layer of this library.

    >>> import torch
    >>> from attnlib.attention import MultiHeadAttention
    >>> layer = MultiHeadAttention(6, num_heads=2)
    >>> with record_attention(layer) as maps:
    ...     _ = layer(torch.zeros(1, 5, 6))
    >>> maps[""].weights.shape
    torch.Size([1, 2, 5, 5])
    """
    with _recording("record_attention", model, detach=True) as maps:
        yield maps


@contextmanager
def _recording(owner: str, model: nn.Module, detach: bool) -> Iterator[dict[str, AttentionMap]]:
    layers = _attention_layers(owner, model)
    maps: dict[str, AttentionMap] = {}
    handles = []
    try:
        for name, layer in layers.items():
            handles += _record_layer(name, layer, maps, detach)
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _attention_layers(owner: str, model: nn.Module) -> dict[str, nn.Module]:
    """Path to layer, for the layers that have a `weights_flag`; raise if there are none."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{owner}: got {type(model).__name__}, expected a torch.nn.Module; "
            f"pass the model, not its output"
        )
    layers = {name: m for name, m in model.named_modules() if hasattr(m, "weights_flag")}
    if not layers:
        raise ValueError(
            f"{owner}: got a {type(model).__name__} without attention layers of attnlib, "
            f"expected at least one; convert torch layers with MultiHeadAttention.from_torch, or "
            f"give a layer of your own a weights_flag"
        )
    return layers


def _record_layer(name: str, layer: nn.Module, maps: dict[str, AttentionMap], detach: bool) -> list:
    flag = layer.weights_flag
    asked: list[bool] = []  # a stack: did the caller of this call want the weights as well?

    def ask(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        asked.append(bool(kwargs.get(flag, False)))
        return args, {**kwargs, flag: True}

    def keep(_module: nn.Module, args: tuple, kwargs: dict, output: tuple) -> Tensor | tuple:
        result, weights = output
        path, calls = name, 1
        while path in maps:
            calls += 1
            path = f"{name}#{calls}"
        if isinstance(weights, tuple):
            maps[path] = _graph_map(result, *weights, args, kwargs, detach)
        else:
            key = kwargs.get("key", args[1] if len(args) > 1 else None)
            query = kwargs.get("query", args[0] if args else None)
            kind = "self" if key is None or key is query else "cross"
            kind = getattr(layer, "map_kind", kind)
            maps[path] = AttentionMap(weights.detach() if detach else weights, kind=kind)
        return output if asked.pop() else result

    return [
        layer.register_forward_pre_hook(ask, with_kwargs=True),
        # Before the hooks of others: they see the output that they would see without recording.
        layer.register_forward_hook(keep, with_kwargs=True, prepend=True),
    ]


def _graph_map(
    result: Tensor, edge_index: Tensor, weights: Tensor, args: tuple, kwargs: dict, detach: bool
) -> AttentionMap:
    x = args[0] if args else kwargs["x"]
    sources = x[0] if isinstance(x, tuple) else x  # a pair (sources, targets): bipartite
    weights = weights.detach() if detach else weights
    num_nodes = (result.shape[0], sources.shape[0])
    return AttentionMap(weights, kind="graph", edge_index=edge_index, num_nodes=num_nodes)
