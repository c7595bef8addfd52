"""Argument checks: the error messages that several modules share are written here.

Every message has the form `Owner: what was got, what was expected; what to write instead`.
The checks look at shapes and types only, never at data, so they cost no device synchronisation.
"""

import torch
from torch import Tensor


def check_tensor(owner: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{owner}: {name} must be a torch.Tensor, got {type(value).__name__}; "
            f"write torch.as_tensor({name})"
        )


def check_positive(owner: str, **sizes: int) -> None:
    """Raise unless every named size is an integer of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(
                f"{owner}: {name} must be an int, got {type(size).__name__}; write int({name})"
            )
        if size < 1:
            raise ValueError(f"{owner}: {name}={size}; {name} must be at least 1")


def check_probability(owner: str, name: str, value: float) -> None:
    """Raise ValueError unless 0 <= value < 1."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{owner}: {name}={value}; {name} must be a probability in [0, 1)")


def check_mask(owner: str, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise unless `mask` is bool and means one thing for scores of `shape` (..., L, S)."""
    if mask is None:
        return
    check_tensor(owner, "mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(
            f"{owner}: mask must be bool with True = may attend, got {mask.dtype}; "
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
            f"{owner}: bias must be floating point scores to add, got {bias.dtype}; "
            f"pass a bool tensor as mask="
        )
    if bias.ndim > len(shape) or not _fits(bias.shape, shape):
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
        check_tensor(owner, name, tensor)
        if not tensor.is_floating_point():
            raise TypeError(
                f"{owner}: {name} must be floating point, got {tensor.dtype}; "
                f"write {name}.float(), or embed token numbers first"
            )
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
    try:
        lead = torch.broadcast_shapes(*(tensor.shape[:-2] for tensor in tensors.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise ValueError(
            f"{owner}: leading dimensions of {shapes} do not broadcast; "
            f"expected the same (batch, heads) in each"
        ) from None
    L, S = query.shape[-2], key.shape[-2]
    if causal:
        check_causal(owner, L, S)
    return (*lead, L, S)


def check_causal(owner: str, L: int, S: int) -> None:
    """Raise ValueError when a causal mask would leave the first queries with nothing to see."""
    if L > S:
        raise ValueError(
            f"{owner}: {L} queries but only {S} keys; causal attention is aligned at the last "
            f"query and key, so the first queries would see nothing: pass at least as many keys"
        )


def _check_alike(owner: str, tensors: dict[str, Tensor]) -> None:
    """Raise when tensors differ in device, or in dtype outside autocast (which casts them)."""
    devices = {name: tensor.device for name, tensor in tensors.items()}
    if len(set(devices.values())) > 1:
        got = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{owner}: {got}; expected one device: move them with .to(query.device)")
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    device_type = next(iter(tensors.values())).device.type
    if len(set(dtypes.values())) > 1 and not torch.is_autocast_enabled(device_type):
        got = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(f"{owner}: {got}; expected one dtype: convert with .to(query.dtype)")


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether `shape` broadcasts to `target` without enlarging it."""
    tail = target[len(target) - len(shape) :]
    return all(size in (1, full) for size, full in zip(shape, tail, strict=True))
