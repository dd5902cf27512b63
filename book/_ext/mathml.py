"""Formulas as MathML, converted when the book is built: browsers set it and screen readers read it.

No script and no request but one font, ``STIXTwoMath-subset.woff2``: STIX Two Math 2.11 under the
SIL Open Font License, cut with fontTools' ``pyftsubset`` to Latin, Greek and mathematics.
"""

from html import escape

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
converter = LatexToMathML()


def convert(node: nodes.Element, display: bool) -> str:
    """Return the formula of a node as MathML, or its source where it is no LaTeX."""
    latex = node.astext()
    try:
        return converter.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        logger.warning("not a formula: %s (%s)", latex, error, location=node, type="math")
        return escape(latex)


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(convert(node, display=False))
    raise nodes.SkipNode


def visit_display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    translator.body.append(f'<div class="math">{convert(node, display=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Offer the renderer to ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
