"""How a chapter looks: nothing cut, figures in both modes, little before the puzzle."""

import base64

import nbformat
import pytest

from tests.browsing import build, parsed
from tests.test_site import code, output, small_book

CARD = (
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEElEQVR4nGP4jxcwjEpjAwD6Hirkl4HYkQAAAABJRU5ErkJg"
    "gg=="
)
LONG = "x" * 84
IMPORTS = "import math\n\nimport torch\n\ntorch.set_num_threads(1)"
TABLE = """<table class="dataframe"><thead><tr><th>a</th><th>b</th></tr></thead>
<tbody><tr><td>-1.5</td><td>x</td></tr></tbody></table>"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A chapter with a bit of everything."""
    folder = tmp_path_factory.mktemp("looks")
    imports, long, magic = (code() for _ in range(3))
    imports.source, long.source, magic.source = IMPORTS, LONG, "import torch\n%time 1"
    stream = nbformat.v4.new_output("stream", name="stdout", text="printed\n")
    figure = code(
        output(image_png=CARD, metadata={"image/png": {"alt": "A white card and more."}}),
        output(text_markdown="Nothing is drawn.", text_plain="Nothing"),
    )
    hints = "".join(f"<details><summary>Hint {n}</summary>\n\nSo.\n\n</details>\n\n" for n in "12")
    cells = [imports, long, magic, code(stream), code(output(text_html=TABLE)), figure]
    status, printed = build(
        small_book(folder, *cells, nbformat.v4.new_markdown_cell(hints)), folder
    )
    assert status == 0, printed[-3000:]
    return folder / "_build/html"


@pytest.fixture
def page(browser, serve, book):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(serve(book) + "chapter.html")
    yield page
    page.close()


def left(page, selector):
    """Where a picture or the first line of a text begins."""
    return page.locator(selector).first.evaluate(
        """e => {
          const range = document.createRange();
          range.selectNodeContents(e);
          return (e.firstChild ? range : e).getBoundingClientRect().left;
        }"""
    )


def test_imports_alone_are_folded_and_a_table_has_a_true_minus(book):
    page = parsed(book / "chapter.html")
    folded = [fold.select_one("summary").text.split() for fold in page.select("details.hide")]
    assert folded == [["Imports", "Imports"]]
    assert page.select_one("table.dataframe td").text == "−1.5"


def test_no_line_of_a_cell_is_cut_on_a_desktop(page):
    boxes = page.locator(".cell_input pre:visible")
    assert boxes.count() > 3
    assert all(
        boxes.nth(i).evaluate("e => e.scrollWidth <= e.clientWidth") for i in range(boxes.count())
    )


def test_captions_and_figures_begin_where_the_text_does(page):
    assert left(page, "figcaption") == left(page, "article h1") == left(page, "figure img")
    assert page.locator("figcaption").evaluate("e => getComputedStyle(e).fontWeight") == "400"


def test_a_table_has_one_rule_below_each_row_and_no_stripes(page):
    look = """e => { const s = getComputedStyle(e); return [s.borderLeftWidth, s.borderBottomWidth,
      getComputedStyle(e.parentElement).backgroundColor]; }"""
    for cell in ("td:last-child", "th:last-child"):
        left, below, ground = page.locator(f"table.dataframe {cell}").evaluate(look)
        assert (left, ground) == ("0px", "rgba(0, 0, 0, 0)")
        assert below != "0px"


def test_input_and_output_differ_and_hints_share_a_line(page):
    ground = "e => getComputedStyle(e).backgroundColor"
    printed = page.locator(".output.stream").first.evaluate(ground)
    assert printed == "rgba(0, 0, 0, 0)" != page.locator(".cell_input pre").nth(1).evaluate(ground)
    tops = {page.locator("summary", has_text=f"Hint {n}").bounding_box()["y"] for n in "12"}
    assert len(tops) == 1


def test_a_figure_has_no_card_in_the_dark(page):
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    figure = page.locator("figure img")
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    shot = page.screenshot(clip={**middle, "width": 1, "height": 1})
    around = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert pixel(page, shot) == around


def pixel(page, shot: bytes) -> str:
    """The colour of the first pixel of a picture, as a style sheet writes it."""
    return page.evaluate(
        """async (data) => {
          const image = new Image();
          image.src = "data:image/png;base64," + data;
          await image.decode();
          const context = document.createElement("canvas").getContext("2d");
          context.drawImage(image, 0, 0);
          return `rgb(${[...context.getImageData(0, 0, 1, 1).data].slice(0, 3).join(", ")})`;
        }""",
        base64.b64encode(shot).decode(),
    )


def test_without_javascript_a_dark_system_shows_a_whole_light_page(browser, serve, book):
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(serve(book) + "chapter.html")
    styles = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    ink, ground = page.locator(".cell_input pre").nth(1).evaluate(styles)
    context.close()
    assert sum(map(int, ink[4:-1].split(", "))) < 200
    assert ground.endswith(" 0)") or sum(map(int, ground[4:-1].split(", "))) > 600


def test_paper_shows_what_the_screen_folds_and_wraps_what_it_would_cut(page):
    page.emulate_media(media="print")
    assert page.locator("details p", has_text="So.").first.is_visible()
    assert page.locator(".cell_input pre").nth(1).evaluate(
        "e => getComputedStyle(e).whiteSpace"
    ) == ("pre-wrap")
    assert not page.locator(".bd-header-article").is_visible()
