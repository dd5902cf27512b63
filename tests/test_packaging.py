"""The companion as a package: alone with a chapter, and fetched by a chapter's set-up cell.

The environments here are made offline: each holds links to what the declared dependencies, and
theirs, have installed, and nothing else, so that whatever was not declared cannot be imported.
"""

import ast
import base64
import collections
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import address
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.strict_nbval import first_difference
from tools import notebooks

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["book"]]
NOT_SOURCE = {"_build", "build", "dist", "__pycache__"}


def closure(requirements):
    """All distributions that the requirements bring, found in the running environment."""
    found, seen = {}, set()
    todo = [(Requirement(line), "") for line in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = metadata.distribution(name)
        for wanted in {"", *requirement.extras}:  # torch asks for cuda-toolkit[cudart,…]
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                todo += [(Requirement(line), wanted) for line in found[name].requires or []]
    return list(found.values())


@functools.cache
def owners(home):
    """Which distributions have files in each folder: the nvidia-… wheels share one."""
    found = collections.defaultdict(set)
    for distribution in metadata.distributions(path=[str(home)]):
        for file in distribution.files or []:
            for depth in range(1, len(file.parts)):
                found["/".join(file.parts[:depth])].add(distribution.name)
    return found


class Environment:
    """A virtual environment with the given distributions and no others."""

    def __init__(self, folder, requirements):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        paths = {"base": str(folder), "platbase": str(folder)}
        self.site = Path(sysconfig.get_path("purelib", "venv", paths))
        for distribution in closure(requirements):
            self.link(distribution)
        kernel = folder / "share" / "jupyter" / "kernels" / "lone"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(
            '{"display_name": "Lone", "language": "python", "argv": '
            f'["{self.python}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]}}'
        )
        self.kernels = kernel.parent.parent

    def link(self, distribution):
        """Link each folder that is the distribution's alone; go into one that others share."""
        home = Path(distribution.locate_file("")).resolve()
        for file in distribution.files:
            if file.parts[0] in {"..", "__pycache__"} or file.suffix == ".pth":
                continue
            shared = len(file.parts) - 1
            while shared and len(owners(home)["/".join(file.parts[:shared])]) == 1:
                shared -= 1
            target = self.site.joinpath(*file.parts[: shared + 1])
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(home.joinpath(*file.parts[: shared + 1]))

    def variables(self, **more):
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return {**kept, "PYTHONNOUSERSITE": "1", "JUPYTER_PATH": str(self.kernels), **more}

    def pip(self, *arguments):
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, *arguments],
            env=self.variables(PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull),
            check=True,
        )

    def versions(self):
        return {d.name: d.version for d in metadata.distributions(path=[str(self.site)])}

    def execute(self, notebook, folder, monkeypatch, **variables):
        """Run a chapter with this environment's kernel, in a folder with nothing else in it."""
        monkeypatch.setenv("JUPYTER_PATH", str(self.kernels))
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(
            notebook,
            timeout=300,
            kernel_name="lone",
            resources=resources,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        ).execute(env=self.variables(**variables))


def test_distributions_that_share_a_folder_are_told_apart(tmp_path):
    home = tmp_path / "home"
    for name in ("alpha", "beta"):
        module, info = f"shared/deep/{name}.py", f"{name}-1.0.dist-info"
        for file, text in {
            module: "here = True",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/RECORD": f"{module},,\n{info}/METADATA,,\n{info}/RECORD,,\n",
        }.items():
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            (home / file).write_text(text)
    alpha, beta = sorted(metadata.distributions(path=[str(home)]), key=lambda found: found.name)
    environment = Environment(tmp_path / "env", [])
    asked = [environment.python, "-c", "import shared.deep.alpha; import shared.deep.beta"]
    environment.link(alpha)
    alone = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert "No module named 'shared.deep.beta'" in alone.stderr
    environment.link(beta)
    assert subprocess.run(asked, check=False).returncode == 0
    assert set(environment.versions()) == {"alpha", "beta"}


def source_tree(target):
    """Copy what a fresh clone holds."""

    def ignored(folder, names):
        hidden = {name for name in names if name.startswith(".")}
        return hidden | NOT_SOURCE | {name for name in names if name.endswith(".egg-info")}

    shutil.copytree(ROOT, target, ignore=ignored)
    return target


def assert_same_outputs(committed, fresh):
    for old, new in zip(committed.cells, fresh.cells, strict=True):
        if old.cell_type == "code" and notebooks.SETUP_MARK not in old.source:
            assert first_difference(old.outputs, new.outputs) == "", old.source


def chapter(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    tree = source_tree(folder / "tree")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, tree], check=True
    )
    (file,) = folder.glob("*.whl")
    return file


def test_wheel_holds_the_companion_and_its_licence_and_nothing_else(wheel):
    assert re.fullmatch(r"logits_to_losses-[\d.]+-py3-none-any\.whl", wheel.name)
    names = zipfile.ZipFile(wheel).namelist()
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/"
    assert all(name.startswith(("companion/", info)) for name in names)
    assert "companion/companion.mplstyle" in names
    assert f"{info}licenses/LICENSE" in names
    modules = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "companion").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert modules <= set(names)


def test_the_wheel_asks_for_torch_alone(wheel, tmp_path):
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    about = zipfile.ZipFile(wheel).read(f"{info}/METADATA").decode()
    asked = re.findall(r"^Requires-Dist: (.*)$", about, re.M)
    assert [line for line in asked if "extra" not in line] == PROJECT["dependencies"]
    assert [line.split(">")[0] for line in PROJECT["dependencies"]] == ["torch"]
    environment = Environment(tmp_path / "env", PROJECT["dependencies"])
    environment.pip("install", "--quiet", "--no-deps", wheel)
    code = "from companion import losses, decisions, heads, diagnose; import numpy"
    done = subprocess.run(
        [environment.python, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'numpy'\n")


def test_a_lone_chapter_runs_with_the_wheel_and_what_it_declares(wheel, tmp_path, monkeypatch):
    environment = Environment(tmp_path / "env", [*DECLARED, "ipykernel"])
    environment.pip("install", "--quiet", f"logits-to-losses[book] @ {wheel.as_uri()}")
    (tmp_path / "empty").mkdir()
    fresh = chapter("04_cross_entropy")
    environment.execute(fresh, tmp_path / "empty", monkeypatch)
    assert_same_outputs(chapter("04_cross_entropy"), fresh)
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.fixture
def bare(tmp_path):
    """What Colab has: the dependencies, a kernel and pip, but no companion."""
    return Environment(tmp_path / "env", [*DECLARED, "ipykernel", "pip"])


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Packages that pip would find outside: setuptools, and newer torch and numpy as a bait."""
    folder = tmp_path_factory.mktemp("registry")
    setuptools = metadata.distribution("setuptools")
    parts = [file for file in setuptools.files if not {"..", "__pycache__"} & set(file.parts)]
    make_wheel(
        folder,
        f"setuptools-{setuptools.version}",
        {str(file): file.locate().read_bytes() for file in parts if file.name != "RECORD"},
    )
    for name in ("torch", "numpy"):
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n".encode()
        wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        info = f"{name}-99.0.dist-info"
        make_wheel(folder, f"{name}-99.0", {f"{info}/METADATA": about, f"{info}/WHEEL": wheel})
    return folder


def make_wheel(folder, stem, files):
    record = ""
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record += f"{path},sha256={digest.decode()},{len(content)}\n"
        archive.writestr(f"{stem}.dist-info/RECORD", f"{record}{stem}.dist-info/RECORD,,\n")


def test_set_up_cell_fetches_the_companion_and_touches_nothing_else(
    bare, registry, tmp_path, monkeypatch
):
    # GitHub's archive of a branch: one folder named after repository and branch.
    published = tmp_path / "logits-to-losses"
    archive = published / "archive" / "refs" / "heads" / "main"
    archive.parent.mkdir(parents=True)
    source_tree(tmp_path / "tree" / "logits-to-losses-main")
    shutil.make_archive(str(archive), "zip", tmp_path / "tree")

    fresh = chapter("02_binary_heads")
    setup = fresh.cells[1]
    url, _ = address.repository(ROOT)
    assert url in setup.source
    setup.source = setup.source.replace(url, published.as_uri())

    before = bare.versions()
    assert "logits-to-losses" not in before
    (tmp_path / "empty").mkdir()
    bare.execute(
        fresh,
        tmp_path / "empty",
        monkeypatch,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(registry),
        PIP_CONFIG_FILE=os.devnull,
    )
    after = bare.versions()
    assert after.pop("logits-to-losses") == PROJECT["version"]
    assert after == before
    assert (bare.site / "torch").is_symlink()
    assert (bare.site / "numpy").is_symlink()
    assert_same_outputs(chapter("02_binary_heads"), fresh)


def test_set_up_cell_without_an_address_is_not_taken_in_by_another_companion(
    bare, tmp_path, monkeypatch
):
    stranger = bare.site / "companion"
    info = bare.site / "companion-9.0.dist-info"
    stranger.mkdir()
    info.mkdir()
    (stranger / "__init__.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: companion\nVersion: 9.0\n")
    source = notebooks.setup_cell("https://github.com/SET_OWNER/logits-to-losses", "main")
    notebook = new_notebook(cells=[new_code_cell(source)])
    before = bare.versions()
    with pytest.raises(CellExecutionError, match="RuntimeError"):
        bare.execute(notebook, tmp_path, monkeypatch)
    (output,) = notebook.cells[0].outputs
    assert output.ename == "RuntimeError"
    assert output.evalue.startswith("This copy of the book has no address to fetch its code from")
    assert bare.versions() == before


def colab_versions():
    lines = (ROOT / "tests" / "colab_versions.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("line", DECLARED)
def test_colab_has_what_the_companion_declares(line):
    requirement = Requirement(line)
    assert requirement.specifier.contains(colab_versions()[requirement.name])


def test_colab_has_a_python_that_the_companion_supports():
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(
        colab_versions()["python"]
    )


@pytest.mark.parametrize("line", DECLARED)
def test_no_dependency_has_an_upper_bound(line):
    assert {part.operator for part in Requirement(line).specifier} <= {">="}


def locked(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith(("#", "-")))
    return {canonicalize_name(name): version for name, version in pins}


def test_requirements_are_pinned_and_the_lock_agrees():
    lock = locked("constraints.txt")
    direct = locked("requirements.txt")
    assert direct.items() <= lock.items()
    for line in DECLARED:
        requirement = Requirement(line)
        assert requirement.specifier.contains(direct[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("folder", ["companion", "book", "tests", "tools"])
def test_what_is_imported_is_pinned_directly(folder):
    known = metadata.packages_distributions()
    direct = locked("requirements.txt")
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                found = {canonicalize_name(dist) for dist in known.get(name.split(".")[0], [])}
                assert not found - {"logits-to-losses"} or found & set(direct), f"{file}: {name}"


def test_the_running_environment_is_the_locked_one():
    for name, version in locked("requirements.txt").items():
        assert Version(metadata.version(name)).public == version


def test_no_file_of_the_environment_names_an_index():
    for name in ("requirements.txt", "constraints.txt", "pyproject.toml", "Makefile"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|://(?!localhost|github\.com/OWNER)", text), name
