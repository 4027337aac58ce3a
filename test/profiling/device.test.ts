import { describe, expect, it } from "vitest";
import {
  type DeviceFacts,
  diagnoseDevice,
  ncuTrace,
  profiledKernels,
  readProfiles,
  readTimeline,
} from "../../src/profiling/index.ts";

/*
 * Outputs of profilers, written by hand in the forms that PyTorch's profiler, Proton and Nsight Compute have; the figures are
 * made up so that each answer can be worked out here.
 */

/** A call's range, one launch and one kernel each. Times in microseconds from the call's begin. */
interface Launch {
  readonly name: string;
  readonly launched: number;
  readonly begins: number;
  readonly lasts: number;
  readonly args?: object;
}

function trace(calls: number, callUs: number, launches: readonly Launch[]): string {
  const events: object[] = [{ ph: "M", name: "process_name", ts: 0, pid: 1, args: { name: "python" } }];
  for (let call = 0; call < calls; call += 1) {
    const at = 10_000 * (call + 1);
    const host = { ph: "X", pid: 1, tid: 1 };
    events.push({ ...host, cat: "user_annotation", name: "ke_call", ts: at, dur: callUs });
    // What empties the caches stands before the range, and its kernel is none of the call's.
    events.push({
      ...host,
      cat: "cuda_runtime",
      name: "cudaMemsetAsync",
      ts: at - 300,
      dur: 5,
      args: { correlation: 1000 * call + 999 },
    });
    events.push({
      ph: "X",
      pid: 0,
      tid: 7,
      cat: "gpu_memset",
      name: "Memset (Device)",
      ts: at - 200,
      dur: 100,
      args: { correlation: 1000 * call + 999 },
    });
    for (const [index, one] of launches.entries()) {
      const correlation = 1000 * call + index;
      events.push({
        ...host,
        cat: "cuda_runtime",
        name: "cudaLaunchKernel",
        ts: at + one.launched,
        dur: 4,
        args: { correlation },
      });
      events.push({
        ph: "X",
        pid: 0,
        tid: 7,
        cat: "kernel",
        name: one.name,
        ts: at + one.begins,
        dur: one.lasts,
        args: { correlation, ...one.args },
      });
    }
  }
  return JSON.stringify({ schemaVersion: 1, traceEvents: events });
}

const CHAIN = trace(
  3,
  80,
  Array.from({ length: 6 }, (_, index) => ({
    name: "void at::native::vectorized_elementwise_kernel<4, float>(int, float)",
    launched: 2 + 10 * index,
    begins: 8 + 10 * index,
    lasts: 2,
  })),
);
const SOFTMAX = trace(3, 130, [
  {
    name: "softmax_kernel",
    launched: 5,
    begins: 12,
    lasts: 100,
    args: {
      "registers per thread": 40,
      "shared memory": 128,
      "blocks per SM": 31,
      "est. achieved occupancy %": 75,
      block: [256, 1, 1],
    },
  },
]);
const NAMES = [
  "gpu__time_duration.sum",
  "sm__throughput.avg.pct_of_peak_sustained_elapsed",
  "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed",
  "dram__bytes_read.sum",
  "dram__bytes_write.sum",
  "sm__warps_active.avg.pct_of_peak_sustained_active",
  "launch__registers_per_thread",
];
const UNITS = ["ns", "%", "%", "byte", "byte", "%", "register/thread"];

function ncu(name: string, values: readonly number[]): string {
  const quoted = (cells: readonly (string | number)[]): string => cells.map((cell) => `"${cell}"`).join(",");
  return [
    "==PROF== Connected to process 17",
    '==PROF== Profiling "softmax_kernel": 0%....50%....100% - 3 passes',
    quoted(["ID", "Kernel Name", ...NAMES]),
    quoted(["", "", ...UNITS]),
    quoted(["0", name, ...values]),
    "",
  ].join("\n");
}

function factsOf(timeline: string, more: Partial<DeviceFacts> = {}): DeviceFacts {
  return { workload: "default", timeline: readTimeline(JSON.parse(timeline)), ...more };
}

describe("the timeline of a call", () => {
  it("has its kernels, the gaps between them and what launching costs", () => {
    const found = readTimeline(JSON.parse(CHAIN));
    expect(found).toMatchObject({
      calls: 3,
      onDevice: true,
      launches: 6,
      busyUs: 12,
      spanUs: 52,
      firstUs: 8,
      launchUs: 4,
      latencyUs: 2,
      callUs: 60,
    });
    expect(found?.kernels).toHaveLength(1);
    expect(found?.kernels[0]).toMatchObject({ launches: 6, microseconds: 12 });
  });

  it("counts a kernel to the call that launched it, however the clocks stand", () => {
    const late = trace(2, 20, [{ name: "k", launched: 5, begins: 25, lasts: 10 }]);
    expect(readTimeline(JSON.parse(late))?.kernels[0]).toMatchObject({ launches: 1, microseconds: 10 });
  });

  it("gives operators of the processor their own time", () => {
    const host = { ph: "X", pid: 1, tid: 1 };
    const text = JSON.stringify({
      traceEvents: [
        { ...host, cat: "user_annotation", name: "ke_call", ts: 100, dur: 50 },
        { ...host, cat: "cpu_op", name: "aten::linear", ts: 110, dur: 20 },
        { ...host, cat: "cpu_op", name: "aten::addmm", ts: 112, dur: 15 },
        { ...host, cat: "cpu_op", name: "aten::relu", ts: 135, dur: 5 },
        { ...host, cat: "cpu_op", name: "aten::zero_", ts: 10, dur: 80 },
      ],
    });
    const found = readTimeline(JSON.parse(text));
    expect(found).toMatchObject({ onDevice: false, callUs: 50, operatorUs: 25 });
    expect(found?.operators.map(({ name, microseconds }) => [name, microseconds])).toEqual([
      ["aten::addmm", 15],
      ["aten::linear", 5],
      ["aten::relu", 5],
    ]);
  });

  it("is none where no call is in it", () => {
    expect(readTimeline({ traceEvents: [] })).toBeUndefined();
    expect(readTimeline([1])).toBeUndefined();
  });
});

describe("kernels of all profilers", () => {
  it("are joined by name, whatever each makes of it", () => {
    const counters = ncuTrace(ncu("softmax_kernel", [95_000, 20, 85, 2e8, 1e8, 70, 40]))?.rows;
    const compiled = [
      {
        name: "softmax_kernel",
        registers: 40,
        shared_bytes: 128,
        spill_bytes: 0,
        occupancy: 0.75,
        limited_by: ["registers"],
        exceeds: [],
      },
    ];
    const [kernel, ...others] = profiledKernels(factsOf(SOFTMAX, { counters, compiled }));
    expect(others).toEqual([]);
    expect(kernel).toMatchObject({ name: "softmax_kernel", launches: 1, microseconds: 100, share: 1 });
    expect(kernel?.figures).toMatchObject({
      registers: 40,
      spill_bytes: 0,
      theoretical_occupancy: 0.75,
      estimated_occupancy: 0.75,
      threads: 256,
      dram_percent: 85,
      dram_read_bytes: 2e8,
    });
    expect(kernel?.figures["dram_bytes_per_second"]).toBeCloseTo(3e8 / 95e-6, -6);
  });

  it("are told by Proton or ncu alone where there is no timeline", () => {
    const counters = ncuTrace(ncu("softmax_kernel", [95_000, 20, 85, 2e8, 1e8, 70, 40]))?.rows;
    const [kernel] = profiledKernels({ workload: "default", counters });
    expect(kernel).toMatchObject({ name: "softmax_kernel", microseconds: 95, share: 1 });
  });
});

describe("the bottleneck of a call on a device", () => {
  it.each<[string, DeviceFacts, string, RegExp]>([
    ["a chain of short kernels", factsOf(CHAIN), "launch", /6 launches in 60\.0 µs; kernels fill 20 %/],
    [
      "counters near the memory's peak",
      factsOf(SOFTMAX, {
        medianUs: 105,
        counters: ncuTrace(ncu("softmax_kernel", [95_000, 20, 85, 2e8, 1e8, 70, 40]))?.rows,
      }),
      "memory",
      /softmax_kernel \(100 % of the device's time\) memory at 85 %.*; 85 % of the memory roof/,
    ],
    [
      "counters near the peak of arithmetic",
      factsOf(SOFTMAX, {
        medianUs: 105,
        counters: ncuTrace(ncu("softmax_kernel", [95_000, 80, 30, 2e8, 1e8, 70, 40]))?.rows,
      }),
      "compute",
      /compute at 80 %/,
    ],
    [
      "low occupancy by many registers",
      factsOf(SOFTMAX, {
        medianUs: 105,
        counters: ncuTrace(ncu("softmax_kernel", [95_000, 20, 30, 2e8, 1e8, 12, 200]))?.rows,
      }),
      "register",
      /achieved occupancy is 12 % with 200 registers/,
    ],
    [
      "spills",
      factsOf(SOFTMAX, {
        medianUs: 105,
        compiled: [{ name: "softmax_kernel", registers: 255, spill_bytes: 96, exceeds: [] }],
      }),
      "register",
      /spills 96 bytes with 255 registers/,
    ],
    [
      "fewer blocks than multiprocessors",
      factsOf(
        trace(2, 130, [{ name: "k", launched: 5, begins: 12, lasts: 100, args: { "blocks per SM": 0.25 } }]),
        { medianUs: 105 },
      ),
      "tail",
      /0\.25 blocks a multiprocessor/,
    ],
    [
      "tensors that move as fast as memory does",
      factsOf(SOFTMAX, { medianUs: 105, tensorBytes: 3e8, bandwidth: 3.35e12 }),
      "memory",
      /90 % of the memory roof, by its tensors moved once/,
    ],
    ["nothing that decides", factsOf(SOFTMAX, { medianUs: 105 }), "unknown", /105\.0 µs a call on default/],
  ])("%s", (_, facts, bottleneck, evidence) => {
    const { diagnosis } = diagnoseDevice(facts);
    expect(diagnosis.bottleneck).toBe(bottleneck);
    expect(diagnosis.evidence).toMatch(evidence);
    expect(diagnosis.advice.length).toBeGreaterThan(0);
  });
});

describe("outputs of the profilers", () => {
  const node = (name: string, metrics: object, children: readonly object[] = []): object => ({
    frame: { name, type: "function" },
    metrics,
    children,
  });

  it("give Proton's kernels of one call, without what stands beside the scope", () => {
    const proton = JSON.stringify([
      node("ROOT", {}, [
        node("ke_call", {}, [node("softmax_kernel", { "time (ns)": 500_000, count: 5, bytes: 1.5e9 })]),
        node("memset", { "time (ns)": 900_000, count: 5 }),
      ]),
      { device_type: "CUDA" },
    ]);
    const { proton: rows, unreadable } = readProfiles({ proton }, 5);
    expect(unreadable).toEqual([]);
    expect(rows).toHaveLength(1);
    expect(rows?.[0]).toMatchObject({ name: "softmax_kernel", calls: 1, microseconds: 100 });
    expect(rows?.[0]?.metrics?.["GB/s"]).toBeCloseTo(3000);
  });

  it("give scopes inside of kernels their share of the cycles", () => {
    const scopes = JSON.stringify([
      node("ROOT", {}, [node("k", {}, [node("load", { cycles: 300 }), node("reduce", { cycles: 100 })])]),
    ]);
    expect(readProfiles({ scopes }, 5).scopes.map(({ name, share }) => [name, share])).toEqual([
      ["k/load", 0.75],
      ["k/reduce", 0.25],
    ]);
  });

  it("are named where nothing in them is read", () => {
    expect(readProfiles({ pytorch: "{", ncu: "==ERROR== no", proton: "[]" }, 5).unreadable).toEqual([
      "pytorch",
      "proton",
      "ncu",
    ]);
  });
});
