"""tools/environment.sh on good and bad days, with Pythons that only pretend."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "environment.sh"
SHELL = shutil.which("sh")

# Stands for a Python outside, and for the one inside the .venv that it "makes".
FAKE = """\
#!/bin/sh
case "$*" in
*%d.%d*) echo {version} ;;
*"< (3, 11)"*) exit {too_old} ;;
*ensurepip*) exit {lacks_venv} ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip install "*)
    echo "$*" >>pip.log
    {pip}
    ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class Book:
    """A folder with the script in it, and a PATH with nothing but what the test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "book"
        self.path = folder / "bin"
        (self.folder / "tools").mkdir(parents=True)
        self.path.mkdir()
        shutil.copy(SCRIPT, self.folder / "tools")
        for name in ("requirements.txt", "constraints.txt", "pyproject.toml"):
            (self.folder / name).write_text("first\n")
        for tool in ("dirname", "cksum", "tr", "cat", "rm", "mkdir", "mv", "cp", "sleep", "touch"):
            (self.path / tool).symlink_to(shutil.which(tool))

    def add_python(self, name, version, *, lacks_venv=False, pip=":"):
        file = self.path / name
        file.write_text(
            FAKE.format(
                version=version,
                too_old=int(tuple(map(int, version.split("."))) < (3, 11)),
                lacks_venv=int(lacks_venv),
                pip=pip,
            )
        )
        file.chmod(0o755)

    def start(self, **variables):
        return subprocess.Popen(
            [SHELL, self.folder / "tools" / "environment.sh"],
            env={"PATH": str(self.path), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def make(self, **variables):
        """Run the script; its exit status and the last line that it printed for a reader."""
        process = self.start(**variables)
        out, err = process.communicate(timeout=60)
        return process.returncode, (err or out).strip().splitlines()[-1:]

    @property
    def venv(self):
        return self.folder / ".venv"

    @property
    def installs(self):
        log = self.folder / "pip.log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def made_with(self):
        return (self.venv / "bin" / "python").read_text().split("echo ")[1].split()[0]


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def failed_without_a_trace(book, result, *words):
    status, lines = result
    assert status == 1
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
    assert not book.venv.exists()


def test_makes_the_environment_once(book):
    book.add_python("python3.12", "3.12")
    assert book.make()[0] == 0
    assert (book.venv / ".stamp").exists()
    assert not (book.venv / ".unfinished").exists()
    assert book.make() == (0, [])
    assert book.installs == 1


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt", "pyproject.toml"])
def test_changed_requirements_are_installed_into_the_same_environment(book, name):
    book.add_python("python3.12", "3.12")
    book.make()
    (book.venv / "mine").touch()
    (book.folder / name).write_text("second\n")
    assert book.make()[0] == 0
    assert book.installs == 2
    assert (book.venv / "mine").exists()
    assert book.make() == (0, [])


def test_newest_python_that_works_is_taken(book):
    book.add_python("python3.13", "3.13", lacks_venv=True)
    book.add_python("python3.12", "3.12")
    book.add_python("python3.11", "3.11")
    assert book.make()[0] == 0
    assert book.made_with() == "3.12"


def test_command_that_is_no_python_is_passed_over(book):
    (book.path / "python3.13").write_text("#!/bin/sh\necho not found >&2\nexit 127\n")
    (book.path / "python3.13").chmod(0o755)
    book.add_python("python3", "3.11")
    assert book.make()[0] == 0
    assert book.made_with() == "3.11"


def test_python_asked_for_is_taken_even_where_another_made_the_environment(book):
    book.add_python("python3.13", "3.13")
    book.add_python("python3.11", "3.11")
    book.make()
    assert book.make(PYTHON="python3.11")[0] == 0
    assert book.made_with() == "3.11"
    assert book.make() == (0, [])
    assert book.made_with() == "3.11"


def test_no_python(book):
    failed_without_a_trace(
        book, book.make(), "No Python to work with", "3.11 or newer", "Install one"
    )


def test_python_asked_for_is_missing(book):
    book.add_python("python3.12", "3.12")
    failed_without_a_trace(book, book.make(PYTHON="python9"), "python9 was not found")


def test_python_too_old(book):
    book.add_python("python3", "3.9")
    failed_without_a_trace(book, book.make(), "3.11 or newer", "python3 is 3.9", "Install one")


def test_python_without_venv(book):
    book.add_python("python3.12", "3.12", lacks_venv=True)
    failed_without_a_trace(book, book.make(), "python3.12 has no venv module", "python3-venv")


def test_failing_install(book):
    book.add_python("python3.12", "3.12", pip="echo 'ERROR: no such package' >&2; exit 1")
    failed_without_a_trace(book, book.make(), "pip could not install", "run make again")


def test_full_disk(book):
    book.add_python("python3.12", "3.12", pip="echo 'No space left on device' >&2; exit 1")
    failed_without_a_trace(book, book.make(), "disk is full", "2 GB", "run make again")


def test_failing_update_keeps_the_environment_and_is_tried_again(book):
    book.add_python("python3.12", "3.12", pip="[ ! -e offline ] || exit 1")
    book.make()
    (book.folder / "requirements.txt").write_text("second\n")
    (book.folder / "offline").touch()
    for _ in range(2):
        status, lines = book.make()
        assert status == 1
        assert "could not bring .venv up to date" in lines[0]
    (book.folder / "offline").unlink()
    assert book.make()[0] == 0
    assert book.make() == (0, [])


def wait_for(file):
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c_leaves_nothing(book):
    book.add_python("python3.12", "3.12", pip="touch installing; exec sleep 60")
    process = book.start()
    wait_for(book.folder / "installing")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    failed_without_a_trace(
        book, (process.returncode, err.strip().splitlines()[-1:]), "Stopped", "run make again"
    )


def test_kill_leaves_nothing_that_passes_for_finished(book):
    book.add_python("python3.12", "3.12", pip="touch installing; exec sleep 60")
    process = book.start()
    wait_for(book.folder / "installing")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    (book.venv / "half").touch()
    book.add_python("python3.12", "3.12")
    assert book.make()[0] == 0
    assert not (book.venv / "half").exists()
    assert (book.venv / ".stamp").exists()


def test_environment_of_somebody_else_is_left_alone(book):
    book.add_python("python3.12", "3.12")
    book.venv.mkdir()
    (book.venv / "theirs").touch()
    status, lines = book.make()
    assert status == 1
    assert "make did not make" in lines[0]
    assert (book.venv / "theirs").exists()


def test_moved_folder_gets_a_new_environment(book):
    book.add_python("python3.12", "3.12")
    book.make()
    (book.venv / "old").touch()
    book.folder = book.folder.rename(book.folder.with_name("moved"))
    assert book.make()[0] == 0
    assert not (book.venv / "old").exists()


def test_environment_whose_python_is_gone_is_made_anew(book):
    book.add_python("python3.12", "3.12")
    book.make()
    (book.venv / "bin" / "python").unlink()
    assert book.make()[0] == 0
    assert (book.venv / "bin" / "python").exists()
