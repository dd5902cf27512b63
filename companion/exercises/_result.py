"""What ``check`` hands back: a status, a message, and how both look."""

import html
import re
from dataclasses import dataclass

RIGHT = "right"
WRONG = "wrong"
NOT_ATTEMPTED = "not attempted"

_HEADS = {RIGHT: "right", WRONG: "not yet", NOT_ATTEMPTED: "not attempted"}
_COLORS = {RIGHT: "#2a9d62", WRONG: "#d9822b", NOT_ATTEMPTED: "#8a94a6"}


@dataclass(frozen=True, repr=False)
class Result:
    """The answer to an answer.

    Attributes:
        name: the exercise.
        status: "right", "wrong" or "not attempted".
        message: what to think about next; code stands in backticks.
        mistake: the id of the known mistake, or None.
        case: the failing case as aligned lines, or an empty string.
    """

    name: str
    status: str
    message: str
    mistake: str | None = None
    case: str = ""

    def __repr__(self) -> str:
        lines = [f"{self.name}: {_HEADS[self.status]}", self.message]
        if self.case:
            lines += ["", *(f"    {line}" for line in self.case.splitlines())]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        pieces = re.split(r"(?<=ook up )([^.?;:]+)", self.message)
        text = "".join(map(_linked, pieces[1::2], pieces[::2])) + html.escape(pieces[-1])
        text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
        message = "".join(f"<p>{line}</p>" for line in text.splitlines())
        case = f"<pre>{html.escape(self.case)}</pre>" if self.case else ""
        return (
            f'<div style="border-left: .25rem solid {_COLORS[self.status]}; padding-left: .8rem">'
            f"<strong>{html.escape(self.name)}: {_HEADS[self.status]}</strong>"
            f"{message}{case}</div>"
        )


def _linked(words: str, before: str) -> str:
    """What is to be looked up, as a link to where it stands."""
    from companion.exercises.catalogues._sections import address  # which imports this module

    page, shown = address(words), html.escape(words)
    link = f'<a href="{html.escape(page)}" target="_blank">{shown}</a>' if page else shown
    return html.escape(before) + link


_solved: set[str] = set()


def record(result: Result) -> Result:
    """Remember a solved exercise for ``progress``, and hand the result on."""
    if result.status == RIGHT:
        _solved.add(result.name)
    return result


def is_solved(name: str) -> bool:
    """Whether the exercise has been solved in this kernel."""
    return name in _solved
