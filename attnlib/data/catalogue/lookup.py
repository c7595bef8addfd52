"""The list of all data sets, and a set by its name."""

import difflib
from pathlib import Path

from attnlib.data.archives import fetch
from attnlib.data.catalogue.behaviour import BEHAVIOUR
from attnlib.data.catalogue.entry import DataSet
from attnlib.data.catalogue.graphs import GRAPHS
from attnlib.data.catalogue.images import IMAGES
from attnlib.data.catalogue.language import LANGUAGE
from attnlib.data.catalogue.sentiment import SENTIMENT
from attnlib.data.catalogue.series import SERIES

__all__ = ["CATALOGUE", "fetch_set", "find_sets"]

CATALOGUE: tuple[DataSet, ...] = (
    *SENTIMENT,
    *LANGUAGE,
    *BEHAVIOUR,
    *GRAPHS,
    *SERIES,
    *IMAGES,
)


def find_sets(name: str) -> list[DataSet]:
    """Data sets of that name, or of that family: `vader` finds all that begin with `vader-`.

    Args:
        name: of a set or a family.

    Returns:
        list of DataSet, at least one

    Raises:
        ValueError: none has the name; near names are given.

    >>> [data_set.name for data_set in find_sets("vader")][:2]
    ['vader-movies', 'vader-tweets']
    """
    found = [s for s in CATALOGUE if s.name == name or s.name.startswith(f"{name}-")]
    if not found:
        names = [data_set.name for data_set in CATALOGUE]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see python -m attnlib.data list"
        raise ValueError(
            f"attnlib.data: no data set {name!r}, expected one of {', '.join(names)}; {hint}"
        )
    return found


def fetch_set(name: str) -> tuple[DataSet, Path]:
    """Entry of a data set and the path of its archive, downloaded when it is not in the cache.

    Args:
        name: of one set.

    Returns:
        DataSet, Path

    Raises:
        ValueError: no set has the name.
        DataUnavailable: the archive is not in the cache and cannot be had.
    """
    data_set = find_sets(name)[0]
    return data_set, fetch(data_set.archive, data_set.name)
