"""One catalogue per subject: exercises, their cases, and the mistakes that they know."""

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

CATALOGUES = {module.SUBJECT: module.EXERCISES for module in _ORDER}
