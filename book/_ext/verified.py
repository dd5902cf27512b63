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
SECONDS = "The seconds are those of one fresh run, the start of Python and the imports included."
PINS = ("torch", "numpy", "scikit-learn", "matplotlib")


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


def sentence(found: dict) -> str:
    """Say it in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"All outputs were verified on {found['date']} with {versions}."


def committed(source: Path) -> str:
    """Say what holds of a copy whose outputs were not compared here."""
    pins = (line.partition("==") for line in (source / "requirements.txt").read_text().splitlines())
    versions = ", ".join(f"{name} {version}" for name, _, version in pins if name in PINS)
    return (
        f"All outputs were verified with {versions} before they were committed; `make test` does "
        "it again on your machine."
    )


def sign(app: Sphinx, config: Config) -> None:
    """Put the sentence below every page, where there is a record."""
    if found := record(Path(app.srcdir)):
        options = config.html_theme_options
        options["extra_footer"] = options.get("extra_footer", "") + f"<p>{sentence(found)}</p>"


def tabulate(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put sentence and table where a page says ``<!-- verified -->``."""
    if "<!-- verified -->" not in source[0]:
        return
    found = record(Path(app.srcdir))
    lines = [sentence(found) if found else committed(Path(app.srcdir))]
    if found:
        lines += ["", "| chapter | code cells | seconds |", "|---|--:|--:|"]
        lines += [
            f"| [](../notebooks/{name}.ipynb) | {chapter['cells']} | {chapter['seconds']:.1f} |"
            for name, chapter in found["chapters"].items()
        ]
        lines += ["", SECONDS]
    source[0] = source[0].replace("<!-- verified -->", "\n".join(lines))


def setup(app: Sphinx) -> dict:
    """Connect the functions above to Sphinx."""
    app.connect("config-inited", sign)
    app.connect("source-read", tabulate)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
