"""A diagnosis as plain text and as HTML that needs no script and no colour vision."""

import html
import itertools
import linecache
import re
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from attnlib.checker._compare import Difference, describe

_CELLS = 10  # the most rows and columns that a picture shows
_WIDTH = 96  # of a terminal, in characters

# Light cells with dark text and a border of their own can be read on a light and on a dark page.
# What differs has an outline, bold type and a sign: colour alone says nothing.
_CARD = "border-left:4px solid #d55e00;padding:2px 0 2px 14px;margin:4px 0"
_TABLE = "border-collapse:collapse;display:inline-table;width:auto;margin:2px 28px 8px 0"
_LABEL = "padding:2px 7px;text-align:right;font-weight:normal;background:none"
_CELL = "padding:2px 7px;text-align:right;border:1px solid #767676;color:#111;background:{}"
_DIFFERS = ";outline:3px solid #a40000;outline-offset:-3px;font-weight:bold"
_LINES = "margin:0 0 8px;background:none"


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What is wrong with an answer, and what to do next.

    Args:
        heading: the exercise, and what happened, in one sentence.
        hint: the hint of the known mistake, or an empty string.
        case: a sentence that introduces the arguments, or an empty string.
        arguments: of the smallest failing case, by name.
        difference: holds the two values to show beside each other.
        steps: the further hints that are open by now.
        notes: sentences about what comes next.
    """

    heading: str
    hint: str = ""
    case: str = ""
    arguments: dict[str, object] = field(default_factory=dict)
    difference: Difference | None = None
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [text for text in (self.heading, self.hint, self.case) if text]
        lines += [f"  {line}" for line in self._argument_lines()]
        pictures = _pictures(self.difference)
        if pictures:
            wanted, got = map(_text_table, pictures)
            lines += [f"  {line}" for line in _beside(wanted, got)]
        for number, step in enumerate(self.steps, 1):
            separator = "\n" if "\n" in step else " "
            lines += f"Hint {number}:{separator}{step}".replace("\n", "\n  ").split("\n")
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{_inline(self.heading)}</strong></p>"]
        parts += [f"<p>{_inline(text)}</p>" for text in (self.hint, self.case) if text]
        if self.arguments:
            parts.append(_preformatted("\n".join(self._argument_lines())))
        tables = [_html_table(picture) for picture in _pictures(self.difference)]
        if tables:
            parts.append(f'<div style="overflow-x:auto">{"".join(tables)}</div>')
        for number, step in enumerate(self.steps, 1):
            # several lines are a shape trace or pseudo-code: they keep their spaces
            text = _preformatted(step.strip()) if "\n" in step.strip() else _inline(step)
            parts.append(f"<div><strong>Hint {number}.</strong> {text}</div>")
        parts += [f"<p>{_inline(note)}</p>" for note in self.notes]
        return f'<div role="status" style="{_CARD}">{"".join(parts)}</div>'

    def _argument_lines(self) -> list[str]:
        lines = []
        for name, value in self.arguments.items():
            first, *rest = _compact(value).split("\n")
            lines.append(f"{name} = {first}")
            lines += [" " * (len(name) + 3) + line for line in rest]
        return lines


@dataclass(frozen=True, eq=False)
class _Picture:
    """A window on a two-dimensional slice: at most _CELLS rows and columns, with their numbers."""

    title: str
    values: np.ndarray
    differs: np.ndarray
    rows: list[str]
    columns: list[str]
    scale: tuple[float, float]


def where(line: tuple[str, int, str]) -> str:
    """A line of the learner's code, in words."""
    function, number, file = line
    source = linecache.getline(file, number).strip()
    text = f"line {number}" if function == "<module>" else f"in `{function}`, line {number}"
    return f"{text}: `{source[:80]}`" if source else text


def _pictures(found: Difference | None) -> list[_Picture]:
    """The wanted value and the one that came, around the first element that differs."""
    if found is None or not (_is_array(found.wanted) and _is_array(found.got)):
        return []
    wanted, got = _numpy(found.wanted), _numpy(found.got)
    scale = _scale(wanted)
    if found.differs is None:
        return [
            _cut(f"{word}, shape {array.shape}", array, np.zeros(array.shape, bool), scale)
            for word, array in (("wanted", wanted), ("got", got))
        ]
    differs = _numpy(found.differs)
    center = tuple(np.argwhere(differs)[0])
    return [
        _cut("wanted", wanted, np.zeros_like(differs), scale, center),
        _cut("got", got, differs, scale, center),
    ]


def _cut(title, values, differs, scale, center=()) -> _Picture:
    center = center or (0,) * values.ndim
    leading = center[:-2]
    if leading:
        title += f"[{', '.join(map(str, leading))}]"
    if not values.size:
        values, differs = np.zeros((0, 0)), np.zeros((0, 0), bool)
    else:
        values, differs = np.atleast_2d(values[leading]), np.atleast_2d(differs[leading])
    one_row = len(center) == 1
    rows = _window(0 if one_row else center[-2], values.shape[0])
    columns = _window(center[-1], values.shape[1])
    cut = np.ix_(rows, columns)
    labels = [""] if one_row else list(map(str, rows))
    return _Picture(title, values[cut], differs[cut], labels, list(map(str, columns)), scale)


def _window(center: int, size: int) -> range:
    start = max(0, min(center - _CELLS // 2, size - _CELLS))
    return range(start, min(size, start + _CELLS))


def _scale(values: np.ndarray) -> tuple[float, float]:
    if values.dtype.kind not in "biuf":
        return 0.0, 0.0
    finite = values[np.isfinite(values)].astype(float)
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _text_table(picture: _Picture) -> list[str]:
    """Aligned columns; a star stands before each element that differs."""
    if not picture.values.size:
        return [picture.title, "(no elements)"]
    lines = [["", *picture.columns]]
    for label, values, differs in zip(picture.rows, picture.values, picture.differs, strict=True):
        marks = ["*" if mark else "" for mark in differs]
        lines.append([label, *(m + _format(v) for m, v in zip(marks, values, strict=True))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        picture.title + (" (* differs)" if picture.differs.any() else ""),
        *("  ".join(map(str.rjust, line, widths)) for line in lines),
    ]


def _beside(left: list[str], right: list[str]) -> list[str]:
    width = max(map(len, left))
    if width + 4 + max(map(len, right)) > _WIDTH:
        return left + right
    pairs = itertools.zip_longest(left, right, fillvalue="")
    return [f"{a.ljust(width)}    {b}".rstrip() for a, b in pairs]


def _html_table(picture: _Picture) -> str:
    caption = f'<caption style="text-align:left;color:inherit">{picture.title}</caption>'
    if not picture.values.size:
        return f'<table style="{_TABLE}">{caption}<tr><td>(no elements)</td></tr></table>'
    labels = (f'<th scope="col" style="{_LABEL}">{label}</th>' for label in picture.columns)
    lines = [f"<tr><td></td>{''.join(labels)}</tr>"]
    for label, values, differs in zip(picture.rows, picture.values, picture.differs, strict=True):
        cells = [f'<th scope="row" style="{_LABEL}">{label}</th>']
        for value, mark in zip(values, differs, strict=True):
            style = _CELL.format(_color(value, picture.scale)) + (_DIFFERS if mark else "")
            text = ("≠ " if mark else "") + html.escape(_format(value))
            cells.append(f'<td style="{style}">{text}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="{_TABLE}">{caption}{"".join(lines)}</table>'


def _color(value, scale: tuple[float, float]) -> str:
    """From almost white to a blue on which dark text still has a contrast above 7."""
    low, high = scale
    if high <= low or not np.isfinite(value):
        return "#f4f4f4"
    share = min(max((float(value) - low) / (high - low), 0.0), 1.0)
    return f"hsl(205,70%,{96 - 32 * share:.0f}%)"


def _compact(value) -> str:
    if isinstance(value, Tensor | np.ndarray):
        dtype = str(value.dtype).removeprefix("torch.")
        numbers = np.array2string(
            _numpy(value), precision=3, suppress_small=True, threshold=64, edgeitems=2
        )
        return f"{describe(value)}, {dtype}\n{numbers}"
    if isinstance(value, tuple | list) and any(_is_array(item) for item in value):
        return "\n".join([describe(value), *map(_compact, value)])
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 400 else f"{text[:400]} ..."


def _format(value) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _is_array(value) -> bool:
    return isinstance(value, Tensor | np.ndarray) and value.ndim > 0


def _numpy(value: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    value = value.detach().cpu()
    value = value if value.layout == torch.strided else value.to_dense()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _preformatted(text: str) -> str:
    return f'<pre style="{_LINES}">{html.escape(text)}</pre>'


def _inline(text: str) -> str:
    """Escaped text in which `code` and *emphasis* are marked up."""
    parts = html.escape(text).split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner is a backtick
        return html.escape(text)
    for i, part in enumerate(parts):
        emphasised = re.sub(r"\*(\S|\S[^*]*\S)\*", r"<em>\1</em>", part)
        parts[i] = f"<code>{part}</code>" if i % 2 else emphasised
    return "".join(parts)
