"""One catalogue per subject: exercises, their cases, and the mistakes that they know."""

from companion.exercises.catalogues import (
    binary_cross_entropy,
    contracts,
    cross_entropy,
    decisions,
    heads,
    probabilities,
)

_ORDER = (probabilities, heads, binary_cross_entropy, cross_entropy, contracts, decisions)

CATALOGUES = {module.SUBJECT: module.EXERCISES for module in _ORDER}
