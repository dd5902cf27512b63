"""Print the finished site as one PDF, with bookmarks, page numbers and links that work.

    python tools/pdf.py SITE      the folder that `make book` has filled

The pages are joined into one, in the order of the book, and Chromium prints that. What a page hides
until it is clicked is open on paper, but for the answers to the exercises: they stand at the end of
their chapter.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pikepdf
import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Playwright, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
NAME = "logits-to-losses.pdf"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]
NO_CHROMIUM = (
    "no Chromium or Chrome; on Debian: apt-get install chromium, on macOS: brew install --cask "
    "chromium"
)
ONLY_ON_SCREEN = ".headerlink, .toctree-wrapper, .pdf, script, [hidden]"
HEADINGS = "h1, h2, h3, h4, h5, h6"
IDS = ("id", "for", "aria-labelledby", "aria-describedby")
PRINTED = """
@page { size: A4; }
body { margin: 0; }
article.bd-article { padding: 0; }
article.bd-article h1 { break-before: page; }
article.bd-article .title-page h1 { break-before: auto; padding-top: 85mm; font-size: 34pt; }
.answer-title { break-after: avoid; }
a.heading { color: inherit; text-decoration: none; }
.contents { padding: 0; list-style: none; }
.contents li { margin: 0.25rem 0; }
"""
FOOTER = """<div style="width: 100%; font: 8pt sans-serif; color: #555; text-align: center">
<span class="pageNumber"></span></div>"""


def start_chromium(playwright: Playwright) -> Browser | None:
    """Start the Chromium or Chrome of this machine; None where there is none."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    return program and playwright.chromium.launch(executable_path=program, args=FLAGS)


def documents(root: Path = ROOT) -> list[str]:
    """The pages of the book in their order, without ending."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def article(page: BeautifulSoup, document: str, order: list[str]) -> Tag:
    """What a page says, for paper: everything open, and every address good in the joined book."""
    found = page.select_one("article.bd-article")
    for tag in found.select(ONLY_ON_SCREEN):
        tag.decompose()
    # Coloured as the text is, each of these spans would only add an element to the PDF.
    for tag in found.select("span.w, span.n, span.p, a.image-reference"):
        tag.unwrap()
    answers_last(found, page)
    for fold in found.select("details"):
        fold.summary.decompose()
        fold.name = "div"
    for tag in found.select(", ".join(f"[{name}]" for name in IDS)):
        for name in IDS:
            if name in tag.attrs:
                words = " ".join(tag.get_attribute_list(name)).split()
                tag[name] = " ".join(anchor(document, word) for word in words)
    for tag in found.select("img[src]"):
        tag["src"] = urljoin(f"{document}.html", tag["src"])
    canonical = page.select_one("[rel=canonical]")
    for link in found.select("a[href]"):
        link["href"] = address(
            link["href"], document, order, canonical["href"] if canonical else ""
        )
        if not link["href"].startswith(("#", "http")):  # a file of a site that is nowhere
            link.unwrap()
    found["id"] = anchor(document)
    return found


def anchor(document: str, name: str = "") -> str:
    """The name of a place in the joined book."""
    return f"{document.replace('/', '-')}--{name}"


def address(link: str, document: str, order: list[str], canonical: str) -> str:
    """Where a link of a page leads in the joined book: within it, or to the site."""
    parts = urlsplit(urljoin(f"{document}.html", link))
    target = unquote(parts.path).removesuffix(".html")
    if parts.scheme or parts.netloc or target not in order:
        return urljoin(canonical, link)
    return "#" + anchor(target, unquote(parts.fragment))


def answers_last(found: Tag, page: BeautifulSoup) -> None:
    """Move the hints and solutions of the exercises to the end of their chapter."""
    exercises = found.select("#exercises section:has(> details)")
    if not exercises:
        return
    last = page.new_tag("section")
    heading = page.new_tag("h2")
    heading.string = "Hints and solutions"
    last.append(heading)
    for exercise in exercises:
        heading = page.new_tag("h3")
        heading.string = exercise.find(["h2", "h3"]).get_text()
        last.append(heading)
        for fold in exercise.find_all("details", recursive=False):
            title = page.new_tag("p", attrs={"class": "answer-title"})
            title.append(page.new_tag("strong"))
            title.strong.string = fold.summary.get_text()
            fold.summary.replace_with(title)
            fold.name = "div"
            last.append(fold.extract())
    found.section.append(last)


def joined(site: Path, root: Path = ROOT) -> str:
    """The whole book as one page."""
    order = documents(root)
    pages = {
        document: BeautifulSoup((site / f"{document}.html").read_text("utf-8"), "html.parser")
        for document in order
    }
    styles = dict.fromkeys(
        urljoin(f"{document}.html", tag["href"])
        for document, page in pages.items()
        for tag in page.select("link[rel=stylesheet]")
    )
    articles = [article(page, document, order) for document, page in pages.items()]
    first = pages[order[0]]
    about = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    title, _, subtitle = about["title"].partition(": ")
    facts = [subtitle[:1].upper() + subtitle[1:], *(author["name"] for author in about["authors"])]
    facts += [tag.get_text() for tag in first.select(".extra_footer p:not(:has(a))")]
    entries = [
        f'<li><a href="#{part["id"]}">{escape(part.h1.get_text())}</a></li>'
        for part in articles[1:]
    ]
    return with_destinations(f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">
<title>{escape(title)}</title>
{"".join(f'<link rel="stylesheet" href="{style}">' for style in styles)}
<style>{PRINTED}</style></head><body>
<article class="bd-article"><div class="title-page"><h1>{escape(title)}</h1>
{"".join(f"<p>{escape(fact)}</p>" for fact in facts)}</div>
<h1>Contents</h1><ul class="contents">{"".join(entries)}</ul></article>
{"".join(map(str, articles))}</body></html>""")


def with_destinations(html: str) -> str:
    """Let each heading link to itself: a browser names no place that no link leads to."""
    book = BeautifulSoup(html, "html.parser")
    for number, heading in enumerate(book.select(HEADINGS), start=1):
        name = f"heading-{number}"
        link = book.new_tag("a", attrs={"class": "heading", "id": name, "href": f"#{name}"})
        link.extend(list(heading.contents))
        heading.append(link)
    return str(book)


def write(site: Path, root: Path = ROOT) -> Path | None:
    """Print the book into its site; None where no browser is installed."""
    page, book = site / "_printed.html", site / NAME
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        if browser is None:
            return None
        html = joined(site, root)
        page.write_text(html, encoding="utf-8")
        try:
            tab = browser.new_page()
            tab.goto(page.as_uri())
            tab.evaluate("document.fonts.ready")
            tab.pdf(
                path=book,
                tagged=True,
                print_background=True,
                prefer_css_page_size=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOTER,
            )
        finally:
            page.unlink()
            browser.close()
    finish(book, html)
    for name in documents(root):  # the page that speaks of the PDF may show it now
        file = site / f"{name}.html"
        html = file.read_text(encoding="utf-8")
        file.write_text(html.replace('<p class="pdf" hidden', '<p class="pdf"'), encoding="utf-8")
    return book


def finish(book: Path, html: str) -> None:
    """Make the bookmarks from our headings, whatever the browser, and halve the file."""
    with pikepdf.open(book, allow_overwriting_input=True) as printed:
        with printed.open_outline() as outline:
            above = [(0, outline.root)]  # each level with its list of bookmarks
            for heading in BeautifulSoup(html, "html.parser").select(HEADINGS):
                level, title = int(heading.name[1]), " ".join(heading.get_text().split())
                mark = pikepdf.OutlineItem(title, destination=pikepdf.Name(f"/{heading.a['id']}"))
                while above[-1][0] >= level:
                    above.pop()
                above[-1][1].append(mark)
                above.append((level, mark.children))
        printed.save(object_stream_mode=pikepdf.ObjectStreamMode.generate)


def walk(entries: list) -> Iterator:
    """Each bookmark before those below it."""
    for entry in entries:
        yield entry
        yield from walk(entry.children)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="the finished site, such as _build/html")
    site = parser.parse_args().site.resolve()
    if not (site / f"{documents()[0]}.html").exists():
        sys.exit(f"There is no finished site in {site}: run `make book` first.")
    book = write(site)
    if book is None:
        sys.exit(f"No PDF: {NO_CHROMIUM}.")
    print(f"The book as a PDF: {book}")


if __name__ == "__main__":
    main()
