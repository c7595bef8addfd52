"""What a learner has tried and done: one small JSON file, which no failure to write makes fatal."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

STATUSES = ("open", "tried", "done")

_unsaved: dict[str, dict] = {}  # entries that could not be written yet


def progress_path() -> Path:
    """Where progress is kept: ATTNLIB_PROGRESS, or the platform's folder for user data."""
    if os.environ.get("ATTNLIB_PROGRESS"):
        return Path(os.environ["ATTNLIB_PROGRESS"]).expanduser()
    try:
        from platformdirs import user_data_dir
    except ImportError:
        return Path.home() / ".attnlib" / "progress.json"
    return Path(user_data_dir("attnlib", appauthor=False)) / "progress.json"


def load() -> tuple[dict[str, dict], str]:
    """All entries by exercise name, and a sentence for the learner or an empty string."""
    try:
        entries, note = _read(progress_path())
    except (OSError, RuntimeError) as error:
        entries, note = {}, f"Progress cannot be read ({error})."
    return entries | _unsaved, note


def record(name: str, status: str) -> tuple[dict[str, dict], str]:
    """Note one check of an exercise; return all entries and a sentence or an empty string.

    What is done stays done. `tries` counts the wrong answers. What cannot be written is kept in
    memory and written with the next check that can.
    """
    entries, note = load()
    before = entries.get(name, {"status": "open", "tries": 0})
    _unsaved[name] = entries[name] = {
        "chapter": name.split("/")[0],
        "status": max(status, before["status"], key=STATUSES.index),
        "tries": before["tries"] + (status == "tried"),
    }
    try:
        path = progress_path()
        _read(path)  # a file that cannot be read must not be written over
        _write(path, entries)
        _unsaved.clear()
    except (OSError, RuntimeError) as error:
        note = (
            f"Progress is not kept ({error}); set ATTNLIB_PROGRESS to a file that can be written."
        )
    return entries, note


def set_aside(word: str) -> Path | None:
    """Rename the progress file to one with `word` in its name; None when there is none."""
    path = progress_path()
    if not path.exists():
        return None
    number, kept = 1, path.with_name(f"{path.stem}.{word}{path.suffix}")
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.stem}.{word}-{number}{path.suffix}")
    return path.rename(kept)


def overview(entries: dict[str, dict], names: Iterable[str] = ()) -> str:
    """Progress by chapter, as text; `names` adds exercises that were never tried.

    >>> entries = {"sums/double": {"chapter": "sums", "status": "done", "tries": 2}}
    >>> print(overview(entries, ["sums/double", "sums/halve"]))
    sums: 1 of 2 done
      [x] double: done, 2 wrong answers
      [ ] halve: open
    """
    never = {"status": "open", "tries": 0}
    # the order of `names` is the order of the course
    everything = dict.fromkeys([*names, *entries])
    chapters: dict[str, list[str]] = {}
    for name in everything:
        chapters.setdefault(name.split("/")[0], []).append(name)
    lines = []
    for chapter, members in chapters.items():
        found = [entries.get(name, never) for name in members]
        done = sum(entry["status"] == "done" for entry in found)
        lines.append(f"{chapter}: {done} of {len(members)} done")
        for name, entry in zip(members, found, strict=True):
            box = {"open": " ", "tried": "~", "done": "x"}[entry["status"]]
            wrong = f"{entry['tries']} wrong answer{'s' if entry['tries'] != 1 else ''}"
            after = f", {wrong}" if entry["tries"] else ""
            lines.append(f"  [{box}] {name.split('/')[-1]}: {entry['status']}{after}")
    return "\n".join(lines)


def _read(path: Path) -> tuple[dict[str, dict], str]:
    """Entries and a note; a file that cannot be understood is kept aside under another name."""
    try:
        entries = json.loads(path.read_bytes())["exercises"]
        return {name: _entry(name, **entry) for name, entry in entries.items()}, ""
    except FileNotFoundError:
        return {}, ""
    except (ValueError, TypeError, KeyError, AttributeError):
        kept = set_aside("damaged")
        return {}, f"The progress file was damaged: it is kept as {kept}, and a new one begins."


def _entry(name: str, status: str, tries: int, chapter: str = "") -> dict:
    if status not in STATUSES or not isinstance(tries, int):
        raise ValueError(f"{name}: {status}, {tries}")
    return {"chapter": name.split("/")[0], "status": status, "tries": tries}


def _write(path: Path, entries: dict[str, dict]):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"exercises": entries}, indent=1, ensure_ascii=False) + "\n"
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
