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
TOOLS = ("dirname", "cksum", "cat", "rm", "mkdir", "cp", "grep", "sleep", "touch")

# Stands for a Python outside, and for the one inside the .venv that it "makes".
FAKE = """\
#!/bin/sh
case "$*" in
*%d.%d*) echo {version} ;;
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
            (self.folder / name).write_text("torch==2.13.0\n")
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool))

    def add_python(self, name, version, *, lacks_venv=False, pip=":"):
        file = self.path / name
        file.write_text(FAKE.format(version=version, lacks_venv=int(lacks_venv), pip=pip))
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
        out, err = process.communicate()
        return process.returncode, (err or out).strip().splitlines()[-1:]

    @property
    def venv(self):
        return self.folder / ".venv"

    @property
    def installs(self):
        log = self.folder / "pip.log"
        return log.read_text().splitlines() if log.exists() else []

    def made_with(self):
        return (self.venv / "bin" / "python").read_text().split("echo ")[1].split()[0]


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def test_makes_the_environment_once(book):
    book.add_python("python3.12", "3.12")
    assert book.make()[0] == 0
    assert book.make() == (0, [])
    assert len(book.installs) == 1
    assert "-r requirements.txt" in book.installs[0]


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt", "pyproject.toml"])
def test_changed_requirements_are_installed_into_the_same_environment(book, name):
    book.add_python("python3.12", "3.12")
    book.make()
    (book.venv / "mine").touch()
    (book.folder / name).write_text("second\n")
    assert book.make()[0] == 0
    assert len(book.installs) == 2
    assert (book.venv / "mine").exists()
    assert book.make() == (0, [])


def test_another_index_gives_torch_and_nothing_else(book):
    book.add_python("python3.12", "3.12")
    assert book.make(TORCH_INDEX_URL="https://index.example/cpu")[0] == 0
    torch, rest = book.installs
    assert "--no-deps --index-url https://index.example/cpu torch==2.13.0" in torch
    assert "index" not in rest


def test_newest_python_that_works_is_taken(book):
    (book.path / "python3.14").write_text("#!/bin/sh\necho not found >&2\nexit 127\n")
    (book.path / "python3.14").chmod(0o755)
    book.add_python("python3.13", "3.13", lacks_venv=True)
    book.add_python("python3.12", "3.12")
    book.add_python("python3.11", "3.11")
    assert book.make()[0] == 0
    assert book.made_with() == "3.12"


def test_python_asked_for_is_taken_even_where_another_made_the_environment(book):
    book.add_python("python3.13", "3.13")
    book.add_python("python3.11", "3.11")
    book.make()
    assert book.make(PYTHON="python3.11")[0] == 0
    assert book.made_with() == "3.11"
    assert book.make() == (0, [])
    assert book.made_with() == "3.11"


@pytest.mark.parametrize(
    ("pythons", "asked", "words"),
    [
        ({}, {}, "python3 was not found"),
        ({"python3.12": {"version": "3.12"}}, {"PYTHON": "python9"}, "python9 was not found"),
        ({"python3": {"version": "3.9"}}, {}, "python3 is 3.9"),
        ({"python3": {"version": "3.15"}}, {}, "python3 is 3.15"),
        ({"python3.12": {"version": "3.12", "lacks_venv": True}}, {}, "has no venv module"),
    ],
)
def test_without_a_python_that_will_do_it_says_so_in_one_line(book, pythons, asked, words):
    for name, facts in pythons.items():
        book.add_python(name, **facts)
    status, lines = book.make(**asked)
    assert status == 1
    assert "the book needs Python 3.11 to 3.14" in lines[0]
    assert words in lines[0]
    assert not book.venv.exists()


def test_failing_install_leaves_nothing(book):
    book.add_python("python3.12", "3.12", pip="echo 'No space left on device' >&2; exit 1")
    status, lines = book.make()
    assert status == 1
    assert "If the disk is full, free 2 GB" in lines[0]
    assert "then run make again" in lines[0]
    assert not book.venv.exists()


def test_failing_update_keeps_the_environment_and_is_tried_again(book):
    book.add_python("python3.12", "3.12", pip="[ ! -e offline ] || exit 1")
    book.make()
    (book.venv / "mine").touch()
    (book.folder / "requirements.txt").write_text("second\n")
    (book.folder / "offline").touch()
    for _ in range(2):
        status, lines = book.make()
        assert status == 1
        assert "could not bring .venv up to date" in lines[0]
    (book.folder / "offline").unlink()
    assert book.make()[0] == 0
    assert (book.venv / "mine").exists()
    assert book.make() == (0, [])


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("update", [False, True])
def test_what_was_interrupted_does_not_pass_for_finished(book, kill, update):
    book.add_python("python3.12", "3.12", pip="touch installing; [ ! -e slow ] || exec sleep 600")
    if update:
        book.make()
        (book.folder / "installing").unlink()
        (book.folder / "requirements.txt").write_text("second\n")
    (book.folder / "slow").touch()
    process = book.start()
    while not (book.folder / "installing").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, kill)
    process.communicate()
    (book.venv / "half").touch()
    (book.folder / "slow").unlink()
    assert book.make()[0] == 0
    assert not (book.venv / "half").exists()
    assert book.make() == (0, [])


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
