"""What people read of an exercise: one text in its declaration, and its parts.

::

    ### Title

    The task, in Markdown.

    Hint: the first of two or three.

    Hint: the next one.

    Moral: one sentence for those who got it right.

    - id-of-a-mistake: what is said to somebody who made it; names the idea to look up, never the
      line to type.
"""

import re
import textwrap
from typing import NamedTuple


class Text(NamedTuple):
    """The parts of a text."""

    task: str
    hints: tuple[str, ...]
    moral: str
    messages: dict[str, str]


def read(text: str) -> Text:
    """Take a text apart."""
    before, _, after = textwrap.dedent(text).strip().partition("\n\nMoral: ")
    task, *hints = before.split("\n\nHint: ")
    moral, *messages = re.split(r"\n+- (?=[\w-]+: )", after)
    pairs = (message.split(": ", 1) for message in messages)
    return Text(task, tuple(hints), _line(moral), {name: _line(message) for name, message in pairs})


def _line(text: str) -> str:
    return " ".join(text.split())
