"""The scripts inside the workflows, run here with stand-ins for what only GitHub has."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]


def script(workflow, job, text):
    """The one step's script that contains a text."""
    steps = WORKFLOWS[workflow]["jobs"][job]["steps"]
    (found,) = [step["run"] for step in steps if text in step.get("run", "")]
    return found


def run(code, folder, **variables):
    """Run a script as GitHub does: bash -e, in the checkout."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", code],
        cwd=folder,
        env={**variables, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def stand_in(folder, name, code):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{code}\n")
    file.chmod(0o755)


@pytest.fixture
def checkout(tmp_path):
    for name in ("_config.yml", "pyproject.toml", "tests/colab_versions.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_only_the_repository_that_the_book_names_publishes(checkout):
    guard = script("publish", "build", "_config.yml")
    settings = yaml.safe_load((checkout / "_config.yml").read_text(encoding="utf-8"))
    here = settings["repository"]["url"]
    assert run(guard, checkout, HERE=here).returncode == 0
    stopped = run(guard, checkout, HERE="https://github.com/fork/book")
    assert stopped.returncode == 1
    assert stopped.stdout == (
        f"::error::_config.yml names {here}, but this is https://github.com/fork/book: run "
        "'make link URL=https://github.com/fork/book', commit and push.\n"
    )


def test_guard_comes_before_anything_is_built():
    first, second, *_ = WORKFLOWS["publish"]["jobs"]["build"]["steps"]
    assert first["uses"].startswith("actions/checkout@")
    assert second["run"] == script("publish", "build", "_config.yml")
    assert WORKFLOWS["publish"]["jobs"]["deploy"]["needs"] == "build"


def test_oldest_torch_is_the_one_that_the_companion_declares(checkout):
    stand_in(checkout, ".venv/bin/pip", 'echo "$*"')
    done = run(script("ci", "oldest-torch", "oldest="), checkout)
    (declared,) = (line for line in PROJECT["dependencies"] if line.startswith("torch"))
    assert done.stdout == f"install {declared.replace('>=', '==')}.*\n"


def test_every_supported_python_is_tested():
    pythons = WORKFLOWS["ci"]["jobs"]["book"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={pythons[0]}"


@pytest.mark.parametrize("drifted", [False, True])
def test_colab_with_other_versions_is_noticed(checkout, drifted):
    published = (checkout / "tests" / "colab_versions.txt").read_text(encoding="utf-8")
    published = re.sub(r"(torch==.*)", r"\1+cpu", published)
    if drifted:
        published = re.sub(r"numpy==.*", "numpy==9.9", published)
    (checkout / "published").write_text(published)
    stand_in(checkout, "bin/curl", "cat published")
    done = run(script("freshness", "colab-versions", "curl"), checkout)
    assert done.returncode == int(drifted)
    assert ("::error::Colab no longer has numpy==" in done.stdout) == drifted


@pytest.mark.parametrize(("open_issue", "said"), [("", "issue create"), ("7", "issue edit 7")])
def test_what_drifts_is_written_into_one_issue(checkout, open_issue, said):
    stand_in(
        checkout, "bin/gh", f'case "$*" in *list*) echo "{open_issue}" ;; *) echo "$*" ;; esac'
    )
    report = script("freshness", "report", "gh issue")
    done = run(report, checkout, TITLE="The book has drifted", RESULTS="| a | failure |")
    assert done.returncode == 0
    assert done.stdout.startswith(said)
    assert "| a | failure |" in done.stdout
    if not open_issue:
        assert "--title The book has drifted" in done.stdout


def test_report_waits_for_all_and_names_all():
    jobs = WORKFLOWS["freshness"]["jobs"]
    assert set(jobs["report"]["needs"]) == set(jobs) - {"report"}
    results = jobs["report"]["steps"][0]["env"]["RESULTS"]
    for job in jobs["report"]["needs"]:
        assert f"needs.{job}.result" in results


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_jobs_end_by_themselves_and_keep_no_credentials(name, job):
    job = WORKFLOWS[name]["jobs"][job]
    assert job["timeout-minutes"] <= 90
    for step in job["steps"]:
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit_and_say_their_version(name):
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_a_second_index_is_never_asked_for_more_than_torch():
    for file in [*ROOT.glob(".github/workflows/*.yml"), ROOT / "README.md", ROOT / ".ci/run"]:
        assert "EXTRA_INDEX" not in file.read_text(encoding="utf-8"), file
    reader = WORKFLOWS["ci"]["jobs"]["reader"]
    assert "env" not in WORKFLOWS["ci"]
    assert "TORCH_INDEX_URL" not in str(reader)


def test_the_newest_toolchain_is_all_that_is_pinned_but_torch(checkout):
    shutil.copy(ROOT / "requirements.txt", checkout)
    stand_in(checkout, ".venv/bin/pip", "cat newest.txt")
    done = run(script("freshness", "newest-toolchain", "newest.txt"), checkout)
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.M)
    assert [line.removesuffix("<2") for line in done.stdout.split()] == [
        name for name in pinned if name != "torch"
    ]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_permissions_are_minimal_and_runs_do_not_pile_up(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert "group" in WORKFLOWS[name]["concurrency"]
