"""The page of benchmark results is written from its data file, and keeps what it cannot measure."""

import pytest

from tools import benchmark_page as table


def made_up(seconds=1.0, buffers=3.0):
    """Results in which our loss takes so many times as long as torch's, and compiled half of it."""
    classes = {
        table.CE: {"seconds": 1e-3, "buffers": 3.0, "bytes": 8},
        table.SCE: {"seconds": 1e-3 * seconds, "buffers": buffers, "bytes": 8},
        f"{table.SCE}, compiled": {
            "seconds": 1e-3 * seconds / 2,
            "buffers": buffers / 3,
            "bytes": 8,
        },
    }
    binary = {table.BCE: {"seconds": 2e-5, "buffers": 1.0, "bytes": 8}}
    sizes = dict.fromkeys(table.SIZES, classes)
    return {**sizes, table.BINARY_SIZE: binary, "copy bandwidth": 1e10}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "DATA", tmp_path / "benchmark.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "benchmark.md")
    monkeypatch.setattr(table, "FILE", tmp_path / "benchmark_memory.png")
    return tmp_path


def test_the_committed_page_shows_the_committed_data():
    assert table.PAGE.read_text(encoding="utf-8") == table.render(table.read())


def made_up_layers(seconds=1.0, share=1.0):
    """Results in which ours takes so much of the time and memory of torch's in chunks."""
    torchs = {"seconds": 2.0, "buffers": 0.1, "bytes": 10**9}
    ours = {**torchs, "seconds": 2 * seconds, "buffers": 0.1 * share}
    logits = {**torchs, "buffers": 1.5}
    names = (table.CHUNKED, table.LINEAR_SCE, table.ON_LOGITS)
    small = dict(zip(names, (torchs, ours, logits), strict=True))
    large = {name: small[name] for name in names[:2]}
    memory = {name: [k * 100 for k in table.VOCABULARIES] for name in table.CURVES}
    return {**dict(zip(table.LAYERS, (small, large), strict=True)), "memory": memory}


def kept(part, kind, machine, **by_dtype):
    table.keep(part, kind, {"machine": machine, **by_dtype})
    table.write()
    return table.PAGE.read_text(encoding="utf-8")


def test_cells_are_multiples_of_torchs_loss(files):
    page = kept("losses", "cpu", "a machine", float32=made_up(seconds=1.5))
    assert "Measured on: a machine." in page
    assert f"| {table.CE} | 1 (1 ms) | 1 (1 ms) |" in page
    assert f"| {table.SCE} | 1.50 | 1.50 | 1.50 | 1.50 | 3.00 |" in page
    assert f"| {table.BCE} | 1 (20 µs) | 1.00 |" in page


def test_a_run_without_a_gpu_keeps_what_a_gpu_has_measured(files):
    assert "Not measured yet" in kept("losses", "cpu", "one", float32=made_up())
    kept("losses", "cuda", "a card", float32=made_up(), bfloat16=made_up())
    page = kept("losses", "cpu", "another", float32=made_up())
    assert "Measured on: a card." in page
    assert "GPU, bfloat16" in page
    assert "Measured on: another." in page
    assert "Measured on: one." not in page
    assert "Not measured yet" not in page
    assert set(table.read()["losses"]) == {"cpu", "cuda"}


def test_the_last_layer_has_tables_goals_and_a_figure(files):
    both = {**made_up(), **made_up_layers(seconds=0.75, share=0.9)}
    kept("losses", "cpu", "one", float32=both)
    page = kept("layers", "cpu", "two", float32=both)
    assert f"| {table.CHUNKED} | 1 (2 s) | 100 MB | 1 (2 s) | 100 MB |" in page
    assert f"| {table.LINEAR_SCE} | 0.75 | 90 MB | 0.75 | 90 MB |" in page
    assert f"| {table.ON_LOGITS} | 1.00 | 1,500 MB | — | — |" in page
    assert "With 128,000 words, SCE on logits needs 13 MB" in page
    assert table.FILE.read_bytes().startswith(b"\x89PNG")
    assert "memory" not in table.read()["losses"]["cpu"]["float32"]


@pytest.mark.parametrize(
    ("seconds", "share", "unmet"), [(1.1, 1.1, 0), (1.2, 1, 1), (1, 1.2, 1), (1.2, 1.6, 3)]
)
def test_goals_of_the_last_layer(seconds, share, unmet):
    met = [good for _, _, good in table.layer_goals(made_up_layers(seconds, share))]
    assert len(met) == 3
    assert met.count(False) == unmet


@pytest.mark.parametrize(
    ("seconds", "buffers", "unmet"),
    [
        (1.0, 3.001, 0),
        # 1.2 is too much at the three larger sizes, and 0.6 at both of the compiled goals.
        (1.2, 3.0, 5),
        (2.2, 3.0, 6),
        (1.0, 4.0, 2),
    ],
)
def test_goals_are_judged_by_the_numbers(seconds, buffers, unmet):
    met = [good for _, _, good in table.goals(made_up(seconds, buffers))]
    assert len(met) == 8
    assert met.count(False) == unmet
