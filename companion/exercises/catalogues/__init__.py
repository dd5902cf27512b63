"""One catalogue per subject: exercises, their cases, and the mistakes that they know."""

from companion.exercises.catalogues import cross_entropy, heads

CATALOGUES = {module.SUBJECT: module.EXERCISES for module in (heads, cross_entropy)}
