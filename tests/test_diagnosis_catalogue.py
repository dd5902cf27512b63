"""The catalogue: each bug is found under its code and level, each right wiring left alone."""

import functools
import re

import pytest
import torch
import torch.nn.functional as F
from diagnosis_cases import (
    BUGS,
    NOTES,
    RIGHT,
    Focal,
    SmoothedCE,
    Wiring,
    World,
    class_dice,
    sigmoid_focal,
    soft_dice,
)
from diagnosis_trials import ALL_BUGS, ALL_RIGHT, OWN, SIZES, TRIED_BUGS

from companion import losses
from companion.diagnosis import Report, diagnose
from companion.diagnosis.findings import CHAPTER_OF

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MISSED = {
    # A weight that a criterion of one's own makes of the frequencies is not read.
    "alpha_by_frequency",
    # It was thought to fail, and torch takes it: one sample without its batch.
    "squeezed_away_batch",
    # A class may be ignored on purpose, "unlabelled" for one: a note says that it never counts.
    "real_class_declared_as_padding",
    # Sums are a choice, and so is a last batch that is smaller: two notes say what follows.
    "sum_over_unequal_batches",
    # A property of the data, not of the wiring: a note says that accuracy means little.
    "lesion_of_three_pixels",
}


def look(wiring: Wiring) -> Report:
    return diagnose(wiring.criterion, wiring.output, wiring.target, **wiring.more)


@functools.cache
def report_on(name: str) -> Report:
    return look(BUGS[name].build(World()))


def failures(report: Report) -> list[str]:
    return [text for text in report.unchecked if "it failed with" in text]


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_under_its_code_and_level(name):
    bug = BUGS[name]
    report = report_on(name)
    assert (bug.code, bug.level) in [(one.code, one.level) for one in report.findings], report
    assert not report.ok
    assert not failures(report)


@pytest.mark.parametrize("name", BUGS)
def test_nothing_else_is_certain(name):
    bug = BUGS[name]
    report = report_on(name)
    assert {one.code for one in report.findings if one.level == "certain"} <= {bug.code}, report


@pytest.mark.parametrize("name", TRIED_BUGS)
def test_a_bug_of_the_trial_is_found(name):
    report = look(TRIED_BUGS[name].build(World()))
    codes = {one.code for one in report.findings if one.level != "note"}
    accepted = set(TRIED_BUGS[name].code.split())
    assert bool(accepted & codes) == (name not in MISSED), report
    assert not failures(report)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("graph", [True, False], ids=["graph", "no-graph"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_right_wirings_raise_no_alarm(dtype, graph, training):
    for name, build in ALL_RIGHT.items():
        report = look(build(World(dtype, graph, training)))
        assert report.ok, f"{name}: {report}"
        assert not failures(report), name


@pytest.mark.parametrize("name", BUGS)
def test_a_finding_says_how_it_is_known_and_what_to_do(name):
    for one in report_on(name).findings:
        assert one.what
        assert one.evidence
        assert one.chapter
        assert re.search(r"\d", one.evidence), one.evidence
        assert not re.search(r"0x[0-9a-f]{6}", one.what + one.evidence + one.fix)


@pytest.mark.parametrize("name", NOTES)
def test_a_note_is_made_and_does_no_harm(name):
    report = look(RIGHT[name](World()))
    assert NOTES[name] in [one.code for one in report.findings if one.level == "note"], report
    assert report.ok


def test_every_code_occurs_in_the_catalogue():
    assert {bug.code for bug in BUGS.values()} == set(CHAPTER_OF)


def test_no_wiring_hides_behind_another_of_its_name():
    assert len(ALL_BUGS) == len(BUGS) + sum(len(trial.bugs) for trial in (*SIZES, OWN))
    assert len(ALL_RIGHT) == len(RIGHT) + sum(len(trial.rights) for trial in (*SIZES, OWN))


def test_the_catalogue_is_large_enough():
    assert len(BUGS) >= 60
    assert len(RIGHT) >= 30
    for trial, size in SIZES.items():
        assert (len(trial.bugs), len(trial.rights)) == size


BY_CLASS = {
    "cross_entropy": F.cross_entropy,
    "label smoothing": torch.nn.CrossEntropyLoss(label_smoothing=0.1),
    "smoothed by hand": SmoothedCE(),
    "focal": Focal(),
    "dice": lambda o, t: class_dice(o.softmax(1), t),
    "cross-entropy and dice": lambda o, t: F.cross_entropy(o, t) + class_dice(o.softmax(1), t),
    "mean absolute error": lambda o, t: (1 - o.softmax(1).gather(1, t[:, None])).mean(),
    "by hand": lambda o, t: (o.logsumexp(1) - o.gather(1, t[:, None]).squeeze(1)).mean(),
    "Brier": lambda o, t: ((o.softmax(1) - F.one_hot(t, o.shape[1])) ** 2).mean(),
    "symmetric": losses.SymmetricCrossEntropyLoss(),
    "generalized": losses.GeneralizedCrossEntropyLoss(),
    "reverse": losses.reverse_cross_entropy,
    "companion's own": losses.cross_entropy,
}
BY_ELEMENT = {
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "focal": sigmoid_focal,
    "by hand": lambda o, t: (F.softplus(o) - t * o).mean(),
    "dice": lambda o, t: soft_dice(o.sigmoid(), t),
    "dice over all": lambda o, t: soft_dice(o.sigmoid().view(1, -1), t.view(1, -1)),
    "log-cosh dice": lambda o, t: torch.log(torch.cosh(soft_dice(o.sigmoid(), t))),
    "Brier": lambda o, t: ((o.sigmoid() - t) ** 2).mean(),
    "squared hinge": lambda o, t: (F.relu(1 - (2 * t - 1) * o) ** 2).mean(),
    "exponential": lambda o, t: torch.exp(-(2 * t - 1) * o).mean(),
    "symmetric": losses.BinarySymmetricCrossEntropyWithLogitsLoss(),
}


@pytest.mark.parametrize("scale", [0.01, 5.0])
@pytest.mark.parametrize("n", [1, 3, 33])
def test_right_losses_are_right_at_every_size(n, scale):
    for k in (1, 2, 3, 150):
        world = World()
        output = scale * world.logits(n, k)
        targets = [world.classes(n, k=k)] if k > 1 else []
        if n * k > 1:
            targets += [world.labels(n, k), torch.ones(n, k), world.labels(n, k) * 0.8 + 0.1]
        for target in targets:
            for name, criterion in (BY_CLASS if target.ndim == 1 else BY_ELEMENT).items():
                report = look(Wiring(criterion, output, target))
                assert report.ok, f"{name} {n} {k} {target.dtype}: {report}"
                assert not failures(report), name


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in (1, 2, 5) for k in (2, 5)])
def test_sizes_that_agree_by_chance_are_no_evidence(n, k):
    world = World()
    logits = world.logits(n, k, k).transpose(1, 2)
    assert look(Wiring(torch.nn.CrossEntropyLoss(), logits, world.classes(n, k, k=k))).ok
