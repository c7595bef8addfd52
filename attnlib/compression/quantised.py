"""Store the matrices of linear layers in 8 bits, and multiply in 8 bits."""

import copy
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnlib.compression._layers import copied, exchange
from attnlib.compression.report import Report, compare
from attnlib.training import LossFn

__all__ = ["QuantizedLinear", "quantize_int8"]


class QuantizedLinear(nn.Module):
    """A linear layer whose products are of 8-bit integers; torch's, with the names of nn.Linear.

    weight_ij = scale_i q_ij with q in -128 .. 127; the input gets one scale and offset a call
    For inference on a CPU: there is no gradient.

    Args:
        linear: the layer to store; it stays as it is.

    Raises:
        TypeError: not a plain nn.Linear in float32.
        ValueError: a layer that is not on the CPU.

    Differs from torch.ao.nn.quantized.dynamic.Linear:
        is that, for an input in any floating dtype, and with `weight` as a property, so that it
        can stand where code reads the weight of a linear layer.

    >>> QuantizedLinear(nn.Linear(7, 5))(torch.zeros(2, 7)).shape
    torch.Size([2, 5])
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        if type(linear) is not nn.Linear or linear.weight.dtype != torch.float32:
            got = type(linear).__name__
            got += f" in {linear.weight.dtype}" if isinstance(linear, nn.Linear) else ""
            raise TypeError(
                f"QuantizedLinear: got a {got}, expected nn.Linear in torch.float32; "
                "convert the model with .float() first"
            )
        if linear.weight.device.type != "cpu":
            raise ValueError(
                f"QuantizedLinear: got a layer on {linear.weight.device}, expected the CPU, where "
                "torch has these products; move the model with .cpu()"
            )
        from torch.ao.nn.quantized.dynamic import Linear
        from torch.ao.quantization import per_channel_dynamic_qconfig

        observed = copy.copy(linear)  # shares its weight; only the attribute is its own
        observed.qconfig = per_channel_dynamic_qconfig
        with _without_notice():
            stored = Linear.from_float(observed).weight()
        # Plain tensors, which any later release of torch can load.
        self.register_buffer("integers", stored.int_repr())
        self.register_buffer("scale", stored.q_per_channel_scales())
        bias = linear.bias
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._pack()
        self.register_load_state_dict_post_hook(_pack_again)

    @property
    def weight(self) -> Tensor:
        """The matrix (out_features, in_features) that the integers stand for."""
        return (self.integers * self.scale[:, None]).float()

    def forward(self, x: Tensor) -> Tensor:
        """Round the input to 8 bits, and multiply.

        Args:
            x: (..., in_features), on the CPU.

        Returns:
            (..., out_features), in the dtype of `x`.
        """
        rows = x.detach().float().reshape(-1, self.in_features)
        # With the range reduced to 7 bits the sums fit into the registers of older CPUs.
        output = torch.ops.quantized.linear_dynamic(rows, self._packed, reduce_range=True)
        return output.reshape(*x.shape[:-1], self.out_features).to(x.dtype)

    def _pack(self) -> None:
        """Lay the integers out as the product wants them."""
        offsets = torch.zeros(self.out_features, dtype=torch.int64)
        with _without_notice():
            stored = torch._make_per_channel_quantized_tensor(
                self.integers, self.scale.double(), offsets, 0
            )
            self._packed = torch.ops.quantized.linear_prepack(stored, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


def _pack_again(layer: QuantizedLinear, _: object) -> None:
    layer._pack()


@contextmanager
def _without_notice() -> Iterator[None]:
    """Torch says that tensors of this kind will go; here they last as long as a function."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor")
        yield


def quantize_int8(model: nn.Module, loader: Iterable, measure: LossFn) -> tuple[nn.Module, Report]:
    """Replace every plain linear layer by one of 8-bit integers, for inference on a CPU.

    Scales of the weights are fixed, one a row; those of the inputs follow each call, so that no
    batches are needed to set them. Layers that share their weight stay as they are.

    Args:
        model: in float32 on the CPU; stays as it is.
        loader: batches to measure on.
        measure: (model, batch) -> (mean, number of items), such as `training.accuracy`.

    Returns:
        The new model, in the modes of the old one, and the report.

    Raises:
        TypeError: not a module, or another dtype.
        ValueError: no linear layer, or another device.

    Reference: Jacob et al. 2018, section 2.1, arXiv:1712.05877

    >>> from attnlib.training import accuracy
    >>> batch = torch.eye(7), torch.arange(7)
    >>> small, report = quantize_int8(nn.Linear(7, 7), [batch], accuracy)
    >>> type(small).__name__, report.after.parameters
    ('QuantizedLinear', 56)
    """
    small = exchange("quantize_int8", copied("quantize_int8", model), QuantizedLinear)
    return small, compare("quantize_int8", model, small, loader, measure)
