"""The data sets: what each holds, in which unit, under which licence, and in which archive."""

from attnlib.data.catalogue.entry import DataSet
from attnlib.data.catalogue.lookup import CATALOGUE, fetch_set, find_sets

__all__ = ["CATALOGUE", "DataSet", "fetch_set", "find_sets"]
