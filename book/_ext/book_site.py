"""What the book needs of Sphinx that no package gives: each function does one thing to the site."""

import ast
import json
import re
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

# First word of a quote's bold opening -> the theme's style for it.
NOTE_STYLES = {
    "Note": "note",
    "Warning": "warning",
    "Predict": "predict",
    "Remember": "remember",
}

# Where the types in the companion's signatures are documented. A whole inventory would have to be
# fetched from another host at every build.
TORCH_DOCS = "https://docs.pytorch.org/docs/stable/"
LINKS = {
    "torch.Tensor": TORCH_DOCS + "tensors.html#torch.Tensor",
    "torch.nn.modules.module.Module": TORCH_DOCS + "generated/torch.nn.Module.html",
    "torch.optim.optimizer.Optimizer": TORCH_DOCS + "optim.html#torch.optim.Optimizer",
}


def complete_theme_options(app: Sphinx, config: Config) -> None:
    """Write the title beside the logo, and leave out the place for advertisements.

    In ``_config.yml`` any such option would silently delete the repository and the Colab button.
    """
    config.html_theme_options["logo"] = {"text": config.html_title, "alt_text": ""}
    config.html_theme_options["primary_sidebar_end"] = []


class FiguresFromOutputs(SphinxTransform):
    """Give each image output the alternative text and the caption that its code published.

    ``companion.display.show`` publishes an image whose metadata holds its ``alt``, then the caption
    as Markdown. MyST-NB drops the first and sets the second as an ordinary paragraph.
    """

    default_priority = 500

    def apply(self, **kwargs) -> None:
        """Walk the notebook's outputs and the nodes made from them side by side."""
        path = Path(self.env.doc2path(self.env.docname))
        if path.suffix != ".ipynb":
            return
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in self.document.findall(_is("cell_code")):
            outputs = [
                output
                for output in cells[cell["cell_index"]]["outputs"]
                if output["output_type"] in {"display_data", "execute_result"}
            ]
            bundles = list(cell.findall(_is("mime_bundle")))
            if not bundles:  # a cell without outputs, or with its outputs removed
                continue
            for output, bundle in zip(outputs, bundles, strict=True):
                for image in bundle.findall(nodes.image):
                    image["alt"] = output["metadata"].get("image/png", {}).get("alt", "")
            for bundle, following in pairwise(bundles):
                _caption(bundle, following)
        for number, figure in enumerate(self.document.findall(nodes.figure), 1):
            figure["ids"] = [f"figure-{number}"]


def _is(element: str):
    """Return a condition for the containers that MyST-NB names ``element``."""
    return lambda node: isinstance(node, nodes.container) and node.get("nb_element") == element


def _caption(bundle: nodes.container, following: nodes.container) -> None:
    """Make one figure of an image and the Markdown output right behind it."""
    if not any(bundle.findall(nodes.image)):
        return
    captions = [child for child in following.children if child["mime_type"] == "text/markdown"]
    if not captions or len(captions[0]) != 1:
        return
    figure = nodes.figure()
    bundle.replace_self(figure)
    figure += [bundle, nodes.caption("", "", *captions[0][0].children)]
    following.parent.remove(following)


class FoldImports(SphinxTransform):
    """Fold what a chapter has to import: it opens with its puzzle."""

    default_priority = 500

    def apply(self, **kwargs) -> None:
        """Let MyST-NB hide each cell that only imports and sets torch up."""
        for cell in self.document.findall(_is("cell_code")):
            if _only_imports(cell.next_node(nodes.literal_block)):
                prompts = {"prompt_show": "Imports", "prompt_hide": "Imports"}
                cell.attributes |= {"hide_mode": "input", **prompts}


def _only_imports(source: nodes.literal_block) -> bool:
    """Whether every statement imports something, or is a call such as torch.set_num_threads(1)."""
    if not source or not re.search(r"^(from|import)\b", source.astext()):
        return False
    try:
        lines = ast.parse(source.astext()).body
    except SyntaxError:  # a magic command
        return False
    setting = re.compile(r"torch\.set_")
    return all(
        isinstance(line, ast.Import | ast.ImportFrom) or setting.match(ast.unparse(line))
        for line in lines
    )


class TrueMinus(SphinxTransform):
    """Set the minus of a number in a table as the prose does."""

    default_priority = 500

    def apply(self, **kwargs) -> None:
        """Replace the hyphen before a digit at the beginning of each cell."""
        for raw in self.document.findall(nodes.raw):
            if 'class="dataframe"' in raw.astext():
                raw[:] = [nodes.Text(re.sub(r"(<td[^>]*>)-(?=\d)", r"\1−", raw.astext()))]


class NotesFromQuotes(SphinxTransform):
    """Turn a quote that opens with bold words and a full stop into a styled note.

    Chapters are portable Markdown: ``> **Note.** …`` reads well in Colab and on GitHub too.
    """

    default_priority = 500

    def apply(self, **kwargs) -> None:
        """Replace each such quote of the page."""
        for quote in list(self.document.findall(nodes.block_quote)):
            opening = quote.next_node(nodes.strong)
            title = opening.astext() if opening else ""
            if not title.endswith(".") or not quote.astext().startswith(title):
                continue
            opening.parent.remove(opening)
            style = NOTE_STYLES.get(title.split()[0].strip(".,:"), "note")
            note = nodes.admonition("", nodes.title("", title[:-1]), *quote.children)
            note["classes"] = [style]
            quote.replace_self(note)


ROOM = """\
## `companion.{0}`

```{{eval-rst}}
.. automodule:: companion.{0}
   :members:
```
"""


def list_rooms(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put every public module of the companion where the page about it says ``<!-- rooms -->``."""
    files = Path(app.srcdir, "companion").glob("[!_]*")
    rooms = sorted(path.stem for path in files if path.suffix in {"", ".py"})
    source[0] = source[0].replace("<!-- rooms -->", "\n".join(map(ROOM.format, rooms)))


def link_chapters(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make links of the chapters that ``diagnose`` sends people to: it knows them by name alone."""
    names = [Path(document).name for document in app.env.found_docs]
    chapters = {name[3:]: name for name in names if name[:2].isdigit()}

    def link(found: re.Match) -> str:
        name = chapters[re.sub(r"\W", "_", found[1].lower())]
        return f"To read: [{found[1]}](../notebooks/{name}.ipynb)."

    if docname == "book/diagnosis_codes":
        source[0] = re.sub(r"^To read: (.*)\.$", link, source[0], flags=re.M)


def link_types(app: Sphinx, env, node: nodes.Element, content: nodes.Node):
    """Link a type in a signature to its documentation."""
    address = LINKS.get(node.get("reftarget"))
    return address and nodes.reference("", "", content, refuri=address, internal=False)


def require_alternative_text(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of every image that a reader who cannot see it would miss."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            logger.warning("an image has no alternative text", location=image, type="alt")


def require_docstrings(app: Sphinx, what: str, name: str, obj, skip: bool, options) -> None:
    """Warn of every public name that the page about the companion would leave out."""
    public = not name.startswith("_") and getattr(obj, "__module__", "").startswith("companion")
    if public and not getattr(obj, "__doc__", None):
        logger.warning("%s.%s is public and undocumented", obj.__module__, name, type="api")


# What axe-core finds in the markup of the theme, the bibliography and tables, and its mend.
REPAIRS = [
    (r'<div id="pst-primary-sidebar"', r'\g<0> role="complementary" aria-label="Book"'),
    (r'role="doc-biblioentry"', 'role="listitem"'),
    (r' role="doc-backlink"', ""),
    (r"<th[^>]*>\s*</th>", "<td></td>"),
    (r'(<html[^>]*) data-theme="auto"', r'\1 data-theme="light"'),  # without scripts: some theme
    (r'<dt id="term-[^"]*"(?=>[^<]*[一-鿿])', r'\g<0> lang="zh"'),
]


def repair_markup(app: Sphinx, error: Exception | None) -> None:
    """Replace, in every finished page, the markup that screen readers stumble over."""
    if error is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        for found, mended in REPAIRS:
            html = re.sub(found, mended, html)
        page.write_text(caption_tables(html), encoding="utf-8")


HEADING_OR_TABLE = re.compile(
    r"<h[1-6][^>]*>(?P<heading>.*?)(?:<a class=\"headerlink|</h)|<table[^>]*>(?!\s*<caption)", re.S
)


def caption_tables(html: str) -> str:
    """Name each table without a caption after its section: some readers go from table to table."""
    heading, count = "", 0

    def name(found: re.Match) -> str:
        nonlocal heading, count
        if found["heading"] is not None:
            heading, count = re.sub(r"<[^>]*>", "", found["heading"]), 0
            return found[0]
        count += 1
        number = f", table {count}" if count > 1 else ""
        return f'{found[0]}<caption class="visually-hidden">{heading}{number}</caption>'

    return HEADING_OR_TABLE.sub(name, html)


def setup(app: Sphinx) -> dict:
    """Connect the functions above to Sphinx."""
    app.connect("config-inited", complete_theme_options)
    app.connect("build-finished", repair_markup)
    app.connect("source-read", list_rooms)
    app.connect("source-read", link_chapters)
    app.connect("missing-reference", link_types)
    app.connect("doctree-read", require_alternative_text)
    app.connect("autodoc-skip-member", require_docstrings)
    app.add_transform(FiguresFromOutputs)
    app.add_transform(FoldImports)
    app.add_transform(TrueMinus)
    app.add_transform(NotesFromQuotes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
