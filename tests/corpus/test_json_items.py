from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.corpus.json_items import json_items

OBJECTS = [{"text": 'a "quoted" { [ \\ text', "spans": [{"start": 0}]}, {"text": "two\nlines"}, {"text": "b", "n": []}]


def read(content: str | bytes, tmp_path):
    path = tmp_path / "posts.json"
    path.write_bytes(content.encode("utf8") if isinstance(content, str) else content)
    bad: list[tuple[int, str]] = []
    found = list(json_items(path, lambda line, error: bad.append((line, str(error)))))
    return found, bad


LAYOUTS = {
    "lines": "\n".join(map(json.dumps, OBJECTS)),
    "blank lines": "\n\n" + "\r\n\r\n".join(map(json.dumps, OBJECTS)) + "\n",
    "array": json.dumps(OBJECTS),
    "array on lines": "[\n" + ",\n".join(map(json.dumps, OBJECTS)) + "\n]\n",
    "indented": json.dumps(OBJECTS, indent=2),
    "indented objects": "\n".join(json.dumps(item, indent=1) for item in OBJECTS),
    "one mark": "\ufeff" + json.dumps(OBJECTS),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, tmp_path):
    found, bad = read(LAYOUTS[layout], tmp_path)
    assert [item for _, item in found] == OBJECTS
    assert bad == []


def test_lines_are_known(tmp_path):
    assert [line for line, _ in read(LAYOUTS["blank lines"], tmp_path)[0]] == [3, 5, 7]
    assert [line for line, _ in read(LAYOUTS["array on lines"], tmp_path)[0]] == [2, 3, 4]
    assert [line for line, _ in read(LAYOUTS["indented"], tmp_path)[0]] == [2, 10, 13]
    assert [line for line, _ in read(LAYOUTS["indented objects"], tmp_path)[0]] == [1, 9, 12]


def test_one_object(tmp_path):
    assert read('{"text": "a"}', tmp_path) == ([(1, {"text": "a"})], [])
    assert read('{\n"text": "a"\n}', tmp_path) == ([(1, {"text": "a"})], [])
    assert read('["a", {"entities": []}]\n["b", {}]', tmp_path)[0] == [(1, ["a", {"entities": []}]), (2, ["b", {}])]
    assert read("[]", tmp_path) == ([], [])
    assert read("", tmp_path) == ([], [])


@pytest.mark.parametrize(
    "broken",
    [
        '{"text": "a" "b"}',
        '{"text": }',
        '{"text": "no end}',
        '{"text": "no bracket", "spans": [{"start": 0}',
        "{'a': 1}",
    ],
)
@pytest.mark.parametrize("layout", ["lines", "array", "indented"])
def test_a_broken_object_costs_no_other(broken, layout, tmp_path):
    items = [json.dumps({"text": "first"}), broken, json.dumps({"text": "last"})]
    content = {
        "lines": "\n".join(items),
        "array": "[\n" + ",\n".join(items) + "\n]",
        "indented": "[\n  "
        + ",\n  ".join(item.replace("{", "{\n    ", 1).replace("}", "\n  }") for item in items)
        + "\n]",
    }[layout]
    found, bad = read(content, tmp_path)
    assert [item for _, item in found] == [{"text": "first"}, {"text": "last"}]
    assert bad


def test_a_file_that_is_cut(tmp_path):
    found, bad = read(json.dumps(OBJECTS, indent=2)[:-60], tmp_path)
    assert [item for _, item in found] == OBJECTS[:1]
    assert bad


def test_bytes_that_are_no_text_cost_their_object_alone(tmp_path):
    found, bad = read(b'{"text": "a"}\n{"text": "caf\xe9"}\n{"text": "b"}\n', tmp_path)
    assert ([item["text"] for _, item in found], [line for line, _ in bad]) == (["a", "b"], [2])


@given(st.text(st.sampled_from('[]{}",:\\ \n1a'), max_size=60) | st.binary(max_size=60))
def test_anything_ends(tmp_path_factory, content):
    found, bad = read(content, tmp_path_factory.mktemp("any"))
    stripped = content.strip() if isinstance(content, str) else content.strip().removeprefix(b"\xef\xbb\xbf").strip()
    assert found or bad or not stripped or stripped.startswith(("[", b"[")[isinstance(content, bytes)])


def test_depth_and_length_are_no_danger(tmp_path):
    assert read("[" * 100_000, tmp_path)[1]
    assert read('{"a":' * 100_000 + "1" + "}" * 100_000, tmp_path)[1]
    found, bad = read('[\n{"a": "\n' + '{"b": 1},\n' * 50_000 + "]", tmp_path)
    assert len(found) + len(bad) > 0
