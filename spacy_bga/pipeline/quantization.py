"""Post-training quantization of an exported graph: the text encoder's projections in 8 bits, all else as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

from spacy_bga.aligner.export import OWN_PARTS
from spacy_bga.pipeline.backends import require


def quantize(graph: bytes) -> bytes:
    """Give the projections of the text encoder's layers weights of 8 bits; activations are scaled as they come.

    The samplers stay in fp32, as an arg max forgives nothing, and so do the generators and what leads to and from
    them, which are small. Nothing is needed to calibrate with.

    graph (bytes): What `export_onnx` returned. RETURNS (bytes): A graph for ONNX Runtime.
    """
    onnx = require("onnx", backend="onnx")
    require("onnxruntime", backend="onnx")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_from_string(graph)
    # Else it advises a preprocessing that changes nothing here, and gives the root logger a handler to do so.
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "graph.onnx"
        quantize_dynamic(
            model,
            target,
            nodes_to_quantize=projections(model),
            per_channel=True,
            reduce_range=True,  # else sums overflow on processors without VNNI, and F1 depends on the machine
            weight_type=QuantType.QInt8,
        )
        return target.read_bytes()


def projections(model) -> list[str]:
    """RETURNS (list[str]): The nodes of an ONNX model that multiply by weights of the text encoder."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and not node.name.startswith(OWN_PARTS)
    ]
