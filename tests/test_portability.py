"""A chapter means the same wherever it is opened: in the book, in Jupyter, in Colab, on GitHub."""

import ast
import re
import sys
from pathlib import Path

import address
import nbformat
import pytest
import torch
import torch.nn.functional as F
import yaml
from IPython.core.inputtransformer2 import TransformerManager

from tools import notebooks

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)

# What the companion declares, by the names under which it is imported.
DECLARED = {"companion", "torch", "numpy", "matplotlib", "sklearn", "tqdm", "IPython"}


def sources(path, kind):
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == kind]


@each_chapter
def test_imports_nothing_that_the_companion_does_not_declare(path):
    code = "\n".join(map(TransformerManager().transform_cell, sources(path, "code")))
    imported = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert imported <= DECLARED | sys.stdlib_module_names


@each_chapter
def test_import_cell_decides_on_one_thread_and_on_float64_or_says_why_not(path):
    imports = sources(path, "code")[1]
    assert "torch.set_default_dtype(torch.float64)" in imports or "are float32" in imports
    assert "torch.set_num_threads(1)" in imports


@each_chapter
def test_downloads_nothing(path):
    code = "\n".join(sources(path, "code")[1:])
    assert not re.search(r"https?://|urlopen|urlretrieve|fetch_|download|^\s*[!%]", code, re.M)


@each_chapter
def test_markdown_is_plain(path):
    # Colab and GitHub show MyST's own syntax as raw text.
    for source in sources(path, "markdown"):
        assert not re.search(
            r"^(```|~~~|:::)\s*\{|^:::|\{[a-z:]+\}`|^> \[!|^\+\+\+", source, re.M
        ), source


@each_chapter
def test_what_folds_has_blank_lines_around_its_content(path):
    # Without them mathematics and code inside <details> stay raw.
    for source in sources(path, "markdown"):
        for content in re.findall(r"</summary>(.*?)</details>", source, re.DOTALL):
            assert content.startswith("\n\n"), source
            assert content.endswith("\n\n"), source


@each_chapter
def test_local_links_name_files_beside_the_chapter(path):
    for source in sources(path, "markdown"):
        for target in re.findall(r"\]\(([^)\s]+)\)", source):
            if not re.match(r"https://|#", target):
                assert "#" not in target, "the book warns of anchors in other chapters"
                assert (path.parent / target).exists(), target


@each_chapter
def test_link_to_colab_names_this_file_in_the_repository_of_the_settings(path):
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    repository = settings["repository"]
    # As the theme makes it for its launch button.
    url = repository["url"].replace("https://github.com", "/github")
    docs = repository["path_to_book"].strip("/")
    file = path.relative_to(ROOT / docs).as_posix()
    button = f"{settings['launch_buttons']['colab_url']}{url}/blob/{repository['branch']}/{file}"
    assert button == notebooks.colab_url(path.stem, *address.repository(ROOT))
    assert sources(path, "markdown")[0].count(f"]({button})") == 1


def test_address_stands_only_where_make_link_rewrites_it():
    url = address.repository(ROOT)[0].removeprefix("https://github.com/").encode()
    rewritten = re.compile(r"_config\.yml|README\.md|book/[^/]*\.md|notebooks/.*\.ipynb|tests/.*")
    skipped = {".git", ".venv", "_build", "build", "dist"}
    for top in (path for path in ROOT.iterdir() if path.name not in skipped):
        for file in [top] if top.is_file() else top.rglob("*"):
            name = file.relative_to(ROOT)
            if file.is_file() and ".egg-info" not in str(name):
                assert rewritten.fullmatch(name.as_posix()) or url not in file.read_bytes()


def test_picture_in_the_readme_is_a_figure_of_a_chapter():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    alt, source = re.search(r'<img alt="(.*?)"\s+src="(.*?)"', readme, re.DOTALL).groups()
    copy = ROOT / source
    chapter, _, number = copy.stem.rpartition("-")
    notebook = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4)
    assert copy.read_bytes() == notebooks.figures(notebook)[int(number) - 1], "run: make run"
    alts = [
        output.metadata["image/png"]["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert " ".join(alt.split()) == alts[int(number) - 1]


def test_contrast_in_the_readme():
    logit = torch.tensor(17.0, requires_grad=True, dtype=torch.float32)
    label = torch.tensor(0.0)
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    lines = code.group(1).splitlines()
    assert len(lines) == 2
    for line in lines:
        call, comment = line.split("#")
        loss = eval(call, {"F": F, "torch": torch, "z": logit, "y": label})
        (gradient,) = torch.autograd.grad(loss, logit)
        said = [float(number) for number in re.findall(r"(?:loss|gradient)\s+(\d+)", comment)]
        assert said == [round(loss.item(), 4), round(gradient.item(), 4)]
