"""The catalogue: each bug is found under its code and level, each right wiring left alone."""

import re

import pytest
import torch
from diagnosis_cases import BUGS, RIGHT, Wiring, World
from diagnosis_trial import TRIAL_BUGS, TRIAL_RIGHT

from companion.diagnosis import Report, diagnose
from companion.diagnosis.codes import CODES

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
ALL_RIGHT = RIGHT | TRIAL_RIGHT
# Its factor grows with -log p where (1 - p) was meant, and hard samples still count more: nothing
# in what it does tells it from a loss that somebody wants.
MISSED = {"focal_with_log_probability_as_pt"}


def look(wiring: Wiring) -> Report:
    return diagnose(wiring.criterion, wiring.output, wiring.target, **wiring.more)


def failures(report: Report) -> list[str]:
    return [text for text in report.unchecked if "it failed with" in text]


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_under_its_code_and_level(name):
    bug = BUGS[name]
    report = look(bug.build(World()))
    assert (bug.code, bug.level) in [(one.code, one.level) for one in report.findings], report
    assert not report.ok
    assert not failures(report)


@pytest.mark.parametrize("name", BUGS)
def test_nothing_else_is_certain(name):
    bug = BUGS[name]
    report = look(bug.build(World()))
    assert {one.code for one in report.findings if one.level == "certain"} <= {bug.code}, report


@pytest.mark.parametrize("name", TRIAL_BUGS)
def test_a_bug_of_the_trial_is_found(name):
    report = look(TRIAL_BUGS[name].build(World()))
    codes = {one.code for one in report.findings if one.level != "note"}
    assert (TRIAL_BUGS[name].code in codes) == (name not in MISSED), report
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
    for one in look(BUGS[name].build(World())).findings:
        assert one.what
        assert one.evidence
        assert one.chapter
        assert re.search(r"\d", one.evidence), one.evidence
        assert not re.search(r"0x[0-9a-f]{6}", one.what + one.evidence + one.fix)


def test_every_code_occurs_in_the_catalogue():
    assert {bug.code for bug in BUGS.values()} == set(CODES)


def test_the_catalogue_is_large_enough():
    assert len(BUGS) >= 60
    assert len(RIGHT) >= 30
    assert (len(TRIAL_BUGS), len(TRIAL_RIGHT)) == (20, 10)


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in (1, 2, 5) for k in (2, 5)])
def test_sizes_that_agree_by_chance_are_no_evidence(n, k):
    world = World()
    logits = world.logits(n, k, k).transpose(1, 2)
    assert look(Wiring(torch.nn.CrossEntropyLoss(), logits, world.classes(n, k, k=k))).ok
