"""Formulas of the book as MathML: what is drawn is what was written, or the build says why not."""

import doctest
import re

import pytest

from book import mathml as module
from book.mathml import mathml


def drawn(latex: str, display: bool = False) -> str:
    """The formula without the `math` element around it."""
    return re.sub(r"^<math [^>]*>|</math>$", "", mathml(latex, display))


def test_doctests_hold():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"\frac{1}{\sqrt{d_k}}", "<msqrt>"),
        (r"\operatorname{softmax}(x)", ">softmax</mo><mo "),
        (r"\mathbf{W}_Q", "<mi>𝐖</mi>"),
        (r"\boldsymbol{\alpha}", "<mi>𝜶</mi>"),
        (r"\mathbf{1}", "<mn>𝟏</mn>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        (r"d_{\mathrm{model}}", ">model</mi>"),
        (r"\mathrm{d}x", '<mi mathvariant="normal">d</mi><mi>x</mi>'),
        (r"a < b", "<mo>&lt;</mo>"),
        (r"x \sim y", "<mo>∼</mo>"),
        (r"10{,}000", '<mo rspace="0">,</mo>'),
        (r"h'", "<mi>h</mi><mi class"),
        (r"\lfloor x \rfloor", '<mo form="prefix">⌊</mo>'),
        (r"-\infty", "<mi>∞</mi>"),
        (r"\log p", '<mi>log</mi><mspace width="0.167em" /><mi>p</mi>'),
        (r"\log(p)", "<mi>log</mi><mo "),
        (r"2\log p", '<mn>2</mn><mspace width="0.167em" /><mi>log</mi>'),
        (r"\overline{xy}", "‾"),
        (r"\text{if } x", "<mtext>if\u00a0</mtext>"),
        (r"\begin{cases}1 & a \\ 0 & b\end{cases}", '<mtd class="left">'),
        (r"\begin{aligned}a &= b \\ &= c\end{aligned}", '<mtable displaystyle="true"'),
        (r"a = b \\ c = d", "<mtr>"),
        (r"\arg\max_x f", ">arg max</mo><mi>x</mi></munder>"),
        (r"\operatorname*{arg\,max}_x f", ">arg max</mo><mi>x</mi></munder>"),
    ],
)
def test_formula_is_drawn(latex, part):
    assert part in drawn(latex)


def test_limits_stand_below_where_there_is_room():
    assert "<munderover><mo>∑</mo>" in drawn(r"\sum_{i=1}^n x", display=True)
    assert "<munder><mo" in drawn(r"\max_i x", display=True)


def test_small_fences_do_not_stretch_and_tall_ones_do():
    assert drawn(r"\left(x_i\right)").count('stretchy="false"') == 2
    assert drawn(r"\left(\frac{a}{b}\right)").count('stretchy="true"') == 2


def test_numbers_of_equations_are_left_to_the_book():
    assert "(1)" not in drawn(r"\begin{align} a &= b \\ c &= d \end{align}", display=True)


def test_source_is_kept_for_readers_that_draw_no_mathml():
    assert r'alttext="\frac{a}{b} &lt; 1"' in mathml(r"\frac{a}{b} < 1")


@pytest.mark.parametrize(
    ("latex", "said"),
    [
        (r"\frac{a", "the braces do not match"),
        (r"a}", "the braces do not match"),
        (r"\sofmax x", r"\\sofmax is not known"),
        (r"a & b", "& outside a table"),
        (r"\begin{cases} 1 \end{matrix}", "do not match"),
        (r"x^2^3", "DoubleSuperscripts"),
        (r"\left( x", "ExtraLeftOrMissingRight"),
        (r"\frac{a}", "an argument is missing"),
        (r"\text{if $x$}", r"\$ inside"),
        (r"x_", "MissingSuperScriptOrSubscript|argument is missing"),
    ],
)
def test_formula_that_cannot_be_drawn_is_refused_with_a_reason(latex, said):
    with pytest.raises(ValueError, match=said):
        mathml(latex)
