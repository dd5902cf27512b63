"""The figures of the book: they draw numbers and compute none.

Every function draws into ``ax``, or into a new figure when none is given, and returns the Axes, so
that a chapter can add the one mark that its argument needs. The look is in ``companion.mplstyle``
and holds only for what is drawn here: matplotlib's own settings stay as they are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

__all__ = [
    "LOSS_COLORS",
    "new_figure",
    "plot_bars",
    "plot_blocks",
    "plot_curves",
    "plot_decision",
    "plot_history",
    "plot_images",
    "plot_label_probs",
    "plot_logit_gaps",
    "plot_matrix",
    "plot_reliability",
    "style",
]

_SETTINGS = mpl.rc_params_from_file(
    Path(__file__).with_name("companion.mplstyle"), use_default_template=False
)
_CYCLE = [prop["color"] for prop in _SETTINGS["axes.prop_cycle"]][:5]

#: One colour for each loss, the same in every figure; curves of these names take it by themselves.
LOSS_COLORS = {
    "by hand": "#3a3a3a",
    "BCE": "#d55e00",
    "BCE with logits": "#009e73",
    "CE": "#005fa8",
    "RCE": "#c9639f",
    "SCE": "#7b1e3a",
    "GCE": "#9c7a00",
}

_CLASS_COLORS = ("#005fa8", "#d55e00")
_CLASS_MARKERS = ("o", "^")
_TINTS = LinearSegmentedColormap.from_list("classes", ["#a9cbe8", "#ffffff", "#f6c5a0"])
_HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#9dc3e3", "#005fa8", "#002f5c"])
_HALO = [withStroke(linewidth=3, foreground="white")]


@contextmanager
def style() -> Iterator[None]:
    """Draw in the book's style within a ``with`` block; afterwards all settings are as before.

    For what other libraries draw: scikit-learn's displays, or ``ax.plot`` itself.

    Example:
        >>> with style():
        ...     mpl.rcParams["axes.spines.top"]
        False
    """
    # Not mpl.rc_context: a notebook's backend starts with the first figure and notes that it is
    # interactive, which a context that restores every setting would make it forget.
    before = {key: mpl.rcParams[key] for key in _SETTINGS}
    mpl.rcParams.update(_SETTINGS)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


@style()
def new_figure(
    nrows: int = 1,
    ncols: int = 1,
    *,
    width: float = 5.4,
    height: float | None = None,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, Axes | np.ndarray]:
    """Make a figure of the book's width; of several panels, rows read best on a phone.

    Args:
        nrows: panels below each other.
        ncols: panels side by side.
        width: inches; 5.4 keeps the letters legible on a phone.
        height: inches; by default 3.3 for one row, 2.4 for each of several.
        sharex: whether the panels of a column share their x axis.
        sharey: whether the panels of a row share their y axis.

    Returns:
        The figure and its Axes: one, or an array of them as ``plt.subplots`` gives.
    """
    if height is None:
        height = 3.3 if nrows == 1 else 2.4 * nrows
    return plt.subplots(nrows, ncols, figsize=(width, height), sharex=sharex, sharey=sharey)


@style()
def plot_curves(
    x,
    curves: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    spread: Mapping[str, Sequence[float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one line per entry of ``curves``, named at its right end.

    Args:
        x: the common x values, shape (P,), ascending.
        curves: y values, shape (P,), under the name of each line. Where one is not finite its
            line has a gap. A name of :data:`LOSS_COLORS` brings its colour.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        spread: half the height of a band around some of the lines, such as a standard deviation.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.
    """
    ax = _axes(ax)
    x = _array("x", x, 1)
    colors = _colors(curves)
    labels = []
    for name, values in curves.items():
        y = _array(f"curves[{name!r}]", values, 1)
        if y.shape != x.shape:
            raise ValueError(
                f"curves[{name!r}] must have one value for each x, {x.shape}; got {y.shape}."
            )
        finite = np.isfinite(y)
        if not finite.any():
            raise ValueError(f"curves[{name!r}] must hold a finite value; got none.")
        color = colors[name]
        # A line through one point would not be seen.
        marker = "o" if finite.sum() == 1 else None
        (line,) = ax.plot(x, np.where(finite, y, np.nan), color=color, marker=marker)
        labels.append(_EndLabel(name, line, labels))
        if spread and name in spread:
            half = _array(f"spread[{name!r}]", spread[name], 1)
            ax.fill_between(x, y - half, y + half, color=color, alpha=0.18, linewidth=0)
    for label in labels:
        ax.add_artist(label).set_clip_on(False)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


@style()
def plot_history(history, *, axes: Sequence[Axes] | None = None) -> tuple[Axes, Axes]:
    """Draw the loss and the accuracy of each epoch, training and validation apart.

    Args:
        history: a :class:`companion.training.History`.
        axes: two Axes, for the loss and for the accuracy; a new figure by default.

    Returns:
        The two Axes.
    """
    if axes is None:
        _, axes = new_figure(2, sharex=True)
    loss, accuracy = axes
    epochs = np.arange(1, len(history.train_loss) + 1)
    for ax, quantity, ylabel in (
        (loss, "loss", "loss (nats)"),
        (accuracy, "accuracy", "accuracy"),
    ):
        curves = {"training": getattr(history, f"train_{quantity}")}
        if history.validation_loss:
            curves["validation"] = getattr(history, f"validation_{quantity}")
        plot_curves(epochs, curves, xlabel="epoch", ylabel=ylabel, ax=ax)
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, min_n_ticks=1))
    if loss.get_shared_x_axes().joined(loss, accuracy):
        loss.set_xlabel("")
    return loss, accuracy


@style()
def plot_bars(
    names: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    errors: Mapping[str, Sequence[float]] | None = None,
    digits: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw lying bars, one group for each name and one bar in it for each of ``series``.

    Args:
        names: what stands at the left of each group, from top to bottom, G of them.
        series: the lengths of the bars, shape (G,), under the name of each series; of more than
            one, the names stand in a legend. A name of :data:`LOSS_COLORS` brings its colour.
        xlabel: what the length is, with its unit.
        errors: half the length of an error bar for some of the series.
        digits: decimals of a number written at the end of each bar; None writes none.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.
    """
    lengths = {name: _array(f"series[{name!r}]", values, 1) for name, values in series.items()}
    for name, values in lengths.items():
        if len(values) != len(names):
            raise ValueError(
                f"series[{name!r}] must have one value for each of the {len(names)} names; "
                f"got {len(values)}."
            )
    if ax is None:
        _, ax = new_figure(height=1.1 + 0.27 * len(names) * max(len(series), 1.2))
    thick = 0.8 / len(series)
    places = np.arange(len(names))
    colors = _colors(series)
    for i, (name, values) in enumerate(lengths.items()):
        half = (errors or {}).get(name)
        bars = ax.barh(
            places - 0.4 + thick * (i + 0.5),
            values,
            height=thick * 0.92,
            color=colors[name],
            xerr=None if half is None else _array(f"errors[{name!r}]", half, 1),
            error_kw={"ecolor": "#222222", "elinewidth": 1.2},
            label=name,
        )
        if digits is not None:
            texts = [f"{bar.get_width():.{digits}f}".replace("-", "−") for bar in bars]
            ax.bar_label(bars, texts, padding=3)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(xlabel)
    if len(series) > 1:
        _legend(ax)
    return ax


@style()
def plot_decision(
    x,
    y,
    probs,
    *,
    inputs=None,
    target=None,
    threshold: float = 0.5,
    xlabel: str = "$x_1$",
    ylabel: str = "$x_2$",
    ax: Axes | None = None,
) -> Axes:
    """Draw the probability of class 1 over a plane, the decision boundary, and the samples.

    Args:
        x: the columns of the grid, shape (W,).
        y: the rows of the grid, shape (H,).
        probs: probabilities of class 1, in [0, 1], shape (H, W).
        inputs: samples to mark, shape (N, 2).
        target: their classes, 0 or 1, shape (N,).
        threshold: the probability along the boundary.
        xlabel: the first feature.
        ylabel: the second feature.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.
    """
    ax = _axes(ax)
    x, y, probs = _array("x", x, 1), _array("y", y, 1), _array("probs", probs, 2)
    if probs.shape != (len(y), len(x)):
        raise ValueError(
            f"probs must have shape {(len(y), len(x))}, rows y and columns x; got {probs.shape}."
        )
    if not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError(
            f"probs must lie in [0, 1]; got {probs.min():g} to {probs.max():g}. "
            "binary_probs makes probabilities of logits."
        )
    ax.contourf(x, y, probs, levels=np.linspace(0, 1, 11), cmap=_TINTS, vmin=0, vmax=1)
    if probs.min() < threshold < probs.max():
        ax.contour(x, y, probs, levels=[threshold], colors="#222222", linewidths=1.8)
    if inputs is not None:
        inputs, target = _array("inputs", inputs, 2), _array("target", target, 1)
        if inputs.shape != (len(target), 2):
            raise ValueError(
                f"inputs must have shape {(len(target), 2)}, two features for each target; "
                f"got {inputs.shape}."
            )
        for label, (color, marker) in enumerate(zip(_CLASS_COLORS, _CLASS_MARKERS, strict=True)):
            chosen = inputs[target == label]
            ax.scatter(
                *chosen.T,
                s=22,
                color=color,
                marker=marker,
                edgecolor="white",
                linewidth=0.5,
                label=f"class {label}",
            )
        _legend(ax)
    ax.grid(visible=False)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return ax


@style()
def plot_images(
    images, titles: Sequence[str] | None = None, *, ncols: int | None = None
) -> np.ndarray:
    """Draw small grey images in a grid.

    Args:
        images: values in [0, 1], 1 is black; shape (N, H, W) or (N, 1, H, W).
        titles: a line above each of them.
        ncols: how many stand side by side; by default up to six.

    Returns:
        The N Axes.
    """
    images = _grey_images(images)
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must have {len(images)} entries; got {len(titles)}.")
    ncols = min(len(images), ncols or 6)
    nrows = -(-len(images) // ncols)
    cell = 5.4 / ncols
    lines = max((title.count("\n") + 1 for title in titles), default=0) if titles else 0
    _, axes = new_figure(nrows, ncols, height=nrows * (min(cell, 1.7) + 0.2 * lines) + 0.1)
    axes = np.atleast_1d(axes).ravel()
    for ax in axes:
        ax.set_axis_off()
    for i, image in enumerate(images):
        axes[i].imshow(image, cmap="gray_r", vmin=0, vmax=1)
        if titles is not None:
            axes[i].set_title(titles[i], loc="center")
    return axes[: len(images)]


@style()
def plot_label_probs(images, probs: Mapping[str, Sequence], targets) -> np.ndarray:
    """Draw each image beside the probability that every model gives to each of its labels.

    Args:
        images: values in [0, 1], 1 is black; shape (N, H, W) or (N, 1, H, W).
        probs: probabilities in [0, 1], shape (N, L), under the name of each model. A name of
            :data:`LOSS_COLORS` brings its colour.
        targets: 1 for every label of an image, shape (N, L); these labels are written in bold.

    Returns:
        The N Axes of the probabilities, the last of them at the bottom.
    """
    images, targets = _grey_images(images), _array("targets", targets, 2)
    bars = {name: _array(f"probs[{name!r}]", values, 2) for name, values in probs.items()}
    for name, values in {"targets": targets, **bars}.items():
        if values.shape != (len(images), targets.shape[1]):
            raise ValueError(
                f"{name!r} must have one row for each image and one column for each label, "
                f"{(len(images), targets.shape[1])}; got {values.shape}."
            )
    _, axes = plt.subplots(
        len(images), 2, figsize=(5.4, 0.9 + 1.25 * len(images)), width_ratios=(1, 3.4)
    )
    axes = np.reshape(axes, (len(images), 2))
    colors, places, width = _colors(bars), np.arange(targets.shape[1]), 0.8 / len(bars)
    for row, (picture, ax) in enumerate(axes):
        picture.imshow(images[row], cmap="gray_r", vmin=0, vmax=1)
        picture.set(xticks=[], yticks=[])
        picture.spines[:].set_visible(True)
        picture.grid(visible=False)
        for i, (name, values) in enumerate(bars.items()):
            left = places - 0.4 + width * (i + 0.5)
            ax.bar(left, values[row], width=width, color=colors[name], label=name)
        ax.set_xticks(places, [str(label) for label in places])
        for text, there in zip(ax.get_xticklabels(), targets[row], strict=True):
            text.set(weight="bold" if there else "normal", color="#222222" if there else "#777777")
        ax.grid(visible=False, axis="x")
        ax.tick_params(axis="x", length=0)
        ax.set(ylim=(0, 1.04), yticks=[0, 0.5, 1])
    _legend(axes[0, 1])
    return axes[:, 1]


@style()
def plot_matrix(
    values,
    *,
    xlabel: str,
    ylabel: str,
    xticks: Sequence[str] | None = None,
    yticks: Sequence[str] | None = None,
    digits: int = 2,
    ax: Axes | None = None,
) -> Axes:
    """Draw a matrix of numbers as a heat map with the numbers in it.

    Args:
        values: not negative, shape (R, C).
        xlabel: what the columns are.
        ylabel: what the rows are.
        xticks: names of the columns; by default 0, 1, 2 …
        yticks: names of the rows; by default 0, 1, 2 …
        digits: decimals of the numbers.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.
    """
    values = _array("values", values, 2)
    rows, columns = values.shape
    if ax is None:
        _, ax = new_figure(height=0.9 + min(0.42 * rows, 4.5))
    top = np.nanmax(values, initial=0) or 1
    ax.imshow(values, cmap=_HEAT, vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > 0.55 * top else "#222222"
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=color)
    ax.set_xticks(range(columns), xticks)
    ax.set_yticks(range(rows), yticks)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


@style()
def plot_reliability(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, ax: Axes | None = None
) -> Axes:
    """Draw how often class 1 occurs against how probable the model calls it.

    Args:
        curves: for each name the mean predicted probability and the observed share of class 1 in
            each bin, two sequences of equal length; empty bins are left out.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.
    """
    if ax is None:
        _, ax = new_figure(height=4.2)
    diagonal = {"color": "#777777", "linewidth": 1.5, "linestyle": ":", "clip_on": False}
    colors = _colors(curves)
    for (name, (predicted, observed)), marker in zip(curves.items(), cycle("os^Dv")):
        ax.plot(
            _array(f"curves[{name!r}][0]", predicted, 1),
            _array(f"curves[{name!r}][1]", observed, 1),
            color=colors[name],
            marker=marker,
            markeredgecolor="white",
            markersize=7,
            label=name,
            clip_on=False,
        )
    ax.plot([0, 1], [0, 1], label="as often as predicted", zorder=1, **diagonal)
    ax.set(
        xlabel="predicted probability of class 1",
        ylabel="observed share of class 1",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    _legend(ax)
    return ax


@style()
def plot_logit_gaps(logits, target, tops, gaps, *, ax: Axes | None = None) -> Axes:
    """Draw each sample's logits as bars, and its loss as the gap from the true class up to a line.

    Args:
        logits: shape (N, K).
        target: the true classes, shape (N,).
        tops: where the line of each sample lies, its logsumexp, shape (N,).
        gaps: the number written beside each gap, the loss in nats, shape (N,).
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.
    """
    ax = _axes(ax)
    logits, target = _array("logits", logits, 2), _array("target", target, 1).astype(int)
    tops, gaps = _array("tops", tops, 1), _array("gaps", gaps, 1)
    samples, num_classes = logits.shape
    places = np.arange(num_classes) + (num_classes + 1) * np.arange(samples)[:, None]
    arrow = {"arrowstyle": "<->", "color": "#d55e00", "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
    for x, heights, y, top, gap in zip(places, logits, target, tops, gaps, strict=True):
        colors = np.where(np.arange(num_classes) == y, "#005fa8", "#b9c7d3")
        ax.bar(x, heights, width=0.8, color=colors)
        ax.plot([x[0] - 0.5, x[-1] + 0.5], [top, top], color="#222222", linestyle="-")
        ax.annotate("", (x[y], top), (x[y], heights[y]), arrowprops=arrow)
        label = {"color": "#b34a00", "path_effects": _HALO, "va": "center"}
        ax.text(x[y] + 0.15, (top + heights.max()) / 2, f"{gap:.2f}", **label)
    ax.set_xticks(places.ravel(), [str(k) for k in range(num_classes)] * samples)
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False, axis="x")
    ax.set(xlabel="class, sample by sample", ylabel="logit")
    return ax


@style()
def plot_blocks(
    chains: Mapping[str, tuple[Sequence[str], Sequence[str]]], *, ax: Axes | None = None
) -> Axes:
    r"""Draw chains of blocks joined by arrows: the model's in full, the loss's dashed.

    Args:
        chains: under the name of each chain, the blocks of the model and the blocks that belong to
            the loss, from left to right; ``\n`` breaks a line in a block.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes, without frame or ticks.
    """
    if ax is None:
        _, ax = new_figure(height=0.5 + 1.15 * len(chains))
    columns = max(len(model) + len(loss) for model, loss in chains.values())
    for row, (name, (model, loss)) in enumerate(chains.items()):
        ax.text(-0.42, row - 0.5, name, ha="left", va="center", weight="bold")
        for column, text in enumerate([*model, *loss]):
            inside = column < len(model)
            box = {
                "boxstyle": "round,pad=0,rounding_size=0.06",
                "facecolor": "#dceaf6" if inside else "white",
                "edgecolor": "#005fa8" if inside else "#b34a00",
                "linestyle": "-" if inside else "--",
                "linewidth": 1.4,
            }
            ax.add_patch(mpl.patches.FancyBboxPatch((column - 0.4, row - 0.25), 0.8, 0.5, **box))
            ax.text(column, row, text, ha="center", va="center", linespacing=1.3)
            if column:
                ax.annotate(
                    "",
                    (column - 0.4, row),
                    (column - 0.6, row),
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": "#555555",
                        "shrinkA": 0,
                        "shrinkB": 0,
                    },
                )
    bottom = len(chains) - 0.42
    for column, color, style, text in (
        (-0.42, "#005fa8", "-", "in the model"),
        (1.2, "#b34a00", "--", "in the loss, while training"),
    ):
        ax.plot(
            [column, column + 0.3], [bottom, bottom], color=color, linestyle=style, linewidth=1.6
        )
        ax.text(column + 0.38, bottom, text, va="center")
    ax.set(xlim=(-0.45, columns - 0.55), ylim=(len(chains) - 0.25, -0.75))
    ax.set_axis_off()
    return ax


class _EndLabel(Annotation):
    """The name of a line at its right end, kept clear of the other names when it is drawn.

    The place is found at draw time, because scales and limits may change until then.
    """

    def __init__(self, name: str, line, group: list["_EndLabel"]) -> None:
        wrapped = _wrap(name)
        super().__init__(
            wrapped,
            xy=(1, 1),
            xytext=(6, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
            annotation_clip=False,
            path_effects=_HALO,
        )
        # Until its first draw it would count as data, and a log scale would leave out its zero.
        self.set_transform(mpl.transforms.IdentityTransform())
        self._line = line
        self._group = group
        self._height = 1.25 * self.get_fontsize() * (wrapped.count("\n") + 1)

    def get_visible(self) -> bool:
        """Return whether any point of the line lies between the limits."""
        return super().get_visible() and self._end() is not None

    def update_positions(self, renderer) -> None:
        """Move to the last visible point of the line, and up or down from the neighbours."""
        self.xy = self._end()
        mates = [
            mate for mate in self._group if mate.get_visible() and mate._end()[0] == self.xy[0]
        ]
        mates.sort(key=_EndLabel._level)
        wanted = [mate._level() for mate in mates]
        place = mates.index(self)
        moved = _spread(wanted, [mate._height for mate in mates])[place] - wanted[place]
        self.xyann = (6, moved)
        super().update_positions(renderer)

    def _end(self) -> tuple[float, float] | None:
        """Return the last point of the line between the limits; one too high or low moves in."""
        x, y = (np.asarray(values, dtype=float) for values in self._line.get_data())
        axes = self._line.axes
        (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        seen = np.flatnonzero(np.isfinite(y) & (x >= left) & (x <= right))
        return (x[seen[-1]], np.clip(y[seen[-1]], low, high)) if len(seen) else None

    def _level(self) -> float:
        """Return the height of the line's end on the page, in points."""
        axes = self._line.axes
        return axes.transData.transform(self._end())[1] * 72 / axes.figure.dpi


def _spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Move ascending centres apart until none overlap, each block staying around its mean."""
    blocks: list[tuple[list[int], float]] = []
    for i, centre in enumerate(wanted):
        members, middle = [i], centre
        while blocks:
            before, at = blocks[-1]
            room = sum(heights[j] for j in [*before, *members]) / 2
            if middle - at >= room:
                break
            blocks.pop()
            members = before + members
            middle = float(np.mean([wanted[j] for j in members]))
        blocks.append((members, middle))
    places = []
    for members, middle in blocks:
        at = middle - sum(heights[j] for j in members) / 2
        for j in members:
            places.append(at + heights[j] / 2)
            at += heights[j]
    return places


def _wrap(name: str, longest: int = 14) -> str:
    """Break a long name at its spaces."""
    lines = [""]
    for word in name.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= longest:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _grey_images(images) -> np.ndarray:
    """Return ``images`` with shape (N, H, W) after checking it."""
    images = np.asarray(images, dtype=float)
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim != 3 or len(images) == 0:
        raise ValueError(
            f"images must have shape (N, H, W) or (N, 1, H, W); got {images.shape}. "
            "images[:1] keeps the first dimension of a single image."
        )
    return images


def _colors(names: Iterable[str]) -> dict[str, str]:
    """Give every name a colour: that of its loss, or the next of the cycle that is free."""
    names = list(names)
    taken = {LOSS_COLORS[name] for name in names if name in LOSS_COLORS}
    free = cycle([color for color in _CYCLE if color not in taken] or _CYCLE)
    return {name: LOSS_COLORS.get(name) or next(free) for name in names}


def _legend(ax: Axes) -> None:
    """Name what is drawn in ``ax`` above the figure, once for all panels that share the names."""
    handles, names = ax.get_legend_handles_labels()
    for legend in ax.figure.legends:
        if [text.get_text() for text in legend.get_texts()] == names:
            return
    # About 55 letters fit into a line, and a handle takes the room of six.
    ncols = len(names) if sum(len(name) + 6 for name in names) <= 55 else 2
    ax.figure.legend(handles, names, loc="outside upper left", ncols=ncols)


def _axes(ax: Axes | None) -> Axes:
    """Return ``ax``, or the Axes of a new figure."""
    return new_figure()[1] if ax is None else ax


def _array(name: str, values, ndim: int) -> np.ndarray:
    """Return ``values`` as a float array after checking its dimensions."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    array = np.asarray(values, dtype=float)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}; got {array.shape}.")
    return array
