"""Pictures that are written into a text file as `data:` URIs, RFC 2397."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from spacy_bga.errors import Errors, ImageError

_HEAD = re.compile(r"data:[^,]*,", re.IGNORECASE)


def is_data_uri(image: str) -> bool:
    """RETURNS (bool): Whether an image is its own content, and no path."""
    return image[:5].lower() == "data:"


def decode_data_uri(image: str) -> bytes:
    """Decode a `data:` URI. What is in it is an image only if `decode_image` can read it.

    image (str): The URI.
    RETURNS (bytes): The content.
    RAISES (ImageError): It is none, or its base64 is broken.
    """
    head = _HEAD.match(image)
    if head is None:
        raise ImageError(Errors.B308.format(uri=image[:40], reason="there is no comma before its content"))
    content = image[head.end() :]
    if not head[0].lower().removesuffix(",").endswith(";base64"):
        return unquote_to_bytes(content)
    try:
        # Some tools break the lines, and some escape "+" and "/" as in a URL.
        plain = re.sub(rb"\s+", b"", unquote_to_bytes(content))
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(Errors.B308.format(uri=image[:40], reason=error)) from error
