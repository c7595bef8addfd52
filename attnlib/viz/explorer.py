"""`explorer`: point at a word, a node or a step, and see where it attends."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from attnlib._checks import check_tensor
from attnlib.recording import AttentionMap
from attnlib.viz._page import SCRIPT, STYLE
from attnlib.viz._views import draw_graph, draw_time, draw_words
from attnlib.viz.graphs import graph_layout

__all__ = ["Explorer", "explorer"]

MOST = 200  # positions: more do not fit a page, and are no picture any more
HINT = {
    "words": "Point at a word on the left, or go with the arrow keys.",
    "graph": "Point at a node, or go with the arrow keys.",
    "time": "Point at a step, or go with the arrow keys.",
}


@dataclass(frozen=True)
class Explorer:
    """A view to explore: a notebook shows it, and `save` writes it as a page of its own.

    Args:
        html: a piece of HTML that needs nothing else.
        alt: what it shows, in words.
    """

    html: str
    alt: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.alt

    def save(self, path: str | PathLike[str]) -> None:
        """Write a page that any browser opens, also from a disk and without a network."""
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><title>Attention</title><style>:root{color-scheme:light '
            "dark}body{margin:0 auto;max-width:44rem;padding:1rem;font:1rem system-ui,sans-serif;"
            "background:light-dark(#fff,#12191c)}</style></head><body><main>"
            f"{self.html}</main></body></html>\n"
        )
        Path(path).write_text(page, encoding="utf-8")


def explorer(
    maps: AttentionMap | Mapping[str, AttentionMap],
    *,
    title: str | None = None,
    positions: Tensor | None = None,
    series: Tensor | None = None,
    times: Tensor | None = None,
    choice: str = "Layer",
) -> Explorer:
    """A view of attention that answers: choose a layer and a head, point, and see where it looks.

    It works in a notebook and on a page, by pointer and by arrow keys, in light and dark, without
    any other file. The same is said in a table below, which is all there is without scripts.
    Weights are rounded to 1/255 of the largest one of their layer.

    Args:
        maps: one map, or a map a layer by name, as `record_attention` gives them; one example
            each (`.example(0, queries=words)`), all of one shape, kind and names. Words become
            two columns, a graph a graph, kind temporal a series; at most 200 positions.
        title: text above the view.
        positions: (N, 2), where the nodes of a graph are; `graph_layout` when omitted.
        series: (S,), what was measured, drawn above the weights of a temporal map.
        times: (S,), ascending: when it was measured; evenly when omitted.
        choice: what the menu of maps chooses, if they are not layers: "Seed", "Model".

    Returns:
        What a notebook shows when it is the last line of a cell.

    Raises:
        TypeError: maps that are not an AttentionMap or a mapping of them.
        ValueError: maps of batches, of different shapes or kinds, or too large; positions,
            series or times that do not fit.

    >>> explorer(AttentionMap(torch.eye(2), ["it", "is"], ["it", "is"]))
    it attends most to it (100 %). is attends most to is (100 %).
    """
    layers = {name: _rounded(one) for name, one in _checked_layers(maps).items()}
    first = next(iter(layers.values()))
    L, S = first.shape
    queries, keys = first.names()
    view, edges = "words", None
    if first.edge_index is not None:
        edges = first.edge_index.tolist()
    if first.kind == "graph" and L == S:
        view = "graph"
        index = first.dense().nonzero().T.flip(0) if edges is None else first.edge_index
        places = graph_layout(index, L) if positions is None else positions
        places = _checked_line("positions", places, (L, 2))
        picture = draw_graph(keys, index.T.tolist(), places)
    elif first.kind == "temporal":
        view = "time"
        times = _checked_line("times", torch.arange(S) if times is None else times, (S,))
        series = None if series is None else _checked_line("series", series, (S,))
        picture = draw_time(queries, keys, series, times)
    else:
        picture = draw_words(queries, keys)
    data = {"view": view, "edges": edges, "layers": [_packed(one) for one in layers.values()]}
    alt = first.describe()
    # Not markup before the script makes it so: without scripts there is the table alone.
    said, hint = '<p class="said" role="status"></p>', _text("hint", HINT[view])
    stage = f"{_choices(layers, choice)}{picture}{said}{hint}"
    html = (
        f'<div class="attn-explorer" data-lm-suppress-shortcuts="true" '
        f'data-explorer="{escape(json.dumps(data, separators=(",", ":")))}">'
        f"<style>{STYLE}</style>{_text('title', title)}"
        f'<div class="stage" data-picture="{escape(stage)}"></div>'
        f"{_table(layers, queries)}"
        f"<script>{SCRIPT}</script></div>"
    )
    return Explorer(html, alt if title is None else f"{title}. {alt}")


def _rounded(one: AttentionMap) -> AttentionMap:
    """The map as the view knows it, so that the table says the same as the picture."""
    weights = one.weights.detach().to("cpu", torch.float64)
    step = (weights.amax().item() or 1.0) / 255
    edges = None if one.edge_index is None else one.edge_index.cpu()
    return replace(one, weights=(weights / step).round() * step, edge_index=edges)


def _packed(one: AttentionMap) -> dict:
    """Head after head, a byte a weight: a quarter of the size of text."""
    weights = one.weights if one.edge_index is None else one.weights.movedim(0, -1)
    flat = 2 if one.edge_index is None else 1  # dimensions of one head
    heads = 1 if weights.ndim == flat else weights.shape[-1 - flat]
    scale = weights.amax().item() or 1.0
    rounded = (weights * (255 / scale)).round().to(torch.uint8).contiguous()
    code = base64.b64encode(rounded.numpy().tobytes()).decode("ascii")
    return {"heads": heads, "scale": scale, "weights": code}


def _choices(layers: Mapping[str, AttentionMap], choice: str) -> str:
    options = "".join(
        f'<option value="{n}">{escape(name) or "attention"}</option>'
        for n, name in enumerate(layers)
    )
    only = " hidden" if len(layers) == 1 else ""
    return (
        f'<div class="choices"><label{only}>{escape(choice)} <select class="layer">{options}'
        "</select></label>"
        '<label>Head <select class="head-choice"></select></label></div>'
    )


def _table(layers: Mapping[str, AttentionMap], queries: Sequence[str]) -> str:
    """The two keys that each query attends to most, in every layer, in the mean of the heads."""
    columns = "".join(f'<th scope="col">{escape(name) or "attention"}</th>' for name in layers)
    dense = [one.dense() for one in layers.values()]
    keys = next(iter(layers.values())).names()[1]
    rows = []
    for i, name in enumerate(queries):
        cells = []
        for weights in dense:
            top, index = weights[i].topk(min(2, len(keys)))
            pairs = [
                f"{escape(keys[j])} {100 * weight:.0f} %"
                for weight, j in zip(top.tolist(), index.tolist(), strict=True)
                if weight > 0
            ]
            cells.append(f"<td>{', '.join(pairs) or 'nothing'}</td>")
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return (
        "<details open><summary>As a table: what each query attends to most, in the mean of the "
        'heads</summary><div class="scroll" tabindex="0" role="group" aria-label="Table of '
        f'attention"><table><thead><tr><th scope="col">query</th>{columns}</tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table></div></details>"
    )


def _text(name: str, text: str | None) -> str:
    return "" if text is None else f'<p class="{name}">{escape(text)}</p>'


def _checked_layers(maps: AttentionMap | Mapping[str, AttentionMap]) -> dict[str, AttentionMap]:
    layers = dict(maps) if isinstance(maps, Mapping) else {"": maps}
    wrong = [type(one).__name__ for one in layers.values() if not isinstance(one, AttentionMap)]
    if wrong or not layers:
        raise TypeError(
            f"explorer: got {wrong[0] if wrong else 'no maps'}, expected an AttentionMap or a "
            f"mapping of names to them; write AttentionMap(weights, queries=words, keys=words)"
        )
    shapes = [one.shape for one in layers.values()]
    first, *others = layers.values()
    if not all(_same_positions(first, other) for other in others):
        raise ValueError(
            f"explorer: got maps of shapes {shapes} that differ in shape, kind, names or edges, "
            f"expected layers of one sort; make an explorer of each sort"
        )
    if max(shapes[0]) > MOST:
        raise ValueError(
            f"explorer: got {shapes[0]} queries and keys, expected at most {MOST} of each; cut "
            f"the text with .example(0, queries=words[:{MOST}]), or take a part of the graph"
        )
    if any(one.weights.ndim == 4 and len(one.weights) > 1 for one in layers.values()):
        raise ValueError(
            "explorer: got maps of a batch, expected one example; "
            "write {name: m.example(0, queries=words) for name, m in maps.items()}"
        )
    return layers


def _same_positions(one: AttentionMap, other: AttentionMap) -> bool:
    alike = (one.kind, one.names()) == (other.kind, other.names())
    edges, others = one.edge_index, other.edge_index
    if edges is None or others is None:
        return alike and edges is others
    return alike and torch.equal(edges, others)


def _checked_line(name: str, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    check_tensor("explorer", name, values)
    if values.shape != shape or not bool(values.isfinite().all()):
        raise ValueError(
            f"explorer: {name} has shape {tuple(values.shape)}, expected {shape}, all finite; "
            f"give each position of the map its own"
        )
    if name == "times" and not bool((values.diff() > 0).all()):
        raise ValueError(
            "explorer: got times that do not ascend, expected each step later than the one "
            "before; sort the series by time"
        )
    return values.detach().to("cpu", torch.float32)
