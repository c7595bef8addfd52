"""Facts as triples: head, relation, tail."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnlib.data._parts import Parted, check_choice
from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set

__all__ = ["TripleSet", "knowledge_graph"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TripleSet(Parted):
    """Facts of a knowledge graph, and the published split of them.

    `train`, `validation` and `test` are again TripleSets over the same entities and relations.

    Args:
        name: of the set in the catalogue.
        triples: (R, 3) int64, number of the head, of the relation, of the tail.
        entities: N names.
        relations: K names.
        parts: (R,) int64, 0 = train, 1 = validation, 2 = test.
    """

    name: str
    triples: Tensor
    entities: tuple[str, ...]
    relations: tuple[str, ...]
    parts: Tensor

    by_row: ClassVar = ("triples", "parts")
    row: ClassVar = "triples"


def knowledge_graph(name: str) -> TripleSet:
    """Small graphs of facts: "umls" (medicine), "kinships" (a tribe), "nations" (14 states).

    The task is to find the tail of (head, relation, ?) or the head of (?, relation, tail); when an
    answer is ranked, the other true answers of all parts are taken out first ("filtered"). No
    triple is in two parts, but many test facts follow from a training fact by turning it round
    (a symmetric or an inverse relation), which flatters models that only learn that.

    Args:
        name: "umls", "kinships" or "nations".

    Returns:
        TripleSet

    Raises:
        ValueError: another name.
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Kemp et al. 2006, "Learning systems of concepts with an infinite relational model";
    Toutanova & Chen 2015, "Observed versus latent features for knowledge base and text inference"
    (why inverse relations leak)
    """
    check_choice("knowledge_graph", name, ("umls", "kinships", "nations"))
    data_set, path = fetch_set(f"knowledge-{name}")
    facts, parts = [], []
    for part, file in enumerate(("train", "valid", "test")):
        lines = read_member(path, f"pykeen/datasets/{name}/{file}.txt").decode().splitlines()
        facts += [tuple(line.split("\t")) for line in lines]
        parts += [part] * len(lines)
    entities = sorted({name for head, _, tail in facts for name in (head, tail)})
    relations = sorted({relation for _, relation, _ in facts})
    entity = {name: number for number, name in enumerate(entities)}
    kind = {name: number for number, name in enumerate(relations)}
    return TripleSet(
        data_set.name,
        torch.tensor(
            [(entity[head], kind[relation], entity[tail]) for head, relation, tail in facts]
        ),
        tuple(entities),
        tuple(relations),
        torch.tensor(parts),
    )
