"""Argument checks: the error messages that several modules share are written here.

Every message has the form `Owner: what was got, expected what; what to write instead`.
The checks look at shapes and types only, never at data, so they cost no device synchronisation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def check_tensor(owner: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{owner}: {name} is a {type(value).__name__}, expected a torch.Tensor; "
            f"write torch.as_tensor({name})"
        )


def check_floating(owner: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a tensor of floating point numbers."""
    check_tensor(owner, name, value)
    if not value.is_floating_point():
        raise TypeError(
            f"{owner}: {name} is {value.dtype}, expected floating point; "
            f"write {name}.float(), or embed token numbers first"
        )


def check_positive(owner: str, **sizes: int) -> None:
    """Raise unless every named size is an integer of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(
                f"{owner}: {name} is a {type(size).__name__}, expected an int; write int({name})"
            )
        if size < 1:
            raise ValueError(
                f"{owner}: got {name}={size}, expected at least 1; write {name}=1 or more"
            )


def check_probability(owner: str, name: str, value: float) -> None:
    """Raise ValueError unless 0 <= value < 1."""
    if not 0.0 <= value < 1.0:
        raise ValueError(
            f"{owner}: got {name}={value}, expected a probability in [0, 1); "
            f"write {name}=0.1 to drop one in ten"
        )


def check_mask(owner: str, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise unless `mask` is bool and means one thing for scores of `shape` (..., L, S)."""
    if mask is None:
        return
    check_tensor(owner, "mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(
            f"{owner}: mask is {mask.dtype}, expected bool with True = may attend; "
            f"write mask.bool() for a 0/1 mask, or pass additive scores as bias="
        )
    # A mask between two and all dimensions is ambiguous: (B, L, S) could be read as (H, L, S).
    if mask.ndim not in (2, len(shape)) or not _fits(mask.shape, shape):
        raise ValueError(
            f"{owner}: mask has shape {tuple(mask.shape)}, expected (L, S) = {shape[-2:]} or all "
            f"dimensions of the scores {shape}, each equal or 1; "
            f"a padding mask is padding_mask(lengths), shape (B, 1, 1, S)"
        )


def check_bias(owner: str, bias: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise unless `bias` is a floating tensor that broadcasts to scores of `shape`."""
    if bias is None:
        return
    check_tensor(owner, "bias", bias)
    if not bias.is_floating_point():
        raise TypeError(
            f"{owner}: bias is {bias.dtype}, expected floating point scores to add; "
            f"pass a bool tensor as mask="
        )
    if not _fits(bias.shape, shape):
        raise ValueError(
            f"{owner}: bias has shape {tuple(bias.shape)}, expected one that broadcasts to the "
            f"scores {shape}; reshape it to {shape[-2:]} or to all dimensions"
        )


def check_attention_inputs(
    owner: str, query: Tensor, key: Tensor, value: Tensor | None, causal: bool
) -> tuple[int, ...]:
    """Raise unless query, key and value fit; return the shape (..., L, S) of the scores."""
    tensors = {"query": query, "key": key} | ({} if value is None else {"value": value})
    for name, tensor in tensors.items():
        check_floating(owner, name, tensor)
        if tensor.ndim < 2:
            raise ValueError(
                f"{owner}: {name} has shape {tuple(tensor.shape)}, expected (..., length, width); "
                f"write {name}.unsqueeze(0) for a single vector"
            )
        if tensor.shape[-2] == 0 or tensor.shape[-1] == 0:
            raise ValueError(
                f"{owner}: {name} has shape {tuple(tensor.shape)}, expected at least one position "
                f"and one feature; drop empty sequences, or mask padded ones"
            )
    _check_alike(owner, tensors)
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"{owner}: query has width {query.shape[-1]} and key has width {key.shape[-1]}, "
            f"expected one width D; project one of them"
        )
    if value is not None and key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"{owner}: key has {key.shape[-2]} positions and value has {value.shape[-2]}, "
            f"expected one value a key; pass both from the same sequence"
        )
    leads = [tensor.shape[:-2] for tensor in tensors.values()]
    try:  # broadcast_shapes takes as long as a small product
        alike = all(lead == leads[0] for lead in leads)
        lead = leads[0] if alike else torch.broadcast_shapes(*leads)
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise ValueError(
            f"{owner}: got {shapes}, expected leading dimensions that broadcast; "
            f"pass the same (batch, heads) in each"
        ) from None
    L, S = query.shape[-2], key.shape[-2]
    if causal:
        check_causal(owner, L, S)
    return (*lead, L, S)


def check_sequence(owner: str, name: str, x: Tensor, projection: nn.Linear | None = None) -> None:
    """Raise unless `x` is (B, length, width) and, given a layer that projects it, fits there."""
    check_floating(owner, name, x)
    width = None if projection is None else projection.in_features
    if x.ndim != 3 or x.shape[1] == 0 or (width is not None and x.shape[2] != width):
        raise ValueError(
            f"{owner}: {name} has shape {tuple(x.shape)}, expected "
            f"(B, length, {width or 'width'}) with at least one position; "
            f"write {name}.unsqueeze(0) for one sequence, or build the layer for this width"
        )
    if projection is not None and x.dtype != projection.weight.dtype and not _casts(x.device):
        raise TypeError(
            f"{owner}: {name} is {x.dtype} and the parameters are {projection.weight.dtype}, "
            f"expected one dtype; convert one of them with .to(dtype)"
        )


def check_indices(
    owner: str, name: str, index: object, size: int, *, like: Tensor | None = None
) -> None:
    """Raise unless `index` is (n,) of integers in [0, size), one for each row of `like`.

    The one check here that looks at data, and so it does only where that is no wait: on the CPU,
    and not while torch.compile traces.
    """
    check_tensor(owner, name, index)
    if index.dtype == torch.bool or index.is_floating_point() or index.is_complex():
        raise TypeError(f"{owner}: {name} is {index.dtype}, expected integers; write {name}.long()")
    count = None if like is None else (like.shape[0] if like.ndim else "?")
    if index.ndim != 1 or (count is not None and index.shape[0] != count):
        raise ValueError(
            f"{owner}: {name} has shape {tuple(index.shape)}, expected "
            f"({'n' if count is None else count},), one number a row; "
            f"pass one row of edge_index"
        )
    if like is not None and index.device != like.device:
        raise ValueError(
            f"{owner}: {name} on {index.device}, expected it on {like.device}; "
            f"move it with .to({str(like.device)!r})"
        )
    if index.device.type != "cpu" or index.numel() == 0 or torch.compiler.is_compiling():
        return
    low, high = (int(bound) for bound in torch.aminmax(index))
    if low < 0 or high >= size:
        raise ValueError(
            f"{owner}: {name} holds numbers from {low} to {high}, expected 0 to {size - 1}; "
            f"count nodes from 0, and pass the number of all of them"
        )


def check_edge_index(owner: str, edge_index: object, num_nodes: int) -> None:
    """Raise unless `edge_index` is (2, E): sources above targets, nodes counted from 0."""
    check_tensor(owner, "edge_index", edge_index)
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise ValueError(
            f"{owner}: edge_index has shape {tuple(edge_index.shape)}, expected (2, E) with the "
            f"sources above the targets; write edge_index.T for pairs in rows"
        )
    check_indices(owner, "edge_index", edge_index.reshape(-1), num_nodes)


def check_names(
    owner: str, shape: tuple[int, ...], queries: Sequence[str] | None, keys: Sequence[str] | None
) -> None:
    """Raise ValueError when positions of weights of `shape` (..., L, S) have too few names."""
    for name, names, size in (("queries", queries, shape[-2]), ("keys", keys, shape[-1])):
        if names is not None and len(names) != size:
            raise ValueError(
                f"{owner}: got {len(names)} names of {name}, expected {size}; "
                f"cut padding off with AttentionMap.example(index, {name}=names)"
            )


def check_causal(owner: str, L: int, S: int) -> None:
    """Raise ValueError when a causal mask would leave the first queries with nothing to see."""
    if L > S:
        raise ValueError(
            f"{owner}: got {L} queries and {S} keys, expected a key for every query, because "
            f"causal attention is aligned at the last query and key; pass the earlier keys as well"
        )


def _check_alike(owner: str, tensors: dict[str, Tensor]) -> None:
    """Raise when tensors differ in device, or in dtype outside autocast (which casts them)."""
    first = next(iter(tensors.values()))
    devices = {name: tensor.device for name, tensor in tensors.items()}
    if len(set(devices.values())) > 1:
        got = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{owner}: {got}, expected one device; move them with .to(query.device)")
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    if len(set(dtypes.values())) > 1 and not _casts(first.device):
        got = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(f"{owner}: {got}, expected one dtype; convert with .to(query.dtype)")


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether `shape` broadcasts to `target` without enlarging it."""
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size in (1, full) for size, full in pairs)


def _casts(device: torch.device) -> bool:
    """Whether autocast converts dtypes on this kind of device (there is none on "meta")."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
