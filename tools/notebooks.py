"""Execute, normalise and link the chapters.

    python tools/notebooks.py run [NAME ...]   execute in place and normalise; default: all
    python tools/notebooks.py link [URL]       write the repository's address everywhere;
                                               default: where this clone came from

Normalising makes a chapter's file a function of its content: what two runs would write
differently, and what only one machine can know, is removed. Every chapter gets the same
set-up cell and a link to Colab, both made from the address in ``_config.yml``, and the four cells
of each exercise, made from its declaration in ``companion.exercises.catalogues``.
"""

import argparse
import base64
import hashlib
import inspect
import logging
import os
import re
import sys
import time
from pathlib import Path
from string import Template

import address
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/(?=[A-Za-z0-9])[A-Za-z0-9-]+/[\w.-]*[\w-](?<!\.git)")
BADGE = re.compile(r"\[Open in Colab\]\(\S*\)")
KEPT_METADATA = ("tags", "mystnb", "editable")
SETUP_MARK = "logits-to-losses"
SETUP = Template("""\
# A chapter opened on its own, as in Colab, fetches the book's code; elsewhere nothing happens.
from importlib.metadata import distributions, version
from importlib.util import find_spec

REPOSITORY, BRANCH = "$url", "$branch"
if not any(distributions(name="logits-to-losses")):
    if "SET_OWNER" in REPOSITORY:
        raise RuntimeError(
            "This copy of the book has no address to fetch its code from: in the book's folder, "
            "run `make link URL=https://github.com/OWNER/REPO`, or install it with `pip install .`"
        )
    source = f"{REPOSITORY}/archive/refs/heads/{BRANCH}.zip"
    keep = [f"{p}=={version(p)}" for p in ("torch", "numpy") if find_spec(p)]
    %pip install --quiet "logits-to-losses[book] @ {source}" {" ".join(keep)}
    version("logits-to-losses")  # stops the chapter here where that failed
""")


class ChapterError(Exception):
    """A chapter that cannot be run or written; the message names it and says why."""


def setup_cell(url: str, branch: str) -> str:
    """The first code cell of every chapter."""
    return SETUP.substitute(url=url, branch=branch).rstrip()


def colab_url(name: str, url: str, branch: str) -> str:
    """Where Colab opens the chapter called ``name``; the theme's launch button goes there too."""
    owner_and_repo = url.removeprefix("https://github.com/")
    return (
        f"https://colab.research.google.com/github/{owner_and_repo}"
        f"/blob/{branch}/notebooks/{name}.ipynb"
    )


def chapters(names: list[str], root: Path = ROOT) -> list[Path]:
    """The files of the chapters named by path, file name or beginning (``04``); all if none is."""
    there = sorted((root / "notebooks").glob("*.ipynb"))
    if not names:
        return there
    found = []
    for name in names:
        stem = Path(name).name.removesuffix(".ipynb")
        matches = [path for path in there if path.stem.startswith(stem)]
        if not matches:
            known = ", ".join(path.stem for path in there) or "none"
            raise ChapterError(f"no chapter is called {name!r}; the chapters are: {known}")
        found += [path for path in matches if path not in found]
    return found


def place(cell: NotebookNode, notebook: NotebookNode) -> str:
    """Name a code cell the way Jupyter numbers it after a run from top to bottom."""
    code_cells = [other for other in notebook.cells if other.cell_type == "code"]
    number = next(i for i, other in enumerate(code_cells, start=1) if other is cell)
    first_line = cell.source.strip().splitlines()[0]
    return f"cell In [{number}] ({first_line[:60]})"


def dress(notebook: NotebookNode, name: str, url: str, branch: str) -> None:
    """Put the link to Colab, the set-up cell and the exercises where they belong."""
    setup = nbformat.v4.new_code_cell(setup_cell(url, branch), metadata={"tags": ["remove-cell"]})
    cells = []
    for cell in notebook.cells:
        if "remove-cell" in cell.metadata.get("tags", []) and SETUP_MARK in cell.source:
            setup.execution_count = cell.execution_count
        elif cell.source.strip():
            cells.append(cell)
    if not cells or cells[0].cell_type != "markdown" or not cells[0].source.startswith("# "):
        raise ChapterError(f"{name}: the first cell must be Markdown that begins with '# Title'")
    title, _, rest = BADGE.sub("", cells[0].source).partition("\n")
    badge = f"[Open in Colab]({colab_url(name, url, branch)})"
    cells[0].source = "\n\n".join(filter(None, [title.strip(), badge, rest.strip()]))
    notebook.cells = [cells[0], setup, *cells[1:]]
    set_exercises(notebook, name)


def exercise_cells(exercise) -> list[NotebookNode]:
    """The task, the stub, the check, and the hints with the solution."""
    lines = inspect.getsource(exercise.solution).rstrip().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("def "))
    solution = lines[start:]
    end = next(i for i, line in enumerate(solution) if line.rstrip().endswith('"""')) + 1
    head, body = solution[:end], solution[end:]
    if hasattr(exercise, "questions"):
        for name, options in exercise.questions.items():
            asked = " or ".join(f'"{option}"' for option in options) or "a number"
            body = [
                f"    {name} = ...  # {asked}" if line.startswith(f"    {name} = ") else line
                for line in body
            ]
    else:
        body = ["    return ...  # replace the dots"]
    folded = {f"Hint {i}": hint for i, hint in enumerate(exercise.text.hints, start=1)}
    folded["Solution"] = "\n".join(["```python", *solution, "```"])
    details = "<details><summary>{}</summary>\n\n{}\n\n</details>"
    check = f"exercises.{exercise.name}.check({exercise.name})"
    new_code, new_text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    return [
        new_text(exercise.text.task),
        new_code("\n".join(head + body), metadata={"tags": ["exercise"]}),
        new_code(check, metadata={"tags": ["exercise-check"]}),
        new_text("\n\n".join(details.format(*part) for part in folded.items())),
    ]


def set_exercises(notebook: NotebookNode, name: str) -> None:
    """Put the exercises of the chapter's subject where its exercises stand, in their order."""
    stubs = [
        i for i, cell in enumerate(notebook.cells) if "exercise" in cell.metadata.get("tags", [])
    ]
    if not stubs:
        return
    from companion.exercises.catalogues import CATALOGUES

    named = {re.search(r"def (\w+)", notebook.cells[i].source)[1] for i in stubs}
    groups = [group for group in CATALOGUES.values() if named & {one.name for one in group}]
    if len(groups) != 1 or stubs != list(range(stubs[0], stubs[-1] + 1, 4)):
        raise ChapterError(
            f"{name}: exercises of one subject must stand together, in four cells each"
        )
    old = notebook.cells[stubs[0] - 1 : stubs[-1] + 3]
    kept = {cell.source: cell for cell in old if cell.cell_type == "code"}
    new = [cell for exercise in groups[0] for cell in exercise_cells(exercise)]
    new = [kept.get(cell.source, cell) for cell in new]  # with their outputs
    notebook.cells[stubs[0] - 1 : stubs[-1] + 3] = new


def normalise(notebook: NotebookNode) -> None:
    """Leave what the chapter says and shows; drop what a run or a machine adds to it."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    count = 0
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell.metadata = NotebookNode(
            {key: cell.metadata[key] for key in KEPT_METADATA if cell.metadata.get(key)}
        )
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:  # a cell that never ran must not look as if it had
            count += 1
            cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if output.output_type == "error":
                # The frames above it name files of this machine and colour them for a terminal.
                output.traceback = [f"{output.ename}: {output.evalue}"]


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in a fresh kernel; a cell tagged ``raises-exception`` may fail."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # else a warning about TCP each time
        resources={"metadata": {"path": str(folder)}},
    )
    running = "the kernel's start"

    def note(cell: NotebookNode, cell_index: int) -> None:
        nonlocal running
        running = place(cell, notebook)

    client.on_cell_execute = note
    try:
        client.execute()
    except CellExecutionError as error:
        raise ChapterError(f"{running} raised {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise ChapterError(f"{running} took longer than {client.timeout} s") from None
    except (RuntimeError, AssertionError) as error:
        # On Ctrl-C nbclient ends the kernel, and then trips over one that has died.
        if hasattr(client, "_async_cleanup_kernel_future"):
            raise KeyboardInterrupt from None
        raise ChapterError(f"{running}: {error}") from None


def text(notebook: NotebookNode) -> bytes:
    """The chapter's file, byte by byte."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n").encode() + b"\n"


def replace(path: Path, content: bytes) -> bool:
    """Replace the file in one step, and say whether its bytes changed."""
    if path.exists() and path.read_bytes() == content:
        return False
    half = path.with_name(f".{path.name}.part")
    try:
        half.write_bytes(content)
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    return True


def figures(notebook: NotebookNode) -> list[bytes]:
    """The pictures that a chapter shows, in their order, as PNG files."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output.get("data", {}).get("image/png") for output in outputs]
    return [base64.b64decode(picture) for picture in pictures if picture]


def copies(path: Path, root: Path = ROOT) -> dict[Path, int]:
    """Figures of a chapter that are shown elsewhere, as NAME-K.png, and their numbers K."""
    found = (root / "book" / "_static").glob(f"{path.stem}-*.png")
    return {copy: int(copy.stem.rpartition("-")[2]) for copy in found}


def run(names: list[str], root: Path = ROOT) -> int:
    """Execute and normalise chapters in place; how many failed."""
    url, branch = address.repository(root)
    failures = 0
    for path in chapters(names, root):
        print(f"{path.stem:<32}", end=" ", flush=True)
        start = time.perf_counter()
        try:
            notebook = nbformat.read(path, as_version=4)
            dress(notebook, path.stem, url, branch)
            execute(notebook, path.parent)
            normalise(notebook)
            for copy, number in copies(path, root).items():
                replace(copy, figures(notebook)[number - 1])
            outcome = "changed" if replace(path, text(notebook)) else "unchanged"
        except ChapterError as error:
            failures += 1
            outcome = f"FAILED: {path.relative_to(root)}, {error}; the file was left as it was"
        print(f"{time.perf_counter() - start:5.1f} s  {outcome}", flush=True)
    return failures


def link(url: str, root: Path = ROOT) -> None:
    """Write the repository's address into ``_config.yml``, every chapter and every page."""
    url = url or address.remote(root) or ""
    if not ADDRESS.fullmatch(url):
        raise ChapterError(
            f"URL must look like https://github.com/OWNER/REPO; got {url!r}"
            + ("" if url else ", and this clone did not come from GitHub")
        )
    old, branch = address.repository(root)
    for page in [root / "_config.yml", root / "README.md", *sorted((root / "book").glob("*.md"))]:
        content = page.read_text(encoding="utf-8")
        replace(page, re.sub(re.escape(old) + r"(?![\w.-])", url, content).encode())
    for path in chapters([], root):
        notebook = nbformat.read(path, as_version=4)
        dress(notebook, path.stem, url, branch)
        normalise(notebook)
        replace(path, text(notebook))
    print(f"{url} now stands in _config.yml, {len(chapters([], root))} chapters and the pages")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Execute, normalise and link the chapters.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="execute in place and normalise").add_argument(
        "names", nargs="*", metavar="NAME", help="a chapter, such as 04; default: all"
    )
    commands.add_parser("link", help="write the repository's address everywhere").add_argument(
        "url", nargs="?", metavar="URL", help="https://github.com/OWNER/REPO; default: the clone's"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "run":
            return 1 if run(options.names) else 0
        link(options.url)
    except ChapterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("asyncio").disabled = True  # it reports the tasks that nbclient leaves
        print("\nstopped; the chapter in progress was left as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
