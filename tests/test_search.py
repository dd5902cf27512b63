"""The book's own search, asked what people asked elsewhere, and the page for errors and numbers.

``search_questions.toml`` holds questions that were collected from public forums and issue trackers
without sight of the book. Each names the sections that may answer it; which of them exist is
tested, so that a renamed heading is heard of.
"""

import gzip
import math
import tomllib
from collections import Counter
from pathlib import Path

import my_error
import pytest
import torch
from torch.nn import functional as F

from tests.browsing import ROOT, parsed, watched_page

QUESTIONS = tomllib.loads((ROOT / "tests/search_questions.toml").read_text("utf-8"))["question"]
LOADED_ON_USE = ("minisearch.js", "search_index.js", "search_find.js", "search.js")
LIMIT = 350_000  # bytes of them all, gzipped


@pytest.fixture(scope="module")
def search(browser, home):
    """The page of results; what went wrong in it is an error of the last test."""
    problems = []
    page = watched_page(browser, home, problems)
    page.goto(home + "search.html?q=loss")
    page.wait_for_selector("#search-results li a")
    yield page
    page.close()
    assert problems == []


def ask(page, question: str) -> list[str]:
    """Type a question into the page; the addresses of the sections it lists, without the marks."""
    page.evaluate("document.querySelector('#search-results').replaceChildren()")
    page.fill(".bd-search-container input", question)
    page.wait_for_selector("#search-results [role=status]:not(:empty)")
    links = page.eval_on_selector_all(
        "#search-results ul.search li > a", "all => all.map(a => a.href)"
    )
    return [section(link) for link in links]


def section(address: str) -> str:
    page, _, anchor = address.partition("#")
    return "/".join(page.partition(".html")[0].split("/")[-2:]) + f"#{anchor}"


# The measure


def test_every_section_that_may_answer_exists(site):
    asked = {name for question in QUESTIONS for name in question["sections"]}
    gone = []
    for name in sorted(asked):
        page, _, anchor = name.partition("#")
        path = site / f"{page}.html"
        if not path.is_file() or not parsed(path).find(id=anchor):
            gone.append(name)
    assert not gone, "no such section (any more): say in search_questions.toml what answers now"


def test_the_questions_are_many_and_of_every_kind():
    kinds = Counter(question["kind"] for question in QUESTIONS)
    assert len({question["asks"] for question in QUESTIONS}) == len(QUESTIONS) >= 150
    assert kinds["chinese"] >= 30
    assert kinds["message"] >= 30
    assert all(question["sections"] for question in QUESTIONS)


def test_the_search_answers_what_people_ask(search):
    places = []
    for question in QUESTIONS:
        found = ask(search, question["asks"])
        right = [i for i, name in enumerate(found) if name in question["sections"]]
        places.append((right[0] if right else math.inf, question["asks"], found[:3]))
    messages = [question["asks"] for question in QUESTIONS if question["kind"] == "message"]
    led_astray = [asks for place, asks, _ in places if place > 0 and asks in messages]
    count = len(places)
    first = sum(place == 0 for place, *_ in places) / count
    among_three = sum(place < 3 for place, *_ in places) / count
    missed = [f"{asks}\n    {found}" for place, asks, found in places if place >= 3]
    print(f"first {first:.1%}, among three {among_three:.1%} of {count}")
    assert not [asks for _, asks, found in places if not found]
    assert among_three >= 0.95, "\n".join(missed)
    assert first >= 0.8
    assert len(led_astray) <= len(messages) / 20, led_astray


# What it understands


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("0.693 not moving", "notebooks/10_nan#the-ways-to-be-stuck"),
        ("1.46", "notebooks/04_cross_entropy#break-it-a-softmax-before-the-loss"),
        ("sigmod twice", "notebooks/12_clinic#patient-1-a-cautious-binary-classifier"),
        ("multilabel", "notebooks/08_multi_label"),
        ("multi-label", "notebooks/08_multi_label"),
        ("pytorch why is my loss negative", "notebooks/10_nan#the-ways-below-0"),
        ("IGNORE_INDEX", "notebooks/04_cross_entropy#who-counts-how-much-weight-and-ignore-index"),
        ("ignore index", "notebooks/04_cross_entropy#who-counts-how-much-weight-and-ignore-index"),
        ("label smooth", "notebooks/04_cross_entropy#label-smoothing"),
        ("标签平滑", "notebooks/04_cross_entropy#label-smoothing"),
        ("损失为负数", "notebooks/10_nan#the-ways-below-0"),
        (
            '  File "/home/me/train.py", line 12, in step\n    loss = criterion(out, y)\n'
            "IndexError: Target 71 is out of bounds.",
            "notebooks/11_error_atlas#target-3-is-out-of-bounds",
        ),
    ],
)
def test_words_numbers_and_messages_lead_to_their_section(search, question, expected):
    assert any(name.startswith(expected) for name in ask(search, question)[:3])


def test_what_has_no_answer_leads_to_the_nearest_and_to_the_questions(search):
    assert ask(search, "xqzvw") == []
    shown = search.inner_text("#search-results")
    assert shown.startswith("No section has these words.")
    assert search.locator("#search-results .questions a").count() > 20
    assert ask(search, "loggitz")
    assert "The nearest:" in search.inner_text("#search-results")


# How it is reached


def test_nothing_of_it_is_loaded_before_use_and_little_then(browser, site, home):
    page = browser.new_page()
    loaded = []
    page.on("request", lambda request: loaded.append(request.url.split("?")[0].rpartition("/")[2]))
    page.goto(home + "notebooks/04_cross_entropy.html")
    page.wait_for_load_state("networkidle")
    assert not set(loaded) & {*LOADED_ON_USE, "searchtools.js", "searchindex.js"}
    page.keyboard.press("Control+k")
    page.keyboard.type("nan")
    page.wait_for_selector("#pst-search-dialog li a")
    page.close()
    assert set(LOADED_ON_USE) <= set(loaded)
    files = [(site / "_static" / name).read_bytes() for name in LOADED_ON_USE]
    assert sum(len(gzip.compress(content)) for content in files) <= LIMIT


@pytest.mark.parametrize("width", [1280, 375])
def test_the_dialogue_leads_to_the_section_and_marks_words_only_there(browser, site, width):
    """In a site opened from a folder, by the keyboard alone."""
    page = browser.new_page(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page.goto((site / "book/how_to_use.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type("Target 71 is out of bounds")
    page.wait_for_selector("#pst-search-dialog li:first-child a:has-text('Target 3')")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.matches('#pst-search-dialog li:first-child a')")
    page.keyboard.press("Enter")
    page.wait_for_selector("article mark")
    anchor = page.url.partition("#")[2]
    assert anchor == "target-3-is-out-of-bounds"
    top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", anchor)
    marks = (
        "id => [...document.querySelectorAll('mark')].every(m => m.closest('section').id === id)"
    )
    assert page.evaluate(marks, anchor)
    page.close()
    assert -5 <= top < 400


def test_the_results_say_how_many_they_are_to_a_screen_reader(search):
    ask(search, "label smoothing")
    assert "sections" in search.inner_text("#search-results [role=status]")
    first = search.locator("#search-results li").first
    assert first.locator(".where").inner_text().startswith("in: ")
    assert len(first.locator("p").nth(1).inner_text()) > 30


def test_without_javascript_the_page_says_what_to_do(browser, home):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(home + "search.html?q=nan")
    shown = page.inner_text("main")
    links = page.eval_on_selector_all("noscript a", "all => all.map(a => a.getAttribute('href'))")
    page.goto(home + "book/my_error.html")
    assert not page.is_visible("#ask")
    assert "0.6931" in page.inner_text("main")
    context.close()
    assert "needs JavaScript" in shown
    assert any("index-by-message" in link for link in links)


# My error or number


def test_every_number_of_the_signs_is_what_its_formula_gives():
    values = {n: f for sign in my_error.signs() for n, f in sign.get("values", {}).items()}
    assert len(values) > 15
    for shown, formula in values.items():
        places = len(shown.partition(".")[2])
        assert f"{eval(formula, vars(math).copy()):.{places}f}" == shown, formula


def test_the_floors_and_the_clamp_of_the_signs_are_those_of_torch():
    for classes in (2, 3, 4, 5, 10):
        probs = F.one_hot(torch.tensor([0]), classes).double()
        floor = F.cross_entropy(probs, torch.tensor([0])).item()
        assert floor == pytest.approx(math.log(math.e + classes - 1) - 1)
    assert F.binary_cross_entropy(torch.ones(1), torch.zeros(1)) == 100


def test_every_sign_stands_on_its_page(site):
    page = parsed(site / "book/my_error.html")
    links = {link.text: link["href"] for link in page.select("article table a")}
    for sign in my_error.signs():
        assert "#" in links[sign["see"]], sign["see"]
        assert sign["zh"] in page.text


def test_a_pasted_message_leads_to_its_section(browser, home):
    problems = []
    page = watched_page(browser, home, problems)
    page.goto(home + "book/my_error.html")
    page.fill(
        "#ask",
        "../aten/src/ATen/native/cuda/Loss.cu:94: operator(): block: [0,0,0], thread: [96,0,0]\n"
        "Assertion `input_val >= zero && input_val <= one` failed.",
    )
    page.wait_for_selector("#answers li a")
    found = section(page.get_attribute("#answers li a", "href"))
    page.close()
    assert found.endswith("11_error_atlas#all-elements-of-input-should-be-between-0-and-1")
    assert problems == []


# The first page


def test_the_first_page_shows_its_point_and_its_doors_above_the_fold(browser, home):
    for width, height in ((1280, 800), (375, 812)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(home + "book/index.html")
        assert "PyTorch" in page.inner_text("article p >> nth=0")
        for part in ("#three-ways table", ".doors a >> nth=0"):
            box = page.locator(part).bounding_box()
            assert box["y"] + box["height"] <= height, (part, width)
        verdicts = [cell.inner_text() for cell in page.locator("[data-verdict]").all()]
        assert verdicts == ["✗ ruined", "✗ stuck", "✓ learns"]
        page.locator("#three-ways-logit").fill("2")
        verdicts = [cell.inner_text() for cell in page.locator("[data-verdict]").all()]
        assert verdicts == ["✓ learns"] * 3
        page.close()


def test_every_chapter_has_its_question_on_the_first_page(site):
    links = [link["href"] for link in parsed(site / "book/index.html").select("article table a")]
    for chapter in sorted(Path(ROOT / "notebooks").glob("*.ipynb")):
        assert any(chapter.stem in link for link in links), chapter.stem
