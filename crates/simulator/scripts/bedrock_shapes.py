"""Writes the shapes of Bedrock's requests, as botocore describes them, into the simulator's table.

    python crates/simulator/scripts/bedrock_shapes.py > crates/simulator/src/bedrock/shapes.json

Owns: what of the service model is kept: members, what is required, enumerations, lengths, ranges, patterns. Leaves to
`src/bedrock/shapes.rs` how a body is held against it. Invariant: the same botocore gives the same bytes.
"""

import gzip
import json
from pathlib import Path

import botocore

MODEL = "data/bedrock-runtime/2023-09-30/service-2.json.gz"
OPERATIONS = ("Converse", "ConverseStream", "CountTokens")
KEPT = ("min", "max", "enum", "pattern")


def compact(shape: dict) -> dict:
    """A shape without its documentation; members that are in the path or a header are left out."""
    kind = shape["type"]
    kept = {key: shape[key] for key in KEPT if key in shape}
    if kind == "structure":
        if shape.get("document"):
            return {"type": "document"}
        members = {
            name: member["shape"] for name, member in shape["members"].items() if "location" not in member
        }
        required = [name for name in shape.get("required", []) if name in members]
        kept["members"] = members
        if required:
            kept["required"] = required
        return {"type": "union" if shape.get("union") else "structure", **kept}
    if kind == "list":
        return {"type": kind, "of": shape["member"]["shape"], **kept}
    if kind == "map":
        return {"type": kind, "key": shape["key"]["shape"], "of": shape["value"]["shape"], **kept}
    return {"type": kind, **kept}


def table() -> dict:
    path = Path(botocore.__file__).parent / MODEL
    model = json.loads(gzip.decompress(path.read_bytes()))
    shapes = model["shapes"]
    inputs = {name: model["operations"][name]["input"]["shape"] for name in OPERATIONS}
    found: dict[str, dict] = {}
    waiting = list(inputs.values())
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = compact(shapes[name])
        waiting += found[name].get("members", {}).values()
        waiting += [found[name][key] for key in ("key", "of") if key in found[name]]
    return {"operations": inputs, "shapes": dict(sorted(found.items()))}


def text() -> str:
    """One shape a line."""
    made = table()
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(shape)}" for name, shape in made["shapes"].items())
    return f'{{"operations":{json.dumps(made["operations"])},\n"shapes":{{\n{lines}\n}}}}\n'


if __name__ == "__main__":
    print(text(), end="")
