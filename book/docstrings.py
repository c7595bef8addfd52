"""The library's docstrings as reStructuredText, so that autodoc can print them.

The docstrings are written to be read in a terminal: plain text, `code` in single backticks,
*emphasis* on a word or two, formulas on lines of their own, and the sections Args, Returns, Yields,
Raises, Differs from, Reference.
"""

import re
from collections.abc import Iterator

FORMULA = re.compile(r"[A-Za-z]\w*'?(\[[^]]*\]|\([^)]*\))? (=|<=|>=|->) .*[^.]$")
HEADING = re.compile(r"(Args|Returns|Yields|Raises|Differs from [^:]+|References?):(.*)")
ENTRY = re.compile(r"(\w[\w., *]*): (.*)")
# What is markup in a line of text, and what would be if it were left as it is.
MARKUP = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|(?<![^\s(])\*(?P<emphasis>[A-Za-z]([A-Za-z -]*[A-Za-z])?)\*(?![^\s.,:;!?)])"
    r"|arXiv:(?P<paper>\d{4}\.\d{4,5})"
    r"|(?P<special>[\\*_|`<>])"
)


def process(app, what, name, thing, options, lines: list[str]) -> None:
    """Listener of autodoc-process-docstring: rewrite the lines in place."""
    lines[:] = convert(lines)


def setup(app) -> None:
    app.connect("autodoc-process-docstring", process)


def convert(lines: list[str]) -> list[str]:
    """A docstring, as reStructuredText.

    >>> convert(["Add `x` to y_i.", "", "Args:", "    x: (B,) a *number*, 2*3*4."])
    ['Add ``x`` to y\\\\_i.', '', ':param x: (B,) a *number*, 2\\\\*3\\\\*4.', '']
    """
    out: list[str] = []
    for block in _blocks(lines):
        out += [*_convert_block(block), ""]
    return out


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs; a heading keeps what is indented below it, empty lines included."""
    block: list[str] = []
    for line in [*lines, ""]:
        inside = (
            block and HEADING.fullmatch(block[0]) and (not line.strip() or line.startswith(" "))
        )
        if (
            line.strip()
            and (inside or not block or block[-1].strip())
            and not (block and HEADING.fullmatch(line))
        ):
            block.append(line)
        elif inside and not line.strip():
            block.append("")
        else:
            if block:
                yield _strip(block)
            block = [line] if line.strip() else []
    if block:
        yield _strip(block)


def _strip(block: list[str]) -> list[str]:
    while block and not block[-1].strip():
        block.pop()
    return block


def _convert_block(block: list[str]) -> list[str]:
    heading = HEADING.fullmatch(block[0])
    if block[0].startswith(">>>"):
        return block
    if heading is None:
        return _paragraph(block)
    name, rest = heading[1], heading[2].strip()
    body = [line.strip() for line in block[1:]]
    if name.startswith("Reference"):
        return [f"*{name}:* {_escape(' '.join([rest, *body]).strip())}"]
    if name.startswith("Differs"):
        text = [f"   {line}" if line else "" for line in _paragraph([rest] * bool(rest) + body)]
        return [f".. admonition:: {_escape(name)}", "", *text]
    if name in ("Returns", "Yields"):
        return [f":{name.lower()}: {_escape(' '.join([rest, *body]).strip())}"]
    return [_field(name, entry) for entry in _entries(block[1:])]


def _paragraph(block: list[str]) -> list[str]:
    """Text, its formulas set apart."""
    out: list[str] = []
    for line in block:
        formula = FORMULA.fullmatch(line.strip()) is not None
        before = bool(out) and out[-1].startswith("    ")
        if formula and not before:
            out += ["", ".. code-block:: text", ""]
        if before and not formula:
            out.append("")
        out.append(f"    {line.strip()}" if formula else _escape(line.strip()))
    return out


def _entries(lines: list[str]) -> Iterator[str]:
    """One text an entry: what is indented more than the first line goes on with it."""
    margin = len(lines[0]) - len(lines[0].lstrip())
    entry = ""
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) == margin and entry:
            yield entry
            entry = ""
        entry = f"{entry} {line.strip()}".strip()
    yield entry


def _field(section: str, entry: str) -> str:
    found = ENTRY.fullmatch(entry)
    if found is None:
        return f":{section.lower()}: {_escape(entry)}"
    kind = "param" if section == "Args" else "raises"
    return f":{kind} {found[1].replace('*', chr(92) + '*')}: {_escape(found[2])}"


def _escape(text: str) -> str:
    """Plain text with `code` and *emphasis*: nothing else is markup."""
    # "H." alone would begin a list that counts with letters.
    return re.sub(r"^(\w|\d+)\.(?=\s|$)", r"\1\\.", MARKUP.sub(_mark, text))


def _mark(found: re.Match) -> str:
    if found["code"]:
        return _code(found["code"].strip())
    if found["emphasis"]:
        return f"*{found['emphasis']}*"
    if found["paper"]:
        return f"`{found[0]} <https://arxiv.org/abs/{found['paper']}>`__"
    return "\\" + found["special"]


def _code(code: str) -> str:
    """Code; what looks like a name of the library's links to its entry, if there is one."""
    if re.fullmatch(r"[A-Za-z][\w.]*\(\)", code):
        return f":py:meth:`{code}`"
    if re.fullmatch(r"[A-Za-z]\w*[._A-Z][\w.]*|[A-Z]\w+", code) and not code.endswith("."):
        return f":py:obj:`{code}`"
    return f"``{code}``"
