"""Reads many small PNG pictures of one size at once, without a package for it.

The steps of the format (ISO/IEC 15948): chunks, inflate, undo the filter of each row, palette.
"""

import struct
import zlib
from collections import defaultdict

import numpy as np

PALETTE, COLOURS = (
    3,
    6,
)  # kinds of picture that are read: numbers of a palette; red green blue alpha


def decode(pictures: list[bytes]) -> np.ndarray:
    """(N, H, W, 4) uint8, red, green, blue and opacity of pictures of one size."""
    chunks = [_chunks(picture) for picture in pictures]
    groups = defaultdict(list)
    for number, chunk in enumerate(chunks):
        groups[chunk[b"IHDR"]].append(number)
    width, height = struct.unpack_from(">2I", chunks[0][b"IHDR"])
    result = np.empty((len(pictures), height, width, 4), dtype=np.uint8)
    for header, numbers in groups.items():
        size = *_, depth, kind, _, _, interlaced = struct.unpack(">2I5B", header)
        assert size[:2] == (width, height)
        assert kind in (PALETTE, COLOURS)
        assert not interlaced
        step = 4 if kind == COLOURS else 1  # bytes from a byte to the same one of the point before
        rows = np.array(
            [np.frombuffer(zlib.decompress(chunks[n][b"IDAT"]), np.uint8) for n in numbers]
        ).reshape(len(numbers), height, -1)
        points = _unfiltered(rows[..., 1:], rows[..., 0], step)
        if kind == COLOURS:
            result[numbers] = points.reshape(len(numbers), height, width, 4)
        else:
            places = _numbers(points, depth)[..., :width]
            palettes = np.array([_palette(chunks[n]) for n in numbers])
            result[numbers] = palettes[np.arange(len(numbers))[:, None, None], places]
    return result


def _chunks(picture: bytes) -> dict[bytes, bytes]:
    """Content of each kind of chunk; the parts of the data are put together."""
    chunks: dict[bytes, bytes] = defaultdict(bytes)
    place = 8  # behind the signature
    while place < len(picture):
        length, kind = struct.unpack_from(">I4s", picture, place)
        chunks[kind] += picture[place + 8 : place + 8 + length]
        place += length + 12
    return chunks


def _palette(chunks: dict[bytes, bytes]) -> np.ndarray:
    """(256, 4) uint8; opacity is 255 where the picture does not give it."""
    palette = np.full((256, 4), 255, dtype=np.uint8)
    colours = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    palette[: len(colours), :3] = colours
    opacity = np.frombuffer(chunks[b"tRNS"], np.uint8)
    palette[: len(opacity), 3] = opacity
    return palette


def _numbers(rows: np.ndarray, depth: int) -> np.ndarray:
    """The numbers of `depth` bits in rows of bytes, the highest bits first."""
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    return ((rows[..., None] >> shifts) & (2**depth - 1)).reshape(*rows.shape[:-1], -1)


def _unfiltered(rows: np.ndarray, filters: np.ndarray, step: int) -> np.ndarray:
    """Bytes of N pictures, from differences to the point on the left and in the row above.

    Point after point, as each needs the one before, but of all pictures with one filter at once.
    """
    N, height, length = rows.shape
    # A point of zeros on the left and a row of zeros above save the special cases.
    known = np.zeros((N, height + 1, length + step), dtype=np.int16)
    for y in range(height):
        for kind in np.unique(filters[:, y]):
            chosen = np.flatnonzero(filters[:, y] == kind)
            above, row = known[chosen, y], known[chosen, y + 1]
            differences = rows[chosen, y].astype(np.int16)
            for x in range(step, length + step, step):
                here, before = slice(x, x + step), slice(x - step, x)
                guess = _guess(kind, row[:, before], above[:, here], above[:, before])
                row[:, here] = (differences[:, before] + guess) & 255
            known[chosen, y + 1] = row
    return known[:, 1:, step:].astype(np.uint8)


def _guess(kind: int, left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray | int:
    """What a filter expects at a point: nothing, left, up, their mean, or the nearest (Paeth)."""
    if kind < 3:
        return (0, left, up)[kind]
    if kind == 3:
        return (left + up) >> 1
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    nearest = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
