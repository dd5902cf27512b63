"""The benchmark itself: one race for each kind of data, all contenders taking turns."""

import os
import platform

import pytest
import torch

from benchmarks import contenders, table
from benchmarks.race import Race, copy_bandwidth

# Compilers warn of what concerns their makers only.
pytestmark = pytest.mark.filterwarnings("default")

KINDS = [("cpu", "float32"), ("cuda", "float32"), ("cuda", "bfloat16")]
BUDGET = {"cpu": 30.0, "cuda": 3.0}  # seconds for one race


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def kind(request):
    """A device and a dtype."""
    if request.param[0] == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU at hand")
    return request.param


@pytest.fixture(scope="module")
def measured():
    """What has been measured, by device and dtype; written at the end where it is complete."""
    found = {}
    yield found
    for device in ("cpu", "cuda"):
        dtypes = {dtype: found.get((device, dtype), {}) for d, dtype in KINDS if d == device}
        if all({*table.SIZES, table.BINARY_SIZE} <= set(by_size) for by_size in dtypes.values()):
            table.write(device, {"machine": machine(device), **dtypes})
        elif any(dtypes.values()):
            print(f"\nThe table keeps its earlier measurements of {device}: this run is partial.")


def machine(device: str) -> str:
    """Describe the machine: kind, size and versions, no names and no places."""
    torchs = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        memory = f"{card.total_memory / 2**30:.0f} GiB"
        return f"{card.name}, {memory}, CUDA {torch.version.cuda}, {torchs}"
    cpuinfo = pytest.importorskip("cpuinfo")  # comes with pytest-benchmark
    name = cpuinfo.get_cpu_info().get("brand_raw", platform.machine())
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {torchs}"


def eager_and_compiled(functions: dict) -> dict:
    """Every function twice: as it is, and compiled as one graph."""
    torch.compiler.reset()
    compiled = {
        f"{name}, compiled": torch.compile(function, fullgraph=True, dynamic=False)
        for name, function in functions.items()
    }
    return {**functions, **compiled}


def run(race: Race, benchmark, budget: float) -> dict:
    """Race, and return time and memory of each function."""
    laps = race.laps_in(budget)
    benchmark.pedantic(race.lap, rounds=laps)
    size = race.logits.numel() * race.logits.element_size()
    return {
        name: {
            "seconds": float(f"{race.seconds[name]:.4g}"),
            "buffers": round(race.buffers(function), 3),
            "bytes": size,
        }
        for name, function in race.functions.items()
    }


@pytest.mark.parametrize("size", table.SIZES, ids=lambda size: size.replace("×", "x"))
def test_classes(benchmark, measured, kind, size):
    device, dtype = kind
    n, k = map(int, size.split("×"))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, k, generator=generator).to(device, getattr(torch, dtype))
    target = torch.randint(k, (n,), generator=generator).to(device)
    if (device, size) == ("cpu", "256×10"):
        contenders.check(logits, target)
    functions = eager_and_compiled(contenders.CLASSES)
    race = Race(functions, logits.requires_grad_(), target)
    found = measured.setdefault(kind, {})
    found[size] = run(race, benchmark, BUDGET[device])
    if size == table.LARGEST:
        found["copy bandwidth"] = float(f"{copy_bandwidth(logits.detach()):.3g}")


def test_binary(benchmark, measured, kind):
    device, dtype = kind
    n = int(table.BINARY_SIZE)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, generator=generator).to(device, getattr(torch, dtype))
    target = torch.randint(2, (n,), generator=generator).to(device, getattr(torch, dtype))
    functions = eager_and_compiled(contenders.BINARY)
    race = Race(functions, logits.requires_grad_(), target)
    measured.setdefault(kind, {})[table.BINARY_SIZE] = run(race, benchmark, BUDGET[device])
