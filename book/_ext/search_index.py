"""The book's own search: one entry for each section, written as a script that is loaded on use.

The entries come from the documents as Sphinx has read them, so they hold what a page says and shows
and none of what surrounds it. ``_static/search.js`` finds in them; Sphinx's own index is not made.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import my_error
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
BOOK = Path(__file__).resolve().parent.parent
FILE = "_static/search_index.js"
# What no page needs without Sphinx's search, and what loads it.
NEEDLESS = ("searchtools.js", "language_data.js", "sphinx_highlight.js")
PARTS = ("text", "code", "output", "message", "asked", "also")
TAGS = re.compile(r"<(script|svg|style)\b.*?</\1>|<[^>]*>", re.S)
OTHER_WORDINGS = ("Also known as", "Also raised", "Not raised here")


@dataclass
class Entry:
    """What one section, definition or claim says, by the kind of its parts."""

    page: str
    chapter: str
    anchor: str
    title: str
    slug: str = ""  # how MyST names it in links
    practice: bool = False  # an exercise repeats what is explained elsewhere
    parts: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in PARTS})

    def add(self, kind: str, text: str) -> None:
        """Add a text to a part, once, on one line where it is prose."""
        text = text.strip() if kind == "code" else " ".join(text.split())
        if text and text not in self.parts[kind]:
            self.parts[kind].append(text)

    def written(self) -> list:
        """Return what the browser gets: two names, an address and the parts in their order."""
        parts = ["\n".join(lines) for lines in self.parts.values()]
        address = f"{self.page}.html#{self.anchor}"
        return [self.title, self.chapter, address, *parts, int(self.practice)]


def spoken(node: nodes.Node) -> str:
    """Return a node's words, a formula as one would type it."""
    if isinstance(node, nodes.raw):
        return TAGS.sub(" ", node.astext()) if node.get("format") == "html" else ""
    if isinstance(node, (nodes.math, nodes.math_block)):
        formula = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1) / (\2)", node.astext())
        return re.sub(r"\\[,;! ]|[{}\\]", " ", formula.replace("\\cdot", "·"))
    if isinstance(node, nodes.Text):
        return node.astext()
    apart = "" if isinstance(node, (nodes.TextElement, nodes.inline)) else " "
    return apart.join(spoken(child) for child in node.children)


def is_entry(node: nodes.Node) -> bool:
    """Whether a node within a section is found by its own name."""
    if isinstance(node, (nodes.section, addnodes.desc)):
        return True
    if isinstance(node, nodes.definition_list_item):
        return isinstance(node.parent.parent, addnodes.glossary)
    return isinstance(node, nodes.container) and "claim" in node["classes"]


def opened(node: nodes.Node, page: str, chapter: str) -> Entry:
    """Begin the entry of a section, a definition of the API, a term or a claim."""
    named = node
    if isinstance(node, nodes.section):
        # The first section of a page may bear the address of its second name.
        title = spoken(node.next_node(nodes.title))
    elif isinstance(node, addnodes.desc):
        named = node.next_node(addnodes.desc_signature)
        title = named.get("fullname") or named.astext()
    elif isinstance(node, nodes.definition_list_item):
        named = node.next_node(nodes.term)
        title = " · ".join(term.next_node(nodes.Text) for term in node.findall(nodes.term))
    else:
        title = spoken(node.next_node(nodes.paragraph))
    anchor = next(iter(named["ids"]), "")
    return Entry(page, chapter, anchor, " ".join(title.split()), named.get("slug", ""))


def read(node: nodes.Node, entry: Entry) -> list[Entry]:
    """Add what a node says to an entry; return the entries that begin within it."""
    found = []
    for child in node.children:
        if is_entry(child):
            inner = opened(child, entry.page, entry.chapter)
            inner.practice = entry.practice or inner.title == "Exercises"
            found += [inner, *read(child, inner)]
        elif isinstance(child, (nodes.title, nodes.term, addnodes.index)):
            if isinstance(child.parent, nodes.admonition):
                entry.add("text", spoken(child))
        elif isinstance(child, nodes.literal_block):
            add_block(child, entry)
        elif isinstance(child, nodes.container) and child.get("nb_element") == "mime_bundle":
            add_output(child, entry)
        elif isinstance(child, (nodes.paragraph, nodes.caption, nodes.raw, nodes.entry)):
            add_text(child, entry)
        elif isinstance(child, (nodes.math_block, addnodes.desc_signature)):
            entry.add("text", spoken(child))
        else:
            found += read(child, entry)
    return found


def add_text(node: nodes.Node, entry: Entry) -> None:
    """Add a paragraph; other wordings of a message are messages."""
    text = spoken(node)
    if text.startswith(OTHER_WORDINGS):
        for literal in node.findall(nodes.literal):
            entry.add("message", literal.astext())
    elif text != "Open in Colab":
        entry.add("text", text)


def add_block(node: nodes.literal_block, entry: Entry) -> None:
    """Add code, what it printed, or the message it ended with."""
    classes = node["classes"]
    if "traceback" in classes:
        entry.add("message", node.astext().strip().splitlines()[-1])
    elif "output" in classes:
        entry.add("output", node.astext())
    else:
        entry.add("code", node.astext())


def add_output(bundle: nodes.container, entry: Entry) -> None:
    """Add the form of an output that is shown: a table before plain text; a caption is prose."""
    forms = {child.get("mime_type"): child for child in bundle.children}
    if "text/markdown" in forms:
        entry.add("text", spoken(forms["text/markdown"]))
    elif shown := forms.get("text/html") or forms.get("text/plain"):
        entry.add("output", spoken(shown))


def entries(app: Sphinx) -> list[Entry]:
    """Return the entries of all pages, in the order of the book."""
    found = []
    for page in sorted(app.env.found_docs, key=lambda name: (not name.startswith("note"), name)):
        document = app.env.get_doctree(page)
        first = document.next_node(nodes.section)
        entry = opened(first, page, "")
        entry.chapter = entry.title
        found += [entry, *read(first, entry)]
    return found


def add_questions(app: Sphinx, found: list[Entry]) -> list[list[str]]:
    """Tell each entry by which words other pages lead to it; return the first page's questions."""
    by_address = {}
    for entry in found:
        by_address.setdefault(f"{entry.page}.html", entry)
        by_address.setdefault(f"{entry.page}.html#{entry.slug}", entry)
    questions = []
    for page in {app.config.root_doc, my_error.PAGE} & app.env.found_docs:
        for link in app.env.get_doctree(page).findall(is_link):
            address, words = target(link), " ".join(link.astext().split())
            if address in by_address:
                by_address[address].add("asked", " — ".join([words, *beside(link)]))
                if page == app.config.root_doc:
                    questions.append([words, address])
    for sign in my_error.signs():
        address = re.sub(r"\.(ipynb|md)", ".html", sign["read"])
        address = address.removeprefix("../") if "../" in address else f"book/{address}"
        if address in by_address:
            for words in (*sign.get("also", ()), *sign.get("values", ())):
                by_address[address].add("also", words)
    return questions


def by_name(found: list[Entry]) -> dict[str, Entry]:
    """Return the entries by their page, or page and anchor, as a list of words names them."""
    named = {}
    for entry in found:
        named.setdefault(entry.page, entry)
        named.setdefault(f"{entry.page}#{entry.anchor}", entry)
    return named


def check_names(app: Sphinx, env) -> None:
    """Warn of words for a section that is gone."""
    named = by_name(entries(app))
    for name in words()["also"]:
        if name.partition("#")[0] in env.found_docs and name not in named:
            logger.warning("search_words.toml: there is no section %s", name, type="search")


def beside(link: nodes.Node) -> list[str]:
    """Return what stands in a table beside a link: its answer."""
    node = link
    while node is not None and not isinstance(node, nodes.entry):
        node = node.parent
    cells = node.parent.children if node is not None else []
    return [" ".join(spoken(cell).split()) for cell in cells if cell is not node]


def is_link(node: nodes.Node) -> bool:
    """Whether a node leads to a page of the book, or a section of it."""
    return isinstance(node, addnodes.pending_xref) and node["reftype"] == "myst"


def target(link: addnodes.pending_xref) -> str:
    """Return the address that a link within the book leads to."""
    anchor = link.get("reftargetid")
    return f"{link['reftarget']}.html" + (f"#{anchor}" if isinstance(anchor, str) else "")


def words() -> dict:
    """Return what the search knows about words."""
    return tomllib.loads((BOOK / "search_words.toml").read_text(encoding="utf-8"))


def written(app: Sphinx) -> str:
    """Return the index as a script: a page that was opened from a folder may load no other form."""
    found, known = entries(app), words()
    named = by_name(found)
    for name, phrases in known.pop("also").items():
        for phrase in phrases if name in named else ():
            named[name].add("also", phrase)
    content = {
        "words": known,
        "questions": add_questions(app, found),
        "entries": [entry.written() for entry in found],
    }
    content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"window.bookSearchIndex = {content};\n"


def no_sphinx_search(app: Sphinx) -> None:
    """Keep Sphinx from making its index; the page of results is an ordinary one."""
    if app.builder.format == "html":
        app.builder.search = False
        app.config.html_additional_pages["search"] = "search.html"


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write the index, and take out what belonged to Sphinx's own."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    (site / FILE).write_text(written(app), encoding="utf-8")
    for name in NEEDLESS:
        (site / "_static" / name).unlink(missing_ok=True)
    script = re.compile(rf'\s*<script src="[^"]*(?:{"|".join(NEEDLESS)})[^"]*"></script>')
    for page in site.rglob("*.html"):
        page.write_text(script.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Run at the beginning and at the end of a build."""
    app.connect("builder-inited", no_sphinx_search)
    app.connect("env-check-consistency", check_names)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
