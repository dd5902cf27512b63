"""The page on the codes: written from the tool's own data, and its examples hold."""

import re
from pathlib import Path

import pytest

import companion.diagnosis
from companion.diagnosis.codes import CODES, SETUP
from companion.diagnosis.reference import page, report_on

PAGE = Path(__file__).parent.parent / "book" / "diagnosis_codes.md"
CHAPTERS = {
    "Logits and probabilities",
    "Binary heads",
    "Binary cross-entropy",
    "Cross-entropy",
    "BCE or CE",
    "Decisions",
    "Training",
    "Multi-label",
    "Noisy labels",
    "NaN",
}


def test_the_page_in_the_book_is_what_the_data_generate():
    message = "python -m companion.diagnosis.reference > book/diagnosis_codes.md"
    assert PAGE.read_text(encoding="utf-8") == page(), message


@pytest.mark.parametrize("code", CODES)
def test_an_example_is_found_and_its_mend_is_not(code):
    found = report_on(CODES[code].example).findings
    assert code in [one.code for one in found if one.level != "note"]
    assert report_on(CODES[code].mend).ok


@pytest.mark.parametrize("code", CODES)
def test_a_section_has_all_its_parts(code):
    section = page().split(f"\n## {code}\n")[1].split("\n## ")[0]
    for text in (CODES[code].meaning, CODES[code].shows, "**The mend.**", "`diagnose` answers"):
        assert text in section


def test_rules_use_documented_codes_and_known_chapters():
    used = set()
    for module in Path(companion.diagnosis.__file__).parent.glob("*.py"):
        if module.name != "codes.py":
            source = module.read_text(encoding="utf-8")
            used |= set(re.findall(r'finding\(\s*"(\w+)"', source))
    assert len(used) > 15
    assert used <= set(CODES)
    assert {code.chapter for code in CODES.values()} <= CHAPTERS


def test_the_setup_stands_on_the_page_once():
    assert page().count(SETUP) == 1
