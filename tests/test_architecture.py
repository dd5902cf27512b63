"""Who may import whom in the companion, and what its import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

COMPANION = Path(__file__).resolve().parent.parent / "companion"

# room: (the rooms it may import, the packages that it may import)
MAP = {
    "_checks": (set(), {"torch"}),
    "_isolation": (set(), {"torch"}),
    "losses": ({"_checks"}, {"torch"}),
    "linear_losses": ({"_checks", "losses"}, {"torch"}),
    "heads": (set(), {"torch"}),
    "decisions": ({"_checks"}, {"torch"}),
    "data": ({"_checks"}, {"torch", "numpy", "sklearn"}),
    "training": ({"_checks"}, {"torch", "tqdm"}),
    "figures": (set(), {"matplotlib", "numpy"}),
    "diagnosis": ({"_isolation", "losses"}, {"torch"}),
    "testing": ({"diagnosis"}, set()),
    "exercises": ({"_isolation"}, {"torch", "numpy"}),
    "display": ({"figures"}, {"torch", "matplotlib", "IPython", "PIL"}),
}


def room_of(file: Path) -> str:
    return file.relative_to(COMPANION).parts[0].removesuffix(".py")


def imports(file: Path) -> set[str]:
    """The dotted names of all modules that a file imports, wherever in it."""
    package = ["companion", *file.relative_to(COMPANION).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def python(code: str, *options: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


FILES = sorted(file for file in COMPANION.rglob("*.py") if room_of(file) != "__init__")


def test_every_room_is_on_the_map():
    assert {room_of(file) for file in FILES} == set(MAP)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(COMPANION)))
def test_imports_follow_the_map(file):
    rooms, packages = MAP[room_of(file)]
    for name in imports(file):
        top, _, rest = name.partition(".")
        if top == "companion":
            assert rest.split(".")[0] in rooms | {room_of(file)}, f"{file.name} imports {name}"
        elif top not in sys.stdlib_module_names:
            assert top in packages, f"{file.name} imports {name}"


def test_import_companion_imports_nothing_heavy():
    loaded = python("import sys, companion; print(*sys.modules)").stdout.split()
    assert not {"torch", "numpy", "sklearn", "matplotlib", "IPython"} & set(loaded)


def test_losses_need_neither_sklearn_nor_matplotlib():
    code = (
        "import sys; from companion import losses, heads, decisions, diagnose; print(*sys.modules)"
    )
    loaded = python(code).stdout.split()
    assert "companion.losses" in loaded
    assert not {"sklearn", "matplotlib", "IPython"} & set(loaded)


def test_every_public_name_can_be_reached():
    code = "import companion; print(*[n for n in companion.__all__ if not getattr(companion, n)])"
    assert python(code).stdout.strip() == ""
