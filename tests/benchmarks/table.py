"""The table: measurements are kept in a data file, and the page is written from it.

A run replaces the measurements of its own kind of device and leaves the others, so that the
page keeps what a GPU has said when the next run has none.
"""

import json
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"
DATA, PAGE = BOOK / "benchmark.json", BOOK / "benchmark.md"

SIZES = ("256×10", "8192×10", "8192×1000", "4096×32000")
LARGEST = SIZES[-1]
BINARY_SIZE = "81920"
CE, SCE = "`F.cross_entropy`", "`symmetric_cross_entropy`"
BCE = "`F.binary_cross_entropy_with_logits`"

INTRODUCTION = """\
# What the losses cost

Time of one forward and one backward pass, as a multiple of torch's own loss, run eagerly on the
same data; below 1 is faster. Memory is the peak of such a pass beyond its arguments, as a multiple
of the logits (the gradient that it leaves behind is one of them). Every entry is the best of many
turns, in which all contenders of a column alternate. `make bench` measures again and writes this
page.

The published algorithms are written from their formulas: a second softmax and a clamped one-hot
label; both parts from clamped probabilities; and the web page from which the chapter on noisy
labels starts, which computes cross-entropy a second time in order to print it.
"""

NO_GPU = """\
## GPU

Not measured yet: no GPU has run this benchmark. Where one is at hand, `make bench` adds its
tables here (float32 and bfloat16, and the share of the card's copy bandwidth).
"""


def read() -> dict:
    return json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}


def write(kind: str, measured: dict) -> None:
    """Replace the measurements of one kind of device, "cpu" or "cuda", and rewrite the page."""
    data = {**read(), kind: measured}
    text = json.dumps(data, indent=1, ensure_ascii=False)
    DATA.write_text(text + "\n", encoding="utf-8")
    PAGE.write_text(render(data), encoding="utf-8")


def render(data: dict) -> str:
    """Write the page."""
    parts = [INTRODUCTION]
    if "cpu" in data:
        parts.append(_device("CPU", data["cpu"]))
        parts.append(_goals(data["cpu"]["float32"]))
    parts.append(_device("GPU", data["cuda"]) if "cuda" in data else NO_GPU)
    return "\n".join(parts)


def _device(title: str, measured: dict) -> str:
    parts = [f"## {title}\n", f"Measured on: {measured['machine']}.\n"]
    for dtype in ("float32", "bfloat16"):
        if dtype in measured:
            parts.append(f"### {title}, {dtype}\n")
            parts.append(_classes(measured[dtype]))
            parts.append(_binary(measured[dtype][BINARY_SIZE]))
    return "\n".join(parts)


def _classes(measured: dict) -> str:
    bandwidth = measured["copy bandwidth"]
    lines = [
        "Columns are N×K. The last one counts three passes over the logits (read, read again, "
        "write the gradient) and divides by the bandwidth of a copy, "
        f"{bandwidth / 1e9:.3g} GB/s.\n",
        f"| loss | {' | '.join(SIZES)} | peak memory, {LARGEST} | share of copy bandwidth |",
        "|---|" + "--:|" * (len(SIZES) + 2),
    ]
    for name, large in measured[LARGEST].items():
        cells = [_ratio(measured[size], name, CE) for size in SIZES]
        share = 3 * large["bytes"] / large["seconds"] / bandwidth
        cells += [f"{large['buffers']:.2f}", f"{share:.0%}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _binary(measured: dict) -> str:
    lines = [
        f"One logit each, N = {BINARY_SIZE}:\n",
        "| loss | time | peak memory |",
        "|---|--:|--:|",
    ]
    for name, entry in measured.items():
        lines.append(f"| {name} | {_ratio(measured, name, BCE)} | {entry['buffers']:.2f} |")
    return "\n".join(lines) + "\n"


def _ratio(measured: dict, name: str, reference: str) -> str:
    seconds = measured[name]["seconds"]
    if name == reference:
        return f"1 ({seconds * 1e6:.3g} µs)" if seconds < 1e-3 else f"1 ({seconds * 1e3:.3g} ms)"
    return f"{seconds / measured[reference]['seconds']:.2f}"


def goals(measured: dict) -> list[tuple[str, str, bool]]:
    """What was aimed at, what was measured, and whether that meets it."""

    def times(name: str, size: str) -> float:
        return measured[size][name]["seconds"] / measured[size][CE]["seconds"]

    rows = []
    for name, most in (
        (SCE, {"256×10": 2.1, "8192×10": 1.1, "8192×1000": 1.1, LARGEST: 1.1}),
        (f"{SCE}, compiled", {"8192×10": 0.5, LARGEST: 0.5}),
    ):
        for size, limit in most.items():
            ratio = times(name, size)
            rows.append((f"{name} at {size}: at most {limit}", f"{ratio:.2f}", ratio <= limit))
        limit = 3 if name == SCE else 1
        # The vectors of length N that a loss also needs are below a hundredth of a buffer.
        buffers = measured[LARGEST][name]["buffers"]
        aim = f"{name}: peak memory of at most {limit}"
        rows.append((aim, f"{buffers:.2f}", buffers < limit + 0.01))
    return rows


def _goals(measured: dict) -> str:
    lines = ["### The goals on the CPU\n", "| goal | measured | verdict |", "|---|--:|---|"]
    for aim, value, met in goals(measured):
        lines.append(f"| {aim} | {value} | {'met' if met else 'not met'} |")
    return "\n".join(lines) + "\n"
