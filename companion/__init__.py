"""The companion of the book *Logits to Losses*: classification losses in PyTorch, tested.

The rooms are imported when they are first used, so that ``import companion`` costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "diagnose": "diagnosis",
    "Checked": "diagnosis",
    "WiringError": "diagnosis",
    "watch": "diagnosis",
}
_ROOMS = {
    "data",
    "decisions",
    "diagnosis",
    "display",
    "exercises",
    "figures",
    "heads",
    "linear_losses",
    "losses",
    "testing",
    "training",
}

__all__ = sorted(_ROOMS | set(_HOMES))


def __getattr__(name: str):
    """Import the room that holds ``name`` at its first use."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
