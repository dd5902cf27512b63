"""An exercise: a solution, cases, and the mistakes that it knows."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from companion._isolation import TimeUpError, fence
from companion.exercises import _words as words
from companion.exercises._compare import (
    SINGLE,
    as_number,
    difference,
    same_value,
    wrong_gradients,
)
from companion.exercises._generic import GENERIC
from companion.exercises._result import NOT_ATTEMPTED, RIGHT, WRONG, Result, record
from companion.exercises._run import Outcome, run
from companion.exercises._text import Text, read

DOTS = "Replace the `...` and run this cell again."
SECONDS = 10.0
_THEIRS = {"seed": 0, "threads": 1, "anomaly": (False, True)}
_OURS = {**_THEIRS, "dtype": torch.float64, "device": "cpu", "silent": True}


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation that really runs, and what to say to somebody who wrote it.

    Attributes:
        id: a short stable name.
        message: names the idea to look up, never the line to type.
        fn: the wrong function.
    """

    id: str
    message: str
    fn: Callable


def mistakes_of(messages: dict[str, str], functions: dict[str, Callable]) -> tuple[Mistake, ...]:
    """Each mistake with its message; the text and the code must know the same ones."""
    if list(messages) != list(functions):
        different = set(messages) ^ set(functions) or "their order"
        raise ValueError(f"the text and the mistakes differ: {different}")
    return tuple(Mistake(name, messages[name], fn) for name, fn in functions.items())


def function(text: str, *, mistakes: dict[str, Callable], **declared) -> Callable:
    """Declare the exercise of writing the function below; see `Exercise` for what is declared."""

    def declare(solution: Callable) -> Exercise:
        parts = read(text)
        known = mistakes_of(parts.messages, mistakes)
        return Exercise(solution.__name__, solution, parts, mistakes=known, **declared)

    return declare


@dataclass(frozen=True, repr=False)
class Exercise:
    """A function to write.

    Attributes:
        name: the function's name, and the attribute under which the exercise is found.
        solution: a right answer; its parameters are the arguments of each case.
        text: the task, the hints, and one sentence for those who got it right.
        cases: the arguments to try, each under a name that says what is special about it.
        mistakes: wrong answers that get a message of their own.
        generic: the names of the general mistakes that can be made here, see ``_generic``.
        gradient: the arguments for which the task asks for a gradient.
        shortcuts: names of torch functions that do the whole of it.
        exact: whether precision is a subject of the task; otherwise an answer is right that is
            right to the digits of the precision in which it was computed.
        tolerance: relative and absolute; for lower precision the dtype's own resolution counts.
        right: further right answers, for the tests.
        wrong: further wrong answers, and a part of what is said about each, for the tests.
    """

    name: str
    solution: Callable
    text: Text
    cases: dict[str, tuple]
    mistakes: tuple[Mistake, ...]
    generic: tuple[str, ...] = ()
    gradient: tuple[str, ...] = ()
    shortcuts: tuple[str, ...] = ()
    exact: bool = False
    tolerance: float = 1e-9
    right: tuple[Callable, ...] = ()
    wrong: tuple[tuple[Callable, str], ...] = ()

    def __repr__(self) -> str:
        return f"the exercise {self.name}: {self.name}.check(your_function)"

    def check(self, fn: Callable = ...) -> Result:
        """Tell what is right or wrong about ``fn``.

        It never raises; only an interrupt by the reader (the stop button) passes through. What
        ``fn`` prints is left alone.

        Args:
            fn: the reader's function itself, not a call of it.

        Returns:
            The result, which shows itself in a terminal and in a notebook.
        """
        try:
            return record(self._judge(fn))
        except TimeUpError:
            return self._wrong(words.time_up(SECONDS))
        except Exception as error:
            return self._wrong(
                f"What came back could not be compared (`{type(error).__name__}`). "
                "Return a plain tensor."
            )

    @property
    def moral(self) -> str:
        """One sentence for those who got it right."""
        return self.text.moral

    @cached_property
    def all_mistakes(self) -> tuple[Mistake, ...]:
        """The exercise's own mistakes, and the general ones made of its solution."""
        made = (Mistake(name, *GENERIC[name]) for name in self.generic)
        return (*self.mistakes, *(replace(m, fn=m.fn(self.solution)) for m in made))

    @cached_property
    def parameters(self) -> list[str]:
        """The names of the arguments."""
        return list(inspect.signature(self.solution).parameters)

    @cached_property
    def _expected(self) -> list[Outcome]:
        with fence(**_OURS):
            return list(self._run(self.solution))

    @cached_property
    def _mistaken(self) -> list[tuple[Mistake, list[Outcome]]]:
        with fence(**_OURS):
            return [(m, self._as_asked(self._run(m.fn))) for m in self.all_mistakes]

    def _run(self, fn: Callable) -> Iterable[Outcome]:
        leaves = {name: self.parameters.index(name) for name in self.gradient}
        return (run(fn, args, leaves) for args in self.cases.values())

    def _outcomes(self, fn: Callable) -> list[Outcome]:
        """What the reader's function brings, under the reader's own default dtype."""
        with fence(**_THEIRS, seconds=SECONDS):
            return self._as_asked(self._run(fn))

    def _as_asked(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Where a number is asked for, a tensor that holds one is as good."""
        return [
            replace(outcome, value=as_number(outcome.value))
            if isinstance(expected.value, float) and as_number(outcome.value) is not None
            else outcome
            for outcome, expected in zip(outcomes, self._expected, strict=True)
        ]

    @cached_property
    def _scales(self) -> list[float]:
        """The largest number of each case: what is rounded off it shows in the result."""
        floats = [
            [arg for arg in args if isinstance(arg, Tensor) and arg.is_floating_point()]
            for args in self.cases.values()
        ]
        return [
            max([1.0, *(float(x) for arg in args for x in arg.abs().flatten() if x < math.inf)])
            for args in floats
        ]

    def _tolerance(self, i: int, one: Outcome) -> float:
        """How close the result of case ``i`` has to be, for the precision it was computed in."""
        eps = torch.finfo(one.coarsest).eps
        if self.exact or eps < SINGLE:
            return self.tolerance
        return max(self.tolerance, 8 * SINGLE * self._scales[i])

    def _wrong(self, message: str, *, mistake: str | None = None, case: str = "") -> Result:
        return Result(self.name, WRONG, message, mistake, case)

    def _judge(self, fn: Callable) -> Result:
        if fn is ...:
            return Result(self.name, NOT_ATTEMPTED, DOTS)
        if not callable(fn):
            return self._wrong(
                f"`check` wants the function itself, to call it as `{words.call(self.solution)}`; "
                f"it got {words.article(fn)}. Pass the name without brackets."
            )
        if inspect.isclass(fn):
            return self._wrong(
                f"`{fn.__name__}` is a class: its constructor takes settings, and the data go "
                "into a call of what it makes. Pass a function."
            )
        got = self._outcomes(fn)
        if any(_has_dots(outcome) for outcome in got):
            return Result(self.name, NOT_ATTEMPTED, DOTS)
        same = self._same(got, self._expected)
        if all(same):
            return self._judge_gradient(got)
        for mistake, outcomes in self._mistaken:
            if all(self._same(got, outcomes)):
                return self._wrong(mistake.message, mistake=mistake.id)
        return self._describe(fn, got, same)

    def _same(self, got: list[Outcome], others: list[Outcome]) -> list[bool]:
        return [
            same_value(one, other, self._tolerance(i, one), self.exact)
            for i, (one, other) in enumerate(zip(got, others, strict=True))
        ]

    def _wrong_gradients(self, got: list[Outcome], others: list[Outcome]) -> dict[int, str]:
        """The cases with a wrong gradient, and the first argument for which it is wrong."""
        found = {
            i: wrong_gradients(one, other, self._tolerance(i, one))
            for i, (one, other) in enumerate(zip(got, others, strict=True))
        }
        return {i: names[0] for i, names in found.items() if names}

    def _judge_gradient(self, got: list[Outcome]) -> Result:
        """All values are right; the gradients, and the arguments, may still be not."""
        wrong = self._wrong_gradients(got, self._expected)
        if wrong:
            for mistake, outcomes in self._mistaken:
                if all(self._same(got, outcomes)) and not self._wrong_gradients(got, outcomes):
                    return self._wrong(mistake.message, mistake=mistake.id)
            i = min(wrong, key=self._size)
            mine, right = got[i].gradients.get(wrong[i]), self._expected[i].gradients[wrong[i]]
            message = words.gradient(mine, got[i].gradient_error, wrong[i])
            pairs = [*self._title(i), *words.arguments(self.solution, self._args(i))]
            if mine is not None:
                pairs += _compared(mine, right, "gradient")
            return self._wrong(message, case=words.lines(pairs))
        edited = sorted({i for outcome in got for i in outcome.edited})
        if edited:
            return self._wrong(
                f"The value is right, but `{self.parameters[edited[0]]}` is not what it was "
                "before: the function changes its argument in place, which the code that called it "
                "does not expect. Look up in-place operations."
            )
        used = {name for outcome in got for name in outcome.called} & set(self.shortcuts)
        if used:
            return Result(
                self.name,
                RIGHT,
                f"Right: torch's own `{min(used)}` does it, and in real code it is the one to use. "
                "Here the point is to see inside; write it once with smaller pieces if you like. "
                f"{self.moral}",
            )
        return Result(self.name, RIGHT, self.moral)

    def _args(self, i: int) -> tuple:
        return list(self.cases.values())[i]

    def _title(self, i: int) -> list[tuple[str, str]]:
        return [("case", list(self.cases)[i])]

    def _size(self, i: int) -> int:
        """How much there is to read in a case."""
        return sum(arg.numel() for arg in self._args(i) if isinstance(arg, Tensor))

    def _describe(self, fn: Callable, got: list[Outcome], same: list[bool]) -> Result:
        """The smallest failing case, and what can be said about all of them."""
        failing = [i for i, ok in enumerate(same) if not ok]
        kinds = {i: self._kind(i, got[i]) for i in failing}
        order = ("error", "nothing", "type", "length", "device", "dtype", "shape", "value")
        worst = min(kinds.values(), key=order.index)
        # Values are read, and shapes compared: a small case for the one, a large for the other.
        choose = min if worst in ("error", "value") else max
        i = choose((i for i in failing if kinds[i] == worst), key=self._size)
        mine, right = got[i].value, self._expected[i].value
        pairs = [*self._title(i), *words.arguments(self.solution, self._args(i))]
        if worst == "error":
            message = words.exception(got[i].error, fn, self.solution, self._args(i))
            return self._wrong(message, case=words.lines(pairs))
        if worst == "nothing":
            return self._wrong("The function returned nothing: is a `return` missing?")
        which, one, other = _first_part(mine, right, self._tolerance(i, got[i]), self.exact)
        if worst == "type":
            return self._wrong(which + words.wrong_type(one, other))
        if worst == "length":
            message = f"{words.plural(len(right), 'value')} are asked for; {len(mine)} came back."
            return self._wrong(message)
        if worst in ("device", "dtype", "shape"):
            if worst == "device":
                message = f"The result lives on {one.device}, the arguments on {other.device}."
            else:
                say = words.wrong_dtype if worst == "dtype" else words.wrong_shape
                message = say(one, other)
            return self._wrong(which + message, case=words.lines(pairs))
        count = f"{sum(same)} of {words.plural(len(same), 'case')} {_agree(sum(same))}"
        common = words.relation(got, self._expected, self._scales) if _valued(kinds) else ""
        message = f"{(which + common).strip()}\n{count}; the smallest that does not:".strip()
        return self._wrong(message, case=words.lines(pairs + _compared(mine, right, "")))

    def _kind(self, i: int, got: Outcome) -> str:
        if got.error is not None:
            return "error"
        expected = self._expected[i].value
        return difference(got.value, expected, self._tolerance(i, got), self.exact)


def _agree(count: int) -> str:
    return "agrees" if count == 1 else "agree"


def _valued(kinds: dict[int, str]) -> bool:
    return set(kinds.values()) == {"value"}


def _has_dots(outcome: Outcome) -> bool:
    if outcome.error is not None:
        return words.is_placeholder(outcome.error)
    parts = outcome.value if isinstance(outcome.value, (tuple, list)) else [outcome.value]
    return any(part is ... for part in parts)


def _first_part(
    got: object, expected: object, tolerance: float, exact: bool
) -> tuple[str, object, object]:
    """The values themselves, or of two tuples the first parts that differ and which these are."""
    if isinstance(expected, tuple) and type(got) in (tuple, list) and len(got) == len(expected):
        for i, (one, other) in enumerate(zip(got, expected, strict=True), 1):
            if difference(one, other, tolerance, exact):
                return f"Value {i} of {len(expected)} is the first that differs. ", one, other
    return "", got, expected


def _compared(got: object, expected: object, what: str) -> list[tuple[str, str]]:
    digits = words.digits_needed(got, expected)
    return [
        (f"{what} got".strip(), words.show(got, digits)),
        ("expected", words.show(expected, digits)),
    ]
