"""What a "Predict" asks for, named for the script that covers it until the reader wants it.

An author may write the answer into the quote, ``<!-- answer: 0.75 -->``: the reader can then type a
guess first. It is one or more numbers or words between commas; after ``|`` follows another way to
write it. An answer that the covered outputs do not show is a warning, so the two cannot drift.
"""

import re
from html import escape

from book_site import _is
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

ANSWER = re.compile(r"<!--\s*answer:\s*(.*?)\s*-->")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Predictions(SphinxTransform):
    """Mark what each "Predict" covers, and hand its answer to the page."""

    default_priority = 510  # after book_site has made the notes

    def apply(self, **kwargs) -> None:
        """Number the notes of a chapter, and what each of them covers."""
        if not self.env.doc2path(self.env.docname).endswith(".ipynb"):
            return  # elsewhere they ask about a part to play with
        notes = [note for note in self.document.findall(nodes.admonition) if _predicts(note)]
        for number, note in enumerate(notes, 1):
            covered = answers(note)
            for node in covered:
                node["classes"] += ["covered", f"covered-{number}"]
            if not covered:
                logger.warning("no output follows this Predict", location=note, type="predict")
            value = ""
            for raw in list(note.findall(nodes.raw)):
                if found := ANSWER.fullmatch(raw.astext().strip()):
                    value = found[1]
                    raw.parent.remove(raw)
            if value and not shows(" ".join(map(_text, covered)), value):
                said = "no covered output shows the answer %r"
                logger.warning(said, value, location=note, type="predict")
            data = f'<data hidden value="{escape(value)}"></data>'
            note.insert(1, nodes.raw("", data, format="html", assets=["predictions.js"]))


def _predicts(note: nodes.admonition) -> bool:
    return "predict" in note["classes"]


def answers(note: nodes.Element) -> list[nodes.Element]:
    """Return the outputs of the cells that follow, and the paragraph that discusses them."""
    covered = []
    siblings = note.parent.children
    for node in siblings[siblings.index(note) + 1 :]:
        if _is("cell_code")(node):
            covered += node.findall(_is("cell_code_output"))
        elif covered and isinstance(node, nodes.paragraph | nodes.math_block):
            covered.append(node)
            if not node.astext().endswith(":"):  # its formula belongs to it
                break
        elif covered:
            break
    return covered


def _text(node: nodes.Element) -> str:
    """Return what an output says, in words and in the texts of its pictures."""
    pictures = [image.get("alt", "") for image in node.findall(nodes.image)]
    return " ".join([re.sub(r"<[^>]*>", " ", node.astext()), *pictures]).replace("−", "-")


def shows(outputs: str, value: str) -> bool:
    """Whether one of the ways to write an answer is in the outputs, number by number."""
    numbers = {float(number) for number in NUMBER.findall(outputs)}
    words = outputs.lower()

    def there(part: str) -> bool:
        if NUMBER.fullmatch(part):
            return float(part) in numbers
        return re.search(rf"(?<!\w){re.escape(part.lower())}(?!\w)", words) is not None

    ways = value.replace("−", "-").split("|")
    return any(all(there(part.strip()) for part in way.split(",")) for way in ways)


def setup(app: Sphinx) -> dict:
    """Add the transform; ``explorers`` loads the script where it is needed."""
    app.add_transform(Predictions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
