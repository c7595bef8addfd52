"""Pages for queries, and triples of knowledge graphs."""

import functools

import pytest
import torch
from errors import check_error
from small_archives import holding

from attnlib.data import knowledge, knowledge_graph, ranked_pages, ranking

pages = functools.cache(ranked_pages)
graph = functools.cache(knowledge_graph)

FOLDER = "rankeval-0.8.2/rankeval/test/data/msn1.fold1"


def rows(queries: range, pages_a_query: int = 3) -> str:
    lines = (
        f"{(q + page) % 5} qid:{q} 1:{page} 2:{q}.5 3:-1\n"
        for q in queries
        for page in range(pages_a_query)
    )
    return "".join(lines)


def test_the_last_seven_queries_of_the_training_half_are_for_validation():
    members = {
        f"{FOLDER}.train.5k.txt": rows(range(1, 11)),
        f"{FOLDER}.test.5k.txt": rows(range(20, 22)),
    }
    with holding(ranking, members):
        data = ranked_pages()
    assert data.train.queries.unique().tolist() == [1, 2, 3]
    assert data.validation.queries.unique().tolist() == [4, 5, 6, 7, 8, 9, 10]
    assert data.test.queries.unique().tolist() == [20, 21]
    assert data.features[4].tolist() == [1, 2.5, -1]
    assert data.grades[:4].tolist() == [1, 2, 3, 2]
    assert repr(data) == "RankingSet(mslr-sample: 36 pages)"


def test_triples_are_numbers_of_sorted_names():
    files = {"train": "b\tlikes\ta\na\tknows\tc\n", "valid": "c\tlikes\tb\n", "test": ""}
    members = {f"pykeen/datasets/umls/{name}.txt": text for name, text in files.items()}
    with holding(knowledge, members):
        data = knowledge_graph("umls")
    assert (data.entities, data.relations) == (("a", "b", "c"), ("knows", "likes"))
    assert data.triples.tolist() == [[1, 1, 0], [0, 0, 2], [2, 1, 1]]
    assert data.parts.tolist() == [0, 0, 1]
    assert data.validation.entities == data.entities


ERRORS = [
    (lambda: knowledge_graph("wordnet"), ValueError, "no set 'wordnet', expected one of umls")
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    check_error(call, kind, words)


@pytest.mark.network
def test_the_counts_are_those_of_the_sample():
    data = pages()
    assert data.features.shape == (10_000, 136)
    assert data.grades.bincount().tolist() == [5_639, 2_900, 1_244, 153, 64]
    parts = data.train, data.validation, data.test
    assert [len(part.queries.unique()) for part in parts] == [36, 7, 43]
    assert len(data.queries.unique()) == 86  # so no query is in two parts
    assert not data.features.isnan().any()


@pytest.mark.network
def test_pages_that_were_clicked_for_the_query_have_better_grades():
    data = pages()
    clicked = data.features[:, 133] > 0
    assert data.grades[clicked].float().mean() > data.grades[~clicked].float().mean() + 0.3


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "parts", "entities", "relations"),
    [
        ("umls", [5_216, 652, 661], 135, 46),
        ("kinships", [8_544, 1_068, 1_074], 104, 25),
        ("nations", [1_592, 199, 201], 14, 55),
    ],
)
def test_the_counts_of_triples_are_the_published_ones_and_none_is_in_two_parts(
    name, parts, entities, relations
):
    data = graph(name)
    assert [len(part) for part in (data.train, data.validation, data.test)] == parts
    assert (len(data.entities), len(data.relations)) == (entities, relations)
    assert len(data.triples.unique(dim=0)) == len(data)
    assert set(data.train.triples[:, [0, 2]].flatten().tolist()) == set(range(entities))
    assert torch.equal(data.train.triples[:, 1].unique(), torch.arange(relations))
