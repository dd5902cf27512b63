"""Where a chapter first uses a term of the glossary, the word leads there."""

import re

from docutils import nodes
from sphinx.application import Sphinx

# Words that say something else, or are their own explanation.
NOT_WITHIN = (nodes.reference, nodes.literal, nodes.title, nodes.caption, nodes.raw, nodes.math)


# The summaries, which are folded: the link belongs where the chapter first uses the word.
CHINESE = re.compile("[\u4e00-\u9fff]")


def link_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the first use of each English term in the running text of a chapter."""
    if not docname.startswith("notebooks/"):
        return
    terms = {
        name.lower(): place
        for (kind, name), place in app.env.domaindata["std"]["objects"].items()
        if kind == "term" and name.isascii()
    }
    longest_first = sorted(map(re.escape, terms), key=len, reverse=True)
    word = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})(?=s?(?![\w-]))", re.IGNORECASE)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if CHINESE.search(paragraph.astext()):
            continue
        for text in list(paragraph.findall(nodes.Text)):
            if not _is_within(text, NOT_WITHIN):
                text.parent.replace(text, _linked(app, text.astext(), word, terms, docname))


def _is_within(text: nodes.Text, kinds: tuple) -> bool:
    node = text.parent
    while node is not None and not isinstance(node, kinds):
        node = node.parent
    return node is not None


def _linked(app: Sphinx, text: str, word: re.Pattern, terms: dict, docname: str) -> list:
    """Return the text with its terms as links, and take those from what is still to be linked."""
    parts, end = [], 0
    for found in word.finditer(text):
        place = terms.pop(found[0].lower(), None)
        if place is None:
            continue
        page, anchor = place
        address = app.builder.get_relative_uri(docname, page) + f"#{anchor}"
        link = nodes.reference("", found[0], refuri=address, internal=True, classes=["term"])
        parts += [nodes.Text(text[end : found.start()]), link]
        end = found.end()
    return [*parts, nodes.Text(text[end:])]


def setup(app: Sphinx) -> dict:
    """Link when all pages have been read and the glossary is known."""
    app.connect("doctree-resolved", link_terms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
