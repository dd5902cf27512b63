"""What search engines, link previews and readers in doubt are told about each page."""

import hashlib
import json
import subprocess
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import address
import findable
import pytest
import verified
import yaml
from bs4 import BeautifulSoup
from PIL import Image

from tests.browsing import ADDRESS, CONFIGURED, ROOT, build, clone, parsed
from tests.test_site import DOCUMENTS

SITE = findable.site_address(ADDRESS)


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
    assert findable.site_address("https://github.com/Foo/foo.github.io") == "https://foo.github.io/"


def test_a_domain_of_ones_own_comes_first():
    config = SimpleNamespace(
        html_theme_options={"repository_url": ADDRESS},
        html_baseurl="https://losses.example",
        html_title="",
    )
    findable.configure(None, config)
    assert config.html_baseurl == config.ogp_site_url == "https://losses.example/"
    assert config.notfound_urls_prefix == "/"


@pytest.mark.parametrize(
    ("said", "address_found"),
    [
        ("https://github.com/me/book.git", "https://github.com/me/book"),
        ("https://github.com/me/book", "https://github.com/me/book"),
        ("git@github.com:me/the.book.git", "https://github.com/me/the.book"),
        ("ssh://git@github.com/me/book", "https://github.com/me/book"),
        ("https://gitlab.com/me/book.git", None),
        ("/home/me/book", None),
        (None, None),
    ],
)
def test_a_clone_knows_where_it_came_from(tmp_path, said, address_found):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    if said:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", said], check=True)
    assert address.remote(tmp_path) == address_found


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """The pages of a copy that has no address and came from nowhere, as far as they name one."""
    folder = tmp_path_factory.mktemp("nowhere")
    clone(folder / "clone", None)
    if CONFIGURED == ADDRESS:
        settings = folder / "clone" / "_config.yml"
        settings.write_text(
            settings.read_text().replace(
                ADDRESS, f"https://github.com/{address.NOBODY}logits-to-losses"
            )
        )
    pages = ["book/how_to_use", "book/use_sce", "book/status", "notebooks/04_cross_entropy"]
    toc = {
        "format": "jb-book",
        "root": "book/index",
        "chapters": [{"file": page} for page in pages],
    }
    (folder / "clone" / "_toc.yml").write_text(yaml.safe_dump(toc))
    build(folder / "clone", folder)  # warns of the pages that were left out
    return folder / "_build" / "html", ["book/index", *pages]


def test_a_copy_from_nowhere_has_no_dead_link(nowhere):
    built, pages = nowhere
    for page in pages:
        html = parsed(built / f"{page}.html")
        links = [tag["href"] for tag in html.select("[href]")]
        assert not [link for link in links if "SET_OWNER" in link or "/issues/new" in link], page
        assert not html.select("[rel=canonical], .dropdown-launch-buttons"), page
        assert "Open in Colab" not in html.text, page
        assert "SET_OWNER" not in html.article.text, page
    assert not (built / "sitemap.xml").exists()
    assert "pip install ." in parsed(built / "book/use_sce.html").text


def test_the_pdf_is_offered_relatively_and_where_there_is_one(site):
    offer = parsed(site / "book/how_to_use.html").select_one("p.pdf")
    assert offer.has_attr("hidden")
    assert offer.a["href"] == "../logits-to-losses.pdf"


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
    assert link["href"].startswith(f"{ADDRESS}/issues/new?")
    assert document in parse_qs(urlsplit(link["href"]).query)["title"][0]


def test_the_citation_is_that_of_the_repository(site):
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = parsed(site / "book/how_to_use.html").find("section", id="cite-it").pre.text
    for fact in (facts["title"], facts["version"], facts["authors"][0]["name"], ADDRESS):
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
    (tmp_path / verified.RECORD).unlink()
    assert verified.record(tmp_path) is None


def test_a_copy_without_a_record_says_with_what_it_was_verified_before(site):
    status = parsed(site / "book/status.html").article.text
    assert "verified with torch 2." in status
    assert "before they were committed" in status
    for document in DOCUMENTS:
        assert "verified" not in footer(site, f"{document}.html").text


def test_every_page_of_a_verified_copy_says_so(tmp_path):
    write_record(tmp_path, b"{}")
    app = SimpleNamespace(srcdir=tmp_path)
    config = SimpleNamespace(html_theme_options={"extra_footer": "<p>Code: MIT.</p>"})
    verified.sign(app, config)
    assert config.html_theme_options["extra_footer"] == (
        "<p>Code: MIT.</p><p>All outputs were verified on 2026-11-20 with torch 2.13.0.</p>"
    )
    source = ["<!-- verified -->"]
    verified.tabulate(app, "book/status", source)
    assert source[0].startswith("All outputs were verified on 2026-11-20")
    assert "| [](../notebooks/04_chapter.ipynb) | 44 | 3.2 |" in source[0]
