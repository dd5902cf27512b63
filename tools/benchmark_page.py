"""Write the page of benchmark results from its data file: the last step of ``make bench``.

    python tools/benchmark_page.py

A benchmark keeps its measurements in the data file. It replaces those of its own kind of device
and leaves the others, so that the page keeps what a GPU has said when the next run has none.
"""

import json
from pathlib import Path

from companion import figures

BOOK = Path(__file__).resolve().parent.parent / "book"
DATA, PAGE = BOOK / "benchmark.json", BOOK / "benchmark.md"
FILE = BOOK / "_static" / "benchmark_memory.png"

SIZES = ("256×10", "8192×10", "8192×1000", "4096×32000")
LARGEST = SIZES[-1]
BINARY_SIZE = "81920"
CE, SCE = "`F.cross_entropy`", "`symmetric_cross_entropy`"
BCE = "`F.binary_cross_entropy_with_logits`"

LAYERS = ("4096×256×32000", "2048×1024×128256")
CHUNKED = "`F.linear_cross_entropy` in chunks"
LINEAR_SCE = "`linear_symmetric_cross_entropy`"
ON_LOGITS = "`symmetric_cross_entropy` on logits"
STATES = (1024, 256)
VOCABULARIES = (1_000, 8_000, 32_000, 64_000, 128_000)
CURVES = {ON_LOGITS: "SCE on logits", CHUNKED: "torch, chunks", LINEAR_SCE: "linear SCE"}
PARTS = {"losses": {*SIZES, BINARY_SIZE}, "layers": {*LAYERS, "memory"}}

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

BOOLS = """\
The bool target is made from the floating one inside the step. Compiled, neither that nor the
reading of a bool is vectorised: where you compile, pass integer or floating labels.
"""

LAYER_TEXT = """\
Columns are N×H×K: N hidden states of H numbers, and a layer that makes K logits of each. Memory is
the peak beyond the arguments; the gradients of states and weight are part of it. In chunks, the
logits of all N states never exist together. Single losses (`reduction="none"`) need each logit
twice. At the larger size only the three that the figure shows have been run.
"""

FIGURE = """\
```{{figure}} _static/benchmark_memory.png
:alt: Peak memory rises with the vocabulary. With {k} words, SCE on logits needs {logits} MB,
   torch's loss in chunks {chunked} MB, linear SCE {ours} MB.
:width: 540px

Peak memory of loss and gradient against the size of the vocabulary, for {n} states of {h} numbers
in float32 on the CPU. What is left without the logits is mostly the gradient of the layer's weight.
```
"""

NO_GPU = """\
## GPU

Not measured yet: no GPU has run this benchmark. Where one is at hand, `make bench` adds its
tables here (float32 and bfloat16, and the share of the card's copy bandwidth).
"""


def read() -> dict:
    return json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}


def keep(part: str, kind: str, measured: dict) -> None:
    """Replace one part of the measurements, of one kind of device: "cpu" or "cuda"."""
    data = read()
    wanted = {name: by_size for name, by_size in measured.items() if name == "machine"}
    for dtype in measured.keys() - wanted.keys():
        sizes = PARTS[part] | ({"copy bandwidth"} if part == "losses" else set())
        wanted[dtype] = {size: measured[dtype][size] for size in measured[dtype] if size in sizes}
    data.setdefault(part, {})[kind] = wanted
    text = json.dumps(data, indent=1, ensure_ascii=False)
    DATA.write_text(text + "\n", encoding="utf-8")


def write() -> None:
    """Write the page and its figure."""
    data = read()
    PAGE.write_text(render(data), encoding="utf-8")
    if "cpu" in data.get("layers", {}):
        draw(data["layers"]["cpu"]["float32"]["memory"])


def render(data: dict) -> str:
    """Return the text of the page."""
    losses, layers = data.get("losses", {}), data.get("layers", {})
    parts = [INTRODUCTION]
    if "cpu" in losses:
        parts.append(_device("CPU", losses["cpu"]))
    if "cpu" in layers:
        parts.append(_layers("CPU", layers["cpu"]))
        parts.append(FIGURE.format(**_alt(layers["cpu"]["float32"]["memory"])))
    if "cpu" in losses:
        found = goals(losses["cpu"]["float32"])
        parts.append(_goals(found + layer_goals(layers.get("cpu", {}).get("float32", {}))))
    if "cuda" in losses:
        parts.append(_device("GPU", losses["cuda"]))
    if "cuda" in layers:
        parts.append(_layers("GPU", layers["cuda"]))
    if "cuda" not in losses | layers:
        parts.append(NO_GPU)
    return "\n".join(parts)


def _layers(title: str, measured: dict) -> str:
    """Write the tables of losses that take a last layer."""
    parts = [f"## {title}: the last layer with its loss\n", LAYER_TEXT]
    parts.append(f"Measured on: {measured['machine']}.\n")
    for dtype in ("float32", "bfloat16"):
        if dtype not in measured:
            continue
        heads = [f"{size}: time | memory" for size in LAYERS]
        lines = [f"| {dtype} | {' | '.join(heads)} |", "|---|" + "--:|" * 2 * len(LAYERS)]
        for name in measured[dtype][LAYERS[0]]:
            cells = [_layer_cells(measured[dtype].get(size, {}), name) for size in LAYERS]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _layer_cells(measured: dict, name: str) -> str:
    if name not in measured:
        return "— | —"
    entry, reference = measured[name], measured[CHUNKED]
    memory = f"{entry['buffers'] * entry['bytes'] / 1e6:,.0f} MB"
    if name == CHUNKED:
        return f"1 ({entry['seconds']:.3g} s) | {memory}"
    return f"{entry['seconds'] / reference['seconds']:.2f} | {memory}"


def layer_goals(measured: dict) -> list[tuple[str, str, bool]]:
    """As ``goals``, of the losses that take a last layer."""
    if not measured:
        return []
    size = LAYERS[0]
    ours, theirs, logits = (measured[size][name] for name in (LINEAR_SCE, CHUNKED, ON_LOGITS))
    aims = (
        (f"the time of {CHUNKED}", 1.1, ours["seconds"] / theirs["seconds"]),
        ("its memory", 1.1, ours["buffers"] / theirs["buffers"]),
        (f"the memory of {ON_LOGITS}", 0.1, ours["buffers"] / logits["buffers"]),
    )
    return [
        (f"{LINEAR_SCE} at {size}: at most {limit} × {what}", f"{ratio:.2f}", ratio <= limit)
        for what, limit, ratio in aims
    ]


def _alt(memory: dict) -> dict:
    """The numbers that the figure's alternative text and caption name."""
    ends = {name: f"{memory[name][-1] / 1e6:,.0f}" for name in CURVES}
    return {"n": STATES[0], "h": STATES[1], "k": f"{VOCABULARIES[-1]:,}"} | dict(
        zip(("logits", "chunked", "ours"), ends.values(), strict=True)
    )


def draw(memory: dict) -> None:
    """Draw the peak memory against the vocabulary."""
    fig, ax = figures.new_figure()
    curves = {CURVES[name]: [peak / 1e6 for peak in memory[name]] for name in CURVES}
    x, y = "vocabulary K, in thousands", "peak memory (MB)"
    thousands = [k / 1000 for k in VOCABULARIES]
    figures.plot_curves(thousands, curves, xlabel=x, ylabel=y, ax=ax)
    fig.savefig(FILE, dpi=160)


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
    lines.append(f"\n{BOOLS}")
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


def _goals(found: list[tuple[str, str, bool]]) -> str:
    lines = ["## The goals on the CPU\n", "| goal | measured | verdict |", "|---|--:|---|"]
    for aim, value, met in found:
        lines.append(f"| {aim} | {value} | {'met' if met else 'not met'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write()
