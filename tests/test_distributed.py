"""The script for several processes, run as a reader would, with two of them on this machine."""

import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def distances():
    """How far each way of averaging ends from training alone, as the script prints it."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "companion.distributed"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^(\w+): ([\d.]+) from training alone$", done.stdout, re.M))


def test_global_sum_over_global_count_is_training_alone(distances):
    assert distances["global_mean"] == "0.0000"


def test_mean_of_rank_means_is_not_where_ranks_hold_unequal_counts(distances):
    assert float(distances["mean_of_means"]) > 0.01
