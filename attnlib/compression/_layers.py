"""Find, exchange and count the layers of a model."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy

from torch import Tensor, nn


def copied(owner: str, model: nn.Module) -> nn.Module:
    """A copy to change; the original stays as it is."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"{owner}: model is a {type(model).__name__}, expected a module; pass the model itself"
        )
    return deepcopy(model)


def check_share(owner: str, share: float) -> None:
    if not 0.0 <= share < 1.0:
        raise ValueError(
            f"{owner}: got share={share}, expected a number in [0, 1); write share=0.5 for half"
        )


def exchange(owner: str, model: nn.Module, change: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """Put `change(layer)` in the place of every plain linear layer.

    Left alone are layers that share their weight with another, as the output of a language model
    does with its embedding: they would not become smaller, and no longer be one.
    """
    uses = Counter(id(p) for m in model.modules() for p in m.parameters(recurse=False))
    new: dict[nn.Module, nn.Module] = {}
    for layer in model.modules():
        if type(layer) is nn.Linear and uses[id(layer.weight)] == 1:
            new[layer] = change(layer).train(layer.training)
    if not new:
        raise ValueError(
            f"{owner}: {type(model).__name__} has no linear layer of its own weight, expected at "
            "least one; pass the whole model"
        )
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child in new:
                setattr(parent, name, new[child])
    return new.get(model, model)


def weights(model: nn.Module) -> list[Tensor]:
    """All numbers that were learned, those of quantised layers too, which are no parameters."""
    found = list(model.parameters())
    for layer in model.modules():
        if isinstance(getattr(layer, "integers", None), Tensor):
            found += [layer.integers] if layer.bias is None else [layer.integers, layer.bias]
    return found
