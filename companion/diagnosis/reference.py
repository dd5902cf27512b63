"""Write the book's page on the codes: ``python -m companion.diagnosis.reference > PAGE``."""

from typing import Any

from .codes import CODES, SETUP, Code
from .engine import diagnose
from .report import Report

_HEAD = """\
# What diagnose can find

`companion.diagnose(criterion, output, target)` answers with findings. Each has a **code**, one of
those below, and a **level**: *certain*, *suspicion* (the values make it likely) or *note*
(harmless, or a matter of taste). `report.ok` is true where there is nothing but notes.

The examples share this beginning:

```python
{setup}```

This page is written by `python -m companion.diagnosis.reference`, from what the tool itself uses.
"""

_SECTION = """\
## {name}

{meaning}

**How it shows.** {shows}

```python
{example}
```

{answer}

**The mend.**

```python
{mend}
```

To read: {chapter}.
"""


def page() -> str:
    """Return the page in Markdown."""
    parts = [_HEAD.format(setup=SETUP)]
    parts += [_section(name, code) for name, code in CODES.items()]
    return "\n".join(parts)


def report_on(code: str) -> Report:
    """Return what diagnose says to an example or a mend, which follows ``SETUP``."""
    names: dict[str, Any] = {}
    # The snippets are this package's own.
    exec(SETUP + code, names)
    return diagnose(
        names["criterion"],
        names["output"],
        names["target"],
        predict=names.get("predict"),
        batches=names.get("batches"),
    )


def _section(name: str, code: Code) -> str:
    found = next(one for one in report_on(code.example).findings if one.code == name)
    answer = f"`diagnose` answers, as *{found.level}*: {found.what}."
    return _SECTION.format(
        name=name,
        meaning=code.meaning,
        shows=code.shows,
        example=code.example.strip(),
        answer=answer,
        mend=code.mend.strip(),
        chapter=code.chapter,
    )


if __name__ == "__main__":
    print(page(), end="")
