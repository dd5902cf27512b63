"""An exercise: a solution, cases, and the mistakes that it knows."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from companion.exercises import _words as words
from companion.exercises._compare import as_number, difference, same_gradient, same_value
from companion.exercises._result import NOT_ATTEMPTED, RIGHT, WRONG, Result, record
from companion.exercises._run import Outcome, run

DOTS = "Replace the `...` and run this cell again."


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


@dataclass(frozen=True, repr=False)
class Exercise:
    """A function to write.

    Attributes:
        name: the function's name, and the attribute under which the exercise is found.
        solution: a right answer; its parameters are the arguments of each case.
        cases: the arguments to try, each under a name that says what is special about it.
        mistakes: wrong answers that get a message of their own.
        moral: one sentence for those who got it right.
        tolerance: relative and absolute; for lower precision the dtype's own resolution counts.
        shortcuts: names of torch functions that do the whole of it.
        gradient: whether the gradient is compared as well.
    """

    name: str
    solution: Callable
    cases: dict[str, tuple]
    mistakes: tuple[Mistake, ...]
    moral: str
    tolerance: float = 1e-9
    shortcuts: tuple[str, ...] = ()
    gradient: bool = True

    def __repr__(self) -> str:
        return f"the exercise {self.name}: {self.name}.check(your_function)"

    def check(self, fn: Callable = ...) -> Result:
        """Tell what is right or wrong about ``fn``.

        It never raises; only an interrupt by the reader (the stop button, for an answer that is
        very slow) passes through. What ``fn`` prints is left alone.

        Args:
            fn: the reader's function itself, not a call of it.

        Returns:
            The result, which shows itself in a terminal and in a notebook.
        """
        try:
            return record(self._judge(fn))
        except Exception as error:
            return Result(
                self.name,
                WRONG,
                f"What came back could not be compared (`{type(error).__name__}`). "
                "Return a plain tensor.",
            )

    @cached_property
    def _expected(self) -> list[Outcome]:
        return self._run(self.solution)

    @cached_property
    def _mistaken(self) -> list[tuple[Mistake, list[Outcome]]]:
        return [(mistake, self._outcomes(mistake.fn)) for mistake in self.mistakes]

    def _run(self, fn: Callable) -> list[Outcome]:
        return [run(fn, args, gradient=self.gradient) for args in self.cases.values()]

    def _outcomes(self, fn: Callable) -> list[Outcome]:
        """Where a number is asked for, a tensor that holds one is as good."""
        outcomes = self._run(fn)
        return [
            replace(outcome, value=as_number(outcome.value))
            if isinstance(expected.value, float) and as_number(outcome.value) is not None
            else outcome
            for outcome, expected in zip(outcomes, self._expected, strict=True)
        ]

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
        same = [self._same(g, e) for g, e in zip(got, self._expected, strict=True)]
        if all(same):
            return self._judge_gradient(got)
        for mistake, outcomes in self._mistaken:
            if all(map(self._same, got, outcomes)):
                return self._wrong(mistake.message, mistake=mistake.id)
        return self._describe(fn, got, same)

    def _same(self, one: Outcome, other: Outcome) -> bool:
        return same_value(one, other, self.tolerance)

    def _judge_gradient(self, got: list[Outcome]) -> Result:
        """All values are right; the gradients, and the arguments, may still be not."""
        first = next(iter(inspect.signature(self.solution).parameters))
        wrong = [
            i
            for i, (g, e) in enumerate(zip(got, self._expected, strict=True))
            if not same_gradient(g, e, self.tolerance)
        ]
        if wrong:
            for mistake, outcomes in self._mistaken:
                if all(map(self._same, got, outcomes)) and all(
                    same_gradient(g, o, self.tolerance) for g, o in zip(got, outcomes, strict=True)
                ):
                    return self._wrong(mistake.message, mistake=mistake.id)
            i = min(wrong, key=self._size)
            message = words.gradient(got[i], self._expected[i], first)
            pairs = [*self._title(i), *words.arguments(self.solution, self._args(i))]
            if got[i].gradient is not None:
                pairs += _compared(got[i].gradient, self._expected[i].gradient, "gradient")
            return self._wrong(message, case=words.lines(pairs))
        edited = sorted({i for outcome in got for i in outcome.edited})
        if edited:
            names = list(inspect.signature(self.solution).parameters)
            return self._wrong(
                f"The value is right, but `{names[edited[0]]}` is not what it was before: the "
                "function changes its argument in place, and whoever called it will be surprised. "
                "Look up in-place operations."
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
        kinds = {i: self._kind(got[i], self._expected[i]) for i in failing}
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
        which, one, other = _first_part(mine, right, self.tolerance)
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
        common = words.relation(got, self._expected, self.tolerance) if _valued(kinds) else ""
        message = f"{(which + common).strip()}\n{count}; the smallest that does not:".strip()
        return self._wrong(message, case=words.lines(pairs + _compared(mine, right, "")))

    def _kind(self, got: Outcome, expected: Outcome) -> str:
        if got.error is not None:
            return "error"
        return difference(got.value, expected.value, self.tolerance)


def _agree(count: int) -> str:
    return "agrees" if count == 1 else "agree"


def _valued(kinds: dict[int, str]) -> bool:
    return set(kinds.values()) == {"value"}


def _has_dots(outcome: Outcome) -> bool:
    if outcome.error is not None:
        return words.is_placeholder(outcome.error)
    parts = outcome.value if isinstance(outcome.value, (tuple, list)) else [outcome.value]
    return any(part is ... for part in parts)


def _first_part(got: object, expected: object, tolerance: float) -> tuple[str, object, object]:
    """The values themselves, or of two tuples the first parts that differ and which these are."""
    if not isinstance(expected, tuple) or type(got) not in (tuple, list):
        return "", got, expected
    if len(got) != len(expected):
        return "", got, expected
    for i, (one, other) in enumerate(zip(got, expected, strict=True), 1):
        if difference(one, other, tolerance):
            return f"Value {i} of {len(expected)} is the first that differs. ", one, other
    return "", got, expected


def _compared(got: object, expected: object, what: str) -> list[tuple[str, str]]:
    digits = words.digits_needed(got, expected)
    return [
        (f"{what} got".strip(), words.show(got, digits)),
        ("expected", words.show(expected, digits)),
    ]
