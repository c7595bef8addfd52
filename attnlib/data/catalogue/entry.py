"""What is said of a data set."""

from dataclasses import dataclass

from attnlib.data.archives import Archive, cache_folder

__all__ = ["DataSet"]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set.

    Args:
        name: what loaders and commands call it.
        title: what it is, in a few words.
        rows: rows of the file, before cleaning.
        content: what a row holds.
        unit: of the numbers.
        licence: as the archive states it, for what the archive holds.
        original: what we believe about the terms of the original data; the archive does not say.
        citation: authors, year, title and place of the publication to cite.
        archive: the file that holds it.
    """

    name: str
    title: str
    rows: int
    content: str
    unit: str
    licence: str
    original: str
    citation: str
    archive: Archive

    def is_cached(self) -> bool:
        """Whether the archive is in the cache with its full size; `fetch` also checks content."""
        path = cache_folder() / self.archive.filename
        return path.is_file() and path.stat().st_size == self.archive.size
