"""nbval, made strict: a chapter passes if a fresh run shows what its file shows, all of it.

nbval alone compares no figures, ignores the order of outputs of different kinds, accepts cells
that were never run, and only permits the error that a ``raises-exception`` tag promises. Use:

    python -m pytest -p tests.strict_nbval --nbval notebooks

With ``--record FILE`` a run in which everything passed is written down for the book's pages.
"""

import base64
import datetime
import difflib
import hashlib
import io
import json
import platform
from collections import defaultdict
from importlib.metadata import version
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError
from PIL import Image, ImageFilter

# A pixel agrees if its colour lies within those of its nine nearest in the other picture, give
# or take TOLERANCE of 255: what another font rasteriser changes passes, another colour does not.
TOLERANCE = 32
STRAY_PIXELS = 12

MEND = "If the new result is right: `make run`, and commit the chapter."


PACKAGES = ("torch", "numpy", "scikit-learn", "matplotlib")


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FILE", help="where to write what passed")


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if not config.getoption("record") or exitstatus != 0:
        return
    chapters = defaultdict(lambda: {"cells": 0, "seconds": 0.0})
    stats = terminalreporter.stats
    for report in chain(stats.get("passed", []), stats.get("", [])):
        path = report.nodeid.partition("::")[0]
        chapters[path]["cells"] += report.when == "call"
        chapters[path]["seconds"] += report.duration
    for path, chapter in chapters.items():
        chapter["seconds"] = round(chapter["seconds"], 1)
        chapter["sha256"] = hashlib.sha256((config.rootpath / path).read_bytes()).hexdigest()
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"Python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "chapters": {Path(path).stem: chapters[path] for path in sorted(chapters)},
    }
    file = Path(config.getoption("record"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    collected = yield
    return [
        StrictFile.from_parent(parent, path=node.path) if type(node) is IPyNbFile else node
        for node in collected
    ]


class StrictFile(IPyNbFile):
    def collect(self):
        for cell in super().collect():
            # nbval's own tags and comments could switch the comparison off; here they cannot.
            expected = "raises-exception" in cell.cell.metadata.get("tags", [])
            yield StrictCell.from_parent(
                self,
                name=f"In [{cell.cell_num + 1}]",
                cell_num=cell.cell_num,
                cell=cell.cell,
                options=defaultdict(bool, check=True, check_exception=expected),
            )


class StrictCell(IPyNbCell):
    def runtest(self):
        self.never_run = self.cell.execution_count is None
        self.cell.execution_count = 0  # without a count nbval would compare nothing
        super().runtest()

    def compare_outputs(self, test, ref, skip_compare=None):
        if self.never_run:
            self.raise_cell_error("committed without having been run", "Run it: `make run`.")
        if self.options["check_exception"] and not any(o.output_type == "error" for o in test):
            self.raise_cell_error("tagged raises-exception, but raised nothing")
        difference = first_difference(ref, test)
        if difference:
            self.raise_cell_error("its outputs differ", f"{difference}\n\n{MEND}")
        return True

    def repr_failure(self, excinfo):
        where = f"{self.path.name}, cell {self.name}"
        if not isinstance(excinfo.value, NbCellError):
            return f"{where}: {excinfo.value}"
        source = "\n".join(f"    {line}" for line in excinfo.value.source.splitlines())
        detail = excinfo.value.inner_traceback or ""
        return f"{where}: {excinfo.value}\n\n{source}\n\n{detail}".rstrip()

    def reportinfo(self):
        return self.path, None, f"{self.path.name}, cell {self.name}"


def first_difference(committed: list, fresh: list) -> str:
    """Say in words where two lists of outputs first differ; an empty string if they agree."""
    for number, (old, new) in enumerate(zip_longest(committed, fresh), start=1):
        if new is None:
            return f"Output {number}, {_kind(old)}, stands in the file; a fresh run gives none."
        if old is None:
            return f"Output {number}, {_kind(new)}, comes of a fresh run; the file has none."
        if _kind(old) != _kind(new):
            return f"Output {number} is {_kind(old)} in the file, {_kind(new)} in a fresh run."
        for part, before in _parts(old).items():
            after = _parts(new)[part]
            if part == "image/png":
                difference = picture_difference(before, after)
            else:
                difference = _text_difference(before, after)
            if difference:
                return f"Output {number}, {part}:\n{difference}"
    return ""


def picture_difference(committed: str, fresh: str) -> str:
    """Compare two PNG files in base64, in colour; an empty string if they look the same."""
    if committed.strip() == fresh.strip():
        return ""
    old, new = (_decode(picture) for picture in (committed, fresh))
    if old.size != new.size:
        return f"the figure in the file has {old.size} pixels, that of a fresh run {new.size}."
    strange = _strange_pixels(old, new) | _strange_pixels(new, old)
    if strange.sum() <= STRAY_PIXELS:
        return ""
    rows, columns = np.nonzero(strange)
    return (
        f"the figure in the file and that of a fresh run differ in {strange.sum()} of "
        f"{strange.size} pixels, between ({columns.min()}, {rows.min()}) and "
        f"({columns.max()}, {rows.max()}) from the upper left."
    )


def _strange_pixels(picture: Image.Image, other: Image.Image) -> np.ndarray:
    """Mark the pixels of ``picture`` whose colour is nowhere near the same place in ``other``."""
    low = np.asarray(other.filter(ImageFilter.MinFilter(3)), dtype=int)
    high = np.asarray(other.filter(ImageFilter.MaxFilter(3)), dtype=int)
    colour = np.asarray(picture, dtype=int)
    return ((colour < low - TOLERANCE) | (colour > high + TOLERANCE)).any(axis=-1)


def _decode(png: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(page, picture).convert("RGB")


def _parts(output) -> dict[str, str]:
    """Everything about an output that a reader can notice, by name."""
    if output.output_type == "stream":
        return {output.name: output.text}
    if output.output_type == "error":
        return {"error": f"{output.ename}: {output.evalue}"}
    parts = dict(sorted(output.data.items()))
    for mime, metadata in sorted(output.get("metadata", {}).items()):
        for key, value in sorted(metadata.items()):
            parts[f"the {key} of {mime}"] = str(value)
    return parts


def _kind(output) -> str:
    return f"{output.output_type} ({', '.join(_parts(output))})"


def _text_difference(committed: str, fresh: str) -> str:
    if committed == fresh:
        return ""
    lines = difflib.unified_diff(
        committed.splitlines(), fresh.splitlines(), "in the file", "in a fresh run", "", "", 1, ""
    )
    return "\n".join(lines) or "they differ in their line ends."
