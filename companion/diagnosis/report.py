"""What a diagnosis says: findings with their evidence, and a report that prints itself."""

import html
import textwrap
from dataclasses import dataclass, replace

LEVELS = ("certain", "suspicion", "note")
_WIDTH = 96


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: stable name of the kind of mistake, such as "DOUBLE_ACTIVATION".
        level: "certain" (a contract or an identity is broken, whatever was meant), "suspicion"
            (right code looks so less than once in a hundred times) or "note" (harmless).
        what: what is wrong, in one sentence.
        evidence: how it is known, with the numbers.
        fix: what to change, a line of code where that is possible.
        chapter: title of the chapter to read.
    """

    code: str
    level: str
    what: str
    evidence: str
    fix: str
    chapter: str


@dataclass(frozen=True)
class Report:
    """The answer to "is my loss wired right?".

    Attributes:
        findings: what was found, the certain first.
        subject: one line on the criterion, the output and the target.
        unchecked: what was not looked at, and what it would have needed.
        read: whether anything is known of what the criterion does with the output.
        decision: the rule from output to label that follows from the criterion.
    """

    findings: tuple[Finding, ...]
    subject: str
    decision: str
    unchecked: tuple[str, ...] = ()
    read: bool = True

    @property
    def ok(self) -> bool:
        """Whether the loss could be read, and nothing is certain or suspected."""
        return self.read and all(finding.level == "note" for finding in self.findings)

    @property
    def without_notes(self) -> "Report":
        """The report on what is certain or suspected."""
        return replace(self, findings=tuple(f for f in self.findings if f.level != "note"))

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        counts = {level: sum(f.level == level for f in self.findings) for level in LEVELS}
        if not self.findings:
            return "Nothing found." if self.read else "Nothing could be read."
        if self.ok:
            return f"Nothing wrong found; {_count(counts['note'], 'note')}."
        parts = []
        if counts["certain"]:
            parts.append(f"{counts['certain']} certain")
        if counts["suspicion"]:
            parts.append(f"{counts['suspicion']} suspected")
        if counts["note"]:
            parts.append(_count(counts["note"], "note"))
        return ", ".join(parts) + "."

    def __repr__(self) -> str:
        """Return the report as plain text for a terminal."""
        lines = [*_wrap(self.subject), self.verdict]
        for finding in self.findings:
            lines += ["", *_wrap(f"{finding.level} · {finding.code}: {finding.what}")]
            for label, text in _parts(finding):
                lines += _labelled(label, text)
        lines += ["", *_labelled("decide", self.decision, "")]
        if self.unchecked:
            lines.append("not checked")
            for text in self.unchecked:
                lines += textwrap.wrap(
                    text, _WIDTH, initial_indent="  - ", subsequent_indent="    "
                )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the report as HTML for a notebook, every text escaped."""
        parts = [f"<p>{_escape(self.subject)}<br><strong>{_escape(self.verdict)}</strong></p>"]
        for finding in self.findings:
            head = f"{finding.level} · <code>{_escape(finding.code)}</code>"
            rows = "".join(
                f'<tr><th scope="row" style="text-align: left; vertical-align: top">{label}</th>'
                f'<td style="text-align: left">{_cell(label, text)}</td></tr>'
                for label, text in _parts(finding)
            )
            parts.append(
                f"<p>{head}: {_escape(finding.what)}</p><table><tbody>{rows}</tbody></table>"
            )
        parts.append(f"<p>Decide: {_escape(self.decision)}</p>")
        if self.unchecked:
            items = "".join(f"<li>{_escape(text)}</li>" for text in self.unchecked)
            parts.append(f"<p>Not checked:</p><ul>{items}</ul>")
        return "<div>" + "".join(parts) + "</div>"


def _parts(finding: Finding) -> list[tuple[str, str]]:
    pairs = [("evidence", finding.evidence), ("fix", finding.fix), ("read", finding.chapter)]
    return [(label, text) for label, text in pairs if text]


def _cell(label: str, text: str) -> str:
    return f"<code>{_escape(text)}</code>" if label == "fix" else _escape(text)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_on_hyphens=False) or [""]


def _labelled(label: str, text: str, indent: str = "  ") -> list[str]:
    first = f"{indent}{label:<8}  "
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
        break_long_words=False,
    ) or [first.rstrip()]
