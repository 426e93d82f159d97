"""Which commit results come from, and whether a repository knows it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from spectral_book.repository import checkout, committed, knows_commit


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@x"]
    command = ["git", "-C", str(root), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def two_commits(tmp_path):
    """A repository of two commits."""
    root = tmp_path / "root"
    (root / "book").mkdir(parents=True)
    git(root, "init", "--quiet")
    for text in ("one", "two"):
        (root / "book" / "a.md").write_text(text)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "-m", text)
    return root


def test_a_repository_knows_its_commits_and_no_others(two_commits):
    last, changed = checkout(two_commits)
    assert changed == []
    first = git(two_commits, "rev-parse", "HEAD~1").strip()
    assert knows_commit(two_commits, last) is True
    assert knows_commit(two_commits, first) is True
    assert knows_commit(two_commits, first[::-1]) is False
    tree = git(two_commits, "rev-parse", "HEAD^{tree}").strip()
    assert knows_commit(two_commits, tree) is False


@pytest.mark.parametrize("name", ["HEAD", "", "--help", "abc"])
def test_a_name_that_may_mean_any_commit_is_none(two_commits, name):
    assert knows_commit(two_commits, name) is False


def test_a_shallow_clone_an_archive_and_a_folder_within_cannot_tell(
    two_commits, tmp_path
):
    last, first = git(two_commits, "rev-parse", "HEAD", "HEAD~1").split()
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", two_commits.as_uri(), str(shallow))
    assert knows_commit(shallow, last) is True
    assert knows_commit(shallow, first) is None
    archive = tmp_path / "archive"
    shutil.copytree(two_commits / "book", archive)
    assert knows_commit(archive, last) is None
    assert knows_commit(two_commits / "book", last) is None


def test_an_archive_in_another_repository_is_no_checkout(repository, commit_all):
    archive = repository / "archive"
    (archive / "spectral_book").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"lies in another one, .*{repository}"):
            checkout(archive)
        commit_all(repository)  # not even where that one has its files
    commit_all(archive)
    assert checkout(archive)[0] != checkout(repository)[0]
    with pytest.raises(ValueError, match=r"is not a git checkout \(fatal: not a git"):
        checkout(repository.parent)


def test_variables_of_git_as_in_a_hook_name_no_other_repository(
    repository, commit_all, tmp_path, monkeypatch
):
    mine = checkout(repository)
    other = tmp_path / "other"
    other.mkdir()
    commit_all(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert checkout(repository) == mine


def test_changed_files_and_what_was_committed_of_them(repository):
    file = repository / "spectral_book" / "chapter" / "provenance.py"
    assert checkout(repository)[1] == []
    file.write_text("new, ü")
    new = file.with_name("new.py")
    new.write_text("")
    found = [str(path.relative_to(repository)) for path in (file, new)]
    assert sorted(checkout(repository)[1]) == sorted(found)
    assert committed(file) == "old"
    assert committed(new) is None
    assert committed(repository.parent / "file.py") is None
