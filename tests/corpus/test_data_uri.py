from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.corpus.data_uri import decode_data_uri, is_data_uri
from spacy_bga.errors import ImageError


@given(st.binary(max_size=60), st.sampled_from(["data:", "DATA:image/PNG", "data:image/png;name=a", "data:text/plain"]))
def test_what_is_encoded_is_decoded(content, head):
    encoded = base64.b64encode(content).decode()
    broken = "\n".join(encoded[i : i + 20] for i in range(0, len(encoded), 20))
    for form in (encoded, broken, encoded.replace("+", "%2B").replace("/", "%2F")):
        assert is_data_uri(f"{head};base64,{form}")
        assert decode_data_uri(f"{head};base64,{form}") == content
    escaped = "".join(f"%{byte:02x}" for byte in content)
    assert decode_data_uri(f"{head},{escaped}") == content


@pytest.mark.parametrize("uri", ["data:image/png;base64", "data:;base64,a", "data:;base64,****", "data:;base64,é"])
def test_what_is_broken_is_an_error_of_the_image(uri):
    with pytest.raises(ImageError, match="B308"):
        decode_data_uri(uri)


def test_paths_are_none():
    assert not is_data_uri("data/1.jpg")
    assert not is_data_uri("")
