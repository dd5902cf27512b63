"""Run chosen cells of a chapter, so that a test can try its experiment on other seeds."""

from pathlib import Path

import nbformat
import torch

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def room_of(chapter: str, *needed: str) -> dict:
    """Run the cells that contain the texts, in that order, and return the names they made."""
    cells = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4).cells
    room, dtype, threads = {}, torch.get_default_dtype(), torch.get_num_threads()
    try:
        for text in ("torch.set_num_threads(1)", *needed):
            (source,) = [c.source for c in cells if c.cell_type == "code" and text in c.source]
            exec(source, room)
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
    return room
