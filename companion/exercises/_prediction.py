"""A prediction: answers that the reader commits to before running anything."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from companion._isolation import TimeUpError, fence
from companion.exercises import _words as words
from companion.exercises._compare import as_number
from companion.exercises._exercise import DOTS, SECONDS, Mistake, mistakes_of
from companion.exercises._generic import GENERIC
from companion.exercises._result import NOT_ATTEMPTED, RIGHT, WRONG, Result, record
from companion.exercises._run import run
from companion.exercises._text import Text, read

_SLACK = 0.0051  # numbers are asked for to two decimals
_UNITS = {"log2": 1 / math.log(2), "log10": 1 / math.log(10), "percent": 100.0}


def prediction(
    text: str,
    *,
    mistakes: dict[str, dict | tuple],
    options: dict[str, tuple[str, ...]] | None = None,
    wrong: tuple = (),
) -> Callable:
    """Declare the prediction below; what its solution assigns are the questions, in their order.

    Args:
        text: see ``_text``.
        mistakes: by their names, the answers, or those that differ, of such a way of thinking.
        options: for questions that do not ask for a number, the words to choose from.
        wrong: further wrong answers, and a part of what is said about each, for the tests.
    """

    def declare(solution: Callable) -> Prediction:
        parts = read(text)
        names = list(solution.__code__.co_varnames)
        right = dict(zip(names, solution(), strict=True))
        answers = {
            name: lambda c=c: c if isinstance(c, tuple) else tuple((right | c).values())
            for name, c in mistakes.items()
        }
        questions = {name: (options or {}).get(name, ()) for name in names}
        known = mistakes_of(parts.messages, answers)
        return Prediction(solution.__name__, solution, parts, questions, known, wrong)

    return declare


@dataclass(frozen=True, repr=False)
class Prediction:
    """Questions to answer with pencil and paper; the right answers are never shown.

    A mistake is a way of thinking: its function answers every question as somebody would who
    thinks that way. It is recognised where it explains all the wrong answers and is the only one
    that does, so that one slip among right answers is recognised as well.

    Attributes:
        name: the function's name, and the attribute under which the prediction is found.
        solution: a function of no arguments that returns the right answers.
        text: the task, the hints, and one sentence for those who got it right.
        questions: what each answer is about, and its options; no options: a number.
        mistakes: the known wrong ways of thinking.
        wrong: further wrong answers, and a part of what is said about each, for the tests.
    """

    name: str
    solution: Callable
    text: Text
    questions: dict[str, tuple[str, ...]]
    mistakes: tuple[Mistake, ...]
    wrong: tuple[tuple[Callable, str], ...] = ()

    @property
    def moral(self) -> str:
        """One sentence for those who got it right."""
        return self.text.moral

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
        except TimeUpError:
            return Result(self.name, WRONG, words.time_up(SECONDS))
        except Exception as error:
            message = f"The answers could not be read (`{type(error).__name__}`)."
            return Result(self.name, WRONG, message)

    def _judge(self, fn: Callable) -> Result:
        if fn is ...:
            return Result(self.name, NOT_ATTEMPTED, DOTS)
        if not callable(fn):
            message = "`check` wants the function itself: pass its name without brackets."
            return Result(self.name, WRONG, message)
        with fence(seed=0, seconds=SECONDS):
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
        for name, factor in _UNITS.items():
            if all(_in_unit(answers[i], right[i], factor) for i in wrong):
                return Result(self.name, WRONG, f"{score}\nPerhaps: {GENERIC[name][0]}", name)
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


def _in_unit(answer: object, right: object, factor: float) -> bool:
    """Whether an answer is the right one in bits, in powers of ten, or in percent."""
    if isinstance(right, str) or right == 0:
        return False
    return abs(_number(answer) - factor * right) <= max(_SLACK, 0.0051 * factor)


def _nearly(answer: object, right: object) -> bool:
    return not isinstance(right, str) and abs(_number(answer) - right) < 0.05
