"""The PDF: every page of the book, bookmarks, links that work, answers at the end."""

import shutil
import subprocess
import sys

import pikepdf
import pytest
from bs4 import BeautifulSoup

from tests.browsing import ROOT, unavailable
from tools import pdf

DOCUMENTS = pdf.documents()


@pytest.fixture(scope="module")
def book(site, tmp_path_factory):
    """The site joined into one page, and that page printed."""
    copy = tmp_path_factory.mktemp("pdf") / "site"
    shutil.copytree(site, copy)
    printed = pdf.write(copy)
    if printed is None:
        unavailable(pdf.NO_CHROMIUM)
    html = BeautifulSoup(pdf.joined(copy), "html.parser")
    with pikepdf.open(printed) as opened:
        yield html, opened
    assert not (copy / "_printed.html").exists()
    offer = BeautifulSoup((copy / "book/how_to_use.html").read_text(), "html.parser").select_one(
        ".pdf"
    )
    assert not offer.has_attr("hidden")


def test_it_holds_every_page_in_order(book):
    html, _ = book
    articles = [tag["id"] for tag in html.select("article[id]")]
    assert articles == [pdf.anchor(document) for document in DOCUMENTS]
    assert "Classification losses in PyTorch" in html.select_one(".title-page").text


def test_every_link_and_image_of_the_joined_page_leads_somewhere(book, site):
    html, _ = book
    ids = [tag["id"] for tag in html.select("[id]")]
    assert len(ids) == len(set(ids))
    inner = [link["href"][1:] for link in html.select("a[href^='#']")]
    assert len(inner) > 150
    assert set(inner) <= set(ids)
    assert all(
        link["href"].startswith("https://") for link in html.select("a:not([href^='#'])[href]")
    )
    assert all((site / image["src"]).exists() for image in html.select("img[src]"))


def test_the_bookmarks_are_the_headings(book):
    html, printed = book
    with printed.open_outline() as outline:
        marks = list(pdf.walk(outline.root))
        chapters = [mark.title for mark in outline.root]
    headings = html.select(pdf.HEADINGS)
    assert [mark.title for mark in marks] == [" ".join(h.text.split()) for h in headings]
    assert len(marks) > 300
    assert chapters == [" ".join(h.text.split()) for h in html.select("h1")]
    assert {str(mark.destination) for mark in marks} <= set(printed.Root.Dests.keys())


def test_its_links_work_within_it(book):
    _, printed = book
    there = set(printed.Root.Dests.keys())
    links = [
        note.Dest
        for page in printed.pages
        for note in page.get("/Annots", [])
        if note.get("/Subtype") == "/Link" and "/Dest" in note
    ]
    assert len(links) > 150
    assert {str(link) for link in links} <= there


def test_answers_stand_at_the_end_of_their_chapter(book):
    html, _ = book
    assert not html.select("details, script, [hidden]")
    for chapter in html.select("article[id^=notebooks]"):
        answers = [h for h in chapter.select("h2") if h.text == "Hints and solutions"]
        exercises = chapter.select("section[id$=--exercises]")
        assert len(answers) == len(exercises)
        if answers:
            section = answers[0].parent
            assert not section.find_next_sibling()
            assert "Solution" in section.text
            assert not any(title.text == "Solution" for title in exercises[0].select("strong"))


def test_without_a_site_it_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "tools/pdf.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"There is no finished site in {tmp_path}: run `make book` first.\n"
