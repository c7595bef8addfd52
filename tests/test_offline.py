"""With the data cached, every notebook runs without a network: the tests run them like that."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from book.running import KeptRun, without_network

CONNECT = "import socket; socket.create_connection(({host!r}, 9), timeout=1)"


def said(host):
    """What a Python process that tries to reach a host says."""
    with without_network():
        done = subprocess.run(
            [sys.executable, "-c", CONNECT.format(host=host)],
            capture_output=True,
            text=True,
            check=False,
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "an.example"])
def test_other_machines_are_refused(host):
    code, error = said(host)
    assert code == 1
    assert f"no network in this run: refused {host}" in error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached(host):
    assert "no network" not in said(host)[1]  # refused by the closed port, or connected


def test_a_notebook_that_needs_the_network_fails(tmp_path):
    (tmp_path / "_config.yml").touch()
    path = tmp_path / "needy.ipynb"
    cells = [new_code_cell(CONNECT.format(host="192.0.2.1"))]
    nbformat.write(new_notebook(cells=cells), path)
    result = KeptRun(path, 60).execute()
    assert "no network in this run" in result.error.summary + result.error.trace


def test_the_network_is_back_afterwards(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    with without_network():
        assert os.environ["PYTHONPATH"] != "elsewhere"
    assert os.environ["PYTHONPATH"] == "elsewhere"
