"""One catalogue per subject: exercises, their cases, and the mistakes that they know."""

from companion.exercises._exercise import Exercise
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues import (
    binary_cross_entropy,
    contracts,
    cross_entropy,
    decisions,
    heads,
    multi_label,
    noisy_labels,
    probabilities,
    stability,
    training,
)

_ORDER = (
    probabilities,
    heads,
    binary_cross_entropy,
    cross_entropy,
    contracts,
    decisions,
    training,
    multi_label,
    noisy_labels,
    stability,
)

CATALOGUES = {
    module.SUBJECT: tuple(
        found for found in vars(module).values() if isinstance(found, (Exercise, Prediction))
    )
    for module in _ORDER
}
