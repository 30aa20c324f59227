"""A script of this project under Streamlit, and the browser that looks at it: for the tests and the benchmark."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOFTWARE_GL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # the same picture on every machine
NO_GL = ["--disable-gpu", "--disable-3d-apis"]
# Keeps every WebGL context that a page makes, so that one can ask whether it still lives.
WATCH_CONTEXTS = """
window.contexts = [];
const getContext = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  const context = getContext.call(this, kind, ...rest);
  if (context && kind.startsWith("webgl") && !window.contexts.includes(context)) window.contexts.push(context);
  return context;
};
"""


@contextmanager
def served(script: Path, folder: Path = ROOT, **environment: str) -> Iterator[str]:
    """Run a script under Streamlit on a free port of this machine and give its address, without a slash at the end.

    Args:
        script: What to run.
        folder: Where to run it; Streamlit serves the folder `static` of the script's own folder.
        environment: Variables beside those of this process.

    Raises:
        RuntimeError: If it ends or does not answer within a minute.
    """
    with server_of(script, folder, **environment) as (address, _):
        yield address


@contextmanager
def server_of(script: Path, folder: Path = ROOT, **environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a script as `served` does; give its address and the process, which may be ended meanwhile."""
    port = free_port()
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(script),
            *(f"--{key}={value}" for key, value in options.items()),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(address, server)
        yield address, server
    finally:
        server.kill()  # nothing to save, and a polite stop waits for every open socket
        server.wait(timeout=20)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_healthy(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: If it ends or does not answer within a minute.
    """
    for _ in range(300):
        if server.poll() is not None:
            raise RuntimeError(f"streamlit ended with {server.returncode} before it served {address}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"{address} did not become healthy within a minute")
