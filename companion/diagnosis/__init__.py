"""Is my loss wired right? Ask :func:`diagnose`, or :class:`watch` a training."""

from .engine import diagnose
from .report import Finding, Report
from .watch import Checked, WiringError, WiringWarning, watch

__all__ = ["Checked", "Finding", "Report", "WiringError", "WiringWarning", "diagnose", "watch"]
