"""What the network of chapter 6 predicts for its held-out patients, computed as the chapter does.

``python -m tests.chapter_predictions`` writes it anew, for the page where a reader moves the
threshold.
"""

import json
import math
from pathlib import Path

import nbformat
import torch
from torch import Tensor

BOOK = Path(__file__).resolve().parent.parent / "book"
CHAPTER = BOOK.parent / "notebooks/06_decisions.ipynb"
FIRST, LAST = -170, 190  # tenths of a logit; the chapter's logits lie between


def logits_and_labels() -> tuple[Tensor, Tensor]:
    """Run the chapter's own cells, those that make the patients and train the network."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    room, dtype, threads = {}, torch.get_default_dtype(), torch.get_num_threads()
    try:
        for needed in ("import math\n", "def patients(", "def network("):
            (source,) = [cell.source for cell in cells if needed in f"{cell.source}\n"]
            exec(source, room)
        exec("logits = network(epochs=1500)(held_out[0])", room)
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
    return room["logits"], room["held_out"][1]


def counted(logits: Tensor, target: Tensor) -> dict:
    """Count the logits between neighbouring tenths, (cut, next cut], so that ``>`` stays exact."""
    places = [math.ceil(10 * z) - 1 - FIRST for z in logits.tolist()]
    counts = {"ill": [0] * (LAST - FIRST), "healthy": [0] * (LAST - FIRST)}
    for place, label in zip(places, target.tolist(), strict=True):
        counts["ill" if label else "healthy"][place] += 1
    return {"first": FIRST, **counts}


if __name__ == "__main__":
    text = json.dumps(counted(*logits_and_labels()), separators=(",", ":"))
    (BOOK / "threshold.json").write_text(text + "\n", encoding="utf-8")
