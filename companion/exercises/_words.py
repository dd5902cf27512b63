"""The sentences: every message that is not a known mistake's own."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor

from companion.exercises._compare import SINGLE, as_number, close
from companion.exercises._run import Outcome

_PLAIN = (torch.float64, torch.int64)
_SHOWN = 40  # elements of a tensor that are printed before it is only described


def plural(count: int, word: str) -> str:
    """``3 rows``, ``1 row``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def shape(value: object) -> str:
    """The shape of a tensor as a tuple, of anything else its type."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def digits_needed(got: object, expected: object) -> int:
    """The fewest significant digits, four at least, that tell two values apart."""
    for digits in range(4, 17):
        if show(got, digits) != show(expected, digits):
            return digits
    return 17


def show(value: object, digits: int = 4) -> str:
    """A value as a reader would write it."""
    if isinstance(value, Tensor):
        if value.numel() > _SHOWN:
            return f"a {str(value.dtype)[6:]} tensor of shape {tuple(value.shape)}"
        kind = "" if value.dtype in _PLAIN else f"  ({str(value.dtype)[6:]})"
        return _nested(value.tolist(), digits) + kind
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(show(part, digits) for part in value) + ")"
    if isinstance(value, torch.dtype):
        return str(value)
    return _nested(value, digits)


def _nested(value: object, digits: int) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_nested(part, digits) for part in value) + "]"
    if isinstance(value, float):
        return format(value + 0.0, f".{digits}g")  # adding 0 turns -0 into 0
    if isinstance(value, (bool, int, str)) or value is None:
        return repr(value)
    return f"a {type(value).__name__}"


def lines(pairs: list[tuple[str, str]]) -> str:
    """Aligned ``name  value`` lines."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in pairs)


def arguments(solution: Callable, args: tuple) -> list[tuple[str, str]]:
    """The arguments of a case under their names."""
    return list(zip(inspect.signature(solution).parameters, map(show, args), strict=False))


def call(solution: Callable) -> str:
    """How the exercise calls the function: ``nll_loss(log_probs, target)``."""
    return f"{solution.__name__}({', '.join(inspect.signature(solution).parameters)})"


def time_up(seconds: float) -> str:
    """The function has not come back."""
    return (
        f"The function had not come back after {seconds:g} seconds and was stopped. Does a loop in "
        "it never end? If it is only slow, let torch work on the whole batch at once."
    )


def wrong_type(got: object, expected: object) -> str:
    """A float, an array, a list, a function … where a tensor (or a tuple of them) is asked for."""
    if isinstance(expected, tuple):
        return (
            f"{plural(len(expected), 'value')} are asked for, as a tuple; "
            f"what came back is {article(got)}."
        )
    if isinstance(expected, float):
        if isinstance(got, Tensor):
            one = "It holds one number: take that out of the tensor."
            cause = "Is a sum or a mean missing?" if got.numel() != 1 else one
            came = f"what came back is a tensor of shape {shape(got)}"
            return f"One number is asked for; {came}. {cause}"
        return f"One number is asked for; what came back is {article(got)}."
    if type(got).__module__ == "numpy":
        return (
            "What came back is a NumPy value. NumPy knows nothing of gradients, so a model could "
            "not learn from it: stay with tensors from the first line to the last."
        )
    number = as_number(got)
    if number is not None:
        start = "What came back is a Python number, not a tensor"
        right = expected.ndim == 0 and bool(
            close(torch.tensor(number, dtype=expected.dtype), expected, 1e-6)
        )
        return (
            f"{start}{'. The number itself is right' if right else ''}. "
            "`.item()`, `float()` and the functions of `math` cut the gradient: "
            "keep the result a tensor."
        )
    if isinstance(got, tuple) and hasattr(got, "values"):
        return (
            "What came back is a pair of values and indices: some of torch's reductions along "
            "a dimension return both. Which of the two is asked for?"
        )
    if isinstance(got, (tuple, list)):
        return (
            f"What came back is {article(got)}, not a tensor. What was collected one by one has "
            "to become one tensor again, in a way that keeps the gradient where there is one."
        )
    if isinstance(got, torch.nn.Module):
        return f"What came back is {article(got)}, not its result: a module has to be called, too."
    if inspect.isgenerator(got) or inspect.iscoroutine(got):
        return f"What came back is {article(got)}: was `yield` or `async` meant?"
    if callable(got):
        return f"What came back is {article(got)}, not its result: are the brackets missing?"
    return f"What came back is {article(got)}, not a tensor."


def article(value: object) -> str:
    """``a `list` ``, ``an `int` ``."""
    kind = "function" if inspect.isroutine(value) else type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} `{kind}`"


def wrong_dtype(got: Tensor, expected: Tensor) -> str:
    """The dtype differs; say what usually brings that dtype."""
    have, want = str(got.dtype)[6:], str(expected.dtype)[6:]
    causes = {
        "bool": "A comparison gives True and False; here numbers are asked for.",
        "complex128": "Something complex has crept in.",
        "int64": "Whole numbers came back: perhaps something was rounded, compared or counted.",
    }
    cause = causes.get(have, "")
    if expected.dtype == torch.int64 and got.is_floating_point():
        cause = "Labels and counts are whole numbers: convert at the end."
    elif got.is_floating_point() and expected.is_floating_point():
        wider = torch.finfo(got.dtype).bits > torch.finfo(expected.dtype).bits
        cause = (
            "Here the precision is a part of the task."
            if wider
            else "Precision was lost: perhaps by a conversion, or by torch's default dtype."
        )
    return f"The result is {have}, expected {want}. {cause}".strip()


def wrong_shape(got: Tensor, expected: Tensor) -> str:
    """The shape differs; say what usually brings that shape."""
    have, want = tuple(got.shape), tuple(expected.shape)
    start = f"The result has shape {have}, expected {want}"
    if not want:
        if got.numel() == 1:
            return f"{start}: one number, but still inside a dimension of size 1."
        return f"{start}: the last step, from many numbers to one, is missing."
    if expected.numel() == 1 and got.numel() == 1:
        return (
            f"{start}: the one number has lost or gained a dimension of size 1. A reduction, an "
            "index or a `squeeze()` does that. Look up `keepdim` and `squeeze`."
        )
    if not have:
        return f"{start}: everything was reduced to one number, and more were asked for."
    if got.numel() == expected.numel():
        if have == want[::-1] and len(have) == 2 and 1 not in have:
            return f"{start}: perhaps rows and columns have changed places."
        if [n for n in have if n > 1] == [n for n in want if n > 1]:
            return f"{start}: the numbers may be right. Look up `keepdim` and `squeeze`."
        return f"{start}: as many numbers, arranged in another way."
    if have == (*want, *want):
        return f"{start}: every entry met every other one. Look up broadcasting."
    if len(have) == len(want):
        return f"{start}: too many or too few numbers. Perhaps a step ran along another dimension."
    if len(have) > len(want):
        return f"{start}: a dimension is left. Perhaps a reduction is missing. Look up `dim`."
    return f"{start}: a dimension is missing. Perhaps something was reduced or flattened."


def is_placeholder(error: BaseException | None) -> bool:
    """Whether an exception only says that the stub's dots are still there."""
    text = str(error).lower()
    if isinstance(error, NotImplementedError):
        return "not implemented for '" not in text and "aten::" not in text
    return isinstance(error, (TypeError, AttributeError)) and "ellipsis" in text


def exception(error: BaseException, fn: Callable, solution: Callable, args: tuple) -> str:
    """Type and message of an exception, and a cause found by looking at the arguments."""
    raised = f"{type(error).__name__}: {_first_line(error)}".removesuffix(": ")
    return f"It raised `{raised}`.\n{_cause(error, fn, solution, args)}"


def _first_line(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0].replace("`", "'")
    return text.rstrip(".") if len(text) <= 160 else text[:157] + "..."


def _cause(error: BaseException, fn: Callable, solution: Callable, args: tuple) -> str:
    text = str(error).lower()
    if isinstance(error, SystemExit):
        return "The function ends the whole program; it should end with a `return`."
    if isinstance(error, RecursionError):
        return (
            "The function calls itself without end. Does it use its own name where torch's "
            "function of the same name was meant?"
        )
    if isinstance(error, TypeError) and not _accepts(fn, args):
        return f"The check calls your function as `{call(solution)}`, so it must take just these."
    if isinstance(error, NameError):
        return "Is that name spelled right, and has the cell that imports or sets it been run?"
    if "target" in text and "out of bounds" in text:
        return "A target names a class that the logits do not have. Should that row take part?"
    for signs, cause in _CAUSES.items():
        if any(sign in text for sign in signs):
            return cause
    if any(sign in text for sign in _SHAPE_SIGNS):
        return (
            f"Two shapes do not fit. The arguments were {_shapes(solution, args)}: "
            "write the shape after each of your steps beside it."
        )
    if "dimension out of range" in text:
        return f"The arguments were {_shapes(solution, args)}: such a dimension is not there."
    if isinstance(error, IndexError) or "index" in text:
        return (
            f"The arguments were {_shapes(solution, args)}: "
            "which of the dimensions does the index run along?"
        )
    if any(sign in text for sign in ("dtype", "scalar type", "not implemented for", "long")):
        return (
            f"The dtypes do not fit. What came in: {_dtypes(solution, args)}. "
            "What do your own steps make of them, and which has to be converted?"
        )
    if isinstance(error, AttributeError):
        return "Is that a method of tensors, and is it spelled right?"
    shapes = _shapes(solution, args)
    return f"The arguments were {shapes}." if shapes else "Nothing is passed to the function."


_CAUSES = {
    ("numpy",): "NumPy knows nothing of gradients: stay with torch's functions throughout.",
    ("inplace", "in-place"): (
        "A tensor was changed in place although its old value is still needed. Make a new tensor "
        "instead."
    ),
    ("boolean value of tensor",): (
        "An `if`, `and`, `max` or `min` of Python got a whole tensor where it can weigh only one "
        "value. Think of an operation that works on all elements at once."
    ),
    ("only one element", "can only convert", "converted to scalar"): (
        "A whole batch was turned into one Python number. Functions of `math`, `float()` and "
        "`.item()` take one element: torch has functions that take them all."
    ),
    ("math domain error", "math range error"): (
        "A function of `math` was given a number outside its range: perhaps the logarithm of a "
        "probability so small that it is stored as 0."
    ),
    ("must be real number", "must be tensor, not"): (
        "Functions of `math` take numbers, functions of torch take tensors."
    ),
    ("view size is not compatible",): (
        "This argument does not lie in one piece in memory, for instance because it is a column "
        "of a table. `view` needs that; `reshape` does not."
    ),
    ("return_types",): (
        "One of the two is a pair of values and indices: some of torch's reductions along a "
        "dimension return both."
    ),
    ("must be either a floating point", "floating point or complex"): (
        "Truth values and whole numbers have no mean and no gradient: which dtype has to be in "
        "place before that step?"
    ),
    ("unexpected keyword",): (
        "A function was given an argument that it does not know. Is it a function of NumPy that "
        "met a tensor, or has torch another name for that argument?"
    ),
    ("does not require grad",): (
        "There is no graph to go back through: the arguments come without a gradient here, and "
        "the answer is meant to be computed directly."
    ),
}
_SHAPE_SIGNS = (
    "must match",
    "must be the same",
    "cannot be multiplied",
    "size mismatch",
    "same number of dimensions",
    "broadcast",
    "expected input batch_size",
)


def _accepts(fn: Callable, args: tuple) -> bool:
    try:
        inspect.signature(fn).bind(*args)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def _shapes(solution: Callable, args: tuple) -> str:
    return _named(solution, args, lambda value: f"of shape {shape(value)}")


def _dtypes(solution: Callable, args: tuple) -> str:
    return _named(solution, args, lambda value: str(value.dtype)[6:])


def _named(solution: Callable, args: tuple, describe: Callable) -> str:
    names = inspect.signature(solution).parameters
    return ", ".join(
        f"`{name}` {describe(value)}"
        for name, value in zip(names, args, strict=False)
        if isinstance(value, Tensor)
    )


def relation(got: list[Outcome], expected: list[Outcome], scales: list[float]) -> str:
    """What all the wrong values have in common, where they have something in common."""
    pairs = [_flat(g.value, e.value) for g, e in zip(got, expected, strict=True)]
    if any(pair is None for pair in pairs):
        return ""
    mine = torch.cat([pair[0] for pair in pairs])
    theirs = torch.cat([pair[1] for pair in pairs])
    half = max((g.coarsest for g in got), key=lambda dtype: torch.finfo(dtype).eps)
    eps = torch.finfo(half).eps
    if eps > SINGLE and bool(close(mine, theirs, 8 * eps * max(scales)).all()):
        return f"The digits of {str(half)[6:]} are right, and these are few: was that dtype needed?"
    single = any(torch.finfo(g.coarsest).eps >= SINGLE for g in got)
    tolerance = 8 * SINGLE * max(scales) if single else 1e-9
    wrong = ~close(mine, theirs, tolerance)
    broken = wrong & ~mine.isfinite() & theirs.isfinite()
    if broken.any():
        if not bool((mine.isfinite() & theirs.isfinite()).any()):
            return "Every result is NaN or infinite. Which step makes it so?"
        if wrong.sum() == broken.sum():
            return (
                "Where the result is finite it is right; elsewhere it is NaN or infinite. "
                "Which step overflows, takes the logarithm of zero, or divides by zero?"
            )
        return "Some of the results are NaN or infinite where the right ones are not."
    both = mine.isfinite() & theirs.isfinite()
    mine, theirs = mine[both], theirs[both]
    if mine.numel() < 3 or bool((theirs == theirs[0]).all()):
        return ""
    if bool(close(mine, -theirs, tolerance).all()):
        return "Every value has the opposite sign."
    if bool((mine == mine[0]).all()):
        return (
            "The result is the same in every case: perhaps an argument is not used, or something "
            "is rounded."
        )
    if bool(close(mine, theirs, 1e-4).all()):
        return (
            "Every value is close to the expected one: perhaps a small number was added, or a "
            "value cut off or rounded."
        )
    pivot = theirs.abs().argmax()
    factor, offset = mine[pivot] / theirs[pivot], mine[pivot] - theirs[pivot]
    if bool(close(mine, factor * theirs, tolerance).all()):
        return f"Every value is {float(factor):.4g} times the expected one: which factor is that?"
    if bool(close(mine, theirs + offset, tolerance).all()):
        return f"Every value differs from the expected one by {float(offset):.4g}."
    return ""


def _flat(got: object, expected: object) -> tuple[Tensor, Tensor] | None:
    if isinstance(expected, float):
        return (
            torch.tensor([as_number(got)], dtype=torch.float64),
            torch.tensor([expected], dtype=torch.float64),
        )
    if isinstance(expected, Tensor) and expected.is_floating_point():
        return got.double().flatten(), expected.double().flatten()
    return None


def gradient(got: Tensor | None, error: BaseException | None, name: str) -> str:
    """The value agrees, the gradient does not; say in which way."""
    if error is not None:
        return (
            "The value is right, but going backward through it raised "
            f"`{type(error).__name__}: {_first_line(error)}`. "
            "Perhaps a tensor was changed in place after it had been used."
        )
    if got is None:
        return (
            f"The value is right, the gradient with respect to `{name}` is missing: was something "
            "detached, or is it a constant? `.detach()`, `.data`, `.item()`, `torch.no_grad()`, "
            "`torch.tensor()` and NumPy cut it off: look up the graph."
        )
    if not bool(got.isfinite().all()):
        return (
            f"The value is right, but the gradient with respect to `{name}` is NaN or infinite. "
            "Somewhere inside, an infinite or undefined step is thrown away going forward and "
            "still multiplied with going backward."
        )
    return (
        f"The value is right, the gradient with respect to `{name}` is not: perhaps a part of the "
        "computation was detached, or a clamp, a round or a corner stops it."
    )
