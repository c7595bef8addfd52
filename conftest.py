"""Each notebook executes once: as a test, and from that run the site under test is built.

In the root, so that it also holds for `pytest chapters/...` alone.
"""

import os
from pathlib import Path

import pytest
from nbmake import pytest_items

from book.running import KeptRun, build_book

ROOT = Path(__file__).parent


def pytest_configure(config):
    pytest_items.NotebookRun = KeptRun


def pytest_collection_modifyitems(items):
    """The site's tests come last, when every notebook has run; so do those that hold a browser.

    A browser's event loop would be in the way of nbmake's.
    """

    def comes_last(item):
        needs_site = {"site", "site_build"}.intersection(getattr(item, "fixturenames", ()))
        return bool(needs_site) or item.get_closest_marker("browser") is not None

    items.sort(key=comes_last)


@pytest.fixture(scope="session")
def site_build():
    """The finished process that built the book, with what it printed."""
    build = build_book(ROOT, "--all")
    assert build.returncode == 0, build.stdout[-8000:]
    return build


@pytest.fixture(scope="session")
def site(site_build):
    """Folder of the built book."""
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def browser():
    """One for all tests: playwright can be open once. In CI a missing one is a failure."""
    from tests.site.browser import chromium, find_chromium

    if find_chromium() is None:
        reason = "no Chromium: install the package chromium, or set CHROMIUM to its path"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium() as browser:
        yield browser
