"""The page on which a reader asks with a message, a number or a curve, and its tables.

``my_error.toml`` is the one list of such signs: the page shows it, the search finds by it, and a
test computes its numbers.
"""

import tomllib
from pathlib import Path

from sphinx.application import Sphinx

PAGE = "book/my_error"
SIGNS = Path(__file__).resolve().parent.parent / "my_error.toml"
HEADS = {"value": "the loss", "curve": "how it moves", "score": "the score"}
ROW = '| [{see}]({read})<br /><span lang="zh">{zh}</span> | {is} |'
ASK = """\
<form class="ask pst-js-only" role="search" onsubmit="return false">
<label for="ask">Your message, number or question</label>
<textarea id="ask" rows="4" data-answers-in="answers" spellcheck="false"
  placeholder="IndexError: Target 5 is out of bounds.   or   0.6931 and not moving"></textarea>
</form>
<div id="answers" class="search-results"></div>
"""


def signs() -> list[dict]:
    """Return every sign with the section that explains it."""
    return tomllib.loads(SIGNS.read_text(encoding="utf-8"))["sign"]


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write the field and the tables where the page says so."""
    if docname != PAGE:
        return
    source[0] = source[0].replace("<!-- ask -->", ASK)
    for kind, head in HEADS.items():
        rows = [ROW.format(**sign) for sign in signs() if sign["kind"] == kind]
        table = "\n".join([f"| {head} | is often |", "|---|---|", *rows])
        source[0] = source[0].replace(f"<!-- signs: {kind} -->", table)


def depend(app: Sphinx, env, added, changed, removed) -> list[str]:
    """Read the page again when the list has changed."""
    return [PAGE] if PAGE in env.found_docs else []


def setup(app: Sphinx) -> dict:
    """Connect the functions above to Sphinx."""
    app.connect("source-read", fill_in)
    app.connect("env-get-outdated", depend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
