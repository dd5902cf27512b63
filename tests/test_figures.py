"""Figures draw the numbers they are given, name them legibly, and leave no setting behind."""

import io
import re
from itertools import combinations
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import BarContainer
from matplotlib.text import Annotation

from companion import figures

X = np.linspace(0, 1, 11)
LABELS = {"xlabel": "x (s)", "ylabel": "y (m)"}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def history(epochs=3, validation=True):
    rise = tuple(0.5 + 0.1 * epoch for epoch in range(epochs))
    fall = tuple(1 - share for share in rise)
    return SimpleNamespace(
        train_loss=fall,
        train_accuracy=rise,
        validation_loss=fall if validation else (),
        validation_accuracy=rise if validation else (),
    )


def grid():
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 2, 4)
    return x, y, 1 / (1 + np.exp(-(x + y[:, None] - 1)))


DRAWINGS = {
    "curves": lambda: figures.plot_curves(X, {"CE": X, "b": X**2}, **LABELS),
    "history": lambda: figures.plot_history(history())[0],
    "bars": lambda: figures.plot_bars(["p", "q"], {"a": [1, 2], "b": [3, 4]}, xlabel="x"),
    "decision": lambda: figures.plot_decision(*grid(), inputs=[[0, 1], [0.5, 0.5]], target=[0, 1]),
    "images": lambda: figures.plot_images(np.eye(8)[None], ["one"])[0],
    "label probs": lambda: figures.plot_label_probs(np.eye(8)[None], {"a": [[0, 1]]}, [[0, 1]])[0],
    "matrix": lambda: figures.plot_matrix([[1, 2], [3, 4]], xlabel="x", ylabel="y"),
    "reliability": lambda: figures.plot_reliability({"a": (X, X**2)}),
    "blocks": lambda: figures.plot_blocks({"a": (["in", "Linear"], ["loss"])}),
    "logit gaps": lambda: figures.plot_logit_gaps([[1.0, 2.0]], [0], [2.3], [1.3]),
}


def render(fig):
    png = io.BytesIO()
    with figures.style():
        fig.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def labels_of(ax):
    """The boxes of the line names, in pixels, as they are drawn."""
    ax.figure.canvas.draw()
    return {
        text.get_text(): text.get_window_extent()
        for text in ax.texts
        if isinstance(text, Annotation) and text.get_visible()
    }


# Every figure


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_every_figure_gives_its_axes_and_leaves_the_settings_alone(draw):
    before = dict(mpl.rcParams)
    ax = draw()
    assert isinstance(ax, Axes)
    assert dict(mpl.rcParams) == before
    assert to_hex(ax.figure.get_facecolor()) == "#ffffff"


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_every_figure_is_the_same_twice(draw):
    assert render(draw().figure) == render(draw().figure)


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_no_text_is_cut_off(draw):
    fig = draw().figure
    fig.canvas.draw()
    inside = fig.bbox.padded(0.5)
    for text in fig.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text().strip() and text.axes is not None:
            # A tick beyond the limits has a text that is never drawn.
            ticks = [*text.axes.get_xticklabels(), *text.axes.get_yticklabels()]
            if text not in ticks:
                box = text.get_window_extent()
                assert inside.contains(*box.min), text.get_text()
                assert inside.contains(*box.max), text.get_text()


def test_a_style_ends_also_after_an_error():
    before = dict(mpl.rcParams)
    with pytest.raises(KeyError), figures.style():
        raise KeyError
    assert dict(mpl.rcParams) == before


def test_the_first_figure_leaves_the_backend_interactive(monkeypatch):
    """A notebook's backend turns interactive mode on when the first figure is made."""
    interactive = mpl.rcParams["interactive"]
    original = plt.subplots

    def subplots(*args, **kwargs):
        mpl.rcParams["interactive"] = True
        return original(*args, **kwargs)

    monkeypatch.setattr(plt, "subplots", subplots)
    try:
        figures.new_figure()
        assert mpl.rcParams["interactive"] is True
    finally:
        mpl.rcParams["interactive"] = interactive


def test_new_figure_has_the_panels_asked_for():
    fig, axes = figures.new_figure(2, 3, height=4)
    assert axes.shape == (2, 3)
    assert fig.get_size_inches().tolist() == [5.4, 4]
    assert isinstance(figures.new_figure()[1], Axes)


# Colours


def luminance(color):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def test_lines_stand_out_from_the_card():
    for color in {*figures.LOSS_COLORS.values(), *figures._CYCLE}:
        assert 1.05 / (luminance(color) + 0.05) >= 3, color


# Machado, Oliveira and Fernandes 2009, severity 1: what is left of linear RGB.
BLIND = {
    "none": np.eye(3),
    "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deutan": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritan": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


def lab(linear):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


TOGETHER = [
    ["by hand", "BCE", "BCE with logits"],
    ["BCE", "BCE with logits", "CE"],
    ["CE", "RCE", "SCE", "GCE"],
]


@pytest.mark.parametrize("eyes", BLIND)
@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_losses_shown_together_are_told_apart(eyes, names):
    def seen(name):
        rgb = np.array(to_rgb(figures.LOSS_COLORS[name]))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return lab(np.array(BLIND[eyes]) @ linear)

    for one, other in combinations(names, 2):
        # 2.3 is a just noticeable difference.
        assert np.linalg.norm(seen(one) - seen(other)) > 18, (one, other)


def test_a_loss_has_its_colour_everywhere_and_nobody_else_has_it():
    ax = figures.plot_curves(X, {"other": X, "CE": 2 * X, "third": 3 * X}, **LABELS)
    colors = [to_hex(line.get_color()) for line in ax.lines]
    assert colors[1] == figures.LOSS_COLORS["CE"]
    assert len(set(colors)) == 3
    bars = figures.plot_bars(["p"], {"CE": [1], "SCE": [2]}, xlabel="x")
    shown = [to_hex(group.patches[0].get_facecolor()) for group in bars.containers]
    assert shown == [figures.LOSS_COLORS["CE"], figures.LOSS_COLORS["SCE"]]
    many = figures.plot_curves(X, {str(k): k * X for k in range(12)}, **LABELS)
    assert len(many.lines) == 12


# Curves and their names


def test_curves_draw_what_they_are_given():
    ax = figures.plot_curves(torch.tensor(X), {"a": torch.tensor(X**2), "b": list(X)}, **LABELS)
    assert np.array_equal(ax.lines[0].get_xydata(), np.stack([X, X**2], axis=1))
    assert np.array_equal(ax.lines[1].get_ydata(), X)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (s)", "y (m)")


def test_curves_take_tensors_with_a_gradient():
    x = torch.linspace(0, 1, 3, requires_grad=True)
    figures.plot_curves(x, {"a": x**2}, **LABELS)


def test_curves_draw_into_the_axes_they_are_given():
    _, axes = figures.new_figure(2)
    assert figures.plot_curves(X, {"a": X}, **LABELS, ax=axes[1]) is axes[1]


def test_spread_is_a_band_of_twice_its_height():
    ax = figures.plot_curves(X, {"a": X, "b": X}, spread={"a": np.full(11, 0.25)}, **LABELS)
    (band,) = ax.collections
    box = band.get_datalim(ax.transData)
    assert (box.y0, box.y1) == (-0.25, 1.25)


def test_infinite_values_are_gaps():
    y = np.where(X > 0.5, np.inf, X)
    ax = figures.plot_curves(X, {"a": y}, **LABELS)
    assert np.isnan(ax.lines[0].get_ydata()[X > 0.5]).all()
    assert ax.get_ylim()[1] < 1


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("gap", [0, 0.001, 0.05, 1])
def test_names_never_overlap_and_keep_their_order(scale, gap):
    # From below "a" to "e", drawn in another order; of equal lines the first drawn is below.
    drawn = "abcde" if gap == 0 else "daceb"
    curves = {name: 1 + X + gap * "abcde".index(name) for name in drawn}
    ax = figures.plot_curves(X, curves, **LABELS)
    ax.set_yscale(scale)
    boxes = labels_of(ax)
    assert list(boxes) == list(drawn)
    for one, other in combinations("abcde", 2):
        assert boxes[one].y1 <= boxes[other].y0 + 1e-6
    middle = ax.transData.transform([(1, curves["c"][-1])])[0, 1]
    assert (boxes["c"].y0 + boxes["c"].y1) / 2 == pytest.approx(middle, abs=3)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_stand_right_of_the_line_inside_the_figure(scale):
    ax = figures.plot_curves(X, {"a rather long name of a curve": np.exp(5 * X)}, **LABELS)
    ax.set_yscale(scale)
    (box,) = labels_of(ax).values()
    assert box.x0 >= ax.transData.transform((1, 1))[0]
    assert box.x1 <= ax.figure.bbox.x1
    assert "a rather long\nname of a\ncurve" in labels_of(ax)


def test_a_name_stands_at_the_last_point_that_is_seen():
    curves = {"short": np.where(X > 0.45, np.nan, X), "steep": 100 * X}
    ax = figures.plot_curves(X, curves, **LABELS)
    ax.set_ylim(0, 2)
    boxes = labels_of(ax)
    assert boxes["short"].x0 > ax.transData.transform((0.4, 0.4))[0]
    assert boxes["short"].x0 < ax.transData.transform((0.5, 0.4))[0]
    top = ax.transData.transform((1, 2))[1]
    assert boxes["steep"].y0 < top < boxes["steep"].y1
    ax.set_xlim(0.6, 1)
    assert list(labels_of(ax)) == ["steep"]


def test_a_single_point_has_a_marker():
    ax = figures.plot_curves([1], {"a": [2.0]}, **LABELS)
    assert ax.lines[0].get_marker() == "o"


@pytest.mark.parametrize(
    ("wanted", "heights", "expected"),
    [
        ([0, 10], [2, 2], [0, 10]),
        ([5, 5], [2, 2], [4, 6]),
        ([5, 5, 5], [2, 2, 2], [3, 5, 7]),
        ([0, 1, 2], [2, 2, 2], [-1, 1, 3]),
        ([0, 0, 3], [2, 2, 2], [-1, 1, 3]),
        ([0, 0, 2], [2, 2, 2], [-4 / 3, 2 / 3, 8 / 3]),
        ([5, 5], [2, 6], [2, 6]),
        ([], [], []),
    ],
)
def test_spread_moves_just_enough(wanted, heights, expected):
    assert figures._spread(wanted, heights) == pytest.approx(expected)


# The other figures


def test_history_shows_both_quantities():
    loss, accuracy = figures.plot_history(history())
    assert loss.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert loss.lines[1].get_ydata().tolist() == list(history().validation_loss)
    assert accuracy.lines[0].get_ydata().tolist() == list(history().train_accuracy)
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss (nats)", "accuracy")
    assert (loss.get_xlabel(), accuracy.get_xlabel()) == ("", "epoch")
    assert set(labels_of(loss)) == {"training", "validation"}


def test_history_without_validation_and_of_one_epoch():
    loss, accuracy = figures.plot_history(history(1, validation=False))
    assert list(labels_of(loss)) == ["training"]
    ticks = [label.get_text() for label in accuracy.get_xticklabels()]
    assert all(re.fullmatch(r"\d*", tick) for tick in ticks)


def test_bars_lie_from_top_to_bottom_with_their_numbers_and_errors():
    ax = figures.plot_bars(
        ["p", "q"], {"a": [1, 2], "b": [3, 4]}, xlabel="x", errors={"b": [0.5, 0.25]}, digits=1
    )
    groups = [group for group in ax.containers if isinstance(group, BarContainer)]
    assert [[bar.get_width() for bar in group] for group in groups] == [[1, 2], [3, 4]]
    places = [bar.get_y() for bar in groups[0]]
    upper, lower = ax.transData.transform([(0, place) for place in places])
    assert upper[1] > lower[1]
    assert [text.get_text() for text in ax.texts] == ["1.0", "2.0", "3.0", "4.0"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["p", "q"]
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["a", "b"]
    assert len(ax.collections) == 1


def test_decision_draws_the_boundary_where_it_is():
    x, y, probs = grid()
    ax = figures.plot_decision(x, y, probs, inputs=[[0, 1], [0.5, 0.5]], target=[0, 1])
    line = ax.collections[1].get_paths()[0].vertices
    # The logit x + y - 1 vanishes there, up to the interpolation between grid points.
    assert abs(line.sum(axis=1) - 1).max() < 0.02
    offsets = [group.get_offsets().tolist() for group in ax.collections[2:]]
    assert offsets == [[[0, 1]], [[0.5, 0.5]]]


def test_decision_without_a_boundary_in_sight():
    x, y, probs = grid()
    ax = figures.plot_decision(x, y, probs, threshold=0.999)
    assert len(ax.collections) == 1


def test_panels_share_a_legend_of_the_same_names():
    fig, axes = figures.new_figure(1, 2)
    for ax in axes:
        figures.plot_decision(*grid(), inputs=[[0, 1]], target=[1], ax=ax)
    assert len(fig.legends) == 1
    figures.plot_bars(["p"], {"a": [1], "b": [2]}, xlabel="x", ax=axes[0])
    assert len(fig.legends) == 2


@pytest.mark.parametrize("shape", [(7, 8, 8), (7, 1, 8, 8)])
def test_images_are_black_on_white(shape):
    images = torch.linspace(0, 1, 7 * 64).reshape(shape)
    axes = figures.plot_images(images, [f"t{k}" for k in range(7)])
    assert [ax.get_title() for ax in axes] == [f"t{k}" for k in range(7)]
    assert len(axes) == 7
    assert len(axes[0].figure.axes) == 12
    (image,) = axes[2].images
    assert np.allclose(image.get_array(), images.reshape(7, 8, 8)[2])
    assert image.get_clim() == (0, 1)
    assert image.cmap(1.0)[:3] == (0, 0, 0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 1, 8, 8)])
def test_label_probs_stand_beside_their_image(shape):
    images = torch.linspace(0, 1, 3 * 64).reshape(shape)
    probs = {name: torch.rand(3, 4, generator=torch.Generator().manual_seed(0)) for name in "ab"}
    probs["CE"] = probs.pop("b") ** 2
    targets = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1]])
    axes = figures.plot_label_probs(images, probs, targets)
    pictures = [ax for ax in axes[0].figure.axes if ax.images]
    assert len(axes) == len(pictures) == 3
    for i, (picture, ax) in enumerate(zip(pictures, axes, strict=True)):
        assert np.allclose(picture.images[0].get_array(), images.reshape(3, 8, 8)[i])
        assert picture.get_subplotspec().rowspan == ax.get_subplotspec().rowspan
        for bars, values in zip(ax.containers, probs.values(), strict=True):
            assert np.allclose([bar.get_height() for bar in bars], values[i])
            assert [round(bar.get_center()[0]) for bar in bars] == [0, 1, 2, 3]
        bold = [text.get_weight() == "bold" for text in ax.get_xticklabels()]
        assert bold == targets[i].bool().tolist()
        assert ax.get_ylim()[0] == 0
        assert ax.get_ylim()[1] >= 1
    assert to_hex(axes[0].containers[1][0].get_facecolor()) == figures.LOSS_COLORS["CE"].lower()
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "CE"]


def test_matrix_writes_every_number_on_a_colour_it_can_be_read_on():
    ax = figures.plot_matrix([[0, 0.25, 0.5], [0.75, 0.9, 1]], xlabel="given", ylabel="true")
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["0.00", "0.25", "0.50", "0.75", "0.90", "1.00"]
    image = ax.images[0]
    for text, value in zip(ax.texts, image.get_array().ravel(), strict=True):
        light, dark = sorted(
            [luminance(text.get_color()), luminance(image.cmap(image.norm(value)))], reverse=True
        )
        assert (light + 0.05) / (dark + 0.05) > 4.5, value


def test_matrix_names_rows_and_columns():
    ax = figures.plot_matrix(
        [[3, 4]], xlabel="x", ylabel="y", xticks=["a", "b"], yticks=["c"], digits=0
    )
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["c"]
    assert [text.get_text() for text in ax.texts] == ["3", "4"]
    figures.plot_matrix(np.zeros((2, 2)), xlabel="x", ylabel="y")


def test_reliability_draws_all_curves_and_the_diagonal():
    curves = {str(k): (X, X**k) for k in range(1, 8)}
    ax = figures.plot_reliability(curves)
    assert len(ax.lines) == 8
    assert np.array_equal(ax.lines[2].get_ydata(), X**3)
    assert ax.lines[-1].get_xydata().tolist() == [[0, 0], [1, 1]]


def test_blocks_of_the_loss_are_dashed():
    ax = figures.plot_blocks({"one": (["in", "Linear"], ["loss"]), "two": (["in"], [])})
    styles = [patch.get_linestyle() for patch in ax.patches if hasattr(patch, "get_boxstyle")]
    assert styles == ["-", "-", "--", "-"]
    texts = [text.get_text() for text in ax.texts]
    assert {"one", "two", "in", "Linear", "loss"} <= set(texts)
    arrows = [text for text in ax.texts if isinstance(text, Annotation) and text.arrow_patch]
    assert len(arrows) == 2


# Rejections


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.plot_curves(X, {"a": X[:5]}, **LABELS), r"curves\['a'\].*\(11,\).*\(5,\)"),
        (lambda: figures.plot_curves(X[:, None], {"a": X}, **LABELS), "x must have 1 dimension;"),
        (lambda: figures.plot_curves(X, {"a": X * np.nan}, **LABELS), "finite value; got none"),
        (
            lambda: figures.plot_bars(["p"], {"a": [1, 2]}, xlabel="x"),
            r"series\['a'\] must have one value for each of the 1 names; got 2",
        ),
        (lambda: figures.plot_decision(X, X, np.zeros((2, 2))), r"\(11, 11\).*got \(2, 2\)"),
        (lambda: figures.plot_decision(*grid()[:2], 2 * grid()[2]), r"in \[0, 1\].*binary_probs"),
        (
            lambda: figures.plot_decision(*grid(), inputs=np.zeros((3, 2)), target=[1]),
            r"inputs must have shape \(1, 2\).*\(3, 2\)",
        ),
        (lambda: figures.plot_images(np.zeros((8, 8))), r"\(N, H, W\).*images\[:1\]"),
        (lambda: figures.plot_images(np.zeros((0, 8, 8))), r"got \(0, 8, 8\)"),
        (lambda: figures.plot_images(np.zeros((2, 8, 8)), ["a"]), "titles must have 2.*got 1"),
        (lambda: figures.plot_matrix([1, 2], xlabel="x", ylabel="y"), "must have 2 dimensions"),
        (
            lambda: figures.plot_label_probs(np.eye(8)[None], {"a": [[0, 1, 0]]}, [[0, 1]]),
            r"'a' must have one row for each image and one column for each label, \(1, 2\)",
        ),
        (
            lambda: figures.plot_label_probs(np.eye(8)[None], {"a": [[0, 1]]}, [[0, 1], [1, 1]]),
            r"'targets' must have one row for each image",
        ),
    ],
)
def test_wrong_numbers_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
