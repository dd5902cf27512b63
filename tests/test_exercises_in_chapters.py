"""The exercises where readers meet them: task, stub, check, hints and solution in the chapters."""

import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from companion import exercises
from companion.exercises import Prediction
from companion.exercises.catalogues import CATALOGUES
from tools import notebooks

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CHAPTERS = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.stem < "11"]
DETAILS = re.compile(r"<details><summary>(.*?)</summary>\n\n(.*?)\n\n</details>", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)\n```", re.DOTALL)


class InChapter(NamedTuple):
    """One exercise as it stands in a chapter."""

    name: str
    task: str
    stub: str
    check: nbformat.NotebookNode
    hints: list[str]
    solution: str

    @property
    def exercise(self):
        return getattr(exercises, self.name)


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def found_in(cells):
    """The exercises of a chapter; what does not have the agreed form is an error."""
    found = []
    for i, stub in enumerate(cells):
        if not tagged(stub, "exercise"):
            continue
        task, check, details = cells[i - 1], cells[i + 1], cells[i + 2]
        (name,) = (n.name for n in ast.parse(stub.source).body if isinstance(n, ast.FunctionDef))
        assert (task.cell_type, details.cell_type) == ("markdown", "markdown"), name
        assert tagged(check, "exercise-check"), name
        help = dict(DETAILS.findall(details.source))
        assert len(help) == details.source.count("<details>"), f"{name}: blank lines missing"
        (solution,) = PYTHON.findall(help.pop("Solution"))
        assert list(help) == [f"Hint {k}" for k in range(1, len(help) + 1)], name
        found.append(InChapter(name, task.source, stub.source, check, [*help.values()], solution))
    return found


def defined(source, name):
    """The function that a cell defines, where only torch has been imported."""
    namespace = {"torch": torch}
    exec(source, namespace)
    return namespace[name]


each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
EXERCISES = [
    pytest.param(one, id=f"{path.stem}-{one.name}")
    for path in CHAPTERS
    for one in found_in(cells_of(path))
]
each_exercise = pytest.mark.parametrize("one", EXERCISES)


@each_chapter
def test_a_chapter_has_all_exercises_of_one_subject(path):
    names = {one.name for one in found_in(cells_of(path))}
    assert len(names) >= 3
    assert names in [{exercise.name for exercise in group} for group in CATALOGUES.values()]
    assert sum(isinstance(getattr(exercises, name), Prediction) for name in names) == 1


@each_chapter
def test_exercises_come_last_and_share_the_chapters_imports(path):
    code = [cell for cell in cells_of(path) if cell.cell_type == "code"]
    kinds = [tagged(c, "exercise") or tagged(c, "exercise-check") for c in code]
    assert kinds == sorted(kinds), "a code cell after the first exercise is none itself"
    names = {node for cell in code for node in re.findall(r"^import torch$", cell.source, re.M)}
    assert names, "the exercises need `import torch`"


@each_exercise
def test_task(one):
    assert re.match(r"### \S", one.task.split("\n\n", 1)[-1] if "## " in one.task[:3] else one.task)
    assert len(one.task) > 100


@each_exercise
def test_stub_is_not_attempted_and_the_chapter_shows_it(one):
    result = one.exercise.check(defined(one.stub, one.name))
    assert result.status == "not attempted"
    assert one.check.source == f"exercises.{one.name}.check({one.name})"
    (shown,) = one.check.outputs
    assert shown.data["text/plain"] == repr(result)
    assert "".join(shown.data["text/html"]) == result._repr_html_()


@each_exercise
def test_solution_is_right_and_has_the_signature_of_the_stub(one):
    solution = defined(one.solution, one.name)
    result = one.exercise.check(solution)
    assert (result.status, result.message) == ("right", one.exercise.moral)
    assert inspect.signature(solution) == inspect.signature(defined(one.stub, one.name))
    lines = one.solution.splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 82


def given_away(solution):
    """The lines of a solution, and the names that it calls or looks up."""
    tree = ast.parse(solution)
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    lines = {ast.unparse(node) for node in ast.walk(tree.body[0]) if isinstance(node, ast.stmt)}
    return names, {line.removeprefix("return ") for line in lines if "\n" not in line}


@each_exercise
def test_hints_lead_step_by_step(one):
    names, lines = given_away(one.solution)
    assert 2 <= len(one.hints) <= 3
    assert all(len(hint) > 30 for hint in one.hints)
    first = one.hints[0]
    assert "`" not in first, "the first hint is about the idea"
    assert not any(re.search(rf"[.(_]{name}\b|\b{name}[(_]", first) for name in names)
    for hint in one.hints:
        assert "```" not in hint
        spans = re.findall("`([^`]+)`", hint)
        assert not any(len(line) > 25 and line in span for line in lines for span in spans)


def run_all(path, answers):
    """Run a chapter's imports and then each exercise with its answer, in a kernel of its own."""
    code = [cell for cell in cells_of(path) if cell.cell_type == "code"]
    end = next(i for i, cell in enumerate(code) if "from companion import" in cell.source)
    notebook = new_notebook(cells=[new_code_cell(cell.source) for cell in code[: end + 1]])
    start = len(notebook.cells)
    for name, answer in answers:
        notebook.cells += [new_code_cell(answer), new_code_cell(f"exercises.{name}.check({name})")]
    notebook.cells.append(new_code_cell("exercises.progress()"))
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=False).execute()
    outputs = [cell.outputs for cell in notebook.cells[start:]]
    assert not any(outputs[0:-1:2])
    return [shown.data["text/plain"] for (shown,) in [*outputs[1:-1:2], outputs[-1]]]


@each_chapter
def test_run_all_unanswered_answered_and_answered_wrongly(path):
    found = found_in(cells_of(path))
    wrong = "{0} = exercises.{0}.mistakes[0].fn"
    answers = [
        *((one.name, one.stub) for one in found),
        *((one.name, wrong.format(one.name)) for one in found),
        *((one.name, one.solution) for one in found),
    ]
    *shown, progress = run_all(path, answers)
    said = [text.splitlines()[0] for text in shown]
    states = ["not attempted", "not yet", "right"]
    assert said == [f"{one.name}: {state}" for state in states for one in found]
    assert f"{len(found)} of {len(found)}" in progress


@each_chapter
def test_the_cells_are_written_from_the_declarations(path):
    """Byte by byte; ``make run`` writes them."""
    notebook = nbformat.read(path, as_version=4)
    before = [(cell.cell_type, cell.source, cell.metadata.get("tags")) for cell in notebook.cells]
    notebooks.set_exercises(notebook, path.stem)
    assert before == [(c.cell_type, c.source, c.metadata.get("tags")) for c in notebook.cells]


def test_a_new_exercise_reaches_the_chapter_and_outputs_are_kept():
    path = next(path for path in CHAPTERS if path.stem.startswith("04"))
    notebook = nbformat.read(path, as_version=4)
    whole = [cell.source for cell in notebook.cells]
    (stub,) = [i for i, s in enumerate(whole) if s.startswith("def cross_entropy_gradient")]
    del notebook.cells[stub - 1 : stub + 3]
    notebooks.set_exercises(notebook, path.stem)
    assert [cell.source for cell in notebook.cells] == whole
    checks = [cell for cell in notebook.cells if tagged(cell, "exercise-check")]
    assert [bool(cell.outputs) for cell in checks].count(False) == 1
