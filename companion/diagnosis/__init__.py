"""Is my loss wired right? Ask :func:`diagnose`, or wrap the criterion in :class:`Checked`."""

from .checked import Checked, WiringError, WiringWarning
from .engine import diagnose
from .report import Finding, Report

__all__ = ["Checked", "Finding", "Report", "WiringError", "WiringWarning", "diagnose"]
