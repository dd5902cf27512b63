"""The ``claim`` directive: one entry of the ledger of what the documents say."""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

LABELS = {"true": "True.", "true if": "True if …", "false": "False.", "outdated": "Outdated."}


def chapter_link(place: str) -> tuple[str, str]:
    """Return what a link to ``05_bce_or_ce#heading`` says, and its address from a page of book/."""
    name, _, heading = place.partition("#")
    return f"chapter {int(name[:2])}", f"../notebooks/{name}.html" + (heading and f"#{heading}")


class Claim(SphinxDirective):
    """A claim in the first paragraph, a verdict, what torch says, and where that is shown.

    ``shown`` lists chapters, each as ``05_bce_or_ce`` or ``05_bce_or_ce#heading``.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "verdict": lambda verdict: directives.choice(verdict, tuple(LABELS)),
        "shown": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Build the entry."""
        verdict = self.options["verdict"]
        style = "verdict-" + verdict.replace(" ", "-")
        claim = nodes.container(ids=[f"claim-{self.arguments[0]}"], classes=["claim", style])
        self.state.nested_parse(self.content, self.content_offset, claim)
        claim[0]["classes"].append("claim-text")
        badge = nodes.inline("", LABELS[verdict], classes=["verdict"])
        claim[1][:0] = [badge, nodes.Text(" ")]
        claim += nodes.paragraph("", "Shown in ", *self._chapters(), nodes.Text("."))
        claim[-1]["classes"].append("claim-shown")
        return [claim]

    def _chapters(self) -> list[nodes.Node]:
        """Return links to the places that show it."""
        parts = []
        for shown in self.options["shown"].split():
            text, address = chapter_link(shown)
            parts += [nodes.reference("", text, refuri=address), nodes.Text(", ")]
        return parts[:-1]


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("claim", Claim)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
