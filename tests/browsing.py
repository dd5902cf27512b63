"""The finished site, and a browser that reaches it and nothing else, as fixtures."""

import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import address
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from tools.pdf import NO_CHROMIUM, start_chromium

ROOT = Path(__file__).resolve().parent.parent
CONFIGURED, BRANCH = address.repository(ROOT)
# Where nobody has run `make link`, the tested site is that of a clone of this address.
ADDRESS = CONFIGURED.replace("SET_OWNER", "a-reader")
FOLDER = ADDRESS.rpartition("/")[2]


def build(source: Path, target: Path) -> tuple[int, str]:
    """Build the book as `make book` does, from nothing; its exit status and what it printed."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source]
    options = ["--path-output", target, "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)


def clone(target: Path, origin: str | None) -> None:
    """Copy what the book is built from, as a clone that came from ``origin``."""

    def ignored(folder, names):
        return {name for name in names if name.startswith((".", "_build")) or name == "__pycache__"}

    shutil.copytree(ROOT, target, ignore=ignored)
    git = ["git", "-C", target]
    subprocess.run([*git, "init", "--quiet"], check=True)
    if origin:
        subprocess.run([*git, "remote", "add", "origin", origin], check=True)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site, built once by whichever worker needs it first."""
    target = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        target = target.parent
    source, built = target / "clone", target / "site" / "_build" / "html"
    with open(target / "site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "site.built").exists():
            clone(source, ADDRESS)
            status, printed = build(source, target / "site")
            assert status == 0, printed[-6000:]
            (target / "site.built").touch()
    return built


@functools.cache
def parsed(page: Path) -> BeautifulSoup:
    """A finished page, to be read and not changed."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def unavailable(reason: str) -> None:
    """Skip what needs a browser; where everything must be checked, fail."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        if browser is None:
            unavailable(NO_CHROMIUM)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def serve():
    """Serve a folder on this machine; the address of its root."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=folder)
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def home(site, serve, tmp_path_factory) -> str:
    """The site's address, below its host as on GitHub Pages."""
    host = tmp_path_factory.mktemp("host")
    (host / FOLDER).symlink_to(site)
    return f"{serve(host)}{FOLDER}/"


def watched_page(browser, home: str, problems: list[str]):
    """A tab that reaches ``home`` and nothing else, and notes whatever goes wrong."""
    page = browser.new_page()

    def guard(route):
        if route.request.url.startswith((home, "data:", "blob:")):
            return route.continue_()
        problems.append(f"foreign request: {route.request.url}")
        return route.abort()

    def note_console(message):
        if message.type in ("error", "warning"):
            problems.append(f"console {message.type}: {message.text}")

    def note_status(response):
        if response.status >= 400:
            problems.append(f"status {response.status}: {response.url}")

    def note_failure(request):
        if request.failure != "net::ERR_ABORTED":  # the browser left the page before it came
            problems.append(f"failed request: {request.url}")

    page.route("**/*", guard)
    page.on("console", note_console)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("response", note_status)
    page.on("requestfailed", note_failure)
    return page
