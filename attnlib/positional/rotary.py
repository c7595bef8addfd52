"""Rotary embedding: a position as an angle."""

import torch
from torch import Tensor, nn

from attnlib._checks import check_floating, check_positive

__all__ = ["RotaryEmbedding"]


class RotaryEmbedding(nn.Module):
    """Turn each pair of features by an angle that grows with the position.

    (x_2i, x_2i+1) at position p, as a complex number, is multiplied by exp(j p base^(-2i / D))
    Both query and key are turned, so their product depends on the distance p_query - p_key only.
    Nothing is learned, and the state dict stays empty.

    Args:
        head_dim: D, even.
        base: ratio of the longest to the shortest wavelength, above 1; larger for longer texts.

    Raises:
        ValueError: a size below 1, an odd width, or a base that is not above 1.

    Differs from the Llama layers of transformers:
        those pair feature i with feature i + D / 2. To load their projections, reorder the rows
        of every head by `arange(D).view(2, -1).T.flatten()`.

    Reference: Su et al. 2021, section 3.2.2 and equation 34, arXiv:2104.09864

    >>> RotaryEmbedding(2)(torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]]))
    tensor([[[[1.0000, 0.0000],
              [0.5403, 0.8415]]]])
    """

    def __init__(self, head_dim: int, *, base: float = 10000.0) -> None:
        super().__init__()
        check_positive("RotaryEmbedding", head_dim=head_dim)
        if head_dim % 2:
            raise ValueError(
                f"RotaryEmbedding: got head_dim={head_dim}, expected an even width; "
                f"choose embed_dim / num_heads even"
            )
        if not base > 1:
            raise ValueError(
                f"RotaryEmbedding: got base={base}, expected more than 1; write base=10000.0"
            )
        self.head_dim = head_dim
        self.base = base

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """Turn queries or keys.

        Args:
            x: (B, H, L, D).
            offset: position of the first element, the number of those decoded before.

        Returns:
            (B, H, L, D) in the dtype of `x`.

        Raises:
            TypeError: an input that is not floating point.
            ValueError: another shape, or a negative offset.
        """
        check_floating("RotaryEmbedding", "x", x)
        if x.ndim != 4 or x.shape[-1] != self.head_dim:
            raise ValueError(
                f"RotaryEmbedding: x has shape {tuple(x.shape)}, expected "
                f"(B, H, L, {self.head_dim}); split heads first, before turning them"
            )
        if offset < 0:
            raise ValueError(
                f"RotaryEmbedding: got offset={offset}, expected 0 or more, because the last query "
                f"stands at the last key; pass at least as many keys as queries"
            )
        # Angles are made here, not kept as a buffer, which .half() would round to 3 digits.
        wide = torch.promote_types(x.dtype, torch.float32)
        positions = torch.arange(offset, offset + x.shape[2], device=x.device, dtype=wide)
        steps = torch.arange(0, self.head_dim, 2, device=x.device, dtype=wide)
        angles = positions[:, None] * self.base ** (-steps / self.head_dim)
        cosine, sine = angles.cos(), angles.sin()
        real, imaginary = x[..., 0::2], x[..., 1::2]
        turned = (real * cosine - imaginary * sine, real * sine + imaginary * cosine)
        return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)

    def extra_repr(self) -> str:
        return f"head_dim={self.head_dim}, base={self.base}"
