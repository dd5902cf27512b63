"""Where the book's repository is: in ``_config.yml``, or else where this clone came from.

The first is written by ``make link``, into the chapters too. Where it is not set yet, the site
takes the second; where there is none either, it shows no link that would lead nowhere.
"""

import re
import subprocess
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform

NOBODY = "SET_OWNER/"
REMOTE = re.compile(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w-]+/[\w.-]+?)(?:\.git)?/?")


def repository(root: Path) -> tuple[str, str]:
    """Return the repository's address and branch as ``_config.yml`` has them."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"], config["repository"]["branch"]


def remote(root: Path) -> str | None:
    """Return the address on GitHub that this clone came from, or None."""
    command = ["git", "-C", root, "remote", "get-url", "origin"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:  # a machine without git
        return None
    found = REMOTE.fullmatch(said.strip())
    return found and f"https://github.com/{found[1]}"


def settle(app: Sphinx, config: Config) -> None:
    """Find the address where the settings have none; without one, show no button that needs it."""
    options = config.html_theme_options
    if NOBODY not in options["repository_url"]:
        return
    options["repository_url"] = remote(Path(app.srcdir)) or ""
    if not options["repository_url"]:
        options["launch_buttons"] = {}
        config.suppress_warnings.append("sitemap.configuration")


class Readdress(SphinxTransform):
    """Put the address that was found into a page's links and commands, or take them out."""

    default_priority = 500

    def apply(self, **kwargs) -> None:
        """Go through the links and the blocks of code that name the address of nobody."""
        found = self.config.html_theme_options["repository_url"]
        for link in list(self.document.findall(nodes.reference)):
            if NOBODY not in link.get("refuri", ""):
                continue
            if found:
                owner = found.removeprefix("https://github.com/")
                link["refuri"] = re.sub(rf"{NOBODY}[\w-]+", owner, link["refuri"])
            elif link.astext() == "Open in Colab":
                link.parent.parent.remove(link.parent)
            else:
                link.replace_self(link.children)
        for block in list(self.document.findall(nodes.literal_block)):
            if NOBODY not in block.astext():
                continue
            code = re.sub(rf"https://github\.com/{NOBODY}[\w-]+", found, block.astext())
            if not found:  # the reader has the book's folder: install that
                code = re.sub(r'"[^"]* @ /[^"]*"', ".", code)
                code = "".join(line for line in code.splitlines(True) if "git clone" not in line)
            block.replace_self(nodes.literal_block(code, code, **block.attributes))


def setup(app: Sphinx) -> dict:
    """Connect the functions above to Sphinx, before those that need the address."""
    app.connect("config-inited", settle, priority=100)
    app.add_transform(Readdress)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
