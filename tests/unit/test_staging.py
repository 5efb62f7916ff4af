"""Files are written all or none, and a failure leaves folders and files as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatherline.report.staging import write_aside, write_files


def fill(staging: Path) -> list[str]:
    for name in ("a.csv", "b.json"):
        (staging / name).write_text(name)
    return ["a.csv", "b.json"]


def breaks(staging: Path) -> list[str]:
    (staging / "a.csv").write_text("half")
    raise ValueError("it broke")


def test_files_stand_under_their_names_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "deep"
    assert write_files(folder, fill) == [folder / "a.csv", folder / "b.json"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.csv": "a.csv", "b.json": "b.json"}


def test_a_failure_leaves_older_files_and_takes_new_folders_back(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("older")
    for folder in (tmp_path, tmp_path / "new" / "deep"):
        with pytest.raises(ValueError, match="it broke"):
            write_files(folder, breaks, replaced=("a.csv",))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.csv": "older"}


def test_a_folder_of_the_name_of_a_file_stops_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "b.json").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder, and a file of that name is to be written"):
        write_files(tmp_path, fill, replaced=("b.json",))
    assert os.listdir(tmp_path) == ["b.json"]


def test_a_file_that_must_not_stay_goes_unless_it_is_written_again(tmp_path: Path) -> None:
    for name in ("a.csv", "masks.json", "mine.txt"):
        (tmp_path / name).write_text("older")
    write_files(tmp_path, fill, replaced=("a.csv", "masks.json"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.csv": "a.csv", "b.json": "b.json", "mine.txt": "older",
    }  # fmt: skip


def test_one_file_is_written_aside_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    with pytest.raises(UnicodeEncodeError):
        write_aside(path, "\ud800")  # half a letter, which no file can hold
    assert os.listdir(tmp_path) == []
    write_aside(path, "one\ntwo")
    assert path.read_bytes() == b"one\ntwo"
    assert os.listdir(path.parent) == ["page.html"]
    with pytest.raises(IsADirectoryError, match="is a folder, and a file is to be written"):
        write_aside(path.parent, "text")
