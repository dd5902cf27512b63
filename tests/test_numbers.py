"""The page of numbers: each number in a heading is computed by the cells under it."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
CELLS = nbformat.read(ROOT / "notebooks/14_numbers.ipynb", as_version=4).cells


def sections():
    """Each third-level heading with all that is printed until the next."""
    found = {}
    heading = None
    for cell in CELLS:
        if cell.cell_type == "markdown":
            for line in re.findall(r"^##+ .*$", cell.source, re.M):
                heading = line[4:] if line.startswith("### ") else None
        elif heading:
            printed = [output.data.get("text/plain", "") for output in cell.outputs]
            found[heading] = found.get(heading, "") + "\n".join([*printed, cell.source, ""])
    return found


SECTIONS = sections()


def test_every_heading_has_its_cell():
    text = "\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")
    assert list(SECTIONS) == re.findall(r"^### (.*)$", text, re.M)


@pytest.mark.parametrize("heading", SECTIONS)
def test_numbers_of_a_heading_are_computed_under_it(heading):
    numbers = re.findall(r"(?<![\w.])−?\d+(?:\.\d+)?(?![\w.])", heading)
    numbers = [n for n in numbers if n not in ("0", "1")]  # not a value, a limit
    printed = [float(n) for n in re.findall(r"-?\d+\.?\d*", SECTIONS[heading])]
    for number in numbers:
        digits = len(number.partition(".")[2])
        value = float(number.replace("−", "-"))
        assert value in {round(p, digits) for p in printed}, number
