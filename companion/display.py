"""Show figures and tables alike in the book, in Jupyter and in Colab."""

import html
import io
import math
import numbers
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from IPython import get_ipython
from IPython.display import publish_display_data
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image  # matplotlib needs it, too

from companion.figures import style

__all__ = ["Table", "show", "table"]


def show(fig: Figure, *, alt: str, caption: str) -> None:
    """Publish a figure with its alternative text, and the caption below it.

    Outside a notebook there is nowhere to show a picture: then nothing is published. In any case
    the figure is closed, so that it neither appears twice nor stays in memory.

    Args:
        fig: the figure.
        alt: what a reader who cannot see the figure must know; one line of plain text.
        caption: what the figure shows, its conclusion first; Markdown.

    Raises:
        TypeError: ``fig`` is no figure, or a text is no string.
        ValueError: a text is empty.

    Example:
        >>> from companion import figures
        >>> fig, ax = figures.new_figure()
        >>> show(fig, alt="An empty frame.", caption="Nothing is drawn yet.")
    """
    if not isinstance(fig, Figure):
        mend = " ax.figure is the figure of an Axes." if hasattr(fig, "figure") else ""
        raise TypeError(f"fig must be a matplotlib Figure; got {type(fig).__name__}.{mend}")
    alt = " ".join(_text("alt", alt).split())
    caption = _text("caption", caption).strip()
    with style():
        # What a chapter writes by itself is as large as the rest, which a phone leaves legible.
        for text in fig.findobj(Text):
            text.set_fontsize(max(text.get_fontsize(), mpl.rcParams["font.size"]))
        drawn, png = io.BytesIO(), io.BytesIO()
        fig.savefig(drawn, format="png")
        # 256 colours are enough for lines and letters, and make a third of the bytes.
        colors = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        colors.save(png, format="png", optimize=True)
        # Twice as many pixels as the page shows: sharp on a phone.
        width = round(fig.get_size_inches()[0] * mpl.rcParams["savefig.dpi"] / 2)
    plt.close(fig)
    if get_ipython() is None:
        return
    publish_display_data(
        {"image/png": b64encode(png.getvalue()).decode(), "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": width}},
    )
    publish_display_data({"text/markdown": caption, "text/plain": caption})


class Table:
    """A small table that prints as HTML in a notebook and as aligned text elsewhere.

    Made by :func:`table`. Columns of numbers are right-aligned.
    """

    def __init__(
        self, columns: list[str], cells: list[list[str]], numeric: list[bool], caption: str | None
    ) -> None:
        """Keep the finished texts of the cells."""
        self._columns = columns
        self._cells = cells
        self._numeric = numeric
        self._caption = caption

    def _repr_html_(self) -> str:
        """Return the table as HTML with every text escaped."""
        sides = ["right" if numeric else "left" for numeric in self._numeric]
        caption = f"<caption>{_markup(self._caption)}</caption>" if self._caption else ""
        head = "".join(
            f'<th scope="col" style="text-align: {side}">{_markup(column)}</th>'
            for side, column in zip(sides, self._columns, strict=True)
        )
        body = "\n".join(
            "<tr>"
            + "".join(
                f'<td style="text-align: {side}">{_markup(cell)}</td>'
                for side, cell in zip(sides, row, strict=True)
            )
            + "</tr>"
            for row in self._cells
        )
        return (
            f'<table class="dataframe">\n{caption}<thead><tr>{head}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table>"
        )

    def __repr__(self) -> str:
        """Return the table as text, its columns aligned."""
        lines = [self._columns, *self._cells]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self._columns))]
        aligned = [
            "  ".join(
                cell.rjust(width) if numeric else cell.ljust(width)
                for cell, width, numeric in zip(line, widths, self._numeric, strict=True)
            ).rstrip()
            for line in lines
        ]
        rule = "  ".join("-" * width for width in widths)
        title = [self._caption] if self._caption else []
        return "\n".join([*title, aligned[0], rule, *aligned[1:]])


def table(
    rows: Iterable[Sequence | Mapping],
    *,
    columns: Sequence[str] | None = None,
    caption: str | None = None,
    digits: int = 4,
) -> Table:
    """Make a table of numbers and words.

    Args:
        rows: one sequence or one dict for each row. Of dicts, the keys name the columns, in the
            order in which they first appear; a missing key leaves its cell empty.
        columns: the names of the columns; needed for sequences, for dicts it selects and orders.
        caption: a line above the table.
        digits: decimals of every float. Integers, words and None (an empty cell) stay as they
            are; a tensor of one element counts as its number.

    Returns:
        A table that a notebook shows as the last value of a cell. Text between backticks is
        set as code.

    Raises:
        ValueError: a row has another length than ``columns``, ``columns`` is missing or unknown,
            or a tensor has more than one element.

    Example:
        >>> table([("BCE", 0.693147, 1), ("CE", torch.tensor(12.5), 2)],
        ...       columns=["loss", "value", "outputs"])
        loss    value  outputs
        ----  -------  -------
        BCE    0.6931        1
        CE    12.5000        2
    """
    if digits < 0:
        raise ValueError(f"digits must not be negative; got {digits}.")
    rows = list(rows)
    if rows and all(isinstance(row, Mapping) for row in rows):
        known = list(dict.fromkeys(key for row in rows for key in row))
        columns = known if columns is None else list(columns)
        if unknown := [column for column in columns if column not in known]:
            raise ValueError(f"columns must name keys of the rows, {known}; got {unknown}.")
        rows = [[row.get(column) for column in columns] for row in rows]
    elif any(isinstance(row, Mapping) for row in rows):
        raise ValueError("rows must be all dicts or all sequences; got both.")
    if columns is None:
        raise ValueError("columns must name the columns when the rows are not dicts.")
    columns = [str(column) for column in columns]
    rows = [list(row) for row in rows]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"every row must have {len(columns)} cells, as many as columns; "
                f"got {len(row)} in {row}."
            )
    values = [[_plain(value) for value in row] for row in rows]
    numeric = [
        any(_is_number(row[i]) for row in values)
        and all(row[i] is None or _is_number(row[i]) for row in values)
        for i in range(len(columns))
    ]
    return Table(columns, [[_format(v, digits) for v in row] for row in values], numeric, caption)


def _text(name: str, value: str) -> str:
    """Return ``value`` after checking that it is a text with something in it."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str; got {type(value).__name__}.")
    if not value.strip():
        raise ValueError(f"{name} must not be empty: a reader who cannot see the figure needs it.")
    return value


def _plain(value: object) -> object:
    """Return the number in a tensor of one element; other values as they are."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ValueError(
                f"a cell must hold one value; got a tensor of shape {tuple(value.shape)}. "
                "tensor.tolist() unpacks a row."
            )
        return value.item()
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _format(value: object, digits: int) -> str:
    """Return the text of a cell."""
    if value is None:
        return ""
    if not _is_number(value) or isinstance(value, numbers.Integral):
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e7:
        return f"{value:.{digits}e}"
    text = f"{value:.{digits}f}"
    # The sign of a rounded zero depends on the processor.
    return text.lstrip("-") if float(text) == 0 else text


def _markup(text: str) -> str:
    """Escape ``text`` for HTML and set what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
