"""Remove the attention heads that matter least."""

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from attnlib.attention import MultiHeadAttention
from attnlib.compression._layers import check_share, copied
from attnlib.compression.report import Report, compare
from attnlib.training import LossFn

__all__ = ["head_importance", "prune_heads"]


def head_importance(model: nn.Module, loader: Iterable, loss_fn: LossFn) -> dict[str, Tensor]:
    """How much the loss depends on each head of each MultiHeadAttention.

    importance_h = mean_x |d loss(x) / d gate_h|, where gate_h = 1 multiplies the context of head h
    x is one example; each layer is divided by its Euclidean norm. A layer that the loss does not
    depend on has importance 0. In eval mode; the gradients of the parameters are not touched.

    Args:
        model: has MultiHeadAttention layers; its batches have their examples first.
        loader: batches on the device of the model; those it was trained with.
        loss_fn: (model, batch) -> (mean loss, number of items), such as `training.cross_entropy`.

    Returns:
        Path of the layer to (H,).

    Raises:
        TypeError: not a module.
        ValueError: no such layer, or no batch.
        RuntimeError: a loss that does not depend on any head.

    Reference: Michel et al. 2019, section 4.1, arXiv:1905.10650

    >>> layer = MultiHeadAttention(6, num_heads=3)
    >>> def loss_fn(model, x):
    ...     return model(x).square().mean(), len(x)
    >>> importance = head_importance(layer, [torch.ones(2, 5, 6)], loss_fn)
    >>> importance[""].shape
    torch.Size([3])
    """
    model = copied("head_importance", model).eval()
    layers = _attention_layers("head_importance", model)
    total = {path: torch.zeros(layer.num_heads) for path, layer in layers.items()}
    gates: dict[str, Tensor] = {}  # those of one batch: (B, 1, H, 1), open
    batches = 0

    def gated(path: str, heads: int, module: nn.Module, arguments: tuple[Tensor]) -> Tensor:
        context = arguments[0].unflatten(-1, (heads, -1))  # (B, L, H, D)
        # A layer that is called several times has one gate, whose slopes add up.
        gate = gates.setdefault(path, context.new_ones(len(context), 1, heads, 1))
        return (context * gate.requires_grad_()).flatten(-2)

    with ExitStack() as hooks:
        for path, layer in layers.items():
            hook = layer.out_proj.register_forward_pre_hook(partial(gated, path, layer.num_heads))
            hooks.callback(hook.remove)
        for batch in loader:
            gates.clear()
            with torch.enable_grad():
                loss, count = loss_fn(model, batch)
            if not gates or not loss.requires_grad:
                raise RuntimeError(
                    "head_importance: the loss does not depend on any head, expected one that has "
                    "a gradient; let loss_fn run the model that it is given, without detach"
                )
            slopes = torch.autograd.grad(loss * count, list(gates.values()), allow_unused=True)
            for path, slope in zip(gates, slopes, strict=True):
                if slope is not None:
                    total[path] += slope.abs().sum(0).flatten().float().cpu()
            batches += 1
    if not batches:
        raise ValueError(
            "head_importance: loader has no batches, expected some; pass a list or a DataLoader"
        )
    return {path: slope / slope.norm().clamp(min=1e-30) for path, slope in total.items()}


def prune_heads(
    model: nn.Module,
    importance: dict[str, Tensor],
    loader: Iterable,
    measure: LossFn,
    *,
    share: float,
) -> tuple[nn.Module, Report]:
    """Remove the least important heads: their rows and columns leave the four matrices.

    Heads of all layers are compared. Each layer keeps its most important one. Heads of queries that
    share a head of keys and values (num_kv_heads) go together, and their importance adds up. The
    new model equals the whole one with the gates of those heads closed.

    Args:
        model: stays as it is. A mask or bias of its own for each head no longer fits.
        importance: of every layer, from `head_importance`.
        loader: batches to measure on, other than those that the importance is from.
        measure: (model, batch) -> (mean, number of items), such as `training.accuracy`.
        share: of the heads to remove, in [0, 1); rounded down.

    Returns:
        The new model, in the modes of the old one, and the report.

    Raises:
        TypeError: not a module, or projections that are not plain linear layers any more.
        ValueError: no attention layer, one with a `relative` term (which spans the heads), an
            importance that does not fit, a share outside [0, 1).

    Reference: Michel et al. 2019, section 4, arXiv:1905.10650

    >>> from attnlib.training import accuracy
    >>> model = nn.Sequential(MultiHeadAttention(6, num_heads=3), nn.Flatten())
    >>> batch = torch.ones(2, 5, 6), torch.tensor([3, 4])
    >>> importance = {"0": torch.tensor([0.1, 0.9, 0.4])}
    >>> small, report = prune_heads(model, importance, [batch], accuracy, share=0.4)
    >>> small[0].num_heads, small[0].q_proj.weight.shape
    (2, torch.Size([4, 6]))
    """
    check_share("prune_heads", share)
    small = copied("prune_heads", model)
    layers = _attention_layers("prune_heads", small)
    got = {path: tuple(slope.shape) for path, slope in importance.items()}
    wanted = {path: (layer.num_heads,) for path, layer in layers.items()}
    if got != wanted:
        raise ValueError(
            f"prune_heads: importance has the layers and shapes {got}, expected {wanted}; "
            "call head_importance with this model"
        )
    groups = {}  # of heads that share keys and values: one head each, unless num_kv_heads is less
    for path, layer in layers.items():
        _check_layer(path, layer)
        count = layer.k_proj.out_features // layer.head_dim
        groups[path] = importance[path].double().unflatten(0, (count, -1)).sum(1)
    ranked = sorted(
        (slope, path, group)
        for path, slopes in groups.items()
        for group, slope in enumerate(slopes.tolist())
        if group != slopes.argmax()
    )
    removed = int(share * sum(map(len, groups.values())))
    for path, layer in layers.items():
        gone = {group for _, of, group in ranked[:removed] if of == path}
        _keep(layer, [group for group in range(len(groups[path])) if group not in gone])
    return small, compare("prune_heads", model, small, loader, measure)


def _keep(layer: MultiHeadAttention, groups: list[int]) -> None:
    """Cut the matrices of a layer down to some groups of heads."""
    sharing = layer.num_heads * layer.head_dim // layer.k_proj.out_features
    heads = torch.tensor([g * sharing + i for g in groups for i in range(sharing)])
    device = layer.q_proj.weight.device

    def features(numbers: Tensor) -> Tensor:
        each = torch.arange(layer.head_dim)
        return (numbers[:, None] * layer.head_dim + each).flatten().to(device)

    _cut(layer.q_proj, 0, features(heads))
    for projection in (layer.k_proj, layer.v_proj):
        _cut(projection, 0, features(torch.tensor(groups)))
    _cut(layer.out_proj, 1, features(heads))
    if layer.log_temperature is not None:
        kept = layer.log_temperature.detach()[heads.to(device)]
        layer.log_temperature = nn.Parameter(kept, layer.log_temperature.requires_grad)
    layer.num_heads = len(heads)


def _cut(linear: nn.Linear, dim: int, kept: Tensor) -> None:
    for name, parameter in list(linear.named_parameters()):
        if dim == 0 or name == "weight":  # the bias belongs to the outputs
            part = parameter.detach().index_select(dim, kept)
            setattr(linear, name, nn.Parameter(part, parameter.requires_grad))
    linear.out_features, linear.in_features = linear.weight.shape


def _attention_layers(owner: str, model: nn.Module) -> dict[str, MultiHeadAttention]:
    layers = {p: m for p, m in model.named_modules() if isinstance(m, MultiHeadAttention)}
    if not layers:
        raise ValueError(
            f"{owner}: {type(model).__name__} has no attention heads, expected a layer of "
            "attnlib.MultiHeadAttention; convert torch's with MultiHeadAttention.from_torch"
        )
    return layers


def _check_layer(path: str, layer: MultiHeadAttention) -> None:
    if layer.relative is not None:
        raise ValueError(
            f"prune_heads: layer {path!r} has a relative term, expected none, because its matrix "
            "spans all heads; use other positions, or prune_magnitude"
        )
    kinds = [type(m) for m in (layer.q_proj, layer.k_proj, layer.v_proj, layer.out_proj)]
    other = [kind.__name__ for kind in kinds if kind is not nn.Linear]
    if other:
        raise TypeError(
            f"prune_heads: layer {path!r} has projections of kind {other}, expected nn.Linear; "
            "remove heads first, and quantise or factorise afterwards"
        )
