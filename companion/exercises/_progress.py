"""A small table of what is solved in this kernel."""

import html
from dataclasses import dataclass

from companion.exercises._result import is_solved


@dataclass(frozen=True, repr=False)
class Progress:
    """Solved and open exercises, one row a subject.

    Attributes:
        subjects: the names of the exercises under the title of their subject.
    """

    subjects: dict[str, tuple[str, ...]]

    def _rows(self) -> list[tuple[str, str, str]]:
        rows, done = [], 0
        for subject, names in self.subjects.items():
            still = [name for name in names if not is_solved(name)]
            done += len(names) - len(still)
            rows.append((subject, f"{len(names) - len(still)} of {len(names)}", ", ".join(still)))
        total = sum(map(len, self.subjects.values()))
        return [*rows, ("all", f"{done} of {total}", "")]

    def __repr__(self) -> str:
        rows = [("subject", "solved", "still open"), *self._rows()]
        wide, solved = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{a:<{wide}}  {b:>{solved}}  {c}".rstrip() for a, b, c in rows)

    def _repr_html_(self) -> str:
        def line(kind: str, row: tuple[str, ...]) -> str:
            cells = (f'<{kind} style="text-align: left">{html.escape(c)}</{kind}>' for c in row)
            return f"<tr>{''.join(cells)}</tr>"

        head = line("th", ("subject", "solved", "still open"))
        body = "".join(line("td", row) for row in self._rows())
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
