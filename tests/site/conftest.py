"""Fixtures of the tests of the site."""

import pytest

from tests.site.browser import serve


@pytest.fixture(scope="session")
def home(site):
    with serve(site) as address:
        yield address
