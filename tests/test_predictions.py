"""What a "Predict" asks for is covered on the page until the reader wants it, and nowhere else."""

import nbformat
import predictions
import pytest

from tests.browsing import build, parsed
from tests.test_site import code, output, small_book

MARKDOWN = nbformat.v4.new_markdown_cell
PREDICT = "> **Predict.** How much?\n>\n> <!-- answer: 0.75 | three quarters -->"


def table(number):
    return code(output(text_html=f"<table><caption>T</caption><tr><th>{number}</th></tr></table>"))


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A chapter with two predictions: a number after a cell without output, and a look."""
    folder = tmp_path_factory.mktemp("predictions")
    cells = [
        *(MARKDOWN(PREDICT), code(), MARKDOWN("Between."), table("0.7500"), table("1.5000")),
        *(MARKDOWN("So it is three quarters.\n\nSomething new."), table("2.0000")),
        *(MARKDOWN("## Then\n\n> **Predict.** And now?"), table("3.0000"), MARKDOWN("Seen.")),
    ]
    status, printed = build(small_book(folder, *cells), folder)
    assert status == 0, printed[-3000:]
    return folder / "_build/html"


def test_the_outputs_and_the_paragraph_after_them_are_marked(book):
    page = parsed(book / "chapter.html")
    first, second = ([e.text.strip() for e in page.select(f".covered-{n}")] for n in (1, 2))
    assert [text[-6:] for text in first] == ["0.7500", "1.5000", "rters."]
    assert [text[-6:] for text in second] == ["3.0000", "Seen."]
    assert [data["value"] for data in page.select(".predict data")] == ["0.75 | three quarters", ""]
    assert "<!-- answer" not in str(page)
    assert not page.select("[hidden].covered")  # without JavaScript all is open


def test_an_answer_that_no_output_shows_fails_the_build(tmp_path):
    cells = [MARKDOWN(PREDICT), table("0.7501"), MARKDOWN("## End\n\n> **Predict.** And?")]
    status, printed = build(small_book(tmp_path, *cells), tmp_path)
    assert status != 0
    assert "no covered output shows the answer '0.75 | three quarters'" in printed
    assert "no output follows this Predict" in printed


@pytest.mark.parametrize(
    ("outputs", "value", "there"),
    [
        ("tensor([0.7500, -1.2])", "0.75, −1.2", True),
        ("tensor([0.7500, 1.2])", "0.75, −1.2", False),
        ("10.75", "0.75", False),
        ("nan inf", "infinite | inf", True),
        ("information", "inf", False),
        ("sigmoid inside, one logit", "one logit, sigmoid inside", True),
    ],
)
def test_an_answer_is_there_as_a_whole(outputs, value, there):
    assert predictions.shows(outputs, value) == there


@pytest.fixture
def page(browser, serve, book):
    context = browser.new_context()
    page = context.new_page()
    page.goto(serve(book) + "chapter.html")
    yield page
    context.close()


def seen(page) -> list[str]:
    texts = ("0.7500", "1.5000", "quarters.", "2.0000", "3.0000", "Seen.")
    article = page.locator("article.bd-article")
    shown = article.evaluate("""(article) => [...article.querySelectorAll("p, th")]
      .filter((e) => e.checkVisibility({contentVisibilityAuto: true})).map((e) => e.innerText)""")
    return [text for text in texts if any(text in there for there in shown)]


EVERYTHING = ["0.7500", "1.5000", "quarters.", "2.0000", "3.0000", "Seen."]


def test_an_answer_opens_by_keyboard_and_stays_open(page):
    assert seen(page) == ["2.0000"]
    page.get_by_role("button", name="Show the answer").nth(1).focus()
    page.keyboard.press("Enter")
    assert seen(page) == ["2.0000", "3.0000", "Seen."]
    assert page.evaluate("document.activeElement.classList.contains('covered-2')")
    page.reload()
    assert seen(page) == ["2.0000", "3.0000", "Seen."]


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        ("0.75", "Yes: 0.75."),
        ("3/4", "Yes: 0.75."),
        ("75 %", "Yes: 0.75."),
        ("Three quarters", "Yes: 0.75."),
        ("0.8", "Very near. You said 0.8; it is 0.75."),
        ("−0.75", "You said −0.75; it is 0.75. What made the difference?"),
        ("many", "You said many; it is 0.75. What made the difference?"),
    ],
)
def test_a_guess_is_told_how_near_it_was(page, guess, said):
    page.get_by_label("Your prediction").fill(guess)
    page.keyboard.press("Enter")
    assert page.locator(".prediction [role=status]").first.inner_text() == said
    assert seen(page) == EVERYTHING[:4]


def test_one_button_opens_all_and_is_remembered(page):
    page.get_by_role("button", name="Show all answers").click()
    assert seen(page) == EVERYTHING
    page.reload()
    assert seen(page) == EVERYTHING
    page.get_by_role("button", name="Cover them").click()
    assert seen(page) == ["2.0000"]


def test_everything_is_open_on_paper_and_without_javascript(page, browser):
    page.emulate_media(media="print")
    assert seen(page) == EVERYTHING
    assert not page.get_by_role("button", name="Show").first.is_visible()
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(page.url)
    assert plain.locator(".covered").first.is_visible()
    context.close()
