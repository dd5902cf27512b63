"""The error atlas: each message stands in its index, and is raised where it is said to be."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
CELLS = nbformat.read(ROOT / "notebooks/11_error_atlas.ipynb", as_version=4).cells
HEADING = re.compile(r"^### (\d+)\. (`+)(.*?)\2( \(not raised here\))?$", re.M)


def quoted(label: str, text: str) -> list[str]:
    lines = re.findall(rf"^{label}: (.*)$", text, re.M)
    return [message.strip() for _, message in re.findall(r"(`+)(.+?)\1(?!`)", " ".join(lines))]


def sections() -> dict[int, dict]:
    """The messages of each numbered section, raised and not, and all that its cells print."""
    found, here = {}, None
    for cell in CELLS:
        if cell.cell_type == "markdown":
            if heading := HEADING.search(cell.source):
                raised, absent = (
                    quoted("Also raised", cell.source),
                    quoted("Not raised here", cell.source),
                )
                (absent if heading[4] else raised).append(heading[3].strip())
                here = {"text": cell.source, "raised": raised, "absent": absent, "printed": ""}
                found[int(heading[1])] = here
            elif cell.source.startswith("## "):
                here = None
        elif here is not None:
            for output in cell.outputs:
                here["printed"] += (
                    " ".join(output.get("evalue", output.get("text", "")).split()) + "\n"
                )
    return found


SECTIONS = sections()


def test_sections_are_numbered_in_order_and_have_their_anchor():
    assert list(SECTIONS) == list(range(1, len(SECTIONS) + 1))
    for number, section in SECTIONS.items():
        assert f'<a id="message-{number}"></a>' in section["text"]


@pytest.mark.parametrize("number", SECTIONS)
def test_what_is_raised_is_raised_and_what_is_not_is_not(number):
    section = SECTIONS[number]
    for message in section["raised"]:
        assert " ".join(message.split()) in section["printed"]
    for message in section["absent"]:
        assert not any(line.startswith(message) for line in section["printed"].splitlines())


def test_the_index_leads_from_every_message_to_its_section():
    (index,) = [cell.source for cell in CELLS if cell.source.startswith("## Index by message")]
    line = r'^- <a href="#message-(\d+)">(`+)(.+?)\2</a>( \*\(not raised here\)\*)?$'
    listed = [
        (message.strip(), int(number), bool(absent))
        for number, _, message, absent in re.findall(line, index, re.M)
    ]
    expected = [
        (message, number, absent)
        for number, section in SECTIONS.items()
        for absent, messages in ((False, section["raised"]), (True, section["absent"]))
        for message in messages
    ]
    assert sorted(listed) == sorted(expected)
    assert len(listed) == index.count("\n- ") + index.startswith("- ")


def test_the_version_that_the_chapter_names_is_the_one_that_the_book_pins():
    pin = re.search(r"^torch==(\d+\.\d+)", (ROOT / "requirements.txt").read_text("utf-8"), re.M)[1]
    assert set(re.findall(r"PyTorch (\d+\.\d+)", CELLS[0].source)) == {pin}
