"""The script for two processes in chapter 7, run as a reader would who has copied it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

CHAPTER = Path(__file__).resolve().parent.parent / "notebooks/07_training.ipynb"


@pytest.fixture(scope="module")
def distances(tmp_path_factory):
    """How far each way of averaging ends from training alone, as the script prints it."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (text,) = [cell.source for cell in cells if "two_ranks.py" in cell.source]
    (script,) = re.findall(r"```python\n(import torch\n.*?)```", text, re.DOTALL)
    folder = tmp_path_factory.mktemp("copied")
    (folder / "two_ranks.py").write_text(script, encoding="utf-8")
    (command,) = re.findall(r"`torchrun (--standalone [^`]+)`", text)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *command.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^([\w ]+): ([\d.]+) from training alone$", done.stdout, re.M))


def test_global_sum_over_global_count_is_training_alone(distances):
    assert distances["global mean"] == "0.0000"


def test_mean_of_rank_means_is_not_where_ranks_hold_unequal_counts(distances):
    assert float(distances["own mean"]) > 0.01
