"""A solution with one small change is wrong: if a mutant is accepted, a kind of case is missing."""

import pytest

from companion.exercises import Exercise
from companion.exercises.catalogues import CATALOGUES
from tests.exercise_mutants import mutants

FUNCTIONS = [e for group in CATALOGUES.values() for e in group if isinstance(e, Exercise)]

# Changed lines that change nothing, by the reason. The first holds for all exercises.
AS_MANY_ROWS = "there are as many rows as targets"
SAME = {
    ("positive_probs", "if head <= 'logit':"): "of the names that are left, only one is before it",
    ("logsumexp", "largest = logits.detach().max(dim=1, keepdim=True).values"): (
        "what is subtracted and added again has no part in the gradient"
    ),
    ("smoothed_cross_entropy", "uniform = -log_probs.mean()"): "the mean of means of equal size",
    ("binary_labels", "cut = torch.tensor(threshold).logit()"): "right to the digits of float32",
    ("least_cost_threshold", "false_alarms = (decided & (target <= 0)).sum(dim=1)"): "0 or 1",
    ("least_cost_threshold", "misses = (~decided & (target >= 1)).sum(dim=1)"): "0 or 1",
    ("macro_f1", "return (2 * hits / named.clamp(min=2)).mean().item()"): (
        "a label that is named once has no hit, and 0/1 is 0/2"
    ),
    ("ignoring_cross_entropy", "safe_target = target.where(kept, 1)"): "any class will do",
    ("ignoring_cross_entropy", "safe_target = target.where(kept, -1)"): "the last class will do",
}


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda exercise: exercise.name)
def test_every_mutant_of_the_solution_is_refused(exercise):
    made, accepted = 0, set()
    for line, mutant in mutants(exercise):
        made += 1
        if exercise.check(mutant).status == "right":
            accepted.add(line)
    known = {line for name, line in SAME if name == exercise.name}
    size = next((p for p in ("log_probs", "logits", "inputs") if p in exercise.parameters), "")
    as_many = {line for line in accepted if f"len({size})" in line}  # AS_MANY_ROWS
    dtype = {line for line in accepted if "detach().dtype" in line or "detach().shape" in line}
    assert accepted == known | as_many | dtype
    assert made >= 4
