"""The benchmark itself: one race for each kind of data, all contenders taking turns."""

import os
import platform

import pytest
import torch

from benchmarks import contenders
from benchmarks.race import Race, copy_bandwidth
from tools import benchmark_page as table

# Compilers warn of what concerns their makers only.
pytestmark = pytest.mark.filterwarnings("default")

KINDS = [("cpu", "float32"), ("cuda", "float32"), ("cuda", "bfloat16")]
BUDGET = {"cpu": 30.0, "cuda": 3.0}  # seconds for one race
LAPS = dict(zip(table.LAYERS, (5, 3), strict=True))  # a lap takes a minute or two


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
        for part, needed in table.PARTS.items():
            if all(needed <= set(by_size) for by_size in dtypes.values()):
                table.keep(part, device, {"machine": machine(device), **dtypes})
            elif any(needed & set(by_size) for by_size in dtypes.values()):
                print(f"\nThe page keeps its earlier {part} of {device}: this run is partial.")


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


def run(race: Race, benchmark, laps: int) -> dict:
    """Race, and return time and memory of each function."""
    benchmark.pedantic(race.lap, rounds=laps)
    return {
        name: {
            "seconds": float(f"{race.seconds[name]:.4g}"),
            "buffers": round(race.buffers(function), 4),
            "bytes": race.bytes,
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
    race = Race(functions, logits.requires_grad_(), target, logits=n * k)
    found = measured.setdefault(kind, {})
    found[size] = run(race, benchmark, race.laps_in(BUDGET[device]))
    if size == table.LARGEST:
        found["copy bandwidth"] = float(f"{copy_bandwidth(logits.detach()):.3g}")


def test_binary(benchmark, measured, kind):
    device, dtype = kind
    n = int(table.BINARY_SIZE)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, generator=generator).to(device, getattr(torch, dtype))
    target = torch.randint(2, (n,), generator=generator).to(device, getattr(torch, dtype))
    functions = eager_and_compiled(contenders.BINARY)
    race = Race(functions, logits.requires_grad_(), target, logits=n)
    found = run(race, benchmark, race.laps_in(BUDGET[device]))
    measured.setdefault(kind, {})[table.BINARY_SIZE] = found


@pytest.mark.parametrize("size", table.LAYERS, ids=lambda size: size.replace("×", "x"))
def test_a_last_layer(benchmark, measured, kind, size):
    n, features, k = map(int, size.split("×"))
    arguments = last_layer(*kind, n, features, k)
    functions = contenders.layers()
    if size != table.LAYERS[0]:
        functions = {name: functions[name] for name in table.CURVES}
    race = Race(functions, *arguments, logits=n * k)
    measured.setdefault(kind, {})[size] = run(race, benchmark, LAPS[size])


def test_memory_against_the_vocabulary(benchmark, measured, kind):
    def peaks() -> dict:
        found = {}
        for k in table.VOCABULARIES:
            race = Race(contenders.layers(), *last_layer(*kind, *table.STATES, k), logits=1)
            for name in table.CURVES:
                found.setdefault(name, []).append(
                    int(race.buffers(race.functions[name]) * race.bytes)
                )
        return found

    measured.setdefault(kind, {})["memory"] = benchmark.pedantic(peaks, rounds=1)


def last_layer(device: str, dtype: str, n: int, features: int, k: int) -> tuple:
    """Hidden states, the weight of a last layer, and targets."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(n, features, generator=generator)
    weight = torch.randn(k, features, generator=generator) / features**0.5
    target = torch.randint(k, (n,), generator=generator)
    made = (x.to(device, getattr(torch, dtype)).requires_grad_() for x in (hidden, weight))
    return *made, target.to(device)
