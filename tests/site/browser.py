"""A real Chromium, and a web server for a folder, for the tests that look at pages."""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

# Chromium talks to its maker at every start unless told not to; in a closed network each attempt
# would be a console error that is not the page's.
SILENT = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Path of an installed Chromium or Chrome; CHROMIUM names another one."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=SILENT)
        try:
            yield browser
        finally:
            browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        """Say nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a local server for a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class Watch:
    """What goes wrong while a page loads: foreign requests, failures, errors on the console."""

    def __init__(self, page: Page, home: str):
        self.foreign: list[str] = []
        self.failed: list[str] = []
        self.errors: list[str] = []
        self.bytes = 0
        local = (home, "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(local) or self.foreign.append(r.url))
        page.on("requestfailed", lambda r: self.failed.append(r.url))
        page.on("response", self._response)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))

    def _response(self, response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")
        elif response.request.resource_type != "image":
            self.bytes += int(response.headers.get("content-length", 0))

    def check(self) -> None:
        """Fail when anything went wrong."""
        assert not self.foreign, f"requests that leave the site: {self.foreign}"
        assert not self.failed, f"requests that failed: {self.failed}"
        assert not self.errors, f"errors on the console: {self.errors}"
