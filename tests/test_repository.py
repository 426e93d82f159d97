"""Which commit results come from: that of their own checkout, or none."""

import pytest

from spectral_book.repository import checkout, committed


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
