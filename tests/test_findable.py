"""What search engines, link previews and readers in doubt are told about each page."""

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qs, urlsplit

import findable
import pytest
import verified
import yaml
from bs4 import BeautifulSoup
from PIL import Image

from tests.browsing import ROOT, parsed
from tests.test_site import DOCUMENTS
from tools.notebooks import repository

URL = repository()[0]
SITE = findable.site_address(URL)


def head(site, page: str) -> dict[str, str]:
    """The tags of a page's head by name, its title and its canonical address among them."""
    html = parsed(site / page).head
    found = {tag.get("name") or tag.get("property"): tag.get("content") for tag in html("meta")}
    return found | {
        "title": html.title.text,
        "canonical": html.select_one("[rel=canonical]")["href"],
    }


def test_the_site_is_where_github_pages_puts_it():
    assert findable.site_address("https://github.com/Some-One/a.book") == (
        "https://some-one.github.io/a.book/"
    )


def test_every_page_says_what_it_is_and_where(site):
    heads = {document: head(site, f"{document}.html") for document in DOCUMENTS}
    for document, tags in heads.items():
        assert tags["canonical"] == tags["og:url"] == f"{SITE}{document}.html"
        assert tags["og:description"] == tags["description"]
        assert "Open in Colab" not in tags["description"]
        assert "\\" not in tags["description"]
        assert 20 < len(tags["description"]) <= findable.LONGEST_DESCRIPTION
        assert tags["og:site_name"] == "Logits to Losses"
        assert tags["twitter:card"] == "summary_large_image"
    for key in ("title", "description"):
        assert len({tags[key] for tags in heads.values()}) == len(DOCUMENTS)


def test_the_way_in_shows_the_first_page_and_its_preview(site):
    first = head(site, f"{DOCUMENTS[0]}.html")
    way_in = head(site, "index.html")
    shown = ("title", "canonical", "description", "og:title", "og:description", "og:image")
    assert {key: way_in[key] for key in shown} == {key: first[key] for key in shown}
    assert f"url={DOCUMENTS[0]}.html" in (site / "index.html").read_text(encoding="utf-8")


def test_the_picture_of_previews_is_there_and_large(site):
    address = head(site, "index.html")["og:image"]
    assert address.startswith(SITE)
    with Image.open(site / address.removeprefix(SITE)) as card:
        assert card.size == (1200, 630)


def test_sitemap_and_robots_name_every_page(site):
    tree = ElementTree.parse(site / "sitemap.xml")
    listed = {tag.text for tag in tree.iter() if tag.tag.endswith("loc")}
    assert listed == {f"{SITE}{document}.html" for document in DOCUMENTS}
    assert f"Sitemap: {SITE}sitemap.xml" in (site / "robots.txt").read_text(encoding="utf-8")


def footer(site, page: str) -> BeautifulSoup:
    return parsed(site / page).select_one(".extra_footer")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_below_every_page_an_error_can_be_reported(site, document):
    link = footer(site, f"{document}.html").find("a", string="Report an error on this page")
    assert link["href"].startswith(f"{URL}/issues/new?")
    assert document in parse_qs(urlsplit(link["href"]).query)["title"][0]


def test_the_citation_is_that_of_the_repository(site):
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = parsed(site / "book/how_to_use.html").find("section", id="cite-it").pre.text
    for fact in (facts["title"], facts["version"], facts["authors"][0]["name"], URL):
        assert f"{{{fact}}}" in entry


# When the outputs were verified


def write_record(folder, content: bytes):
    """A book of one chapter, and the record of a run over ``content``."""
    (folder / "notebooks").mkdir()
    (folder / "notebooks/04_chapter.ipynb").write_bytes(b"{}")
    facts = {"cells": 44, "seconds": 3.25, "sha256": hashlib.sha256(content).hexdigest()}
    found = {
        "date": "2026-11-20",
        "versions": {"torch": "2.13.0"},
        "chapters": {"04_chapter": facts},
    }
    (folder / "_build").mkdir()
    (folder / verified.RECORD).write_text(json.dumps(found), encoding="utf-8")


def test_the_record_says_when_and_with_what(tmp_path):
    write_record(tmp_path, b"{}")
    said = verified.sentence(verified.record(tmp_path))
    assert said == "All outputs were verified on 2026-11-20 with torch 2.13.0."


def test_a_chapter_changed_since_or_new_is_not_verified(tmp_path):
    write_record(tmp_path, b"{}")
    (tmp_path / "notebooks/05_new.ipynb").write_bytes(b"{}")
    assert verified.record(tmp_path) is None
    (tmp_path / "notebooks/05_new.ipynb").unlink()
    (tmp_path / "notebooks/04_chapter.ipynb").write_bytes(b"{ }")
    assert verified.record(tmp_path) is None
    assert verified.sentence(None) == verified.NOT_VERIFIED
    (tmp_path / verified.RECORD).unlink()
    assert verified.record(tmp_path) is None


def test_every_page_says_whether_it_was_verified(site):
    said = BeautifulSoup(verified.sentence(verified.record(ROOT)), "html.parser").text
    for document in DOCUMENTS:
        assert said in footer(site, f"{document}.html").text
    assert said in parsed(site / "book/status.html").article.text
