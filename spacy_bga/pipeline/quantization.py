"""Post-training quantization of an exported graph: its projections in 8 bits, the samplers as they were."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from spacy_bga.aligner.export import SAMPLERS
from spacy_bga.pipeline.backends import require


def quantize(graph: bytes) -> bytes:
    """Give the projections of the text encoder and the generators weights of 8 bits.

    Activations are scaled as they come, by the largest of a batch, so that nothing is needed to calibrate with, and
    results depend a little on what is in the batch.

    graph (bytes): What `export_onnx` returned. RETURNS (bytes): A graph for ONNX Runtime.
    """
    onnx = require("onnx", backend="onnx")
    require("onnxruntime", backend="onnx")
    from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        folded, quantized = Path(folder) / "folded.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(onnx.load_from_string(graph), folded, skip_symbolic_shape=True)
        quantize_dynamic(
            folded,
            quantized,
            nodes_to_quantize=projections(onnx.load(folded)),
            per_channel=True,
            reduce_range=True,  # else sums overflow on processors without VNNI, and F1 depends on the machine
            weight_type=QuantType.QInt8,
        )
        return quantized.read_bytes()


def projections(model: Any) -> list[str]:
    """RETURNS (list[str]): The nodes of an ONNX model that multiply by a matrix of weights, not by one for each head.
    The samplers' are left out: an arg max forgives nothing."""
    weights = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and not node.name.startswith(SAMPLERS)
    ]
