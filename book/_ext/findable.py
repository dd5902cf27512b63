"""What search engines, link previews and people who cite need to know of each page.

Everything follows from the repository's address in ``_config.yml`` and from ``CITATION.cff``: the
site is where GitHub Pages puts it.
"""

import re
import textwrap
from pathlib import Path
from urllib.parse import quote, urlsplit

import torch
import yaml
from docutils import nodes
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.config import Config
from torch.nn import functional

CARD = "_static/card.png"
CARD_ALT = (
    "Three ways to write one loss, drawn against the logit: they agree up to a logit of 16, and "
    "from there only BCEWithLogitsLoss goes on."
)
PDF = "logits-to-losses.pdf"
ABOUT_PDF = '<p class="pdf"{hidden}>On paper: <a href="../{file}">the whole book as a PDF</a>.</p>'
LONGEST_DESCRIPTION = 160
PREVIEW = re.compile(
    r'<title>[^<]*</title>|<link rel="canonical"[^>]*>'
    r'|<meta (?:name="(?:description|viewport|twitter:card)"|property="og:)[^>]*>'
)
MISSING = """\
<h1>There is no such page</h1>
<p>It may have been moved. <a href="{prefix}search.html">Search the book</a>, or begin at its
<a href="{prefix}">first page</a>.</p>"""
WAY_IN = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{preview}
<meta http-equiv="refresh" content="0; url={first}">
</head>
<body><p><a href="{first}">To the first page of the book</a></p></body>
</html>
"""
CITATION = """\
```bibtex
@software{{logits_to_losses,
  title   = {{{title}}},
  author  = {{{{{author}}}}},
  year    = {{{year}}},
  version = {{{version}}},{url}
}}
```"""


def site_address(repository: str) -> str:
    """Return where GitHub Pages serves a repository."""
    owner, name = urlsplit(repository).path.strip("/").split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def configure(app: Sphinx, config: Config) -> None:
    """Tell the extensions for canonical links, previews, sitemap and 404 page where the site is.

    That is ``html: baseurl:`` in ``_config.yml``, for a domain of one's own, or where GitHub serves
    the repository, or nowhere.
    """
    repository = config.html_theme_options["repository_url"]
    address = config.html_baseurl or (repository and site_address(repository))
    address = address and address.rstrip("/") + "/"
    config.html_baseurl = config.ogp_site_url = address
    config.ogp_site_name = config.html_title
    config.ogp_image, config.ogp_image_alt = CARD, CARD_ALT
    prefix = config.notfound_urls_prefix = urlsplit(address).path or "/"
    config.notfound_context = {"title": "No such page", "body": MISSING.format(prefix=prefix)}


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Describe a page by its first sentences, and link to where errors of it are reported."""
    if address := context["theme_repository_url"]:
        issue = quote(f"An error in {pagename}")
        context["theme_extra_footer"] += (
            f'<p><a href="{address}/issues/new?title={issue}">Report an error on this page</a></p>'
        )
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        text = " ".join(paragraph.astext().replace("\\", "").split())
        if isinstance(paragraph.parent, nodes.section) and text != "Open in Colab":
            text = textwrap.shorten(text, LONGEST_DESCRIPTION, placeholder=" …")
            context["metatags"] += f'<meta name="description" content="{_attribute(text)}" />\n'
            context["meta"] = {**(context["meta"] or {}), "og:description": _attribute(text)}
            return


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the citation at ``<!-- citation -->``, and what to say of the PDF at ``<!-- pdf -->``.

    That is hidden until there is a PDF: tools/pdf.py shows it.
    """
    hidden = "" if Path(app.outdir, PDF).exists() else " hidden"
    source[0] = source[0].replace("<!-- pdf -->", ABOUT_PDF.format(file=PDF, hidden=hidden))
    if "<!-- citation -->" in source[0]:
        source[0] = source[0].replace("<!-- citation -->", citation(app))


def citation(app: Sphinx) -> str:
    """Return a BibTeX entry made from ``CITATION.cff``."""
    facts = yaml.safe_load(Path(app.srcdir, "CITATION.cff").read_text(encoding="utf-8"))
    url = app.config.html_theme_options["repository_url"]
    return CITATION.format(
        title=facts["title"],
        author=facts["authors"][0]["name"],
        year=facts["date-released"][:4],
        version=facts["version"],
        url=f"\n  url     = {{{url}}}" if url else "",
    )


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write what is no page: the file for crawlers, the way in, and the picture of previews."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    if app.config.html_baseurl:
        sitemap = app.config.html_baseurl + app.config.sitemap_filename
        robots = f"User-agent: *\nAllow: /\n\nSitemap: {sitemap}\n"
        (site / "robots.txt").write_text(robots, encoding="utf-8")
    first = f"{app.config.root_doc}.html"
    preview = "\n".join(PREVIEW.findall((site / first).read_text(encoding="utf-8")))
    (site / "index.html").write_text(WAY_IN.format(preview=preview, first=first), "utf-8")
    draw_card(site / CARD, app.config.html_title)


def draw_card(path: Path, title: str) -> None:
    """Draw the losses that part at a confident mistake, with the book's title."""
    z = torch.linspace(-5, 30, 701)
    p, zero = torch.sigmoid(z), torch.zeros_like(z)
    curves = {
        "−log(1 − p), by hand": (-torch.log(1 - p), "#f0b35c", 11),
        "BCELoss": (functional.binary_cross_entropy(p, zero, reduction="none"), "#ff8f6b", 5),
        "BCEWithLogitsLoss": (
            functional.binary_cross_entropy_with_logits(z, zero, reduction="none"),
            "#5fd3ac",
            3,
        ),
    }
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="#12283f")
    figure.text(0.06, 0.78, title, color="white", size=46, weight="bold")
    figure.text(0.06, 0.68, "Classification losses in PyTorch", color="#b9cbe0", size=24)
    axes = figure.add_axes((0.06, 0.12, 0.88, 0.48), facecolor="none")
    for name, (loss, color, width) in curves.items():
        axes.plot(z, loss.where(loss < 32, torch.nan), color=color, linewidth=width, label=name)
    axes.set(
        xlim=(-5, 30), ylim=(-1, 33), xlabel="logit of a sample whose label is 0", ylabel="loss"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color("#7d93ab")
    axes.tick_params(colors="#b9cbe0", labelsize=14)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color="#b9cbe0", size=16)
    axes.legend(frameon=False, labelcolor="white", fontsize=16, loc="upper left")
    figure.savefig(path)


def setup(app: Sphinx) -> dict:
    """Connect the functions above to Sphinx; a description comes before the previews with it."""
    app.connect("config-inited", configure)
    app.connect("source-read", fill_in)
    app.connect("html-page-context", describe, priority=400)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
