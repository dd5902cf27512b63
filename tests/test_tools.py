"""tools/notebooks.py on small chapters of our own."""

import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.utils.text import DollarFormatter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import notebooks

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """\
# a comment that must stay
title: A book
repository:
  url: https://github.com/SET_OWNER/logits-to-losses # here
  branch: main
other: https://github.com/SET_OWNER/logits-to-losses-too
"""


@pytest.fixture
def book(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "book").mkdir()
    for page in ("README.md", "book/how_to_use.md"):
        (tmp_path / page).write_text("git clone https://github.com/SET_OWNER/logits-to-losses\n")
    for tool in ("address.py", "notebooks.py"):
        shutil.copy(ROOT / "tools" / tool, tmp_path / "tools")
    (tmp_path / "_config.yml").write_text(CONFIG)
    return tmp_path


def add(book, name, *sources, title="# A title\n\nAnd a sentence."):
    cells = [new_markdown_cell(title), *map(new_code_cell, sources)]
    path = book / "notebooks" / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def tool(book, *arguments):
    return subprocess.run(
        [sys.executable, book / "tools" / "notebooks.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_executes_dresses_and_normalises_and_a_second_run_changes_no_byte(book):
    path = add(book, "01_one", "import sys\nprint('out')\n6 * 7", "print('and more')")
    done = tool(book, "run")
    assert done.returncode == 0
    assert done.stdout.split()[0] == "01_one"
    assert done.stdout.split()[-1] == "changed"
    assert done.stderr == ""
    first = path.read_bytes()
    assert tool(book, "run").stdout.split()[-1] == "unchanged"
    assert path.read_bytes() == first

    notebook = nbformat.read(path, as_version=4)
    markdown, setup, one, two = notebook.cells
    link = "github/SET_OWNER/logits-to-losses/blob/main/notebooks/01_one.ipynb"
    assert markdown.source == (
        f"# A title\n\n[Open in Colab](https://colab.research.google.com/{link})\n\nAnd a sentence."
    )
    assert setup.metadata.tags == ["remove-cell"]
    assert "https://github.com/SET_OWNER/logits-to-losses" in setup.source
    assert [cell.execution_count for cell in (setup, one, two)] == [1, 2, 3]
    assert [output.output_type for output in one.outputs] == ["stream", "execute_result"]
    assert one.outputs[1].execution_count == 2
    assert "version" not in notebook.metadata.language_info


def test_run_refreshes_the_copies_of_figures(book):
    shown = "from IPython.display import Image, display\ndisplay(Image(b'{}', format='png'))"
    add(book, "01_one", shown.format("first"), shown.format("second"))
    copy = book / "book" / "_static" / "01_one-2.png"
    copy.parent.mkdir()
    copy.write_bytes(b"old")
    assert tool(book, "run").returncode == 0
    assert copy.read_bytes() == b"second"
    assert list(copy.parent.iterdir()) == [copy]


def test_only_the_metadata_that_the_book_needs_are_kept():
    cell = new_code_cell(
        "1", metadata={"tags": ["hide-input"], "scrolled": True, "collapsed": True}
    )
    cell.metadata["mystnb"] = {"figure": {"name": "a"}}
    notebook = new_notebook(cells=[cell], metadata={"widgets": {}, "language": "x"})
    notebooks.normalise(notebook)
    assert cell.metadata == {"tags": ["hide-input"], "mystnb": {"figure": {"name": "a"}}}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec["name"] == "python3"


def test_ids_depend_on_nothing_but_the_sources():
    made = [new_notebook(cells=[new_code_cell(s) for s in ("a", "b", "a")]) for _ in range(2)]
    for notebook in made:
        notebooks.normalise(notebook)
    ids = [[cell.id for cell in notebook.cells] for notebook in made]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


def test_cell_that_never_ran_does_not_look_as_if_it_had():
    notebook = new_notebook(cells=[new_code_cell("a"), new_code_cell("b", execution_count=7)])
    notebooks.normalise(notebook)
    assert [cell.execution_count for cell in notebook.cells] == [None, 1]


def test_error_keeps_its_message_and_loses_its_frames():
    notebook = new_notebook(cells=[new_code_cell("x", execution_count=1)])
    frames = ["File /home/me/book.py:3", "\x1b[31mValueError\x1b[0m: no\nway"]
    notebook.cells[0].outputs = [
        nbformat.v4.new_output("error", ename="ValueError", evalue="no\nway", traceback=frames)
    ]
    notebooks.normalise(notebook)
    assert notebook.cells[0].outputs[0].traceback == ["ValueError: no\nway"]


def test_failing_cell_is_named_its_file_is_left_and_the_next_chapter_still_runs(book):
    bad = add(book, "01_bad", "1", "# divide\n1 / 0", "print('never')")
    add(book, "02_good", "1 + 1")
    before = bad.read_bytes()
    done = tool(book, "run")
    assert done.returncode == 1
    assert (
        "FAILED: notebooks/01_bad.ipynb, cell In [3] (# divide) raised ZeroDivisionError: "
        "division by zero; the file was left as it was" in done.stdout
    )
    assert bad.read_bytes() == before
    assert done.stdout.splitlines()[-1].split()[0] == "02_good"
    assert sorted(path.name for path in bad.parent.iterdir()) == ["01_bad.ipynb", "02_good.ipynb"]


def test_dying_kernel_is_named(book):
    add(book, "01_dead", "import os\nos._exit(1)")
    done = tool(book, "run")
    assert done.returncode == 1
    assert "01_dead.ipynb, cell In [2] (import os): Kernel died" in done.stdout


def test_ctrl_c_stops_and_leaves_the_files(book):
    for name in ("01_slow", "02_next"):
        add(book, name, "open('started', 'w').close()\nimport time\ntime.sleep(60)")
    before = (book / "notebooks" / "01_slow.ipynb").read_bytes()
    process = subprocess.Popen(
        [sys.executable, book / "tools" / "notebooks.py", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (book / "notebooks" / "started").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "02_next" not in out
    assert err.strip().endswith("stopped; the chapter in progress was left as it was")
    assert (book / "notebooks" / "01_slow.ipynb").read_bytes() == before


def test_run_takes_names_and_beginnings_and_says_what_there_is(book):
    paths = [add(book, name, "1") for name in ("01_one", "02_two", "10_ten")]
    assert notebooks.chapters([], book) == paths
    assert notebooks.chapters(["02"], book) == [paths[1]]
    assert notebooks.chapters(["notebooks/10_ten.ipynb", "01_one"], book) == [paths[2], paths[0]]
    done = tool(book, "run", "03")
    assert done.returncode == 1
    assert "no chapter is called '03'; the chapters are: 01_one, 02_two, 10_ten" in done.stderr


def test_chapter_without_a_title_is_refused(book):
    path = add(book, "01_one", "1", title="No title.")
    before = path.read_bytes()
    done = tool(book, "run")
    assert done.returncode == 1
    assert "the first cell must be Markdown that begins with '# Title'" in done.stdout
    assert path.read_bytes() == before


def test_link_writes_the_address_everywhere_and_nothing_else(book):
    path = add(book, "01_one", "1 + 1")
    tool(book, "run")
    before = path.read_text()
    done = tool(book, "link", "https://github.com/a-team/the.book")
    assert done.returncode == 0
    assert (book / "_config.yml").read_text() == CONFIG.replace(
        "url: https://github.com/SET_OWNER/logits-to-losses",
        "url: https://github.com/a-team/the.book",
    )
    for page in ("README.md", "book/how_to_use.md"):
        assert (book / page).read_text() == "git clone https://github.com/a-team/the.book\n"
    after = path.read_text()
    setup = nbformat.reads(after, as_version=4).cells[1]
    assert setup.source == notebooks.setup_cell("https://github.com/a-team/the.book", "main")
    assert setup.execution_count == 1
    assert "github/a-team/the.book/blob/main/notebooks/01_one.ipynb" in after
    assert "SET_OWNER/" not in after
    assert len(after.splitlines()) == len(before.splitlines())
    assert tool(book, "link", "https://github.com/a-team/the.book").returncode == 0
    assert path.read_text() == after
    assert tool(book, "run").stdout.split()[-1] == "unchanged"


def test_link_takes_the_address_of_the_clone(book):
    add(book, "01_one", "1")
    origin = ["remote", "add", "origin", "git@github.com:me/book.git"]
    for command in (["init", "--quiet"], origin):
        subprocess.run(["git", "-C", book, *command], check=True)
    assert tool(book, "link").returncode == 0
    assert "url: https://github.com/me/book # here" in (book / "_config.yml").read_text()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "me/book",
        "http://github.com/me/book",
        "https://gitlab.com/me/book",
        "https://github.com/me",
        "https://github.com/me/book/",
        "https://github.com/me/book.git",
        "https://github.com/me/book/tree/main",
        "https://github.com/me/bo ok",
        'https://github.com/me/"book',
        "https://github.com/SET_OWNER/book",
    ],
)
def test_link_refuses_what_is_no_address(book, url):
    path = add(book, "01_one", "1")
    before = path.read_bytes()
    done = tool(book, "link", url)
    assert done.returncode == 1
    assert "URL must look like https://github.com/OWNER/REPO" in done.stderr
    assert path.read_bytes() == before
    assert (book / "_config.yml").read_text() == CONFIG


# The set-up cell. Its real work, installing, is in test_packaging.py.

NO_ADDRESS = (
    "This copy of the book has no address to fetch its code from: in the book's folder, run "
    "`make link URL=https://github.com/OWNER/REPO`, or install it with `pip install .`"
)


def run_setup(url):
    """Run the cell with a %pip that only notes what it would be called with."""
    calls = []

    def run_line_magic(name, line):
        calls.append((name, DollarFormatter().vformat(line, (), names)))

    code = TransformerManager().transform_cell(notebooks.setup_cell(url, "main"))
    names = {"get_ipython": lambda: SimpleNamespace(run_line_magic=run_line_magic)}
    exec(code, names)
    return calls


def hide(monkeypatch, hidden):
    real = metadata.distributions
    monkeypatch.setattr(
        metadata,
        "distributions",
        lambda **which: iter(()) if which.get("name") == hidden else real(**which),
    )


def test_setup_cell_fits_into_fifteen_lines():
    source = notebooks.setup_cell("https://github.com/me/book", "main")
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 15
    assert max(map(len, source.splitlines())) <= 100


def test_setup_cell_does_nothing_where_the_companion_is_installed(capfd):
    assert run_setup("https://github.com/me/book") == []
    assert capfd.readouterr() == ("", "")


def test_setup_cell_without_an_address_says_one_sentence_and_installs_nothing(monkeypatch):
    hide(monkeypatch, "logits-to-losses")
    with pytest.raises(RuntimeError) as raised:
        run_setup("https://github.com/SET_OWNER/logits-to-losses")
    assert str(raised.value) == NO_ADDRESS


def test_setup_cell_asks_pip_for_the_archive_and_for_what_is_installed_already(monkeypatch):
    hide(monkeypatch, "logits-to-losses")
    torch, numpy = (f"{name}=={metadata.version(name)}" for name in ("torch", "numpy"))
    archive = "https://github.com/me/book/archive/refs/heads/main.zip"
    assert run_setup("https://github.com/me/book") == [
        ("pip", f'install --quiet "logits-to-losses[book] @ {archive}" {torch} {numpy}')
    ]


def test_setup_cell_stops_the_chapter_where_the_installation_failed(monkeypatch):
    hide(monkeypatch, "logits-to-losses")
    real = metadata.version

    def version(name):
        if name == "logits-to-losses":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(metadata.PackageNotFoundError, match="logits-to-losses"):
        run_setup("https://github.com/me/book")
