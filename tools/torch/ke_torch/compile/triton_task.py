"""In the confined worker: runs a Triton candidate on pretended tensors, records its launches, compiles them ahead of time."""

from __future__ import annotations

import base64
import importlib
import re
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch

from ..boundary.tree import decode
from ..boundary.wire import BY_NAME
from ..formats import TensorSpec
from ..hosting.provide import provide_inputs
from ..hosting.subject import Subject, SubjectError, import_file, load_files, tensors_of
from .arch import parse_arch
from .pretend import PretendedDevice, pretend_cuda, tensors_with_contents, tensors_without_contents
from .record import Launch, Recorder, Unsupported, gpu_target, kernels_of

Write = Callable[..., None]
BINARY = ("cubin", "hsaco")
_AT = re.compile(r"\bat (\d+):(\d+):")


def _source(text: str, message: str) -> str:
    return "".join(text.splitlines(True)[-12:]) if text else message


def _inputs(workload: dict[str, Any], maker: Subject | None, seed: int) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of a workload, by shape where the format tells it, else by the problem's own code."""
    if workload["provider"] is not None:
        asked = {"provider": workload["provider"], "seed": seed, "arguments": workload["arguments"]}
        if maker is None and workload["provider"] != "opinfo":
            raise SubjectError("the problem has no code to make inputs with")
        found, _ = provide_inputs(maker, asked, PretendedDevice.device)  # type: ignore[arg-type]
        if found is None:
            raise SubjectError("the workload does not exist")
        args, kwargs = found
        return list(args), dict(kwargs)
    specs = [TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in workload["tensors"]]
    tensors = [torch.zeros(s.shape, dtype=BY_NAME[s.dtype]) for s in specs]
    values = [(s.value if s.value is not None else 1) if s.scalar else t for s, t in zip(specs, tensors, strict=True)]
    if workload["tree"] is None:
        return values, {}
    args, kwargs = decode(workload["tree"], tensors, "cuda")
    return list(args), dict(kwargs)


def _cast(value: Any, name: str | None) -> Any:
    from ..hosting.subject import cast

    return value if name is None else cast(value, getattr(torch, name))


class Candidate:
    """The candidate's program, built and called as the judge's host would."""

    def __init__(self, asked: dict[str, Any], folder: str) -> None:
        self.asked, self.folder = asked, folder
        problem = asked["problem"]
        files = [*(problem["files"] if problem else []), *asked["files"]]
        load_files(folder, [(name, base64.b64decode(data)) for name, data in files])

    def run(self) -> int:
        """Calls it on every workload, and answers how many there were."""
        asked, device, problem = self.asked, PretendedDevice(), self.asked["problem"]
        maker = Subject(problem["subject"], self.folder, device) if problem["code"] else None  # type: ignore[arg-type]
        subject = Subject(asked["subject"], self.folder, device)  # type: ignore[arg-type]
        arguments = self.constructor(maker)
        dtype = getattr(torch, problem["dtype"]) if problem["dtype"] else None
        subject.build(arguments, 1, dtype, "eager")
        called, refused = 0, ""
        for workload in problem["workloads"]:
            args, kwargs = _inputs(workload, maker, 1)
            args, kwargs = _cast(args, problem["dtype"]), _cast(kwargs, problem["dtype"])
            subject.prepare(0.0, workload["destinations"])
            if problem["backward"]:
                self.backward(subject, args, kwargs)
            else:
                with torch.no_grad():
                    subject.call(args, kwargs)
            called += 1
        if called == 0:
            raise SubjectError(refused or "the problem has no workload")
        return called

    def constructor(self, maker: Subject | None) -> list[Any]:
        """The module's arguments, by the problem's own code."""
        if maker is None or not self.asked["problem"]["constructor"]:
            return []
        return provide_inputs(maker, {"provider": "get_init_inputs", "seed": 1}, PretendedDevice.device)[0]

    @staticmethod
    def backward(subject: Subject, args: list[Any], kwargs: dict[str, Any]) -> None:
        """A call and its gradients, of ones."""
        for tensor in tensors_of((args, kwargs)):
            if tensor.is_floating_point():
                tensor.requires_grad_(True)
        outputs = [t for t in tensors_of(subject.call(args, kwargs)) if t.requires_grad]
        if outputs:
            torch.autograd.backward(outputs, [torch.ones_like(t) for t in outputs])


def _record(asked: dict[str, Any], folder: str, recorder: Recorder, write: Write) -> None:
    wanted = asked["tensors"]
    ways = [("fake", tensors_without_contents), ("real", tensors_with_contents)]
    first_error = ""
    for name, way in ways if wanted == "auto" else [w for w in ways if w[0] == wanted]:
        recorder.launches.clear()
        recorder.left_out = 0
        try:
            with way():  # type: ignore[operator]
                workloads = Candidate(asked, folder).run()
        except Exception as error:
            trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-4000:]
            if name == "fake" and wanted == "auto":
                first_error = f"{type(error).__name__}: {error}"[:1000]
                continue
            raise_with = f"{trace}\n(before that, on tensors without contents: {first_error})" if first_error else trace
            write(
                "not_recorded",
                name=type(error).__name__,
                message=str(error)[:2000],
                trace=raise_with,
                line=_own_line(error, folder),
            )
            return
        write("recorded", how=name, why_not_fake=first_error or None, workloads=workloads, kernels=len(recorder.launches),
              launches=sum(launch.launches for launch in recorder.launches.values()), left_out=recorder.left_out)  # fmt: skip
        return


def _own_line(error: BaseException, folder: str) -> int | None:
    """The candidate's line that an exception came through last."""
    lines = [
        f.lineno
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(folder) and "problem.py" not in f.filename
    ]
    return lines[-1] if lines else None


def parse_signature(given: dict[str, str], constants: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any], list[int]]:
    """A written signature (``*fp16:16``, ``i32:16``, ``i32:1``, ``constexpr``): types, constants, and what divides by 16."""
    types, values, divisible = {}, dict(constants), []
    for index, (name, text) in enumerate(given.items()):
        kind, _, hint = str(text).partition(":")
        if hint == "16":
            divisible.append(index)
        elif hint == "1":
            kind, values[name] = "constexpr", 1
        elif hint:
            raise ValueError(f"{name}: a hint is 16 or 1, not {hint}")
        if kind == "constexpr" and name not in values:
            raise ValueError(f"{name} is constexpr and constexprs has no value for it")
        types[name] = kind
    return types, values, divisible


def _explicit(asked: dict[str, Any], folder: str, recorder: Recorder, write: Write) -> None:
    compiler = importlib.import_module("triton.compiler")
    load_files(folder, [(name, base64.b64decode(data)) for name, data in asked["files"]])
    with tensors_without_contents():
        found = kernels_of(import_file(folder, asked["files"][-1][0]))
    for spec in asked["kernels"]:
        name = str(spec["kernel"])
        if name not in found:
            write("failed", kernel=name, message=f"no @triton.jit function of this name; there are {', '.join(found) or 'none'}")
            continue
        try:
            types, values, divisible = parse_signature(dict(spec["signature"]), dict(spec.get("constexprs") or {}))
            unknown = sorted({*types, *values} - set(found[name].arg_names))
            lacking = sorted(set(found[name].arg_names) - set(types))
            if unknown or lacking:
                raise ValueError(
                    f"the signature {'has unknown ' + ', '.join(unknown) if unknown else 'lacks ' + ', '.join(lacking)}"
                )
            ordered = {n: types[n] for n in found[name].arg_names}
            places = {list(types)[i] for i in divisible}
            attrs = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(ordered) if n in places}
            source = compiler.ASTSource(found[name], ordered, {k: v for k, v in values.items() if ordered[k] == "constexpr"}, attrs)
        except (ValueError, TypeError, AssertionError) as error:
            write("failed", kernel=name, message=str(error)[:2000])
            continue
        options = {k: spec[k] for k in ("num_warps", "num_stages", "num_ctas") if spec.get(k) is not None}
        launch = Launch(source, {**options, **dict(spec.get("options") or {})}, name, None, None, 0)
        recorder.launches[(source.hash(), repr(sorted(launch.options.items())))] = launch
    write("recorded", how="signature", why_not_fake=None, workloads=0, kernels=len(recorder.launches), launches=0, left_out=0)


def _line_of(error: BaseException, launch: Launch) -> tuple[int | None, str]:
    """The line in the candidate's file that Triton complains about, and the message without the listing."""
    deepest: BaseException = error
    while deepest.__cause__ is not None and hasattr(deepest.__cause__, "node"):
        deepest = deepest.__cause__
    node, text = getattr(deepest, "node", None), str(deepest)
    listing = getattr(deepest, "src", None)
    number = getattr(node, "lineno", None)
    if number is None:
        return None, text[-3000:]
    for fn in [launch.source.fn, *(v for v in launch.source.fn.__globals__.values() if hasattr(v, "raw_src"))]:
        if listing is None or getattr(fn, "src", None) == listing:
            before = next((k for k, line in enumerate(fn.raw_src) if line.lstrip().startswith("def ")), 0)
            return fn.starting_line_number + before + number - 1, _source(text, text)
    return None, _source(text, text)


def _compile(recorder: Recorder, launch: Launch, write: Write) -> None:
    base32 = importlib.import_module("triton.runtime.cache")._base32
    start = time.monotonic()
    about = {"kernel": launch.name, "config": launch.config, "grid": launch.grid, "launches": launch.launches}
    try:
        kernel = recorder.compiled(launch)
    except Exception as error:
        line, message = _line_of(error, launch)
        write("failed", **about, error=type(error).__name__, message=message[-4000:], line=line)
        return
    metadata, source = kernel.metadata, launch.source
    asm = {k: v for k, v in kernel.asm.items() if isinstance(v, (str, bytes)) and k != "json"}
    asm.pop("source", None)
    names, sixteen = list(source.signature), ["tt.divisibility", 16]
    constants = {".".join(names[i] if d == 0 else str(i) for d, i in enumerate(p)): _shown(v) for p, v in source.constants.items()}
    write(
        "kernel",
        **about,
        symbol=metadata.name,
        num_warps=metadata.num_warps,
        num_stages=metadata.num_stages,
        num_ctas=getattr(metadata, "num_ctas", 1),
        shared_bytes=metadata.shared or 0,
        signature=dict(source.signature),
        constexprs=constants,
        divisible_by_16=[names[p[0]] for p, a in source.attrs.items() if len(p) == 1 and sixteen in [list(x) for x in a]],
        override=base32(source.hash()),
        file_name=source.name[:150],
        seconds=time.monotonic() - start,
    )
    for kind, data in asm.items():
        write("artifact", data if isinstance(data, bytes) else data.encode(), type=kind)


def _shown(value: Any) -> Any:
    value = getattr(value, "value", value)
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)[:200]


def run(asked: dict[str, Any], folder: str, write: Write) -> None:
    """The task: record, compile, hand out."""
    try:
        triton = importlib.import_module("triton")
    except ImportError:
        write("missing", what="triton")
        return
    arch = parse_arch(asked["arch"])
    properties = pretend_cuda(arch, asked["hardware"])
    recorder = Recorder(arch, properties, asked["configs"] == "all", asked["most"])
    try:
        gpu_target(arch)
        if asked["kernels"]:
            _explicit(asked, folder, recorder, write)
        else:
            recorder.install()
            _record(asked, folder, recorder, write)
    except Unsupported as error:
        write("missing", what="triton", reason=f"{error}; here is {triton.__version__}")
        return
    for launch in recorder.launches.values():
        _compile(recorder, launch, write)
