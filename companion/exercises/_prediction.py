"""A prediction: answers that the reader commits to before running anything."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from companion.exercises import _words as words
from companion.exercises._compare import as_number
from companion.exercises._exercise import DOTS, Mistake
from companion.exercises._result import NOT_ATTEMPTED, RIGHT, WRONG, Result, record
from companion.exercises._run import run

_SLACK = 0.0051  # numbers are asked for to two decimals


@dataclass(frozen=True, repr=False)
class Prediction:
    """Questions to answer with pencil and paper; the right answers are never shown.

    A mistake is a way of thinking: its function answers every question as somebody would who
    thinks that way. It is recognised where it explains all the wrong answers and is the only one
    that does, so that one slip among right answers is recognised as well.

    Attributes:
        name: the function's name, and the attribute under which the prediction is found.
        solution: a function of no arguments that returns the right answers.
        questions: what each answer is about, and its options; no options: a number.
        mistakes: the known wrong ways of thinking.
        moral: one sentence for those who got it right.
    """

    name: str
    solution: Callable
    questions: dict[str, tuple[str, ...]]
    mistakes: tuple[Mistake, ...]
    moral: str

    def __repr__(self) -> str:
        return f"the prediction {self.name}: {self.name}.check(your_function)"

    def check(self, fn: Callable = ...) -> Result:
        """Tell which answers hold; never raises.

        Args:
            fn: the reader's function of no arguments, which returns the answers in order.

        Returns:
            The result, which shows itself in a terminal and in a notebook.
        """
        try:
            return record(self._judge(fn))
        except Exception as error:
            message = f"The answers could not be read (`{type(error).__name__}`)."
            return Result(self.name, WRONG, message)

    def _judge(self, fn: Callable) -> Result:
        if fn is ...:
            return Result(self.name, NOT_ATTEMPTED, DOTS)
        if not callable(fn):
            message = "`check` wants the function itself: pass its name without brackets."
            return Result(self.name, WRONG, message)
        outcome = run(fn, ())
        if outcome.error is not None:
            if words.is_placeholder(outcome.error):
                return Result(self.name, NOT_ATTEMPTED, DOTS)
            message = words.exception(outcome.error, fn, self.solution, ())
            return Result(self.name, WRONG, message)
        names = list(self.questions)
        answers = outcome.value if isinstance(outcome.value, (tuple, list)) else (outcome.value,)
        if answers[0] is None and len(answers) == 1:
            message = "The function returned nothing: is a `return` missing?"
            return Result(self.name, WRONG, message)
        if all(answer is ... for answer in answers):
            return Result(self.name, NOT_ATTEMPTED, DOTS)
        if len(answers) != len(names):
            asked = f"{words.plural(len(names), 'answer')} asked for ({', '.join(names)})"
            return Result(self.name, WRONG, f"{asked}; {len(answers)} came back.")
        open_ = [name for name, answer in zip(names, answers, strict=True) if answer is ...]
        if open_:
            message = f"Still to predict: {', '.join(open_)}."
            return Result(self.name, NOT_ATTEMPTED, message)
        for name, answer in zip(names, answers, strict=True):
            if problem := self._unreadable(name, answer):
                return Result(self.name, WRONG, problem)
        return self._compare(names, answers)

    def _unreadable(self, name: str, answer: object) -> str:
        options = self.questions[name]
        if options and _plain(answer) not in options:
            return f"{name}: choose one of {', '.join(map(repr, options))}."
        if not options and _number(answer) is None:
            return f"{name}: a number is asked for, what came back is {words.article(answer)}."
        return ""

    def _compare(self, names: list[str], answers: tuple) -> Result:
        right = self.solution()
        wrong = [i for i, (a, b) in enumerate(zip(answers, right, strict=True)) if not _agree(a, b)]
        if not wrong:
            return Result(self.name, RIGHT, self.moral)
        score = f"{len(names) - len(wrong)} of {len(names)} hold; not yet: "
        score += ", ".join(names[i] for i in wrong) + "."
        found = self._behind(answers, range(len(right))) or self._behind(answers, wrong)
        if found is not None:
            return Result(self.name, WRONG, f"{score}\n{found.message}", found.id)
        if all(_nearly(answers[i], right[i]) for i in wrong):
            return Result(self.name, WRONG, f"{score}\nThat is close: two decimals are asked for.")
        for i in wrong:
            if found := self._behind(answers, [i]):
                return Result(self.name, WRONG, f"{score}\n{names[i]}: {found.message}", found.id)
        message = f"{score}\nWork it through on paper, or ask torch in a new cell below."
        return Result(self.name, WRONG, message)

    def _behind(self, answers: tuple, positions: Iterable[int]) -> Mistake | None:
        """The mistake that explains the answers at these positions, if there is just one."""
        found = [
            mistake
            for mistake in self.mistakes
            if all(_agree(answers[i], mistake.fn()[i]) for i in positions)
        ]
        return found[0] if len(found) == 1 else None


def _number(answer: object) -> float | None:
    return float(answer) if isinstance(answer, bool) else as_number(answer)


def _plain(answer: object) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    number = as_number(answer)
    if number is not None:
        return format(number, "g")
    return answer.strip().lower() if isinstance(answer, str) else ""


def _agree(answer: object, right: object) -> bool:
    if isinstance(right, str):
        return _plain(answer) == right
    return math.isclose(_number(answer), right, rel_tol=0, abs_tol=_SLACK)


def _nearly(answer: object, right: object) -> bool:
    return not isinstance(right, str) and abs(_number(answer) - right) < 0.05
