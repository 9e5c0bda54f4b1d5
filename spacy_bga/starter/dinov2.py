"""A DINOv2 vision encoder rebuilt from an ONNX graph, and checked against it.

Exporting a model to ONNX keeps the names of most parameters. The weights of the linear layers are the exception: the
exporter transposes them and gives them numbers. But the name of the `MatMul` node that reads one spells the path of
its layer, so that every parameter finds its way back.
"""

from __future__ import annotations

import json
import math
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    import numpy as np
    from transformers import Dinov2Config, Dinov2Model

PREFIX = "backbone."
LARGEST_DIFFERENCE = 1e-4
HEAD_WIDTH = 64
"""The width of an attention head in DINOv2 of every size. The weights don't tell it; the check would."""

PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def rebuild_dinov2(graph: Path, output: Path) -> float:
    """Rebuild DINOv2 from an ONNX graph that contains it, check it, and save it as a Hugging Face folder.

    graph (Path): The ONNX file. Its encoder lies under "backbone.", whatever head follows it.
    output (Path): The folder to write. It is left alone when the check fails.
    RETURNS (float): The largest absolute difference between the final features of the two, on noise.
    """
    require_onnx()
    import onnx

    proto = onnx.load(str(graph))
    try:
        model = build_model(read_parameters(proto))
    except _UnknownGraph as reason:
        raise BGAError(Errors.B410.format(graph=graph, reason=reason)) from None
    difference = compare_with_graph(model, proto)
    if not difference <= LARGEST_DIFFERENCE:  # written so that NaN is refused too
        raise BGAError(Errors.B411.format(graph=graph, difference=difference, allowed=LARGEST_DIFFERENCE))
    model.save_pretrained(output, safe_serialization=True)
    # safetensors lets only the owner read what it writes; a cache may be shared.
    (output / "model.safetensors").chmod((output / "config.json").stat().st_mode)
    (output / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2) + "\n", encoding="utf8")
    return difference


def require_onnx() -> None:
    """Say what to install when the packages that read and run an ONNX graph are missing."""
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        raise BGAError(Errors.B409)


def read_parameters(proto: Any) -> dict[str, np.ndarray]:
    """Collect the parameters of the encoder under the names that `Dinov2Model` gives them.

    proto (onnx.ModelProto): The graph.
    RETURNS (dict[str, np.ndarray]): Every parameter but the mask token, which only pretraining uses.
    """
    import numpy as np
    from onnx import numpy_helper

    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    parameters = {name[len(PREFIX) :]: array for name, array in tensors.items() if name.startswith(PREFIX)}
    positions: dict[str, np.ndarray] = {}
    for node in proto.graph.node:
        path = node.name.strip("/").replace("/", ".")
        if not path.startswith(PREFIX):
            continue
        nameless = [name for name in node.input if name in tensors and not name.startswith(PREFIX)]
        if node.op_type == "MatMul" and nameless:
            layer = path[len(PREFIX) :].removesuffix(".MatMul")
            parameters[f"{layer}.weight"] = tensors[nameless[0]].T
        elif path.startswith(f"{PREFIX}embeddings."):
            positions.update({name: tensors[name] for name in nameless if tensors[name].ndim == 3})
    parameters["embeddings.position_embeddings"] = _join_positions(list(positions.values()))
    return {name: np.array(array, dtype="float32", order="C") for name, array in parameters.items()}


def build_model(parameters: dict[str, np.ndarray]) -> Dinov2Model:
    """Build the model whose parameters these are.

    parameters (dict[str, np.ndarray]): As `read_parameters` returns them.
    RETURNS (Dinov2Model): The model in evaluation mode.
    """
    import torch
    from transformers import Dinov2Model

    model = Dinov2Model(infer_config(parameters)).eval()
    state = {name: torch.from_numpy(array) for name, array in parameters.items()}
    state["embeddings.mask_token"] = torch.zeros_like(model.embeddings.mask_token)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wrong := sorted({name for name, _ in expected.items() ^ found.items()}):
        raise _UnknownGraph(f"it differs in {len(wrong)} parameters, {wrong[0]} among them")
    model.load_state_dict(state)
    return model


def infer_config(parameters: dict[str, np.ndarray]) -> Dinov2Config:
    """Read the sizes of the model off the shapes of its parameters.

    parameters (dict[str, np.ndarray]): As `read_parameters` returns them.
    RETURNS (Dinov2Config): The configuration; what shapes don't tell is as in the released models.
    """
    from transformers import Dinov2Config

    layers = {match[1] for name in parameters if (match := re.match(r"encoder\.layer\.(\d+)\.", name))}
    try:
        width, channels, patch, _ = parameters["embeddings.patch_embeddings.projection.weight"].shape
        inner = len(parameters["encoder.layer.0.mlp.fc1.bias"])
    except KeyError as error:
        raise _UnknownGraph(f"it has no parameter {error}") from None
    grid = math.isqrt(parameters["embeddings.position_embeddings"].shape[1] - 1)
    return Dinov2Config(
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, width // HEAD_WIDTH),
        mlp_ratio=inner // width,
        image_size=grid * patch,
        patch_size=patch,
        num_channels=channels,
    )


def compare_with_graph(model: Dinov2Model, proto: Any) -> float:
    """Run the model and the graph on the same noise.

    The graph runs at its own image size. Where that is not the size of the position grid (224 against 518 in the
    wheel), the check covers the interpolation of the positions as well.

    model (Dinov2Model): The rebuilt model.
    proto (onnx.ModelProto): The graph it was built from.
    RETURNS (float): The largest absolute difference after the final layer norm, over all tokens.
    """
    import numpy as np
    import onnx
    import onnxruntime
    import torch

    # The graph's own output belongs to another task; expose the encoder's last tensor instead.
    names = [node.output[0] for node in proto.graph.node if node.name.startswith("/backbone/layernorm/")]
    if not names:
        return float("inf")
    exposed = onnx.ModelProto()
    exposed.CopyFrom(proto)
    exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(names[-1]))
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    sides = [side if isinstance(side, int) else 16 * model.config.patch_size for side in source.shape[2:]]
    noise = np.random.default_rng(0).standard_normal((1, model.config.num_channels, *sides), dtype="float32")
    expected = session.run([names[-1]], {source.name: noise})[0]
    with torch.inference_mode():
        found = model(torch.from_numpy(noise)).last_hidden_state.numpy()
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")


class _UnknownGraph(Exception):
    """The graph is not laid out as expected; the message says where."""


def _join_positions(parts: list[np.ndarray]) -> np.ndarray:
    # Interpolation treats the class token's position apart, so the exporter has split the embedding in two.
    import numpy as np

    parts = sorted(parts, key=lambda part: part.shape[1])
    shapes = [part.shape for part in parts]
    if len(parts) != 2 or shapes[0] != (1, 1, shapes[1][2]) or math.isqrt(shapes[1][1]) ** 2 != shapes[1][1]:
        raise _UnknownGraph(f"its position embeddings have the shapes {shapes}")
    return np.concatenate(parts, axis=1)
