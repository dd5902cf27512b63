"""The chapters as files, and the proof that the comparison of their outputs catches what it must.

That a fresh run of every chapter gives what its file shows is nbval's part: see strict_nbval.py.
"""

import base64
import copy
import datetime
import hashlib
import io
import json
import re
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path

import address
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageChops

from tests.strict_nbval import first_difference, picture_difference
from tools import notebooks

ROOT = Path(__file__).resolve().parent.parent
NBVAL = [sys.executable, "-m", "pytest", "-p", "tests.strict_nbval"]
NBVAL += ["--nbval", "--nbval-current-env"]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_chapters():
    assert CHAPTERS


@each_chapter
def test_chapter_is_dressed_and_normalised(path):
    url, branch = address.repository(ROOT)
    notebook = nbformat.read(path, as_version=4)
    notebooks.dress(notebook, path.stem, url, branch)
    notebooks.normalise(notebook)
    assert path.read_bytes() == notebooks.text(notebook), "run: make run"


@each_chapter
def test_every_code_cell_was_run(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@each_chapter
def test_errors_stand_only_where_they_are_announced(path):
    for cell in code_cells(nbformat.read(path, as_version=4)):
        announced = "raises-exception" in cell.metadata.get("tags", [])
        raised = any(output.output_type == "error" for output in cell.outputs)
        assert raised == announced, cell.source


@each_chapter
def test_nothing_asks_nbval_to_look_away(path):
    for cell in nbformat.read(path, as_version=4).cells:
        said = cell.source + " ".join(cell.metadata.get("tags", []))
        assert not re.search("nbval|pytest.validate", said, re.IGNORECASE), cell.source


@each_chapter
def test_outputs_hold_no_stderr_and_no_path(path):
    for cell in code_cells(nbformat.read(path, as_version=4)):
        for output in cell.outputs:
            assert output.get("name") != "stderr", cell.source
            output.get("data", {}).pop("image/png", None)  # its letters may spell anything
            assert not re.search(r"/(home|root|tmp|Users|work)/|\.venv|0x[0-9a-f]{6}", str(output))


@each_chapter
def test_every_figure_has_an_alternative_text(path):
    for cell in code_cells(nbformat.read(path, as_version=4)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert output.metadata.get("image/png", {}).get("alt"), cell.source


@each_chapter
def test_cells_are_short(path):
    lengths = [
        sum(bool(line.strip()) for line in cell.source.splitlines())
        for cell in code_cells(nbformat.read(path, as_version=4))
    ]
    assert statistics.median(lengths) <= 6
    assert max(lengths) <= 15


# What the net catches

TINY = """\
from companion import display, figures

def curve(color):
    fig, ax = figures.new_figure()
    ax.plot([0, 1, 2], [0, 1, 0], color=color)
    display.show(fig, alt=f"A {color} roof.", caption="It has two sides.")
---
print("the loss is 0.8761")
---
0.25 + 0.5
---
curve("blue")
---
curve("red")
---
print("before the figure"); curve("green")
---
curve("orange")
---
curve("brown")
---
raise ValueError("expected 3 classes; got 4")
---
print("nothing to raise here")
---
answer = 42
---
print("and nothing wrong here: 7")
"""


def make_tiny():
    cells = [new_code_cell(source.strip()) for source in TINY.split("---")]
    cells[8].metadata.tags = ["raises-exception"]
    return new_notebook(cells=[new_markdown_cell("# A tiny chapter"), *cells])


def recoloured(png):
    """The same picture in other colours: red and blue change places."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    red, green, blue = picture.split()
    file = io.BytesIO()
    Image.merge("RGB", (blue, green, red)).save(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def spoil(notebook):
    """Do to each cell one thing that a maintainer would want to hear of."""
    cells = code_cells(notebook)
    cells[1].outputs[0].text = cells[1].outputs[0].text.replace("0.8761", "0.8762")
    cells[2].outputs = []
    blue, red = cells[3].outputs[0], cells[4].outputs[0]
    blue.data["image/png"], red.data["image/png"] = red.data["image/png"], blue.data["image/png"]
    del cells[5].outputs[1]
    brown = cells[6].outputs[0].data
    brown["image/png"] = recoloured(brown["image/png"])
    cells[7].outputs[0].metadata["image/png"]["alt"] = "A brown house."
    cells[8].outputs[0].evalue = "expected 3 classes; got 5"
    cells[9].metadata.tags = ["raises-exception"]
    cells[10].execution_count = None


CAUGHT = {  # In [n] of the spoilt copy: what its message must say
    2: (r"-the loss is 0.8762", r"\+the loss is 0.8761", "make run"),
    3: ("Output 1, execute_result .*, comes of a fresh run; the file has none",),
    4: ("image/png", r"differ in \d+ of \d+ pixels, between \(\d+, \d+\) and"),
    5: ("image/png", r"differ in \d+ of \d+ pixels"),
    6: (r"Output 2 is display_data \(text/markdown.*in the file.*image/png",),
    7: ("image/png", r"differ in \d+ of \d+ pixels"),
    8: ("the alt of image/png", r"-A brown house\.", r"\+A brown roof\."),
    9: ("-ValueError: expected 3 classes; got 5", r"\+ValueError: expected 3 classes; got 4"),
    10: ("tagged raises-exception, but raised nothing",),
    11: ("committed without having been run", "make run"),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Run the net over a good tiny chapter, a spoilt one and a stripped one."""
    folder = tmp_path_factory.mktemp("net")
    good = make_tiny()
    notebooks.execute(good, folder)
    notebooks.normalise(good)
    spoilt, stripped = copy.deepcopy(good), copy.deepcopy(good)
    spoil(spoilt)
    for cell in code_cells(stripped):
        cell.update(execution_count=None, outputs=[])
    for name, notebook in {"good": good, "spoilt": spoilt, "stripped": stripped}.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    report, record = folder / "report.xml", folder / "record.json"
    run = subprocess.run(
        [*NBVAL, folder, "-p", "no:cacheprovider", "--junitxml", report, "--record", record, "-q"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert not record.exists()
    found = {"good": {}, "spoilt": {}, "stripped": {}}
    for case in ElementTree.parse(report).iter("testcase"):
        failure = case.find("failure")
        number = int(re.search(r"\[(\d+)\]", case.get("name")).group(1))
        notebook = next(name for name in found if name in case.get("classname"))
        found[notebook][number] = "" if failure is None else failure.text
    return found


def test_good_chapter_passes(verdicts):
    assert verdicts["good"] == dict.fromkeys(range(1, 13), "")


def test_a_run_in_which_all_passed_is_recorded(tmp_path):
    chapter = new_notebook(cells=[new_code_cell("print(1)"), new_code_cell("print(2)")])
    notebooks.execute(chapter, tmp_path)
    nbformat.write(chapter, tmp_path / "07_good.ipynb")
    record = tmp_path / "new" / "record.json"
    run = [*NBVAL, tmp_path, "-p", "no:cacheprovider", "--record", record]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    found = json.loads(record.read_text(encoding="utf-8"))
    assert found["versions"]["torch"] == version("torch")
    assert found["date"] == datetime.datetime.now(datetime.UTC).date().isoformat()
    ((name, facts),) = found["chapters"].items()
    assert (name, facts["cells"]) == ("07_good", 2)
    assert facts["seconds"] > 0
    digest = hashlib.sha256((tmp_path / "07_good.ipynb").read_bytes()).hexdigest()
    assert facts["sha256"] == digest


@pytest.mark.parametrize("number", CAUGHT)
def test_net_catches(verdicts, number):
    message = verdicts["spoilt"][number]
    assert message.startswith(f"spoilt.ipynb, cell In [{number}]: ")
    for part in CAUGHT[number]:
        assert re.search(part, message), message


def test_cells_that_are_right_pass_beside_wrong_ones(verdicts):
    assert {number for number, text in verdicts["spoilt"].items() if not text} == {1, 12}


def test_stripped_chapter_fails_at_every_cell(verdicts):
    assert len(verdicts["stripped"]) == 12
    for number, message in verdicts["stripped"].items():
        assert message.startswith(f"stripped.ipynb, cell In [{number}]: committed without having")


@each_chapter
def test_any_changed_digit_is_a_difference(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    digits = 0
    for outputs in (cell.outputs for cell in cells if cell.outputs):
        assert first_difference(outputs, copy.deepcopy(outputs)) == ""
        for index, output in enumerate(outputs):
            for changed in with_one_digit_changed(output):
                digits += 1
                others = [*outputs[:index], changed, *outputs[index + 1 :]]
                assert first_difference(others, outputs)
    assert digits > 0


def with_one_digit_changed(output):
    """Copies of an output; in each, another digit of its texts is another digit."""
    holders = {"stream": ["text"], "error": ["evalue"]}.get(output.output_type)
    texts = output if holders else output.data
    for key in holders or [mime for mime in texts if not mime.startswith("image/")]:
        for match in re.finditer(r"\d", texts[key]):
            changed = copy.copy(output)
            holder = changed
            if not holders:
                changed.data = holder = copy.copy(output.data)
            other = str((int(match.group()) + 1) % 10)
            holder[key] = texts[key][: match.start()] + other + texts[key][match.end() :]
            yield changed


def test_output_that_a_fresh_run_does_not_give_is_a_difference():
    output = new_output("stream", name="stdout", text="extra")
    assert "a fresh run gives none" in first_difference([output], [])
    assert "the file has none" in first_difference([], [output])


def test_order_of_outputs_matters():
    text = new_output("stream", name="stdout", text="text")
    result = new_output("execute_result", {"text/plain": "1"})
    assert first_difference([text, result], [text, result]) == ""
    assert "Output 1 is stream" in first_difference([text, result], [result, text])


# What the comparison of figures lets pass


def encoded(picture):
    file = io.BytesIO()
    picture.save(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def drawn(color, width=3, shift=0):
    picture = Image.new("RGB", (300, 200), "white")
    for x in range(20, 280):
        for y in range(width):
            picture.putpixel((x, 100 + shift + y + x // 10), color)
    return picture


def test_jitter_of_one_pixel_passes():
    assert picture_difference(encoded(drawn((0, 0, 200))), encoded(drawn((0, 0, 200), 3, 1))) == ""


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(
    "other", [(0, 158, 115), (204, 121, 167), (90, 90, 90)], ids=["green", "pink", "grey"]
)
def test_another_colour_does_not_pass(width, other):
    blue = drawn((0, 114, 178), width)
    assert "differ in" in picture_difference(encoded(blue), encoded(drawn(other, width)))


def test_same_grey_value_in_another_colour_does_not_pass():
    colour = drawn((255, 0, 0))
    grey = colour.convert("L").convert("RGB")
    assert "differ in" in picture_difference(encoded(colour), encoded(grey))


def test_missing_curve_and_another_size_do_not_pass():
    both = ImageChops.darker(drawn((0, 0, 200)), drawn((200, 0, 0), 3, 30))
    assert "differ in" in picture_difference(encoded(both), encoded(drawn((0, 0, 200))))
    assert "(300, 200) pixels" in picture_difference(
        encoded(both), encoded(both.crop((0, 0, 299, 200)))
    )
