"""Run chosen cells of a chapter, so that a test can try its experiment on other seeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import torch

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


@contextmanager
def as_chapters_compute() -> Iterator[None]:
    """Compute in float64 on one thread; put back what was, whatever the chapter's cells set."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


def room_of(chapter: str, *needed: str) -> dict:
    """Run the cells that contain the texts, in that order, and return the names they made."""
    cells = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4).cells
    room = {}
    with as_chapters_compute():
        for text in ("torch.set_num_threads(1)", *needed):
            (source,) = [c.source for c in cells if c.cell_type == "code" and text in c.source]
            exec(source, room)
    return room
