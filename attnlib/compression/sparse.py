"""Set the smallest weights to zero."""

from collections.abc import Iterable

from torch import nn
from torch.nn.utils import prune

from attnlib.compression._layers import check_share, copied
from attnlib.compression.report import Report, compare
from attnlib.training import LossFn

__all__ = ["prune_magnitude"]

PRUNED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prune_magnitude(
    model: nn.Module, loader: Iterable, measure: LossFn, *, share: float
) -> tuple[nn.Module, Report]:
    """Set the smallest weights of all linear and convolution layers to 0, biases excepted.

    weight <- weight [|weight| > t], with one t for all layers, of which `share` lies below
    The zeros are stored and multiplied like other numbers: nothing is faster or smaller until the
    file is packed or a sparse kernel is used. To train further moves them away from 0.

    Args:
        model: stays as it is.
        loader: batches to measure on.
        measure: (model, batch) -> (mean, number of items), such as `training.accuracy`.
        share: of the weights to set to 0, in [0, 1).

    Returns:
        The new model, in the modes of the old one, and the report.

    Raises:
        TypeError: not a module.
        ValueError: no such layer, or a share outside [0, 1).

    Differs from torch.nn.utils.prune:
        does it with that, and then makes it permanent: no mask and no hook stay behind.

    Reference: Han et al. 2015, section 3, arXiv:1506.02626, where t differs between layers

    >>> import torch
    >>> from attnlib.training import accuracy
    >>> batch = torch.eye(3), torch.tensor([0, 1, 2])
    >>> small, report = prune_magnitude(nn.Linear(3, 4), [batch], accuracy, share=0.75)
    >>> int((small.weight == 0).sum()), report.after.parameters
    (9, 16)
    """
    check_share("prune_magnitude", share)
    small = copied("prune_magnitude", model)
    # Two layers may share one weight, as one parameter: it counts, and is set to 0, once.
    found = {id(m.weight): m for m in small.modules() if isinstance(m, PRUNED)}
    layers = [(layer, "weight") for layer in found.values()]
    if not layers:
        raise ValueError(
            f"prune_magnitude: {type(model).__name__} has no linear or convolution layer, expected "
            "at least one; pass the whole model"
        )
    prune.global_unstructured(layers, prune.L1Unstructured, amount=share)
    for layer, name in layers:
        prune.remove(layer, name)
    return small, compare("prune_magnitude", model, small, loader, measure)
