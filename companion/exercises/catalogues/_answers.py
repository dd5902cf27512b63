"""Mistaken answers to a prediction, told by what they change."""

from collections.abc import Callable


def variations(right: dict[str, object]) -> Callable:
    """A function that makes mistakes: the right answers, with those given by name changed."""

    def but(**changed) -> Callable:
        return lambda: tuple((right | changed).values())

    return but
