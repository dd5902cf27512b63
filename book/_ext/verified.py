"""When, and with which versions, the outputs that readers see were last compared with a fresh run.

``make test`` records it beside the site. A chapter that has changed since is not the one that was
verified, so the record counts only where every chapter is still the same.
"""

import hashlib
import json
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

RECORD = "_build/verified.json"
NOT_VERIFIED = "The outputs of this copy have not been verified: <code>make test book</code> does."


def record(source: Path) -> dict | None:
    """Return what was verified, or None where that is not what the chapters are now."""
    file = source / RECORD
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    now = {
        chapter.stem: hashlib.sha256(chapter.read_bytes()).hexdigest()
        for chapter in source.glob("notebooks/*.ipynb")
    }
    verified = {name: chapter["sha256"] for name, chapter in found["chapters"].items()}
    return found if verified == now else None


def sentence(found: dict | None) -> str:
    """Say it in a sentence."""
    if found is None:
        return NOT_VERIFIED
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"All outputs were verified on {found['date']} with {versions}."


def sign(app: Sphinx, config: Config) -> None:
    """Put the sentence below every page."""
    said = f"<p>{sentence(record(Path(app.srcdir)))}</p>"
    options = config.html_theme_options
    options["extra_footer"] = options.get("extra_footer", "") + said


def tabulate(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put sentence and table where a page says ``<!-- verified -->``."""
    if "<!-- verified -->" not in source[0]:
        return
    found = record(Path(app.srcdir))
    lines = [sentence(found)]
    if found:
        lines += ["", "| chapter | code cells | seconds |", "|---|--:|--:|"]
        lines += [
            f"| [](../notebooks/{name}.ipynb) | {chapter['cells']} | {chapter['seconds']:.1f} |"
            for name, chapter in found["chapters"].items()
        ]
    source[0] = source[0].replace("<!-- verified -->", "\n".join(lines))


def setup(app: Sphinx) -> dict:
    """Connect the functions above to Sphinx."""
    app.connect("config-inited", sign)
    app.connect("source-read", tabulate)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
