"""What ``import companion`` adds to ``import torch``: at most a twentieth."""

import re
import subprocess
import sys

SHARE_OF_TORCH = 0.05


def test_import_companion_adds_little_to_torch(benchmark):
    def share() -> float:  # both are timed in one process, so that a busy machine slows both
        command = [sys.executable, "-X", "importtime", "-c", "import torch, companion"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        found = re.findall(r"\|\s*(\d+) \| (torch|companion)$", lines, re.M)
        cost = {name: int(microseconds) for microseconds, name in found}
        return cost["companion"] / cost["torch"]

    assert benchmark.pedantic(share, rounds=1) <= SHARE_OF_TORCH
