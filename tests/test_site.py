"""The finished site, as a reader's browser sees it with the rest of the network cut off."""

import functools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pytest
import torch
import torch.nn.functional as F
import yaml
from bs4 import BeautifulSoup
from torch import nn

from companion import losses
from tools.notebooks import colab_url, repository

ROOT = Path(__file__).resolve().parent.parent
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
DOCUMENTS = [
    TOC["root"],
    *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]),
]
CHAPTERS = [document for document in DOCUMENTS if document.startswith("notebooks/")]
PAGES = [f"{document}.html" for document in DOCUMENTS] + ["search.html", "genindex.html"]
SIZES = {"desktop": (1280, 900), "phone": (375, 800)}


# Building


def build(source: Path, target: Path) -> tuple[int, str]:
    """Build the book as `make book` does, from nothing; its exit status and what it printed."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source]
    options = ["--path-output", target, "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    status, printed = build(ROOT, target)
    assert status == 0, printed[-6000:]
    return target / "_build" / "html"


SMALL_TOC = "format: jb-book\nroot: book/index\nchapters:\n- file: chapter\n"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def small_book(folder: Path, *cells) -> Path:
    """A book of one page and one chapter with the settings, extension and styles of ours."""
    shutil.copy(ROOT / "_config.yml", folder)
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
    status, printed = build(small_book(tmp_path, figure, note), tmp_path)
    assert status == 0, printed[-3000:]
    html = (tmp_path / "_build/html/chapter.html").read_text(encoding="utf-8")
    page = BeautifulSoup(html, "html.parser")
    shown = page.select_one("article figure")
    assert shown.img["alt"] == alt
    assert shown.figcaption.em.text == "red"
    assert r"\(x = 0\)" in shown.figcaption.text
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
        ),
        tmp_path,
    )
    assert status != 0
    assert printed.count("an image has no alternative text") == 3
    assert "stderr was found in the cell outputs of cell 4" in printed
    assert "'missing.md'" in printed


# What the pages name


def references(html: str) -> list[str]:
    """Everything that a browser loads because the page says so."""
    page = BeautifulSoup(html, "html.parser")
    found = [tag[name] for name in ("src", "poster", "data") for tag in page.select(f"[{name}]")]
    found += [link["href"] for link in page.select("link[href]")]
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
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        name = path.relative_to(site).as_posix()
        anchors[name] = {tag[key] for key in ("id", "name") for tag in page.select(f"[{key}]")}
        links += [(name, tag["href"]) for tag in page.select("a[href]")]
    broken = []
    for name, link in links:
        parts = urlsplit(urljoin(name, link))
        if parts.scheme or parts.netloc:
            continue
        path, anchor = unquote(parts.path), unquote(parts.fragment)
        there = path in anchors or (site / path).is_file()
        if not there or (anchor and path in anchors and anchor not in anchors[path]):
            broken.append(f"{name}: {link}")
    return broken


def test_every_link_within_the_site_leads_somewhere(site):
    assert broken_links(site) == []


def test_broken_links_are_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"></p><a href="#here"></a><a href="https://x.org/#y"></a><a href="b.txt"></a>'
        '<a href="#gone"></a><a href="gone.html"></a>',
        encoding="utf-8",
    )
    (tmp_path / "b.txt").touch()
    assert broken_links(tmp_path) == ["a.html: #gone", "a.html: gone.html"]


def test_every_image_in_the_text_says_what_it_shows(site):
    texts = []
    for page in PAGES:
        html = BeautifulSoup((site / page).read_text(encoding="utf-8"), "html.parser")
        texts += [image.get("alt", "") for image in html.select("article img")]
    assert texts
    # A sentence, where docutils alone would write the file's name.
    assert not [text for text in texts if len(text.split()) < 5 or "_images" in text]


def test_every_chapter_is_in_the_book():
    there = sorted(f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(CHAPTERS) == there


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_launch_button_and_the_badge_open_this_chapter_in_colab(site, chapter):
    name = chapter.removeprefix("notebooks/")
    address = colab_url(name, *repository())
    assert (ROOT / urlsplit(address).path.partition("/blob/main/")[2]).is_file()
    html = BeautifulSoup((site / f"{chapter}.html").read_text(encoding="utf-8"), "html.parser")
    launch = [a["href"] for a in html.select(".dropdown-launch-buttons a")]
    badge = [a["href"] for a in html.select("article a") if a.text == "Open in Colab"]
    assert launch == badge == [address]
    download = html.select_one("a.btn-download-source-button")["href"]
    assert download.endswith(f"_sources/{chapter}.ipynb")


def test_previous_and_next_follow_the_table_of_contents(site):
    names = [f"{document}.html" for document in DOCUMENTS]
    for i, name in enumerate(names):
        page = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        for side, step in (("left-prev", -1), ("right-next", 1)):
            link = page.select_one(f".prev-next-area a.{side}")
            neighbour = names[i + step] if 0 <= i + step < len(names) else None
            assert (urljoin(name, link["href"]) if link else None) == neighbour, (name, side)


# In a browser


def unavailable(reason: str) -> None:
    """Skip what needs a browser; where everything must be checked, fail."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        unavailable("neither Chromium nor Chrome is installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def serve():
    """Serve a folder on this machine; the address of its root."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=folder)
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def home(site, serve) -> str:
    return serve(site)


def watched_page(browser, home: str, problems: list[str]):
    """A tab that reaches ``home`` and nothing else, and notes whatever goes wrong."""
    page = browser.new_page()

    def guard(route):
        if route.request.url.startswith((home, "data:", "blob:")):
            return route.continue_()
        problems.append(f"foreign request: {route.request.url}")
        return route.abort()

    def note_console(message):
        if message.type in ("error", "warning"):
            problems.append(f"console {message.type}: {message.text}")

    def note_status(response):
        if response.status >= 400:
            problems.append(f"status {response.status}: {response.url}")

    def note_failure(request):
        if request.failure != "net::ERR_ABORTED":  # the browser left the page before it came
            problems.append(f"failed request: {request.url}")

    page.route("**/*", guard)
    page.on("console", note_console)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("response", note_status)
    page.on("requestfailed", note_failure)
    return page


TYPESET = "() => Promise.resolve(window.MathJax?.startup?.promise).then(() => true)"
MATHEMATICS = """() => {
  const problems = [];
  const article = document.querySelector("article, body").cloneNode(true);
  for (const formula of article.querySelectorAll(".math"))
    if (!formula.querySelector("mjx-container")) problems.push("not typeset: " + formula.innerText);
  if (article.querySelector("mjx-merror, [data-mjx-error]")) problems.push("formula error");
  article.querySelectorAll("pre, code, script, mjx-container").forEach((node) => node.remove());
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
  document.querySelectorAll("mjx-container").forEach((formula) => formula.replaceChildren("x"));
  [...document.querySelectorAll("div.highlight pre, dl.py > dt")].slice(5)
    .forEach((block) => block.replaceChildren(block.textContent));
  return axe.run(document,
    {preload: false, resultTypes: ["violations"], runOnly: ["color-contrast"]});
}"""


def accessibility(page, script: str) -> list[str]:
    """What axe-core objects to, with the beginning of the markup."""
    found = page.evaluate(script)["violations"]
    return [f"{rule['id']}: {[node['html'][:150] for node in rule['nodes'][:2]]}" for rule in found]


def inspect(page, address: str, problems: list[str]) -> None:
    """Open a page on desktop and phone, in light and dark; note what is wrong with it."""
    page.emulate_media(color_scheme="light")
    page.goto(address, wait_until="load")
    page.evaluate(TYPESET)
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
    inspect(page, home + name, problems)
    page.close()
    assert problems == []


SICK_PAGE = r"""<!DOCTYPE html><html lang="en" data-theme="light"><head><title>Sick</title>
<script src="https://unpkg.com/thebe/index.js"></script></head><body><main><h1>Sick</h1>
<img src="gone.png"><p>$$x^2$$</p><span class="math">\(y\)</span>
<div style="width: 500px; color: #ccc">wide</div>
<script>console.error("oh"); null.classList</script></main></body></html>"""


def test_a_sick_page_is_seen(browser, serve, tmp_path):
    (tmp_path / "sick.html").write_text(SICK_PAGE, encoding="utf-8")
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
        "desktop, image-alt: ",
        "light, color-contrast: ",
    ):
        assert any(problem.startswith(symptom) for problem in problems), (symptom, problems)


@pytest.mark.parametrize(
    ("query", "target"),
    [("logsumexp", "notebooks/04_cross_entropy"), ("交叉熵", "book/glossary")],
)
def test_the_search_finds_english_and_chinese(browser, home, query, target):
    problems = []
    page = watched_page(browser, home, problems)
    page.goto(home + PAGES[0])
    page.keyboard.press("Control+k")
    page.keyboard.type(query)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results ul.search li a")
    found = [a.get_attribute("href") for a in page.query_selector_all("#search-results li a")]
    page.close()
    assert any(target in address for address in found), found
    assert problems == []


def test_the_button_switches_between_light_and_dark(browser, home):
    page = browser.new_page()
    page.goto(home + PAGES[0])
    shown = set()
    for _ in range(3):
        page.click(".theme-switch-button >> visible=true")
        shown.add(page.evaluate("document.documentElement.dataset.mode"))
    page.close()
    assert shown == {"light", "dark", "auto"}


# The explorer of "Which loss?"


@pytest.fixture
def explorer(browser, home):
    page = browser.new_page()
    page.goto(home + "book/which_loss.html")
    page.wait_for_function("window.lossExplorer !== undefined")
    yield page
    page.close()


def in_javascript(page, call: str):
    """The value of an expression; JSON alone has no infinity and no NaN."""
    text = page.evaluate(
        f"JSON.stringify({call}, (_, v) => typeof v === 'number' && !Number.isFinite(v)"
        " ? String(v) : v)"
    )
    return json.loads(text)


def by_hand(z, y):
    p = torch.sigmoid(z)
    return (-y * torch.log(p) - (1 - y) * torch.log(1 - p)).sum()


WAYS = {
    "byHand": by_hand,
    "bceLoss": lambda z, y: F.binary_cross_entropy(torch.sigmoid(z), y),
    "bceWithLogits": F.binary_cross_entropy_with_logits,
    "crossEntropy": lambda z, y: F.cross_entropy(torch.stack([torch.zeros(1), z], dim=1), y.long()),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_explorer_computes_one_logit_in_float32_as_torch_does(explorer, way):
    for y in (0, 1):
        for half in range(-40, 41):
            shown = in_javascript(explorer, f"lossExplorer.binary({half / 2}, {y})")[way]
            z = torch.tensor([half / 2], requires_grad=True)
            loss = WAYS[way](z, torch.tensor([float(y)]))
            (gradient,) = torch.autograd.grad(loss, z)
            where = f"z = {half / 2}, y = {y}"
            # Four decimals are shown.
            for got, expected in ((shown["loss"], loss), (shown["gradient"], gradient)):
                expected = expected.item()
                same = pytest.approx(expected, rel=1e-5, abs=2e-5, nan_ok=True)
                assert float(str(got).replace("Infinity", "inf")) == same, where


def test_the_explorer_computes_three_logits_as_torch_does(explorer):
    rows = [[0.9, 0.2, 0.8], [-5.0, 5.0, 0.0], [800.0, 0.0, -800.0]]
    for row in rows:
        for label in range(3):
            shown = in_javascript(explorer, f"lossExplorer.crossEntropy({row}, {label})")
            z = torch.tensor([row], dtype=torch.float64, requires_grad=True)
            loss = F.cross_entropy(z, torch.tensor([label]))
            (gradient,) = torch.autograd.grad(loss, z)
            assert shown["loss"] == pytest.approx(loss.item())
            assert shown["probs"] == pytest.approx(z[0].softmax(dim=0).tolist())
            assert shown["gradient"] == pytest.approx(gradient[0].tolist())


ANSWERS = [
    (task, outputs, activation, labels)
    for task, counts in (("binary", (1, 2)), ("classes", (1,)), ("labels", (1,)))
    for outputs in counts
    for activation in ("none", "sigmoid", "softmax", "log_softmax")
    for labels in ("hard", "soft", "noisy")
]


def made_target(description: str) -> torch.Tensor:
    """A target as the explorer describes it: dtype, shape, range."""
    width = re.search(r"\(N, (\w)\)", description)
    shape = (7, {"2": 2, "K": 5, "L": 3}[width[1]]) if width else (7,)
    if description.startswith("int64"):
        top = {"2": 2, "K": 5}[re.search(r"in \[0, (\w)\)", description)[1]]
        return torch.arange(7) % top
    if "add up to 1" in description:
        return torch.full(shape, 1 / shape[1])
    if description.endswith("in [0, 1]"):
        return torch.full(shape, 0.3)
    return torch.ones(shape)


def test_every_answer_of_the_explorer_runs_in_torch(explorer):
    torch.manual_seed(0)
    for answers in ANSWERS:
        given = explorer.evaluate("a => lossExplorer.recommend(...a)", list(answers))
        width = {"1": 1, "2": 2, "K": 5, "L": 3}[given["width"]]
        target = made_target(given["target"])
        room = {"nn": nn, "losses": losses, "model": nn.Linear(6, width), "target": target}
        room["inputs"] = torch.ones(7, 6)
        exec(given["code"], room)
        assert math.isfinite(room["loss"].item()), answers
        expected = (7,) if answers[0] != "labels" else (7, 3)
        assert room["predicted"].shape == expected, answers
        assert given["mend"].startswith(
            "Keep" if answers[2] == "none" else ("Remove", "LogSoftmax")
        )


def test_the_explorer_answers_to_the_keyboard(explorer):
    explorer.focus("#chooser input[name=task]:checked")
    explorer.keyboard.press("ArrowDown")
    assert "nn.CrossEntropyLoss()" in explorer.inner_text("#chooser-answer")
    assert explorer.is_hidden("#chooser-outputs")
    explorer.focus("#binary-logit")
    for _ in range(30):
        explorer.keyboard.press("ArrowRight")
    assert explorer.inner_text("#binary-shown") == "17.0"
    cells = [row.split("\t") for row in explorer.inner_text("#binary-rows").split("\n")]
    assert [row[1:] for row in cells] == [
        ["∞", "NaN"],
        ["100.0000", "0.0000"],
        ["17.0000", "1.0000"],
        ["17.0000", "1.0000"],
    ]
    explorer.focus("#logit-1")
    explorer.keyboard.press("End")
    assert explorer.inner_text("output[for=logit-1]") == "5.0"
