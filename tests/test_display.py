"""What a notebook receives of a figure and a table."""

import base64
import math
import struct
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.text import Text

from companion import display, figures


@pytest.fixture
def published(monkeypatch):
    """Pretend to be in a notebook and collect what is published there."""
    outputs = []

    def publish(data, metadata=None):
        outputs.append((data, metadata or {}))

    monkeypatch.setattr(display, "get_ipython", lambda: object())
    monkeypatch.setattr(display, "publish_display_data", publish)
    yield outputs
    plt.close("all")


def figure():
    fig, ax = figures.new_figure()
    ax.plot([0, 1], [1, 0])
    return fig


def chunks(png):
    """The names and contents of the parts of a PNG file."""
    place = 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        yield png[place + 4 : place + 8].decode(), png[place + 8 : place + 8 + length]
        place += 12 + length


# show


def test_show_publishes_one_picture_and_then_its_caption(published):
    display.show(figure(), alt="A line falls.", caption="It *falls*: $-x$.")
    (picture, picture_metadata), (caption, caption_metadata) = published
    assert set(picture) == {"image/png", "text/plain"}
    assert picture["text/plain"] == "A line falls."
    assert picture_metadata == {"image/png": {"alt": "A line falls.", "width": 540}}
    assert caption == {
        "text/markdown": "It *falls*: $-x$.",
        "text/plain": "It *falls*: $-x$.",
    }
    assert caption_metadata == {}


def test_the_picture_has_twice_the_pixels_of_its_width_on_the_page(published):
    display.show(figure(), alt="a", caption="c")
    picture, metadata = published[0]
    parts = dict(chunks(base64.b64decode(picture["image/png"])))
    width, height = struct.unpack(">II", parts["IHDR"][:8])
    assert width == 2 * metadata["image/png"]["width"] == 1080
    assert height == 660
    assert parts["PLTE"]  # a palette: a third of the bytes


def test_the_same_figure_gives_the_same_bytes_and_names_no_software(published):
    for _ in range(2):
        display.show(figure(), alt="a", caption="c")
    first, _, second, _ = published
    assert first == second
    assert {name for name, _ in chunks(base64.b64decode(first[0]["image/png"]))} == {
        "IHDR",
        "PLTE",
        "IDAT",
        "IEND",
    }


def test_settings_of_the_reader_do_not_change_the_picture(published):
    display.show(figure(), alt="a", caption="c")
    with plt.rc_context({"savefig.dpi": 50, "savefig.facecolor": "red", "savefig.bbox": "tight"}):
        display.show(figure(), alt="a", caption="c")
    assert published[0] == published[2]


def test_every_letter_is_legible_on_a_phone(published):
    fig, ax = figures.new_figure()
    figures.plot_curves([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", ax=ax)
    ax.text(0.5, 0.5, "written by the chapter", fontsize=6)
    display.show(fig, alt="A line.", caption="A line.")
    edge_to_edge = 375 / (100 * fig.get_figwidth())
    texts = [text for text in fig.findobj(Text) if text.get_text()]
    assert len(texts) > 4
    assert all(text.get_fontsize() * 100 / 72 * edge_to_edge >= 11 for text in texts)


def test_line_breaks_in_texts_do_not_matter(published):
    display.show(figure(), alt="one\n  two ", caption="  three\n")
    assert published[0][1]["image/png"]["alt"] == "one two"
    assert published[1][0]["text/markdown"] == "three"


def test_a_shown_figure_is_closed(published):
    fig = figure()
    display.show(fig, alt="a", caption="c")
    assert not plt.fignum_exists(fig.number)


def test_in_a_script_nothing_is_published_and_nothing_fails(monkeypatch):
    def publish(*args, **kwargs):
        raise AssertionError("published")

    monkeypatch.setattr(display, "publish_display_data", publish)
    fig = figure()
    display.show(fig, alt="a", caption="c")
    assert not plt.fignum_exists(fig.number)


def test_a_script_prints_nothing():
    script = (
        "from companion import display, figures\n"
        "fig, ax = figures.new_figure()\n"
        "display.show(fig, alt='a', caption='c')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("text", ["", "  ", "\n"])
@pytest.mark.parametrize("name", ["alt", "caption"])
def test_empty_texts_are_refused(published, name, text):
    fig = figure()
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        display.show(fig, **({"alt": "a", "caption": "c"} | {name: text}))
    assert published == []


def test_other_things_than_figures_and_texts_are_refused(published):
    fig, ax = figures.new_figure()
    with pytest.raises(TypeError, match=r"matplotlib Figure; got Axes\. ax\.figure"):
        display.show(ax, alt="a", caption="c")
    with pytest.raises(TypeError, match=r"matplotlib Figure; got list\.$"):
        display.show([fig], alt="a", caption="c")
    with pytest.raises(TypeError, match="alt must be a str; got int"):
        display.show(fig, alt=3, caption="c")
    assert published == []


# table


class Cells(HTMLParser):
    """The texts and alignments of a table, read as a browser reads it."""

    def __init__(self, source):
        super().__init__()
        self.rows, self.styles, self.tags, self.caption = [], [], [], None
        self.feed(source)
        self.close()
        assert self.tags == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.styles.append(dict(attributes)["style"])

    def handle_endtag(self, tag):
        assert self.tags.pop() == tag

    def handle_data(self, text):
        if "caption" in self.tags:
            self.caption = (self.caption or "") + text
        elif "td" in self.tags or "th" in self.tags:
            self.rows[-1][-1] += text


def test_html_and_text_say_the_same():
    shown = display.table(
        [("CE", 0.5, 10), ("a long name", -12.0, None)],
        columns=["loss", "value", "n"],
        caption="Two losses",
    )
    cells = Cells(shown._repr_html_())
    assert cells.rows == [
        ["loss", "value", "n"],
        ["CE", "0.5000", "10"],
        ["a long name", "-12.0000", ""],
    ]
    assert cells.caption == "Two losses"
    assert repr(shown) == (
        "Two losses\n"
        "loss            value   n\n"
        "-----------  --------  --\n"
        "CE             0.5000  10\n"
        "a long name  -12.0000"
    )


def test_numbers_are_aligned_right_and_words_left():
    rows = [("CE", 0.5, None, "3", True, None), ("b", "-", 1, "4", False, None)]
    shown = display.table(rows, columns="abcdef")
    sides = [style.split()[-1] for style in Cells(shown._repr_html_()).styles]
    assert sides == ["left", "left", "right", "left", "left", "left"] * 3


def test_tables_are_escaped_and_backticks_are_code():
    source = display.table(
        [{"<b>": "a & b", "`nn.Linear`": '"<script>" `x < 1`'}], caption="<i> `c`"
    )._repr_html_()
    assert "<script>" not in source
    assert "<b>" not in source
    assert "<code>nn.Linear</code>" in source
    assert "<code>x &lt; 1</code>" in source
    assert "<caption>&lt;i&gt; <code>c</code></caption>" in source
    assert Cells(source).rows == [["<b>", "nn.Linear"], ["a & b", '"<script>" x < 1']]


def test_dicts_name_their_columns_in_order_of_appearance():
    rows = [{"b": 1, "a": 2}, {"a": 3, "c": 4}]
    assert Cells(display.table(rows)._repr_html_()).rows == [
        ["b", "a", "c"],
        ["1", "2", ""],
        ["", "3", "4"],
    ]
    chosen = display.table(rows, columns=["c", "a"])
    assert Cells(chosen._repr_html_()).rows == [["c", "a"], ["", "2"], ["4", "3"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.33"),
        (2, "2"),
        (True, "True"),
        ("x", "x"),
        (None, ""),
        (torch.tensor(0.125), "0.12"),
        (torch.tensor([2.5]), "2.50"),
        (torch.tensor(3), "3"),
        (torch.tensor(True), "True"),
        (torch.tensor(0.5, requires_grad=True), "0.50"),
        (np.float32(0.5), "0.50"),
        (np.int64(7), "7"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (-0.001, "0.00"),
        (-0.0, "0.00"),
        (1e-30, "0.00"),
        (12345678.0, "1.23e+07"),
        (-1e300, "-1.00e+300"),
        ((2, 3), "(2, 3)"),
    ],
)
def test_cells(value, text):
    (_, (cell,)) = Cells(display.table([[value]], columns=["c"], digits=2)._repr_html_()).rows
    assert cell == text


def test_no_decimals_and_no_rows():
    assert repr(display.table([[1.6]], columns=["c"], digits=0)) == "c\n-\n2"
    assert repr(display.table([], columns=["c"])) == "c\n-"
    assert Cells(display.table([], columns=["c"])._repr_html_()).rows == [["c"]]


def test_rows_may_be_an_iterator_of_tensors():
    shown = display.table(iter(torch.eye(2)), columns=["a", "b"], digits=1)
    assert Cells(shown._repr_html_()).rows == [["a", "b"], ["1.0", "0.0"], ["0.0", "1.0"]]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([(1,), {"a": 1}], {"columns": ["a"]}, "all dicts or all sequences"),
        ([(1, 2)], {}, "columns must name the columns"),
        ([(1, 2)], {"columns": ["a"]}, r"must have 1 cells?, as many as columns; got 2"),
        ([{"a": 1}], {"columns": ["b"]}, r"keys of the rows, \['a'\]; got \['b'\]"),
        ([[torch.ones(2)]], {"columns": ["a"]}, r"one value; got a tensor of shape \(2,\).*tolist"),
        ([[1]], {"columns": ["a"], "digits": -1}, "digits must not be negative; got -1"),
    ],
)
def test_wrong_tables_are_refused(rows, options, message):
    with pytest.raises(ValueError, match=message):
        display.table(rows, **options)
