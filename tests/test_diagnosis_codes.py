"""The page on the codes: what it says about each code is so, and each row has its sentences."""

import re
import string
from pathlib import Path

import pytest

from companion import diagnose
from companion.diagnosis import contracts, decision, engine, experiments
from companion.diagnosis.findings import CHAPTER_OF, ROWS

PAGE = (Path(__file__).parent.parent / "book" / "diagnosis_codes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"\n## (\w+)\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL))
SETUP = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
SAID = re.compile(r"`diagnose` answers, as \*(\w+)\*: (.*)\.$", re.MULTILINE)
CHAPTERS = {
    "Logits and probabilities",
    "Binary heads",
    "Binary cross-entropy",
    "Cross-entropy",
    "BCE or CE",
    "Decisions",
    "Training",
    "NaN",
}


def report_on(code: str):
    names = {}
    exec(SETUP + code, names)
    more = {name: names[name] for name in ("predict", "batches") if name in names}
    return diagnose(names["criterion"], names["output"], names["target"], **more)


def test_the_page_has_a_section_for_each_code_and_no_other():
    assert set(SECTIONS) == set(CHAPTER_OF) == {code for code, *_ in ROWS.values()}
    assert set(CHAPTER_OF.values()) == CHAPTERS


@pytest.mark.parametrize("code", SECTIONS)
def test_an_example_is_found_as_the_page_says_and_its_fix_is_not(code):
    example, fix = re.findall(r"```python\n(.*?)```", SECTIONS[code], re.DOTALL)
    level, what = SAID.search(SECTIONS[code]).groups()
    assert (code, level, what) in [(f.code, f.level, f.what) for f in report_on(example).findings]
    assert report_on(fix).ok


@pytest.mark.parametrize("code", SECTIONS)
def test_a_section_has_all_its_parts(code):
    for text in ("**How it shows.**", "**The fix.**", f"To read: {CHAPTER_OF[code]}."):
        assert text in SECTIONS[code]


def test_every_row_is_used_and_every_use_has_a_row():
    modules = (contracts, decision, engine, experiments)
    sources = "\n".join(Path(module.__file__).read_text(encoding="utf-8") for module in modules)
    used = {name for name in ROWS if f'"{name}"' in sources}
    used |= {f"double_{kind}" for kind in ("softmax", "sigmoid")}
    assert used == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_level_and_its_sentences(row):
    _, level, what, why, fix = ROWS[row]
    assert level in ("certain", "suspicion", "note")
    assert what
    assert not what.endswith(".")
    assert not why.endswith(".")
    for text in (what, why, fix):
        assert all(
            name is None or name.isidentifier() for _, name, *_ in string.Formatter().parse(text)
        )
