"""Records what a program would launch by Triton instead: kernel, specialised signature, constants, options, grid."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from .arch import Arch


class Unsupported(Exception):
    """This version of Triton cannot be recorded."""


@dataclass
class Launch:
    """One kernel in one specialisation, with how often it was launched."""

    source: Any
    options: dict[str, Any]
    name: str
    grid: list[int] | None
    config: dict[str, Any] | None
    launches: int = 1
    problem: str | None = None
    compiled: Any = field(default=None, repr=False)


class Stand:
    """What a launch answers: the compiled kernel's figures, compiled when they are asked for."""

    def __init__(self, recorder: Recorder, launch: Launch) -> None:
        self._recorder, self._launch = recorder, launch

    def _init_handles(self) -> None:
        """Nothing is loaded."""

    def __getitem__(self, grid: Any) -> Any:
        return lambda *args, **kwargs: None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kernel = self._recorder.compiled(self._launch)
        if name in ("n_regs", "n_spills", "n_max_threads"):
            # Known once the driver has loaded the kernel; the most that a thread may have is the careful answer.
            return {"n_regs": 255, "n_spills": 0, "n_max_threads": 1024}[name]
        return getattr(kernel, name)


class Driver:
    """What Triton asks of a driver when nothing is run."""

    def __init__(self, target: Any, properties: SimpleNamespace) -> None:
        self.target = target
        shared = properties.shared_memory_per_block_optin
        facts = {
            "max_shared_mem": shared, "max_num_regs": properties.regs_per_multiprocessor, "warpSize": properties.warp_size,
            "multiprocessor_count": properties.multi_processor_count, "sm_clock_rate": 0, "mem_clock_rate": 0, "mem_bus_width": 0,
        }  # fmt: skip
        self.utils = SimpleNamespace(get_device_properties=lambda device: facts)

    def get_current_target(self) -> Any:
        """The architecture that is compiled for."""
        return self.target

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def set_current_device(self, device: int) -> None:
        """There is no other."""

    def get_current_stream(self, device: int | None = None) -> int:
        """The only one."""
        return 0

    def get_active_torch_device(self) -> Any:
        """As torch names it."""
        return importlib.import_module("torch").device("cuda", 0)

    def get_device_interface(self) -> Any:
        """torch's."""
        return importlib.import_module("torch").cuda

    def get_benchmarker(self) -> Any:
        """Calls once: time is not known here."""

        def once(call: Any, quantiles: Any = None, **_: Any) -> Any:
            call()
            return [0.0] * len(quantiles or [0])

        return once

    def clear_cache(self, cache: Any) -> None:
        """There is none."""

    def get_empty_cache_for_benchmark(self) -> Any:
        """A small one."""
        return importlib.import_module("torch").empty(1)


def gpu_target(arch: Arch) -> Any:
    """Triton's own description of an architecture."""
    return importlib.import_module("triton.backends.compiler").GPUTarget(arch.backend, arch.number, arch.warp_size)


class Recorder:
    """Stands in for the driver and for launching."""

    def __init__(self, arch: Arch, properties: SimpleNamespace, every_config: bool, most: int) -> None:
        self.target, self.every, self.most = gpu_target(arch), every_config, most
        self.launches: dict[tuple[str, str], Launch] = {}
        self.config: dict[str, Any] | None = None
        self.grid: Any = None
        self.last: Launch | None = None
        self.left_out = 0
        self.properties = properties

    def install(self) -> None:
        """Puts itself in Triton's place, for good.

        @raises Unsupported
        """
        jit = importlib.import_module("triton.runtime.jit")
        function = jit.JITFunction
        if not (hasattr(function, "_do_compile") and hasattr(function, "create_binder")):
            raise Unsupported("recording launches needs triton 3.5 or later")
        importlib.import_module("triton.runtime.driver").driver.set_active(Driver(self.target, self.properties))
        recorder, run = self, function.run

        def recording(fn: Any, *args: Any, grid: Any = None, warmup: bool = False, **kwargs: Any) -> Any:
            recorder.grid = None if grid is None else recorder.sizes(fn, grid, args, kwargs)
            recorder.last = None
            run(fn, *args, grid=grid, warmup=warmup, **kwargs)
            return None if recorder.last is None else Stand(recorder, recorder.last)

        def instead(fn: Any, key: Any, signature: Any, device: Any, constexprs: Any, options: Any, attrs: Any, warmup: Any) -> None:
            recorder.add(fn.ASTSource(fn, signature, constexprs, attrs), dict(options.__dict__))

        function.run = recording
        function._do_compile = instead
        tuner = importlib.import_module("triton.runtime.autotuner").Autotuner
        tuner._bench = lambda own, *args, config, **meta: recorder.try_config(own, config, args, meta)

    def sizes(self, fn: Any, grid: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int] | None:
        """The grid as numbers; None where it does not come to any."""
        try:
            if callable(grid):
                names = {k: v for k, v in kwargs.items() if k in fn.signature.parameters}
                bound = fn.signature.bind(*args, **names)
                bound.apply_defaults()
                grid = grid(dict(bound.arguments))
            return [int(g) for g in ((grid,) if isinstance(grid, int) else grid)]
        except (TypeError, ValueError, KeyError):
            return None

    def try_config(self, tuner: Any, config: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> list[float]:
        """One configuration of an autotuned kernel: recorded, and its place in the list is its time, so that the first one wins."""
        index = next((k for k, c in enumerate(tuner.configs) if c is config), 0)
        if index > 0 and not self.every:
            self.left_out += 1
            return [float("inf")] * 3
        values = config.all_kwargs()
        self.config = {"index": index, "of": len(tuner.configs), **{k: _plain(v) for k, v in values.items()}}
        try:
            if config.pre_hook is not None:
                config.pre_hook({**tuner.nargs, **meta, **values})
            tuner.fn.run(*args, **{**meta, **values})
        finally:
            self.config = None
        return [float(index)] * 3

    def add(self, source: Any, options: dict[str, Any]) -> None:
        """One launch."""
        key = (source.hash(), repr(sorted(options.items(), key=lambda item: item[0])))
        known = self.launches.get(key)
        if known is not None:
            known.launches += self.config is None
            self.last = known
            return
        launch = Launch(source, options, source.name, self.grid, self.config, launches=int(self.config is None))
        self.last = launch
        if len(self.launches) >= self.most:
            self.left_out += 1
        else:
            self.launches[key] = launch

    def compiled(self, launch: Launch) -> Any:
        """The kernel, compiled now or before."""
        if launch.compiled is None:
            compiler = importlib.import_module("triton.compiler")
            launch.compiled = compiler.compile(launch.source, target=self.target, options=launch.options)
        return launch.compiled


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)[:200]


def kernels_of(module: Any) -> dict[str, Any]:
    """The ``@triton.jit`` functions that a module holds by name, below autotuning and heuristics."""
    function = importlib.import_module("triton.runtime.jit").JITFunction
    found: dict[str, Any] = {}
    for name, value in inspect.getmembers(module):
        inner, depth = value, 0
        while not isinstance(inner, function) and hasattr(inner, "fn") and depth < 8:
            inner, depth = inner.fn, depth + 1
        if isinstance(inner, function):
            found[name] = inner
    return found
