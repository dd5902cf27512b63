"""The finished site, as a reader's browser sees it with the rest of the network cut off."""

import gzip
import os
import re
import shutil
from importlib import resources
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import book_site
import nbformat
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from tests.browsing import ADDRESS, BRANCH, FOLDER, ROOT, build, parsed, watched_page
from tools.notebooks import colab_url
from tools.pdf import documents

DOCUMENTS = documents()
CHAPTERS = [document for document in DOCUMENTS if document.startswith("notebooks/")]
PAGES = [f"{document}.html" for document in DOCUMENTS]
PAGES += ["search.html", "genindex.html", "404.html"]
SIZES = {"desktop": (1280, 900), "phone": (375, 800)}
BUDGETS = {"notebooks": 700_000, "other": 400_000}  # bytes of a page and all it loads, gzipped


# Building

SMALL_TOC = "format: jb-book\nroot: book/index\nchapters:\n- file: chapter\n"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def small_book(folder: Path, *cells) -> Path:
    """A book of one page and one chapter with the settings, extension and styles of ours."""
    for file in ("_config.yml", "tools/address.py"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    shutil.copytree(
        ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("*.md", "__pycache__")
    )
    (folder / "_toc.yml").write_text(SMALL_TOC, encoding="utf-8")
    (folder / "book/index.md").write_text("# A small book\n\n$x^2$\n", encoding="utf-8")
    chapter = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# A chapter"), *cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    chapter.metadata["language_info"] = {"name": "python"}
    nbformat.write(chapter, folder / "chapter.ipynb")
    return folder


def code(*outputs):
    return nbformat.v4.new_code_cell("show(fig)", execution_count=1, outputs=list(outputs))


def output(metadata=None, **data):
    data = {kind.replace("_", "/"): content for kind, content in data.items()}
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


def test_a_figure_gets_its_text_and_caption_from_its_own_output(tmp_path):
    alt = "A red dot on white & nothing else"
    figure = code(
        output(image_png=PNG, metadata={"image/png": {"alt": alt}}),
        output(text_markdown="The dot is *red*, for $x = 0$.", text_plain="The dot"),
    )
    note = nbformat.v4.new_markdown_cell("> **Predict.** Which $x$?\n\n> A quote.")
    status, printed = build(small_book(tmp_path, note, figure), tmp_path)
    assert status == 0, printed[-3000:]
    page = parsed(tmp_path / "_build/html/chapter.html")
    shown = page.select_one("article figure")
    assert shown.img["alt"] == alt
    assert shown.figcaption.em.text == "red"
    assert shown.figcaption.math.text == "x=0"
    assert page.select_one(".admonition.predict > .admonition-title").text == "Predict"
    assert page.select_one("blockquote").text.strip() == "A quote."


def test_the_build_fails_where_a_reader_would_miss_something(tmp_path):
    status, printed = build(
        small_book(
            tmp_path,
            code(output(image_png=PNG)),
            code(output(image_png=PNG, metadata={"image/png": {"alt": " "}})),
            code(nbformat.v4.new_output("stream", name="stderr", text="a warning\n")),
            nbformat.v4.new_markdown_cell("[There](missing.md) and ![](book/_static/logo.svg)"),
            nbformat.v4.new_markdown_cell(r"$\sofmax(z)$"),
        ),
        tmp_path,
    )
    assert status != 0
    assert printed.count("an image has no alternative text") == 3
    assert "stderr was found in the cell outputs of cell 4" in printed
    assert "'missing.md'" in printed
    assert r"not a formula: \sofmax(z)" in printed


def test_a_public_name_without_a_docstring_is_a_warning(monkeypatch):
    said = []
    monkeypatch.setattr(book_site.logger, "warning", lambda text, *a, **_: said.append(text % a))
    bare, told = (type(name, (), {"__module__": "companion.heads"}) for name in ("Bare", "Told"))
    told.__doc__ = "A head."
    for name, thing in {"Bare": bare, "Told": told, "_Bare": bare, "path": Path}.items():
        book_site.require_docstrings(None, "module", name, thing, True, {})
    assert said == ["companion.heads.Bare is public and undocumented"]


# What the pages name


def references(html: str) -> list[str]:
    """Everything that a browser loads because the page says so."""
    page = BeautifulSoup(html, "html.parser")
    found = [tag[name] for name in ("src", "poster", "data") for tag in page.select(f"[{name}]")]
    found += [link["href"] for link in page.select("link[href]:not([rel=canonical])")]
    for tag in page.select("[srcset]"):
        found += [entry.split()[0] for entry in tag["srcset"].split(",")]
    styles = [tag.text for tag in page.select("style")]
    styles += [tag["style"] for tag in page.select("[style]")]
    return found + [address for style in styles for address in style_references(style)]


def style_references(css: str) -> list[str]:
    quoted = re.findall(r"@import\s+[\"']([^\"']+)", css)
    return quoted + re.findall(r"url\(\s*[\"']?([^\"')]+)", css)


def foreign(addresses: list[str]) -> list[str]:
    return [address for address in addresses if urlsplit(address).netloc]


def test_no_page_and_no_style_loads_from_another_host(site):
    found = {}
    for path in site.rglob("*.html"):
        found[path.name] = foreign(references(path.read_text(encoding="utf-8")))
    for path in site.rglob("*.css"):
        found[path.name] = foreign(style_references(path.read_text(encoding="utf-8")))
    assert len(found) > len(PAGES)
    assert not {name: loads for name, loads in found.items() if loads}


def test_foreign_loads_are_seen_in_every_form():
    html = """<script src="https://a.org/x.js"></script><link rel="preload" href="//b.org/x.css">
    <img src="x.png" srcset="x.png 1x, https://c.org/x.png 2x"><i style="background: url(//d.org)">
    <style>@import "https://e.org/x.css"; p {background: url('https://f.org/x')}</style>
    <video poster="https://g.org/x.png"></video><object data="https://h.org"></object>
    <a href="https://fine.org">a link is no load</a>"""
    hosts = sorted(urlsplit(address).netloc for address in foreign(references(html)))
    assert hosts == [f"{letter}.org" for letter in "abcdefgh"]


def broken_links(site: Path) -> list[str]:
    """Links within the site whose page or anchor does not exist."""
    anchors, links = {}, []
    for path in site.rglob("*.html"):
        page = parsed(path)
        name = path.relative_to(site).as_posix()
        anchors[name] = {tag[key] for key in ("id", "name") for tag in page.select(f"[{key}]")}
        links += [(name, tag["href"]) for tag in page.select("a[href]:not([hidden] *)")]
    broken = []
    for name, link in links:
        parts = urlsplit(urljoin(name, link))
        if parts.scheme or parts.netloc:
            continue
        path, anchor = unquote(parts.path).removeprefix(f"/{FOLDER}/"), unquote(parts.fragment)
        path = path or "index.html"
        there = path in anchors or (site / path).is_file()
        if not there or (anchor and path in anchors and anchor not in anchors[path]):
            broken.append(f"{name}: {link}")
    return broken


def test_every_link_within_the_site_leads_somewhere(site):
    assert broken_links(site) == []


def test_broken_links_are_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"></p><a href="#here"></a><a href="https://x.org/#y"></a><a href="b.txt"></a>'
        '<a href="#gone"></a><a href="gone.html"></a><p hidden><a href="later.pdf"></a></p>',
        encoding="utf-8",
    )
    (tmp_path / "b.txt").touch()
    assert broken_links(tmp_path) == ["a.html: #gone", "a.html: gone.html"]


def test_every_image_in_the_text_says_what_it_shows(site):
    texts = []
    for page in PAGES:
        html = parsed(site / page)
        texts += [image.get("alt", "") for image in html.select("article img")]
    assert texts
    # A sentence, where docutils alone would write the file's name.
    assert not [text for text in texts if len(text.split()) < 5 or "_images" in text]


def test_the_font_of_the_formulas_has_every_character_in_them(site):
    font = TTFont(site / "_static/STIXTwoMath-subset.woff2").getBestCmap()
    used = set()
    for document in DOCUMENTS:
        page = parsed(site / f"{document}.html")
        used |= {character for formula in page.select("math") for character in formula.text}
    assert len(used) > 50
    assert {
        character for character in used if ord(character) not in font and character > " "
    } == set()


def test_every_table_has_headers_and_a_caption(site):
    count = 0
    for document in DOCUMENTS:
        page = parsed(site / f"{document}.html")
        for table in page.select("article table"):
            assert table.caption.text.strip(), f"{document}: {table.text[:80]}"
            assert table.select("th"), f"{document}: {table.text[:80]}"
            count += 1
    assert count > 100


def test_every_chapter_leads_to_the_glossary(site):
    for chapter in CHAPTERS:
        page = parsed(site / f"{chapter}.html")
        terms = [link.text.lower() for link in page.select("article a.term")]
        assert len(terms) >= 3, chapter
        assert len(terms) == len(set(terms)), chapter
        assert not page.select("details[lang=zh] a.term"), chapter


def test_every_code_of_diagnose_leads_to_its_chapter(site):
    page = parsed(site / "book/diagnosis_codes.html")
    lines = [p for p in page.select("p") if "To read: " in p.text]
    assert len(lines) >= 22
    assert all(line.a["href"].startswith("../notebooks/") for line in lines)


def test_every_chapter_is_in_the_book():
    there = sorted(f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(CHAPTERS) == there


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_launch_button_and_the_badge_open_this_chapter_in_colab(site, chapter):
    name = chapter.removeprefix("notebooks/")
    address = colab_url(name, ADDRESS, BRANCH)
    assert (ROOT / urlsplit(address).path.partition("/blob/main/")[2]).is_file()
    html = parsed(site / f"{chapter}.html")
    launch = [a["href"] for a in html.select(".dropdown-launch-buttons a")]
    badge = [a["href"] for a in html.select("article a") if a.text == "Open in Colab"]
    assert launch == badge == [address]
    download = html.select_one("a.btn-download-source-button")["href"]
    assert download.endswith(f"_sources/{chapter}.ipynb")


def test_previous_and_next_follow_the_table_of_contents(site):
    names = [f"{document}.html" for document in DOCUMENTS]
    for i, name in enumerate(names):
        page = parsed(site / name)
        for side, step in (("left-prev", -1), ("right-next", 1)):
            link = page.select_one(f".prev-next-area a.{side}")
            neighbour = names[i + step] if 0 <= i + step < len(names) else None
            assert (urljoin(name, link["href"]) if link else None) == neighbour, (name, side)


# In a browser


MATHEMATICS = """() => {
  const problems = [];
  const article = document.querySelector("article, body").cloneNode(true);
  for (const formula of article.querySelectorAll(".math"))
    if (!formula.querySelector("math")) problems.push("not typeset: " + formula.innerText);
  if (article.querySelector("merror")) problems.push("formula error");
  article.querySelectorAll("pre, code, script").forEach((node) => node.remove());
  const raw = article.textContent.match(/\\$\\$|\\\\\\(|\\\\\\[|\\\\begin\\{/);
  if (raw) problems.push("raw mathematics: " + raw[0]);
  return problems;
}"""
THEME_FOLLOWS = """theme => new Promise((resolve) => {
  const follows = () => document.documentElement.dataset.theme === theme;
  const end = Date.now() + 2000;
  const look = () => follows() || Date.now() > end ? resolve(follows()) : setTimeout(look, 20);
  look();
})"""
WIDTHS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


# Loading style sheets anew, as axe does by default, resolves their imports wrongly.
AXE_LAYOUT = """() => axe.run(document,
  {preload: false, resultTypes: ["violations"], rules: {"color-contrast": {enabled: false}}})"""
# Colours are slow to judge, and the tenth block of code has those of the first.
AXE_COLOURS = """() => {
  document.querySelectorAll("math").forEach((formula) => formula.replaceChildren("x"));
  [...document.querySelectorAll("div.highlight pre, dl.py > dt")].slice(5)
    .forEach((block) => block.replaceChildren(block.textContent));
  return axe.run(document,
    {preload: false, resultTypes: ["violations"], runOnly: ["color-contrast"]});
}"""


def accessibility(page, script: str) -> list[str]:
    """What axe-core objects to, with the beginning of the markup."""
    found = page.evaluate(script)["violations"]
    return [f"{rule['id']}: {[node['html'][:150] for node in rule['nodes'][:2]]}" for rule in found]


def inspect(page, address: str, problems: list[str], budget: int = BUDGETS["other"]) -> None:
    """Open a page on desktop and phone, in light and dark; note what is wrong with it."""
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.emulate_media(color_scheme="light")
    page.goto(address)
    page.wait_for_load_state("networkidle")
    weight = sum(len(gzip.compress(response.body())) for response in responses)
    if weight > budget:
        problems.append(f"too heavy: {weight} bytes of at most {budget}")
    page.evaluate(AXE)
    problems += page.evaluate(MATHEMATICS)
    page.add_style_tag(content="* {transition: none !important}")
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)  # the theme looks for boxes that scroll 0.3 s after a change
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            if not page.evaluate(THEME_FOLLOWS, theme):
                problems.append(f"{size}: not {theme} where {theme} is asked for")
            needed, there = page.evaluate(WIDTHS)
            if needed > there:
                problems.append(f"{size}, {theme}: {needed} px wide in a window of {there}")
        problems += [f"{size}, {found}" for found in accessibility(page, AXE_LAYOUT)]
    page.set_viewport_size(dict(zip(("width", "height"), SIZES["desktop"], strict=True)))
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        page.evaluate(THEME_FOLLOWS, theme)
        problems += [f"{theme}, {found}" for found in accessibility(page, AXE_COLOURS)]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_whole_on_desktop_and_phone_in_light_and_dark(browser, home, name):
    problems = []
    page = watched_page(browser, home, problems)
    budget = BUDGETS.get(name.partition("/")[0], BUDGETS["other"])
    inspect(page, home + name, problems, budget)
    page.close()
    assert problems == []


ICONS = """() => [...document.querySelectorAll("*")].flatMap((element) =>
  ["", "::before", "::after"].map((part) => getComputedStyle(element, part))
    .filter((style) => style.fontFamily.includes("Font Awesome") && /^"."$/.test(style.content))
    .map((style) => style.content.charCodeAt(1).toString(16)))"""


def test_every_icon_is_in_the_fonts_that_were_cut(browser, site, home):
    fonts = (site / "_static/vendor/fontawesome/webfonts").glob("*.woff2")
    there = {code for font in fonts for code in TTFont(font).getBestCmap()}
    page = browser.new_page()
    shown = set()
    for name in ("book/index.html", CHAPTERS[0] + ".html", "search.html"):
        page.goto(home + name)
        shown |= {int(code, 16) for code in page.evaluate(ICONS)}
    page.close()
    assert len(shown) > 10
    assert shown <= there


SICK_PAGE = r"""<!DOCTYPE html><html lang="en" data-theme="light"><head><title>Sick</title>
<script src="https://unpkg.com/thebe/index.js"></script></head><body><main><h1>Sick</h1>
<img src="gone.png"><img src="heavy.png" alt="noise"><p>$$x^2$$</p><span class="math">\(y\)</span>
<div style="width: 500px; color: #ccc">wide</div>
<script>console.error("oh"); null.classList</script></main></body></html>"""


def test_a_sick_page_is_seen(browser, serve, tmp_path):
    (tmp_path / "sick.html").write_text(SICK_PAGE, encoding="utf-8")
    (tmp_path / "heavy.png").write_bytes(os.urandom(BUDGETS["other"]))
    home = serve(tmp_path)
    problems = []
    page = watched_page(browser, home, problems)
    inspect(page, home + "sick.html", problems)
    page.close()
    for symptom in (
        "foreign request: https://unpkg.com/thebe/index.js",
        "failed request: https://unpkg.com",
        "status 404: " + home + "gone.png",
        "console error: oh",
        "script error: ",
        r"not typeset: \(y\)",
        "raw mathematics: $$",
        "phone, dark: 5",
        "desktop: not dark where dark is asked for",
        "too heavy: 40",
        "desktop, image-alt: ",
        "light, color-contrast: ",
    ):
        assert any(problem.startswith(symptom) for problem in problems), (symptom, problems)


@pytest.fixture
def chapter(browser, home):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{home}{CHAPTERS[3]}.html")
    yield page
    context.close()


def test_the_button_beside_a_cell_copies_its_code(chapter):
    cell = chapter.locator("div.cell_input").nth(2)
    code = cell.locator("pre").inner_text()
    cell.hover()
    cell.locator("button.copybtn").click()
    assert chapter.evaluate("navigator.clipboard.readText()").strip() == code.strip()


def test_hints_and_solutions_open_by_keyboard(chapter):
    folds = chapter.locator("section#exercises details")
    assert folds.count() > 5
    summary = folds.nth(0).locator("summary")
    answer = folds.nth(0).locator(":scope > :not(summary)").nth(0)
    assert not answer.is_visible()
    summary.focus()
    for shown in (True, False):
        chapter.keyboard.press("Enter")
        assert answer.is_visible() == shown


FOCUS = """() => {
  const style = (element) => {
    const {outlineStyle, outlineWidth, boxShadow, borderColor, backgroundColor, textDecoration} =
      getComputedStyle(element);
    return JSON.stringify(
      [outlineStyle, outlineWidth, boxShadow, borderColor, backgroundColor, textDecoration]);
  };
  const focused = document.activeElement, before = style(focused);
  focused.blur();
  const same = before === style(focused) ? focused.outerHTML.slice(0, 120) : "";
  focused.focus();
  return same;
}"""


def test_what_the_tab_key_reaches_can_be_seen(chapter):
    chapter.add_style_tag(content="* {transition: none !important}")
    for _ in range(60):
        chapter.keyboard.press("Tab")
        assert chapter.evaluate(FOCUS) == ""


def test_who_asks_for_less_motion_gets_none(browser, home):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{home}{CHAPTERS[3]}.html")
    moving = page.evaluate("""() => [...document.querySelectorAll("*")].filter((element) => {
      const {transitionDuration, animationName, scrollBehavior} = getComputedStyle(element);
      return /[1-9]/.test(transitionDuration) || animationName !== "none"
        || scrollBehavior === "smooth";
    }).map((element) => element.outerHTML.slice(0, 120))""")
    page.close()
    assert moving == []


def test_the_button_switches_between_light_and_dark(browser, home):
    page = browser.new_page()
    page.goto(home + PAGES[0])
    shown = set()
    for _ in range(3):
        page.click(".theme-switch-button >> visible=true")
        shown.add(page.evaluate("document.documentElement.dataset.mode"))
    page.close()
    assert shown == {"light", "dark", "auto"}
