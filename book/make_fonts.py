"""Make the fonts of the site: formulas from STIX Two Math, icons from Font Awesome, both OFL.

    pip download --no-deps ziamath==0.13 && unzip ziamath-0.13-*.whl 'ziamath/fonts/*'
    pip install fonttools brotli
    python book/make_fonts.py ziamath/fonts/STIXTwoMath-Regular.ttf

Only what mathematics needs is kept, and tall radicals become as narrow as the short one: MathML
Core gives every radical the room of the widest, so a short one would be followed by a gap. The
icons are those that the theme's pages use; its own file is fifty times as large.
"""

import sys
from pathlib import Path

import pydata_sphinx_theme
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FONTS = Path(__file__).parent / "assets" / "fonts"
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"

RADICAL = 0x221A
# Latin, accents, Greek, punctuation, letter-like, arrows, operators, brackets, letters in bold,
# italic, script and double-struck
MATHEMATICS = [
    *range(0x20, 0x7F), *range(0xA0, 0x100), 0x131, 0x237, *range(0x302, 0x30D), 0x338,
    *range(0x391, 0x3D7), 0x3F0, 0x3F1, 0x3F5, *range(0x2010, 0x2040), 0x2057,
    *range(0x20D6, 0x20DD),
    *range(0x2100, 0x2150), *range(0x2190, 0x21D6), *range(0x2200, 0x2300), *range(0x2308, 0x230C),
    *range(0x239B, 0x23B8), *range(0x23DC, 0x23E2), 0x25A1, 0x25B3, 0x25CB, 0x25CF,
    *range(0x27E6, 0x27EC), *range(0x27F5, 0x27FD), *range(0x2A00, 0x2A07), 0x2A7D, 0x2A7E,
    *range(0x1D400, 0x1D504), *range(0x1D538, 0x1D56C), *range(0x1D6A4, 0x1D7E2),
]  # fmt: skip
# The contents of the `--pst-icon-...` variables and of the `.fa-...` classes in course.css
ICONS = [
    0x3F,
    0xF002, 0xF00E, 0xF010, 0xF019, 0xF03A, 0xF040, 0xF042, 0xF057, 0xF058, 0xF05A, 0xF062, 0xF064,
    0xF065, 0xF06A, 0xF071, 0xF078, 0xF0C9, 0xF0EB, 0xF0F3, 0xF104, 0xF105, 0xF135, 0xF15B, 0xF185,
    0xF186, 0xF1C1, 0xF303, 0xF35D,
]  # fmt: skip


def narrow_radicals(font: TTFont) -> None:
    variants = font["MATH"].table.MathVariants
    short = font.getBestCmap()[RADICAL]
    tall = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(short)]
    width = font["hmtx"][short][0]
    names = {record.VariantGlyph for record in tall.MathGlyphVariantRecord}
    names |= {part.glyph for part in tall.GlyphAssembly.PartRecords}
    for name in names - {short}:
        advance, left = font["hmtx"][name]
        glyph = font["glyf"][name]
        glyph.coordinates.scale((width / advance, 1))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, round(left * width / advance))


def save(font: TTFont, characters: list[int], name: str) -> None:
    options = Options(hinting=False, layout_features=["ssty"], notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    font.flavor = "woff2"
    font.save(FONTS / name)


mathematics = TTFont(sys.argv[1])
narrow_radicals(mathematics)
save(mathematics, MATHEMATICS, "mathematics.woff2")
icons = TTFont(THEME / "vendor/fontawesome/webfonts/fa-solid-900.ttf")
save(icons, ICONS, "icons.woff2")
