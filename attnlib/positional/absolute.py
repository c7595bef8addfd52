"""Encodings of a position, or of a time, that are added to the features."""

import math

import torch
from torch import Tensor, nn

from attnlib._checks import check_positive, check_sequence, check_tensor

__all__ = ["LearnedEncoding", "SinusoidalEncoding", "TimeEncoding"]


class SinusoidalEncoding(nn.Module):
    """Add sine and cosine waves of the position, from short to long ones.

    encoding[p, 2i] = sin(p / 10000^(2i / F));  encoding[p, 2i + 1] = cos(p / 10000^(2i / F))
    Nothing is learned, and the state dict stays empty.

    Args:
        embed_dim: F, even: each wavelength has a sine and a cosine.
        max_len: number of positions.

    Raises:
        ValueError: sizes below 1, or an odd width.

    Reference: Vaswani et al. 2017, section 3.5, arXiv:1706.03762

    >>> SinusoidalEncoding(2, max_len=5)(torch.zeros(1, 2, 2))
    tensor([[[0.0000, 1.0000],
             [0.8415, 0.5403]]])
    """

    def __init__(self, embed_dim: int, max_len: int) -> None:
        super().__init__()
        check_positive("SinusoidalEncoding", embed_dim=embed_dim, max_len=max_len)
        if embed_dim % 2:
            raise ValueError(
                f"SinusoidalEncoding: got embed_dim={embed_dim}, expected an even width; "
                f"write embed_dim={embed_dim + 1}"
            )
        # In float64 until the end: the angle of position 5,000 has no digit to lose.
        exponents = torch.arange(0, embed_dim, 2, dtype=torch.float64) / embed_dim
        angles = torch.arange(max_len, dtype=torch.float64)[:, None] * 10000.0**-exponents
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
        self.register_buffer("table", table.to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """Add the encoding to a sequence.

        Args:
            x: (B, L, F).
            offset: position of the first element, the number of those decoded before.

        Returns:
            (B, L, F) in the dtype of `x`.

        Raises:
            TypeError: an input that is not floating point.
            ValueError: another width, or positions below 0 or beyond `max_len`.
        """
        return x + _rows("SinusoidalEncoding", self.table, x, offset)


class LearnedEncoding(nn.Module):
    """Add a learned vector for each position.

    output[b, i] = x[b, i] + weight[offset + i]

    Args:
        embed_dim: F.
        max_len: number of positions; there is nothing learned beyond.

    Raises:
        ValueError: sizes below 1.

    Reference: Gehring et al. 2017, section 3.1, arXiv:1705.03122

    >>> LearnedEncoding(3, max_len=5)(torch.zeros(1, 2, 3)).shape
    torch.Size([1, 2, 3])
    """

    def __init__(self, embed_dim: int, max_len: int) -> None:
        super().__init__()
        check_positive("LearnedEncoding", embed_dim=embed_dim, max_len=max_len)
        self.weight = nn.Parameter(torch.empty(max_len, embed_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new vectors, small beside embeddings so that these are not drowned at first."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """Add the encoding to a sequence.

        Args:
            x: (B, L, F).
            offset: position of the first element, the number of those decoded before.

        Returns:
            (B, L, F) in the dtype of `x`.

        Raises:
            TypeError: an input that is not floating point.
            ValueError: another width, or positions below 0 or beyond `max_len`.
        """
        return x + _rows("LearnedEncoding", self.weight, x, offset)


class TimeEncoding(nn.Module):
    """Encode time stamps, evenly spaced or not: one linear trend and learned waves.

    encoding[t, 0] = frequency_0 t + phase_0;  encoding[t, f] = sin(frequency_f t + phase_f)
    The waves begin with periods from 2 pi to about 60,000 units of time, so measure time in a
    unit near the usual gap. NaN among the times is not hidden: fill padded times with a number.

    Args:
        embed_dim: F, the trend and F - 1 waves.

    Raises:
        ValueError: a size below 1.

    Reference: Kazemi et al. 2019, equation 1, arXiv:1907.05321; as the embedding of uneven times:
    Shukla and Marlin 2021, section 3.1, arXiv:2101.10318

    >>> TimeEncoding(3)(torch.tensor([[0.0, 0.5, 7.0]])).shape
    torch.Size([1, 3, 3])
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        check_positive("TimeEncoding", embed_dim=embed_dim)
        self.frequency = nn.Parameter(torch.empty(embed_dim))
        self.phase = nn.Parameter(torch.empty(embed_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the frequencies from 1 to 10^-4 in equal ratios, the trend last, and draw phases."""
        with torch.no_grad():
            self.frequency.copy_(torch.logspace(-4, 0, len(self.frequency)))
            self.phase.uniform_(0, 2 * math.pi)
            self.phase[0] = 0

    def forward(self, times: Tensor) -> Tensor:
        """Encode times.

        Args:
            times: (B, T) real or integer, in the unit that the layer is trained with.

        Returns:
            (B, T, F) in the dtype of the parameters.

        Raises:
            TypeError: times that are not numbers in a tensor.
            ValueError: not two-dimensional, or no time at all.
        """
        check_tensor("TimeEncoding", "times", times)
        if times.dtype == torch.bool or times.is_complex():
            raise TypeError(
                f"TimeEncoding: times is {times.dtype}, expected real numbers; write times.float()"
            )
        if times.ndim != 2 or times.shape[1] == 0:
            raise ValueError(
                f"TimeEncoding: times has shape {tuple(times.shape)}, expected (B, T) with at "
                f"least one time; write times.unsqueeze(0) for one series"
            )
        # Seconds since 1970 need float64: they are multiplied as they are and rounded afterwards.
        dtype = self.phase.dtype
        wide = torch.promote_types(times.dtype, torch.promote_types(dtype, torch.float32))
        angles = times.to(wide)[..., None] * self.frequency.to(wide) + self.phase.to(wide)
        return torch.cat((angles[..., :1], angles[..., 1:].sin()), dim=-1).to(dtype)


def _rows(owner: str, table: Tensor, x: Tensor, offset: int) -> Tensor:
    """Rows offset to offset + L of a table (max_len, F), for x (B, L, F)."""
    check_sequence(owner, "x", x)
    max_len, F = table.shape
    end = offset + x.shape[1]
    if x.shape[2] != F:
        raise ValueError(
            f"{owner}: x has shape {tuple(x.shape)}, expected (B, L, {F}); "
            f"build it with embed_dim={x.shape[2]}"
        )
    if offset < 0 or end > max_len:
        raise ValueError(
            f"{owner}: got positions {offset} to {end - 1}, expected 0 to {max_len - 1}; "
            f"build it with a larger max_len, or cut the sequence"
        )
    return table[offset:end].to(x.dtype)
