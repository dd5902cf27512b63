"""The rows that a diagnosis can report: their code, their level and their words."""

import tomllib
from pathlib import Path

from .evidence import Evidence
from .report import Finding

_TABLE = tomllib.loads(Path(__file__).with_name("findings.toml").read_text(encoding="utf-8"))
ROWS = {
    row: (code, level, *words)
    for code, levels in _TABLE.items()
    for level, rows in levels.items()
    for row, words in rows.items()
}
CHAPTERS = {
    "Logits and probabilities": "BOUNDED_LOGITS",
    "Binary heads": "ONE_CLASS WEIGHT",
    "Binary cross-entropy": "API LOGITS_FOR_PROBS TARGET_RANGE",
    "Cross-entropy": "CUSTOM_LOSS DOUBLE_ACTIVATION IGNORE_INDEX NOT_LOG_PROBS REDUCTION "
    "TARGET_NOT_DISTRIBUTION WRONG_DIM",
    "BCE or CE": "CLASS_DIM OBJECTIVE SHAPE TARGET_DTYPE",
    "Decisions": "DECISION_RULE",
    "Training": "BROADCAST IMBALANCE",
    "NaN": "NO_GRADIENT NUMERICS",
}
CHAPTER_OF = {code: title for title, codes in CHAPTERS.items() for code in codes.split()}
# What is certain under these codes explains nothing else that may be wrong.
SILENCES_NOTHING = ("DOUBLE_ACTIVATION", "BOUNDED_LOGITS", "DECISION_RULE")


def finding(case: Evidence, row: str, facts: dict) -> Finding:
    """Write out one row with the facts of a case."""
    code, level, *words = ROWS[row]
    facts = {"here": case.here, "facts": case.facts} | facts
    what, why, fix = (text.format_map(facts) for text in words)
    return Finding(code, facts.get("level", level), what, f"{why}.", fix, CHAPTER_OF[code])
