"""What is the first difference between the wanted value and the one that came?"""

import numbers
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# (relative, absolute): wide enough for another order of the same operations, and no wider.
_TOLERANCES = {
    torch.float16: (1e-2, 1e-3),
    torch.bfloat16: (5e-2, 1e-2),
    torch.float32: (1e-4, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex64: (1e-4, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}


@dataclass(frozen=True, eq=False)
class Difference:
    """One sentence, and the two values to show beside each other.

    Args:
        sentence: what differs, for people.
        wanted: the part of the wanted value that differs.
        got: the same part of the value that came.
        differs: bool, the shape of `wanted`: True where the elements differ; None when the
            difference is not in the elements.
    """

    sentence: str
    wanted: object = None
    got: object = None
    differs: Tensor | None = None


def difference(wanted, got, tolerance: float | None = None, place: str = "the result"):
    """The first difference between two values, or None when there is none.

    Kind, structure, shape, dtype, device and NaN come before the elements. Floating point
    elements are equal within a tolerance that suits their dtype; all others are equal exactly.

    Args:
        wanted: tensors, numpy arrays, numbers, strings, None, and tuples, lists and dicts of them.
        got: anything.
        tolerance: relative and absolute, instead of the one that suits the dtype.
        place: what to call the value in the sentence.

    Raises:
        TypeError: a wanted value that has no equality of its own.
    """
    if isinstance(wanted, Tensor | np.ndarray):
        kind = Tensor if isinstance(wanted, Tensor) else np.ndarray
        if not isinstance(got, kind):
            return _kind(wanted, got, place)
        return _array_difference(wanted, got, tolerance, place)
    if isinstance(wanted, dict):
        return _dict_difference(wanted, got, tolerance, place)
    if isinstance(wanted, tuple | list):
        return _sequence_difference(wanted, got, tolerance, place)
    if isinstance(wanted, bool | np.bool_):
        fits = isinstance(got, bool | np.bool_)
    elif isinstance(wanted, numbers.Number):
        kind = numbers.Integral if isinstance(wanted, numbers.Integral) else numbers.Number
        fits = isinstance(got, kind) and not isinstance(got, bool | np.bool_)
    else:
        fits = isinstance(got, type(wanted))
    if not fits:
        return _kind(wanted, got, place)
    if isinstance(wanted, numbers.Number) and not isinstance(wanted, numbers.Integral):
        return _number_difference(wanted, got, tolerance, place)
    if wanted is got:
        return None
    if type(wanted).__eq__ is object.__eq__:
        raise TypeError(
            f"check: got objects of class {type(wanted).__name__} to compare, expected tensors, "
            f"arrays, numbers, strings or containers of them; return one of those"
        )
    if wanted == got:
        return None
    return Difference(f"{place} is {got!r}, wanted {wanted!r}", wanted, got)


def describe(value) -> str:
    """The kind of a value in a few words.

    >>> describe((torch.zeros(2, 3), None))
    'a tuple of 2'
    """
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}"
    name = type(value).__name__
    article = "an" if name[0].lower() in "aeiou" else "a"
    if isinstance(value, tuple | list | dict):
        return f"{article} {name} of {len(value)}"
    return f"{article} {name}"


def _kind(wanted, got, place):
    sentence = f"{place} is {describe(got)}, wanted {describe(wanted)}"
    if isinstance(got, Tensor) and isinstance(wanted, numbers.Number):
        sentence += "; .item() turns a tensor of one element into a number"
    return Difference(sentence)


def _sequence_difference(wanted, got, tolerance, place):
    kind = tuple if isinstance(wanted, tuple) else list
    if not isinstance(got, kind) or len(got) != len(wanted):
        return _kind(wanted, got, place)
    for i, (wanted_item, got_item) in enumerate(zip(wanted, got, strict=True)):
        found = difference(wanted_item, got_item, tolerance, f"item {i} of {place}")
        if found:
            return found
    return None


def _dict_difference(wanted, got, tolerance, place):
    if not isinstance(got, dict):
        return _kind(wanted, got, place)
    missing = [key for key in wanted if key not in got]
    extra = [key for key in got if key not in wanted]
    if missing or extra:
        parts = [f"lacks the key {missing[0]!r}"] if missing else []
        parts += [f"has the key {extra[0]!r} that was not asked for"] if extra else []
        return Difference(f"{place} {' and '.join(parts)}")
    for key in wanted:
        found = difference(wanted[key], got[key], tolerance, f"key {key!r} of {place}")
        if found:
            return found
    return None


def _number_difference(wanted, got, tolerance, place):
    # A number that came out of a float32 tensor is no better than float32.
    rtol, atol = (tolerance, tolerance) if tolerance is not None else _TOLERANCES[torch.float32]
    if np.isclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True):
        return None
    if got != got:
        return Difference(f"{place} is NaN, wanted {wanted:.6g}", wanted, got)
    digits = next(
        (n for n in (6, 9, 12) if f"{wanted:.{n}g}" != f"{got:.{n}g}"), 17
    )  # enough of them to see the difference
    return Difference(f"{place} is {got:.{digits}g}, wanted {wanted:.{digits}g}", wanted, got)


def _array_difference(wanted, got, tolerance, place):
    if got.shape != wanted.shape:
        sentence = f"{place} has shape {tuple(got.shape)}, wanted {tuple(wanted.shape)}"
        return Difference(sentence, wanted, got)
    if got.dtype != wanted.dtype:
        return Difference(f"{place} has dtype {got.dtype}, wanted {wanted.dtype}")
    if isinstance(wanted, np.ndarray):
        if wanted.dtype.kind not in "biufc":
            same = np.asarray(wanted == got)
            return _element_difference(wanted, got, torch.from_numpy(~same), place)
        wanted, got = torch.from_numpy(wanted.copy()), torch.from_numpy(got.copy())
    if got.device != wanted.device:
        return Difference(f"{place} is on device {got.device}, wanted {wanted.device}")
    wanted, got = wanted.detach(), got.detach()
    if wanted.layout != got.layout:
        return Difference(f"{place} has layout {got.layout}, wanted {wanted.layout}")
    if wanted.layout != torch.strided:
        wanted, got = wanted.to_dense(), got.to_dense()
    if wanted.dtype not in _TOLERANCES:
        return _element_difference(wanted, got, wanted != got, place)
    rtol, atol = (tolerance, tolerance) if tolerance is not None else _TOLERANCES[wanted.dtype]
    close = torch.isclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True)
    return _element_difference(wanted, got, ~close, place)


def _element_difference(wanted, got, differs, place):
    count = int(differs.sum())
    if count == 0:
        return None
    if isinstance(got, Tensor) and got.dtype in _TOLERANCES:
        strange = got.isnan() & differs
        if strange.any():
            index = _first(strange)
            more = int(strange.sum()) - 1
            sentence = f"{place} has NaN{_at(index)}"
            sentence += f" and in {more} more place{'s' * (more > 1)}" if more else ""
            return Difference(sentence, wanted, got, differs)
    index = _first(differs)
    first = difference(_item(wanted[index]), _item(got[index]), 0.0, f"{place}{_at(index)}")
    sentence = first.sentence
    if count > 1:
        sentence += f"; {count} of {differs.numel()} elements differ"
    return Difference(sentence, wanted, got, differs)


def _item(value):
    return value.item() if hasattr(value, "item") else value


def _first(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[0].tolist())


def _at(index: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, index))}]" if index else ""
