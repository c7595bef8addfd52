"""`python -m attnlib.checker [MODULE] [--reset]`: progress by chapter."""

import argparse
import importlib
import sys

from attnlib.checker._check import exercises_in
from attnlib.checker._progress import load, overview, progress_path, set_aside


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m attnlib.checker", description=__doc__)
    parser.add_argument(
        "module", nargs="?", help="for example exercises.checks: lists what was never tried too"
    )
    parser.add_argument("--reset", action="store_true", help="begin anew; a backup is kept")
    options = parser.parse_args(arguments)
    if options.reset:
        try:
            kept = set_aside("backup")
        except OSError as error:
            print(f"Progress cannot be reset ({error}).", file=sys.stderr)
            return 1
        print(f"Progress begins anew; the old file is {kept}." if kept else "There was nothing.")
        return 0
    names = []
    if options.module:
        try:
            names = [e.name for e in exercises_in(importlib.import_module(options.module))]
        except ModuleNotFoundError as error:
            print(f"{error}; run this in the folder that holds {options.module}", file=sys.stderr)
            return 1
    entries, note = load()
    if note:
        print(note, file=sys.stderr)
    print(overview(entries, names) or f"Nothing has been tried yet ({progress_path()}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
