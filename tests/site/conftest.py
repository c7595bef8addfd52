"""Fixtures of the browser tests. In CI a missing browser is a failure, elsewhere a skip."""

import os

import pytest

from tests.site.browser import chromium, find_chromium, serve


@pytest.fixture(scope="session")
def browser():
    if find_chromium() is None:
        reason = "no Chromium: install the package chromium, or set CHROMIUM to its path"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def home(site):
    with serve(site) as address:
        yield address
