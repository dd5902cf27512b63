"""Exercises that know the mistake.

Each exercise is an attribute of this package; its ``check`` takes the reader's function and says
what is right or wrong about it, offline and at once:

    >>> from companion import exercises
    >>> exercises.cross_entropy.check(lambda logits, target: ...)
    cross_entropy: not attempted
    Replace the `...` and run this cell again.
"""

from difflib import get_close_matches

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises._progress import Progress
from companion.exercises._result import Result
from companion.exercises.catalogues import CATALOGUES

__all__ = ["Exercise", "Mistake", "Prediction", "Progress", "Result", "progress"]

_EXERCISES = {exercise.name: exercise for group in CATALOGUES.values() for exercise in group}


def progress() -> Progress:
    """Which exercises of the book are solved in this kernel, as a small table."""
    return Progress(
        {subject: tuple(e.name for e in group) for subject, group in CATALOGUES.items()}
    )


def __getattr__(name: str) -> Exercise | Prediction:
    """Find an exercise by its name."""
    if name in _EXERCISES:
        return _EXERCISES[name]
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    near = get_close_matches(name, [*_EXERCISES, "progress"], n=3)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    raise AttributeError(
        f"there is no exercise {name!r}: {guess}exercises.progress() names them all"
    )


def __dir__() -> list[str]:
    return sorted([*__all__, *_EXERCISES])
