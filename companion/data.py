"""Small seeded data sets: nothing is downloaded, and the same seed gives the same numbers.

Inputs come in torch's default dtype, class indices as int64. Every function that draws anything
takes a ``seed`` and leaves torch's and numpy's own generators alone. It draws from numpy's
``RandomState``, whose numbers are promised to stay the same in every version.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor

from companion import _checks

__all__ = [
    "blobs",
    "breast_cancer",
    "corrupt_labels",
    "digit_canvases",
    "digits",
    "pair_noise",
    "split",
    "symmetric_noise",
    "two_moons",
]

_CANVAS = 24
_DIGIT = 8


def two_moons(n: int, *, noise: float = 0.2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Make two crescents in the plane that no straight line separates.

    Args:
        n: the number of samples, half of each class.
        noise: standard deviation of the blur around the crescents; not negative.
        seed: of the random numbers.

    Returns:
        Inputs of shape (N, 2), and classes 0 and 1 of shape (N,), shuffled.

    Raises:
        ValueError: ``n`` is below 2 or ``noise`` negative.

    Example:
        >>> inputs, target = two_moons(100)
        >>> inputs.shape, target.bincount()
        (torch.Size([100, 2]), tensor([50, 50]))
    """
    _checks.at_least(n, 2, "n")
    _checks.at_least(noise, 0, "noise")
    inputs, target = datasets.make_moons(n, noise=noise, random_state=seed)
    return _tensors(inputs, target)


def blobs(
    n: int,
    *,
    centers: Sequence[Sequence[float]] = ((-1.0, 0.0), (1.0, 0.0)),
    std: float = 1.0,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Make one round Gaussian cloud for each class.

    Of two clouds the log-odds are linear in the input, so the right answer is known:
    ``((x - c0)**2 - (x - c1)**2).sum() / (2 * std**2)``.

    Args:
        n: the number of samples, spread evenly over the classes.
        centers: the middle of each cloud, K points of D coordinates.
        std: standard deviation of each coordinate; not negative.
        seed: of the random numbers.

    Returns:
        Inputs of shape (N, D), and classes in [0, K) of shape (N,), shuffled.

    Raises:
        ValueError: there are fewer samples than clouds, or ``std`` is negative.

    Example:
        >>> inputs, target = blobs(90, centers=[(0, 0), (5, 0), (0, 5)])
        >>> inputs.shape, target.bincount()
        (torch.Size([90, 2]), tensor([30, 30, 30]))
    """
    _checks.at_least(n, len(centers), "n")
    _checks.at_least(std, 0, "std")
    centers = np.asarray(centers, dtype=float)
    inputs, target = datasets.make_blobs(n, centers=centers, cluster_std=std, random_state=seed)
    return _tensors(inputs, target)


def breast_cancer(
    *, missing: float | None = None, missing_code: float = -99.0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Load measurements of 569 breast tumours, unscaled, some overwritten by a code on request.

    Args:
        missing: the share of all values to overwrite, in [0, 1], chosen evenly at random.
        missing_code: what is written there.
        seed: of the random choice.

    Returns:
        Inputs of shape (569, 30), and classes of shape (569,): 1 malignant, 0 benign. scikit-learn
        counts them the other way round.

    Raises:
        ValueError: ``missing`` lies outside [0, 1].

    References:
        Wolberg, Mangasarian, Street and Street, "Breast Cancer Wisconsin (Diagnostic)", UCI
        Machine Learning Repository, 1995; the copy in scikit-learn.

    Example:
        >>> inputs, target = breast_cancer(missing=0.1)
        >>> inputs.shape, target.bincount(), (inputs == -99).double().mean().round(decimals=4)
        (torch.Size([569, 30]), tensor([357, 212]), tensor(0.1000, dtype=torch.float64))
    """
    if missing is not None:
        _checks.between(missing, 0, 1, "missing")
    inputs, target = _tensors(*datasets.load_breast_cancer(return_X_y=True))
    if missing is not None:
        order = torch.as_tensor(np.random.RandomState(seed).permutation(inputs.numel()))
        inputs.view(-1)[order[: round(missing * inputs.numel())]] = missing_code
    return inputs, 1 - target


def digits() -> tuple[Tensor, Tensor]:
    """Load 1797 handwritten digits of 8 x 8 pixels.

    Returns:
        Inputs in [0, 1], 1 is ink, shape (1797, 64), row by row; classes 0 to 9, shape (1797,).

    References:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
        Repository, 1998; the copy of its test set in scikit-learn.

    Example:
        >>> inputs, target = digits()
        >>> inputs.shape, target[:5]
        (torch.Size([1797, 64]), tensor([0, 1, 2, 3, 4]))
    """
    return _all_digits()


def digit_canvases(
    n: int,
    *,
    digits: Sequence[int] = (2, 3),
    source: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Place a few different digits on one canvas of 24 x 24 pixels, none over another.

    Args:
        n: the number of canvases.
        digits: how many digits a canvas may hold, each number between 1 and 4 and equally likely.
        source: inputs and classes to take the digits from, as :func:`digits` gives them and by
            default all of those. To judge a model fairly, make its training and its test
            canvases of different digits, parts of one :func:`split`.
        seed: of the random numbers.

    Returns:
        Images in [0, 1], 1 is ink, shape (N, 1, 24, 24), and for each class 1 where it is on the
        canvas and 0 where it is not, floating, shape (N, 10).

    Raises:
        ValueError: ``n`` is below 1, ``digits`` asks for a number outside 1 to 4, or ``source``
            has other shapes or too few classes.

    Example:
        >>> images, targets = digit_canvases(20)
        >>> images.shape, targets.shape, targets.sum(dim=1).unique()
        (torch.Size([20, 1, 24, 24]), torch.Size([20, 10]), tensor([2., 3.]))
    """
    _checks.at_least(n, 1, "n")
    # A digit shuts out at most one corner, so three never fill the canvas for a fourth.
    if not digits or not all(1 <= count <= 4 for count in digits):
        raise ValueError(
            _checks.complaint("digits", "hold numbers between 1 and 4", f"{tuple(digits)}")
        )
    inputs, target = _all_digits() if source is None else source
    if inputs.ndim != 2 or inputs.shape[1] != _DIGIT**2 or target.shape != inputs.shape[:1]:
        rule = "hold inputs of shape (M, 64) and target of shape (M,)"
        got = f"{tuple(inputs.shape)} and {tuple(target.shape)}"
        raise ValueError(_checks.complaint("source", rule, got))
    rng = np.random.RandomState(seed)
    members = [(target == label).nonzero()[:, 0].numpy() for label in range(10)]
    present = [label for label in range(10) if len(members[label])]
    if len(present) < max(digits):
        rule = f"hold at least {max(digits)} classes"
        raise ValueError(_checks.complaint("source", rule, f"{len(present)}"))
    pictures = inputs.reshape(-1, _DIGIT, _DIGIT).numpy()
    images = np.zeros((n, _CANVAS, _CANVAS))
    targets = torch.zeros(n, 10)
    for i in range(n):
        labels = rng.permutation(present)[: rng.choice(digits)]
        targets[i, labels] = 1
        free = np.ones((_CANVAS - _DIGIT + 1,) * 2, dtype=bool)
        for label in labels:
            places = np.argwhere(free)
            row, column = places[rng.randint(len(places))]
            picture = pictures[rng.choice(members[label])]
            images[i, row : row + _DIGIT, column : column + _DIGIT] = picture
            free[
                max(row - _DIGIT + 1, 0) : row + _DIGIT,
                max(column - _DIGIT + 1, 0) : column + _DIGIT,
            ] = False
    return torch.as_tensor(images, dtype=torch.get_default_dtype()).unsqueeze(1), targets


def symmetric_noise(num_classes: int, rate: float) -> Tensor:
    """Return the transition matrix in which every wrong class is equally likely.

    Args:
        num_classes: the number K of classes, at least 2.
        rate: the probability in [0, 1] that a label is changed.

    Returns:
        Probabilities, shape (K, K), float64: row the true class, column the label that is given.

    Raises:
        ValueError: ``num_classes`` is below 2 or ``rate`` lies outside [0, 1].

    Example:
        >>> symmetric_noise(3, 0.2)
        tensor([[0.8000, 0.1000, 0.1000],
                [0.1000, 0.8000, 0.1000],
                [0.1000, 0.1000, 0.8000]], dtype=torch.float64)
    """
    _noise(num_classes, rate)
    eye = torch.eye(num_classes, dtype=torch.float64)
    return (1 - rate) * eye + rate / (num_classes - 1) * (1 - eye)


def pair_noise(num_classes: int, rate: float) -> Tensor:
    """Return the transition matrix in which each class is mistaken only for the next one.

    Args:
        num_classes: the number K of classes, at least 2; the last is mistaken for class 0.
        rate: the probability in [0, 1] that a label is changed.

    Returns:
        Probabilities, shape (K, K), float64: row the true class, column the label that is given.

    Raises:
        ValueError: ``num_classes`` is below 2 or ``rate`` lies outside [0, 1].

    Example:
        >>> pair_noise(3, 0.2)
        tensor([[0.8000, 0.2000, 0.0000],
                [0.0000, 0.8000, 0.2000],
                [0.2000, 0.0000, 0.8000]], dtype=torch.float64)
    """
    _noise(num_classes, rate)
    eye = torch.eye(num_classes, dtype=torch.float64)
    return (1 - rate) * eye + rate * eye.roll(1, dims=1)


def corrupt_labels(target: Tensor, transition: Tensor, *, seed: int = 0) -> Tensor:
    """Replace labels at random, as a transition matrix says.

    Args:
        target: the true classes in [0, K), int64, shape (N,).
        transition: the probability of each given label for each true class, shape (K, K), rows
            adding up to 1.
        seed: of the random numbers.

    Returns:
        The given labels, int64, shape (N,); ``target`` itself stays as it is.

    Raises:
        ValueError: ``transition`` is not square, has a negative entry or a row that does not add
            up to 1, or a target lies outside [0, K).
        TypeError: ``target`` is not int64.

    Example:
        >>> corrupt_labels(torch.tensor([0, 1, 2, 0]), pair_noise(3, 1.0))
        tensor([1, 2, 0, 1])
    """
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1]:
        rule, got = "be square, one row a class", f"shape {tuple(transition.shape)}"
        raise ValueError(_checks.complaint("transition", rule, got))
    transition = transition.double().cpu()
    if not (transition >= 0).all() or (transition.sum(dim=1) - 1).abs().max() > 1e-6:
        sums = [round(total, 4) for total in transition.sum(dim=1).tolist()]
        got = f"the row sums {sums} and the least entry {transition.min().item():g}"
        rule = "hold probabilities whose rows add up to 1"
        raise ValueError(_checks.complaint("transition", rule, got))
    if target.dtype != torch.int64 or target.ndim != 1:
        kind = TypeError if target.dtype != torch.int64 else ValueError
        rule = "hold class indices (int64) of shape (N,)"
        raise kind(_checks.complaint("target", rule, target))
    classes = len(transition)
    if ((target < 0) | (target >= classes)).any():
        rule = f"lie in [0, {classes}), as transition has {classes} rows"
        got = f"values from {target.min().item()} to {target.max().item()}"
        raise ValueError(_checks.complaint("target", rule, got))
    # A label is the number of bounds that a uniform number has passed. Divided by the last one,
    # the bounds of impossible last classes are exactly 1, which is never passed.
    bounds = transition.cumsum(dim=1)
    bounds = bounds[:, :-1] / bounds[:, -1:]
    drawn = torch.as_tensor(np.random.RandomState(seed).random_sample((len(target), 1)))
    return (drawn >= bounds[target.cpu()]).sum(dim=1).to(target.device)


def split(
    *tensors: Tensor,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: Tensor | None = None,
    seed: int = 0,
) -> tuple[tuple[Tensor, ...], ...]:
    """Deal samples out into parts, each sample into exactly one.

    Args:
        tensors: any number of tensors with the same first dimension N.
        fractions: the share of each part; they add up to 1.
        stratify: classes, shape (N,), of which every part gets its share.
        seed: of the shuffling.

    Returns:
        For each part the tensors of its samples, shuffled alike.

    Raises:
        ValueError: there is no tensor, first dimensions differ, the shares do not add up to 1, or
            a part, or a class in one, would be empty.

    Example:
        >>> inputs, target = two_moons(100)
        >>> train, test = split(inputs, target, fractions=(0.8, 0.2), stratify=target)
        >>> train[0].shape, test[1].bincount()
        (torch.Size([80, 2]), tensor([10, 10]))
    """
    if not tensors:
        raise ValueError(_checks.complaint("tensors", "hold at least one tensor", "none"))
    lengths = [len(tensor) for tensor in (*tensors, *([] if stratify is None else [stratify]))]
    if len(set(lengths)) > 1:
        rule = "have the same first dimension"
        raise ValueError(_checks.complaint("tensors", rule, f"{lengths}"))
    if any(share <= 0 for share in fractions) or not math.isclose(sum(fractions), 1):
        got = f"{tuple(fractions)}, in all {sum(fractions):g}"
        raise ValueError(_checks.complaint("fractions", "be above 0 and add up to 1", got))
    if stratify is not None and stratify.ndim != 1:
        got = f"{tuple(stratify.shape)}"
        raise ValueError(_checks.complaint("stratify", "have shape (N,)", got))
    rng = np.random.RandomState(seed)
    order = torch.as_tensor(rng.permutation(lengths[0]))
    groups = [order]
    if stratify is not None:
        classes = stratify.cpu()[order]
        groups = [order[classes == label] for label in classes.unique()]
    bounds = np.cumsum(fractions)[:-1]
    parts: list[list[Tensor]] = [[] for _ in fractions]
    for group in groups:
        cuts = [round(bound * len(group)) for bound in bounds.tolist()]
        for part, chunk in zip(parts, torch.tensor_split(group, cuts), strict=True):
            if len(chunk) == 0:
                which = "" if stratify is None else f" of class {stratify[group[0]].item()}"
                rule = f"leave every part some samples{which}"
                got = f"{tuple(fractions)} of {len(group)}"
                raise ValueError(_checks.complaint("fractions", rule, got))
            part.append(chunk)
    chosen = [torch.cat(part) for part in parts]
    if stratify is not None:
        chosen = [part[rng.permutation(len(part))] for part in chosen]
    return tuple(tuple(tensor[part] for tensor in tensors) for part in chosen)


def _all_digits() -> tuple[Tensor, Tensor]:
    inputs, target = _tensors(*datasets.load_digits(return_X_y=True))
    return inputs / 16, target


def _tensors(inputs: np.ndarray, target: np.ndarray) -> tuple[Tensor, Tensor]:
    """Copy the arrays into tensors of the default dtype and of int64."""
    return (
        torch.tensor(inputs, dtype=torch.get_default_dtype()),
        torch.tensor(target, dtype=torch.int64),
    )


def _noise(num_classes: int, rate: float) -> None:
    _checks.at_least(num_classes, 2, "num_classes")
    _checks.between(rate, 0, 1, "rate")
