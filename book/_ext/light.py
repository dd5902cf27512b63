"""What the theme ships and no page needs: taken out of the finished site.

Its icons come as a script of 1.5 MB and again as fonts of thousands of glyphs. The pages get the
fonts, cut to the icons that occur.
"""

import re
import shutil
from pathlib import Path

from fontTools.subset import Options, Subsetter, load_font, save_font
from sphinx.application import Sphinx

ICON_SCRIPT = "fontawesome.js"
ICON_CLASS = re.compile(r"\bfa-([a-z][a-z0-9-]*)")
NAMED = re.compile(r"([^{}]*\.fa-[^{}]*:before)\{[^}]*\}")
GLYPH = re.compile(r"""["'](?:\\([0-9a-f]{2,5})|([\ue000-\uf8ff]))["']""")


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Remove the icon script, source maps and translations, and cut the icon fonts."""
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    shutil.rmtree(static / "locales", ignore_errors=True)
    for pattern in ("*.map", ICON_SCRIPT + "*", "webpack-macros.html"):
        for needless in static.rglob(pattern):
            needless.unlink()
    pages = list(Path(app.outdir).rglob("*.html"))
    for page in pages:
        html = page.read_text(encoding="utf-8")
        page.write_text(re.sub(rf"\s*<script[^>]*{ICON_SCRIPT}[^>]*></script>", "", html), "utf-8")
    glyphs = icons([*pages, *static.rglob("*.js")], static.rglob("*.css"))
    for font in (static / "vendor/fontawesome/webfonts").iterdir():
        cut(font, glyphs)


def icons(users: list[Path], styles) -> set[int]:
    """Return the code points of the icons that pages and scripts name and styles insert."""
    named = {
        name for file in users for name in ICON_CLASS.findall(file.read_text(encoding="utf-8"))
    }
    glyphs = set()
    for style in styles:
        css = style.read_text(encoding="utf-8")
        glyphs |= {
            ord(char) if char else int(code, 16)
            for code, char in GLYPH.findall(unnamed(css, named))
        }
    return glyphs


def unnamed(css: str, named: set[str]) -> str:
    """Return a style sheet without the rules for icons that nobody names."""
    return NAMED.sub(lambda rule: rule[0] if named & set(ICON_CLASS.findall(rule[1])) else "", css)


def cut(font: Path, glyphs: set[int]) -> None:
    """Keep of a font only these code points."""
    options = Options(flavor="woff2" if font.suffix == ".woff2" else None)
    loaded = load_font(font, options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=glyphs)
    subsetter.subset(loaded)
    save_font(loaded, font, options)


def setup(app: Sphinx) -> dict:
    """Run at the end of a build."""
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
