"""Writes golden.jsonl: what each problem's Python reference answers on small inputs, in double precision.

Run it with PyTorch from the repository's root: python3 test/problems/golden.py > test/problems/golden.jsonl
The tests compare the C references with it, so the two references of a problem cannot drift apart.
"""

import inspect
import json
import math
import random
import struct
from pathlib import Path

import torch

MOST = 600  # values in a tensor: the file stays small
TYPES = {"float32": torch.float64, "float64": torch.float64, "int32": torch.int32, "int64": torch.int64}
SAFE = {"__builtins__": {}}


def narrow(value, dtype):
    return struct.unpack("f", struct.pack("f", value))[0] if dtype == "float32" else value


def fill(dtype, shape, given, axes, rng):
    count = math.prod(shape)
    how = (given or {}).get("generator", {})
    kind = how.get("distribution", "normal" if dtype.startswith("float") else "integers")
    if kind == "normal":
        return [narrow(rng.gauss(how.get("mean", 0.3), how.get("std", 1.2)), dtype) for _ in range(count)]
    if kind == "integers":
        low, high = (int(eval(how.get(end, default), SAFE, axes)) for end, default in (("low", "0"), ("high", "255")))
        return [rng.randint(low, high) for _ in range(count)]
    if kind == "sorted":
        row = shape[-1]
        slot = (how["high"] - how["low"]) / row if row else 0
        if dtype.startswith("float"):
            return [narrow(how["low"] + slot * (i % row + 0.1 + 0.8 * rng.random()), dtype) for i in range(count)]
        return [int(how["low"] + slot * (i % row)) + rng.randrange(int(slot)) for i in range(count)]
    if kind == "offsets":
        total = int(eval(how["total"], SAFE, axes))
        return [0, *sorted(rng.randint(0, total) for _ in range(count - 2)), total]
    raise ValueError(kind)


def main():
    rng = random.Random(20)
    for folder in sorted(Path("knowledge/problems").iterdir()):
        definition = json.loads((folder / "definition.json").read_text())
        module = {}
        exec((folder / "reference.py").read_text(), module)
        for workload in json.loads((folder / "workloads.json").read_text()):
            axes = {name: axis.get("value", workload["axes"].get(name)) for name, axis in definition["axes"].items()}
            specs = {**definition["inputs"], **definition["outputs"]}
            sizes = [math.prod(axes[axis] for axis in spec["shape"] or []) for spec in specs.values()]
            if max(sizes) > MOST or 0 in axes.values():
                continue
            inputs, arguments = {}, {}
            for name, spec in definition["inputs"].items():
                given = workload["inputs"].get(name)
                if spec["shape"] is None:
                    inputs[name] = [narrow(given["value"], spec["dtype"])]
                    arguments[name] = inputs[name][0]
                else:
                    shape = [axes[axis] for axis in spec["shape"]]
                    inputs[name] = fill(spec["dtype"], shape, given, axes, rng)
                    arguments[name] = torch.tensor(inputs[name], dtype=TYPES[spec["dtype"]]).reshape(shape)
            for name in inspect.signature(module["run"]).parameters:
                arguments.setdefault(name, axes.get(name))
            results = module["run"](**arguments)
            if not isinstance(results, tuple):
                results = (results,)
            outputs = {}
            for (name, spec), result in zip(definition["outputs"].items(), results, strict=True):
                assert list(result.shape) == [axes[axis] for axis in spec["shape"]], (folder.name, name)
                assert result.dtype == TYPES[spec["dtype"]], (folder.name, name, result.dtype)
                outputs[name] = result.flatten().tolist()
            print(json.dumps({"problem": definition["name"], "workload": workload["uuid"], "inputs": inputs, "outputs": outputs}))


main()
