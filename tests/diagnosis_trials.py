"""Every wiring of the catalogue, of the trials and of losses of one's own, in one place."""

from diagnosis_cases import BUGS, RIGHT
from diagnosis_own_losses import OWN
from diagnosis_trial import FIRST, SECOND, THIRD
from diagnosis_trial_4 import FOURTH
from diagnosis_trial_5 import SEALED

# Each trial with how many bugs and right wirings it holds.
SIZES = {FIRST: (20, 10), SECOND: (20, 10), THIRD: (20, 10), FOURTH: (60, 30), SEALED: (40, 20)}
TRIED_BUGS = {name: bug for trial in (*SIZES, OWN) for name, bug in trial.bugs.items()}
ALL_BUGS = BUGS | TRIED_BUGS
ALL_RIGHT = RIGHT | {name: build for t in (*SIZES, OWN) for name, build in t.rights.items()}
