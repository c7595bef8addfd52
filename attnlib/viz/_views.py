"""The static part of the explorer's pictures: where words, nodes and steps are, as SVG.

A query is `<g role="radio">`, a key has the class `key`; `data-at` is where a line ends or begins.
The script moves bars, shades and lines. All pictures are 360 units wide, about a phone.
"""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

import torch
from torch import Tensor

WIDTH = 360


def draw_words(queries: Sequence[str], keys: Sequence[str]) -> str:
    """Two columns: queries on the left, keys on the right."""
    step, top = 26, 34
    front = ['<text class="small" x="120" y="14" text-anchor="end">query</text>']
    front.append('<text class="small" x="236" y="14">key</text>')
    for j, name in enumerate(keys):
        y = top + step * j
        front.append(
            f'<g class="key" aria-hidden="true" data-at="230 {y}" data-name="{escape(name)}">'
            f'<rect class="bar" x="232" y="{y - 11}" width="0" height="22" rx="3"/>'
            f'<text x="236" y="{y + 4}">{_short(name)}</text>'
            f'<text class="share small" x="{WIDTH}" y="{y + 4}" text-anchor="end"></text></g>'
        )
    for i, name in enumerate(queries):
        y = top + step * i
        front.append(
            f'{_radio(name, 126, y)}<rect class="box" x="2" y="{y - 12}" width="122" height="24" '
            f'rx="4"/><text x="120" y="{y + 4}" text-anchor="end">{_short(name)}</text></g>'
        )
    return _svg(top + step * max(len(queries), len(keys)) - 12, 450, "", "".join(front))


def draw_graph(names: Sequence[str], edges: Sequence[tuple[int, int]], positions: Tensor) -> str:
    """Nodes in their places, with a thin line for every edge; a node is a query and a key."""
    low, high = positions.amin(0), positions.amax(0)
    scaled = (positions - low) / (high - low).amax().clamp_min(1e-9) * (WIDTH - 60)
    height = round(scaled[:, 1].amax().item()) + 60
    places = [(round(x) + 30, height - 30 - round(y)) for x, y in scaled.tolist()]
    pairs = sorted({(min(edge), max(edge)) for edge in edges})
    lines = "".join(
        f"M{places[i][0]} {places[i][1]}L{places[j][0]} {places[j][1]}" for i, j in pairs
    )
    behind = f'<path class="series" aria-hidden="true" d="{lines}" style="stroke-width:.5"/>'
    inside = max(map(len, names)) <= 3
    front = []
    for name, (x, y) in zip(names, places, strict=True):
        style = f'class="small{"" if inside else " halo"}" x="{x}" y="{y + (4 if inside else 21)}"'
        front.append(
            f'{_radio(name, x, y, " key")}<circle class="box" cx="{x}" cy="{y}" r="11"/>'
            f'<circle class="shade" cx="{x}" cy="{y}" r="10"/>'
            f'<text {style} text-anchor="middle">{_short(name)}</text></g>'
        )
    return _svg(height, 520, behind, "".join(front))


def draw_time(
    queries: Sequence[str], keys: Sequence[str], series: Tensor | None, times: Tensor
) -> str:
    """A series with bars under its steps. The queries are the steps, or a row of their own."""
    x = (14 + (times - times[0]) / (times[-1] - times[0]).clamp_min(1e-9) * (WIDTH - 28)).tolist()
    gap = min((b - a for a, b in pairwise(x)), default=40.0)
    level = torch.full_like(times, 0.5)
    if series is not None:
        span = (series.amax() - series.amin()).clamp_min(1e-9)
        level = (series - series.amin()) / span
    y = [84 - 70 * height for height in level.tolist()]
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    behind = f'<path class="series" aria-hidden="true" d="M{line}"/>'
    front = ['<text class="small scale" x="0" y="104"></text>']
    every = _apart(keys, x)
    for j, name in enumerate(keys):
        bar = max(2.5, min(0.8 * gap, 16.0))
        front.append(
            f'<g class="key" aria-hidden="true" data-at="{x[j]:.1f} 166" '
            f'data-name="{escape(name)}"><rect class="bar" x="{x[j] - bar / 2:.1f}" y="166" '
            f'width="{bar:.1f}" height="0"/></g>'
        )
        if j % every == 0:
            front.append(_label(x[j], 180, name))
    steps = len(queries) == len(keys)
    spread = (WIDTH - 28) / max(len(queries) - 1, 1)
    every = _apart(queries, [14 + spread * i for i in range(len(queries))])
    for i, name in enumerate(queries):
        a, b = (x[i], y[i]) if steps else (14 + spread * i, 200)
        wide = max(gap if steps else spread, 3.0)
        top, tall = (4, 166) if steps else (186, 42)
        label = "" if steps or i % every else _label(a, 222, name)
        front.append(
            f'{_radio(name, a, b)}<rect x="{a - wide / 2:.1f}" y="{top}" width="{wide:.1f}" '
            f'height="{tall}" fill-opacity="0"/><circle class="box" cx="{a:.1f}" cy="{b:.1f}" '
            f'r="4"/>{label}</g>'
        )
    return _svg(186 if steps else 228, 560, behind, "".join(front))


def _apart(names: Sequence[str], x: Sequence[float]) -> int:
    """Every so many names may be written, from the first on, without one touching the next."""
    room = max(map(_half, names)) * 2 + 6
    middles = [_inside(*pair) for pair in zip(x, names, strict=True)]
    steps = range(1, len(names))
    fitting = (n for n in steps if all(b - a >= room for a, b in pairwise(middles[::n])))
    return next(fitting, len(names))


def _half(name: str) -> float:
    """Half the width of a small label, or a little more: letters of 10 units are 6 wide or less."""
    return 3.0 * min(len(name), 12)


def _inside(x: float, name: str) -> float:
    """Where the middle of a small label is, so that its ends stay in the picture."""
    return min(max(x, _half(name)), WIDTH - _half(name))


def _label(x: float, y: float, name: str) -> str:
    middle = f'x="{_inside(x, name):.1f}" y="{y}" text-anchor="middle"'
    return f'<text class="small" {middle}>{_short(name)}</text>'


def _radio(name: str, x: float, y: float, also: str = "") -> str:
    key = f' data-name="{escape(name)}"' if also else ""
    return (
        f'<g class="query{also}" role="radio" aria-checked="false" tabindex="-1" '
        f'aria-label="{escape(name)}" data-at="{x:.4g} {y:.4g}"{key}>'
    )


def _short(name: str) -> str:
    return escape(name if len(name) <= 12 else f"{name[:11]}…")


def _svg(height: int, widest: int, behind: str, front: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" style="max-width:{widest}px" role="radiogroup" '
        f'aria-label="Query">{behind}<g class="links" aria-hidden="true"></g>{front}</svg>'
    )
