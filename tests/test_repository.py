"""Whether a repository knows a commit, and where nobody can tell."""

import shutil
import subprocess
from pathlib import Path

import pytest

from spectral_book.repository import checkout, knows_commit


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@x"]
    command = ["git", "-C", str(root), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path):
    """A repository of two commits."""
    root = tmp_path / "root"
    (root / "book").mkdir(parents=True)
    git(root, "init", "--quiet")
    for text in ("one", "two"):
        (root / "book" / "a.md").write_text(text)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "-m", text)
    return root


def test_a_repository_knows_its_commits_and_no_others(repository):
    last, changed = checkout(repository)
    assert changed == []
    first = git(repository, "rev-parse", "HEAD~1").strip()
    assert knows_commit(repository, last) is True
    assert knows_commit(repository, first) is True
    assert knows_commit(repository, first[::-1]) is False
    tree = git(repository, "rev-parse", "HEAD^{tree}").strip()
    assert knows_commit(repository, tree) is False


@pytest.mark.parametrize("name", ["HEAD", "", "--help", "abc"])
def test_a_name_that_may_mean_any_commit_is_none(repository, name):
    assert knows_commit(repository, name) is False


def test_a_shallow_clone_an_archive_and_a_folder_within_cannot_tell(
    repository, tmp_path
):
    last, first = git(repository, "rev-parse", "HEAD", "HEAD~1").split()
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), str(shallow))
    assert knows_commit(shallow, last) is True
    assert knows_commit(shallow, first) is None
    archive = tmp_path / "archive"
    shutil.copytree(repository / "book", archive)
    assert knows_commit(archive, last) is None
    assert knows_commit(repository / "book", last) is None


def test_what_git_says_of_no_checkout_and_of_changed_files(repository, tmp_path):
    (repository / "book" / "a.md").write_text("three")
    assert checkout(repository)[1] == ["book/a.md"]
    with pytest.raises(ValueError, match="is not a git checkout"):
        checkout(tmp_path)
