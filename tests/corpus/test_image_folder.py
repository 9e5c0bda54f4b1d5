from __future__ import annotations

import pytest

from spacy_bga.corpus.image_folder import ImageFolder


@pytest.mark.parametrize(
    ("file", "image_id"),
    [
        ("2.JPG", "2"),
        ("2.JPEG", "2"),
        ("2.bmp", "2"),
        ("2.tif", "2"),
        ("2.TIFF", "2"),
        ("1.jpg", "1.jpg"),
        ("1.JPG", "1.jpg"),
        ("1.jpg", "1.JPG"),
        ("a.b.png", "a.b"),
        ("day/2.jpg", "day/2"),
        ("1.jpg.png", "1.jpg"),
    ],
)
def test_a_picture_is_found_by_its_id(tmp_path, file, image_id):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"")
    assert ImageFolder(tmp_path).find(image_id) == file


def test_what_is_not_there(photos):
    (photos / "y.png").write_bytes(b"")
    (photos / "folder.jpg").mkdir()
    folder = ImageFolder(photos)
    assert folder.find("0") == "0.jpg"
    assert folder.find("y") == "y.png"
    for image_id in ("nothing", "a" * 5000, "a\x00", "", "folder", "Y", "/0", "a\x00/0", "nowhere/0"):
        assert folder.find(image_id) is None, image_id
    assert ImageFolder(photos / "absent").find("0") is None


def test_the_first_of_several_kinds_counts(tmp_path):
    for name in ("1.tif", "1.png", "1.JPG"):
        (tmp_path / name).write_bytes(b"")
    assert ImageFolder(tmp_path).find("1") == "1.JPG"
    assert ImageFolder(tmp_path).find("1.png") == "1.png"
