"""Formulas as MathML at build time: they need no script, and a mistake in one fails the build.

latex2mathml reads the TeX. It accepts much that is wrong and writes for a fuller MathML than the
one browsers draw (MathML Core), so what it returns is checked and fitted: letters of another style
become characters of their own, limits move, names of functions get TeX's spaces, and columns are
aligned by CSS.
"""

import html
import re
import unicodedata
from functools import cache
from xml.etree.ElementTree import Element, tostring

from docutils import nodes
from latex2mathml.converter import convert_to_element
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)

# TeX that latex2mathml does not read, or reads as something else, and what stands for it. Numbers
# and labels are Sphinx's, so numbering environments are read as ones without.
REWRITTEN = [
    (r"\\(begin|end)\{(?:align|aligned|split|eqnarray)\*?\}", r"\\\1{align*}"),
    (r"\\(begin|end)\{(?:gather|gathered|multline)\*?\}", r"\\\1{matrix}"),
    (r"\\(?:begin|end)\{equation\*?\}", ""),
    (r"\\operatorname\*?\{\s*arg\s*(?:\\,)?\s*(max|min)\s*\}", r"\\arg\1"),
    (r"\\arg\s*\\(max|min)(?![a-zA-Z])", r"\\arg\1"),
    (r"\\arg(?![a-zA-Z])", r"\\operatorname{arg}"),
    (r"\\sim(?![a-zA-Z])", r"\\thicksim"),
]

CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "mroot": 2, "munder": 2, "mover": 2}
CHILDREN |= {"msubsup": 3, "munderover": 3}
WITH_LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
SCRIPTS = (*WITH_LIMITS, *WITH_LIMITS.values())
TALL = ("mfrac", "mtable", "munder", "mover", "munderover", "msqrt", "mroot")
TAKES_LIMITS = {"lim", "max", "min", "sup", "inf", "lim sup", "lim inf", "arg max", "arg min"}

# Over one letter, and over several. U+2015 is the overline.
ACCENTS = {
    "^": ("^", "\u0302"),
    "~": ("\u02dc", "\u0303"),
    "\u00af": ("\u00af", "\u203e"),
    "\u2015": ("\u203e", "\u203e"),
    "\u2192": ("\u2192", "\u2192"),
}
STYLES = {
    "bold": "BOLD",
    "italic": "ITALIC",
    "bold-italic": "BOLD ITALIC",
    "double-struck": "DOUBLE-STRUCK",
    "script": "SCRIPT",
    "bold-script": "BOLD SCRIPT",
    "fraktur": "FRAKTUR",
    "sans-serif": "SANS-SERIF",
    "bold-sans-serif": "SANS-SERIF BOLD",
    "monospace": "MONOSPACE",
}


def mathml(latex: str, display: bool = False) -> str:
    """A formula as a `math` element.

    Raises:
        ValueError: the formula is not TeX that can be drawn; the message says what is wrong.
    """
    source = latex.strip()
    for pattern, replacement in REWRITTEN:
        source = re.sub(pattern, replacement, source)
    check_source(source)
    mode = "block" if display else "inline"
    try:
        tree = convert_to_element(source, display=mode)
        if any(element.get("linebreak") for element in tree.iter()):  # \\ outside an environment
            tree = convert_to_element(rf"\begin{{align*}}{source}\end{{align*}}", display=mode)
    except Exception as error:  # its errors have no common class, and some are StopIteration
        raise ValueError(type(error).__name__) from error
    for element in tree.iter():
        text = html.unescape(element.text or "")
        if element.tag == "mi" and text.isascii() and text != (element.text or ""):
            element.set("mathvariant", "normal")  # \mathrm{d} is written as a code, d is not
        element.text = text or None
    for element in tree.iter():
        check(element)
        fit_style(element)
        fit_operator(element)
        fit_scripts(element)
        fit_table(element)
    fit_row(tree)
    del tree.attrib["xmlns"]  # HTML knows the element
    tree.set("alttext", latex.strip())
    return tostring(tree, encoding="unicode")


def check_source(source: str) -> None:
    open_braces = 0
    for brace in re.findall(r"[{}]", re.sub(r"\\[\\{}]", "", source)):
        open_braces += 1 if brace == "{" else -1
        if open_braces < 0:
            break
    if open_braces:
        raise ValueError("the braces do not match")
    environments = [sorted(re.findall(rf"\\{end}\{{(.+?)\}}", source)) for end in ("begin", "end")]
    if environments[0] != environments[1]:
        raise ValueError(r"\begin and \end do not match")


def check(element: Element) -> None:
    text = element.text or ""
    if text.startswith("\\") and len(text) > 1:
        raise ValueError(f"{text} is not known")
    if element.tag == "mi" and text == "&":
        raise ValueError("& outside a table")
    if element.tag == "mtext" and "$" in text:
        raise ValueError(r"$ inside \text; end the \text before the formula")
    if element.tag == "mo" and not text and "fence" not in element.attrib:
        raise ValueError("an operator without a name")
    if len(element) != CHILDREN.get(element.tag, len(element)):
        raise ValueError("an argument is missing")


def fit_style(element: Element) -> None:
    style = element.get("mathvariant")
    if style in STYLES:
        del element.attrib["mathvariant"]
        element.text = "".join(styled(letter, style) for letter in element.text)


def fit_operator(element: Element) -> None:
    text = element.text or ""
    if element.tag == "mi" and unicodedata.category(text[:1] or "a") in ("Ps", "Pe", "Po", "Sm"):
        if text not in ("\u2032", "\u221e", "%"):  # the prime, infinity and % stand for themselves
            element.tag = "mo"
    elif element.tag == "mo" and text in (
        "\u221e",
        "\u22a4",
        "\u2205",
        "\u22ef",
        "\u2026",
        "\u22ee",
    ):
        element.tag = "mi"
    if element.tag == "mspace" and element.get("width") == "negativethinmathspace":
        element.set("width", "-0.167em")
    if element.tag == "mpadded":
        for name in [name for name, value in element.items() if value[0] in "+-"]:
            del element.attrib[name]
    if element.tag != "mo":
        return

    if len(text) > 1:  # a name, which fit_row spaces
        element.text = text = text.replace("\u2006", " ").replace("\u2009", " ")
        element.attrib.update(lspace="0", rspace="0")
    elif text in ("|", "\u2016") and not element.get("form"):
        element.attrib.update(lspace="0", rspace="0", stretchy="false")
    elif text == ":":
        element.set("lspace", "0.167em")
    elif unicodedata.category(text or "a") in ("Ps", "Pe") and not element.get("form"):
        element.set("form", "prefix" if unicodedata.category(text) == "Ps" else "postfix")


def fit_scripts(element: Element) -> None:
    if element.tag not in SCRIPTS:
        return
    base, script = element[0], element[-1]
    if base.text in TAKES_LIMITS or (base.text or "").replace("\u2009", " ") in TAKES_LIMITS:
        element.tag = WITH_LIMITS.get(element.tag, element.tag)
        base.tag = "mo"
        base.set("movablelimits", "true")
    if element.tag == "mover" and script.tag == "mo" and script.text in ACCENTS:
        wide = sum(len(leaf) == 0 for leaf in base.iter()) > 1 or script.text == "\u2015"
        script.text = ACCENTS[script.text][wide]
        script.set("stretchy", "true" if wide else "false")
        if script.text == "\u2192" and not wide:
            script.set("mathsize", "60%")
        if script.text != "\u203e":
            element.set("accent", "true")
    if script.text == "\u2032":  # the font has it raised already
        script.set("class", "prime")
        if element.tag == "msup":
            element.tag = "mrow"


def fit_table(element: Element) -> None:
    if element.tag == "mtable" and element.get("displaystyle"):
        element.set("class", "aligned")
    if element.tag == "mtd" and (align := element.attrib.pop("columnalign", "center")) != "center":
        element.set("class", align)


def fit_row(element: Element) -> None:
    """Join the letters of a word, and put TeX's thin spaces around the names of functions."""
    for child in element:
        fit_row(child)
    if element.tag not in ("math", "mrow", "mtd", "mstyle", "msqrt"):
        return
    row = []
    for child in element:
        before = row[-1] if row else None
        if before is not None and is_upright(before) and is_upright(child):
            before.text += child.text  # \mathrm{model} is a word, not five letters
            continue
        if before is not None and (
            (is_function(before) and begins_operand(child))
            or (is_function(child) and ends_operand(before))
        ):
            row.append(Element("mspace", width="0.167em"))
        row.append(child)
    element[:] = row
    if element.tag == "mrow" and len(row) == 1 and row[0].text == ",":
        row[0].set("rspace", "0")  # 10{,}000
    if is_fenced(element) and not any(child.tag in TALL for child in element.iter()):
        for fence in (element[0], element[-1]):  # a stretchy one takes the room of the widest
            fence.set("stretchy", "false")


def is_upright(element: Element) -> bool:
    return element.tag == "mi" and element.get("mathvariant") == "normal"


def is_function(element: Element) -> bool:
    if element.tag in SCRIPTS:
        element = element[0]
    text = element.text or ""
    return element.tag in ("mi", "mo") and len(text) > 1 and text[0].isascii() and text[0].isalpha()


def is_fenced(element: Element) -> bool:
    return element.tag == "mrow" and len(element) > 1 and element[0].get("fence") == "true"


def begins_operand(element: Element) -> bool:
    return element.tag not in ("mo", "mspace", "mtext") and not is_fenced(element)


def ends_operand(element: Element) -> bool:
    return element.tag not in ("mo", "mspace", "mtext") or element.text in (")", "]", "}")


@cache
def styled(letter: str, style: str) -> str:
    """A letter in another style; unchanged where Unicode has none.

    >>> styled("x", "bold"), styled("R", "double-struck"), styled("1", "bold"), styled("=", "bold")
    ('𝐱', 'ℝ', '𝟏', '=')
    """
    words = unicodedata.name(letter, "").split()
    kind = " ".join(word for word in words if word not in ("LATIN", "GREEK", "LETTER"))
    # MATHEMATICAL BOLD SMALL X; a few are older than the others: DOUBLE-STRUCK CAPITAL R
    for name in (f"MATHEMATICAL {STYLES[style]} {kind}", f"{STYLES[style]} {kind}"):
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    return letter


def converted(translator, node, display: bool) -> str:
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        logger.warning("formula not understood: %s: %s", error, node.astext(), location=node)
        return translator.encode(node.astext())


def visit_math(translator, node):
    translator.body.append(translator.starttag(node, "span", "", CLASS="math notranslate"))
    translator.body.append(converted(translator, node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_displaymath(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate"))
    translator.body.append(converted(translator, node, display=True))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
