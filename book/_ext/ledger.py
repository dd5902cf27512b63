"""The ``claim`` directive: one entry of the ledger of what the documents say."""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

LABELS = {"true": "True.", "true if": "True if …", "false": "False.", "outdated": "Outdated."}


class Claim(SphinxDirective):
    """A claim in the first paragraph, a verdict, what torch says, and where that is shown.

    ``shown`` lists chapters, each as ``05_bce_or_ce`` or ``05_bce_or_ce#heading``; a chapter that
    is in the book becomes a link, one that is still to come its number.
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
        """Return the places that show it, linked where their chapter is in the book."""
        parts = []
        for shown in self.options["shown"].split():
            name, _, heading = shown.partition("#")
            text = f"chapter {int(name[:2])}"
            if f"notebooks/{name}" in self.env.found_docs:
                target = f"../notebooks/{name}.html" + (heading and f"#{heading}")
                parts.append(nodes.reference("", text, refuri=target))
            else:
                parts.append(nodes.Text(text))
            parts.append(nodes.Text(", "))
        return parts[:-1]


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("claim", Claim)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
