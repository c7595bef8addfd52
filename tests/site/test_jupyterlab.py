"""An exercise worked in a real JupyterLab: a mistake gets its hint, the right answer passes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.site.browser import Watch

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
NOTEBOOK = "scaled-dot-product.ipynb"
WRONG = "def operations(L, S, D, Dv):\n    return 2 * L * S * D\n"
RIGHT = "def operations(L, S, D, Dv):\n    return 2 * L * S * D + 2 * L * S * Dv\n"
START = 60  # seconds until the server must answer
PATIENCE = 90_000  # milliseconds for a kernel to start and import torch


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab with the settings of `make lab`, on a copy of one exercise."""
    folder = tmp_path_factory.mktemp("lab")
    work = folder / "exercises"
    work.mkdir()
    shutil.copy(ROOT / "exercises" / NOTEBOOK, work)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {
        name: str(folder / name)
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
        )
    }
    env = os.environ | places | {"JUPYTER_CONFIG_PATH": str(ROOT / "book" / "jupyter")}
    env |= {"ATTNLIB_PROGRESS": str(folder / "progress.json")}
    log = folder / "lab.log"
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={work}",
    ]
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        wait_for(address + "api/status", server, log)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, TimeoutError):
            if time.monotonic() > deadline or server.poll() is not None:
                pytest.fail("JupyterLab does not start:\n" + log.read_text()[-3000:])
            time.sleep(0.2)


def cells_with(name: str) -> tuple[int, int]:
    """Numbers of the code cells that define and check one function of the exercise notebook."""
    cells = json.loads((ROOT / "exercises" / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    [define] = [i for i, source in enumerate(code) if source.startswith(f"def {name}(")]
    [check] = [i for i, source in enumerate(code) if source.startswith(f"check(checks.{name},")]
    return define, check


def run(page, cell) -> str:
    """Run one code cell and return the text of its output."""
    prompt = cell.locator(".jp-InputPrompt").first
    before = prompt.inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([prompt, before]) => /^\\[\\d+\\]:$/.test(prompt.textContent.trim())"
        " && prompt.textContent.trim() !== before.trim()",
        arg=[prompt.element_handle(), before],
        timeout=PATIENCE,
    )
    page.wait_for_timeout(300)  # the output is painted after the prompt
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


def write(page, cell, source: str) -> None:
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)


def test_a_known_mistake_gets_its_hint_and_the_right_answer_passes(browser, lab):
    from exercises.checks.scaled_dot_product import operations

    [hint] = [text for text, wrong in operations.mistakes.items() if wrong(2, 3, 5, 7) == 60]
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    watch = Watch(page, lab)
    page.goto(f"{lab}lab/tree/{NOTEBOOK}")
    code = page.locator(".jp-Notebook .jp-CodeCell")
    code.first.wait_for(timeout=PATIENCE)
    assert page.get_by_text("official Jupyter news").count() == 0
    # jupyterlab_myst has drawn the formula of the first exercise and left no raw markup.
    page.locator(".jp-MarkdownCell .katex, .jp-MarkdownCell mjx-container").first.wait_for()

    page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
    run(page, code.nth(0))
    define, check = cells_with("operations")
    run(page, code.nth(define))
    assert "operations is open" in run(page, code.nth(check))
    write(page, code.nth(define), WRONG)
    run(page, code.nth(define))
    said = run(page, code.nth(check))
    assert re.sub(r"\s+", " ", hint) in re.sub(r"\s+", " ", said)
    assert "CheckFailed" in said
    write(page, code.nth(define), RIGHT)
    run(page, code.nth(define))
    assert "right in all" in run(page, code.nth(check))
    assert not watch.foreign
    page.close()
