import type { Diagnosis, ProfileStage, WorkloadBenchmark } from "../../domain/index.ts";
import type { Roofline } from "../../targets/index.ts";
import type { TorchEventOf } from "./events.ts";

type Dispatched = TorchEventOf<"dispatched">;

/** Below this much time for each operator or kernel of a call, dispatch and launch are most of it. */
const LAUNCH_BOUND_NS = 30_000;
/** A call whose kernels fill less than this of its time waits for something else. */
const BUSY = 0.6;
const NEAR_ROOF = 0.6;

/** What one untimed call under the profiler and the timings tell: who does the work, and what the time goes to. */
export interface TorchFacts {
  readonly dispatched: Dispatched;
  readonly slowest: WorkloadBenchmark | undefined;
  readonly roof: Roofline | undefined;
}

function counts({ dispatched }: TorchFacts): { operators: number; kernels: number; deviceUs: number } {
  const launched = Object.values(dispatched.kernels);
  return {
    operators: Object.values(dispatched.torch_operators).reduce((sum, times) => sum + times, 0),
    kernels: launched.reduce((sum, one) => sum + one.count, 0),
    deviceUs: launched.reduce((sum, one) => sum + one.us, 0),
  };
}

/** The bottleneck with its evidence; `unknown` where nothing that is known decides. */
export function torchDiagnosis(facts: TorchFacts): Diagnosis | undefined {
  const { dispatched, slowest, roof } = facts;
  if (slowest === undefined) return undefined;
  const { operators, kernels, deviceUs } = counts(facts);
  const median = slowest.candidate.median_ns;
  const time = `${(median / 1000).toFixed(1)} µs a call on ${slowest.workload}`;
  const named = Object.entries(dispatched.torch_operators)
    .slice(0, 4)
    .map(([name, times]) => `${name} ${times}`);
  const launches = Math.max(operators, kernels);
  const busy = deviceUs > 0 ? (deviceUs * 1000) / median : undefined;
  const share = slowest.roofline;
  if (share !== undefined && roof !== undefined && share >= NEAR_ROOF) {
    return {
      bottleneck: roof.bound,
      evidence: `${(share * 100).toFixed(0)} % of the ${roof.bound} roof in ${time}`,
      advice:
        roof.bound === "memory"
          ? ["little is left in this form: move fewer bytes (fusion with neighbours, narrower types)"]
          : [
              "little is left in this form: do less arithmetic, or use a faster type where the tolerance allows",
            ],
    };
  }
  const gaps = busy !== undefined && busy < BUSY && kernels > 1;
  if (gaps || (launches > 1 && median / launches < LAUNCH_BOUND_NS)) {
    const filled =
      busy === undefined ? "" : `; kernels fill ${(Math.min(1, busy) * 100).toFixed(0)} % of the time`;
    return {
      bottleneck: "launch",
      evidence: `${launches} operators or kernels in ${time}${filled}: ${named.join(", ") || "own kernels"}`,
      advice: [
        "fuse what is launched one after the other into one kernel",
        "avoid intermediate tensors: each costs an allocation, a write and a read",
      ],
    };
  }
  if (share !== undefined && roof !== undefined) {
    return {
      bottleneck: roof.bound === "memory" ? "latency" : "compute",
      evidence: `${(share * 100).toFixed(0)} % of the ${roof.bound} roof in ${time}, ${kernels} kernels`,
      advice:
        roof.bound === "memory"
          ? ["more bytes in flight: wider and more loads a thread, more blocks, asynchronous copies"]
          : ["feed the tensor cores: larger tiles, deeper pipelines, the layout that they take"],
    };
  }
  const own = dispatched.own_kernels.length;
  return {
    bottleneck: "unknown",
    evidence: `${time}; ${own} kernels of its own, ${operators} torch operators${named.length === 0 ? "" : ` (${named.join(", ")})`}`,
    advice: ["a definition with its tensors and cost would tell the share of the roofline"],
  };
}

/** The profile stage of a PyTorch target: the timeline of one call under PyTorch's profiler, in the form of all profilers. */
export function torchProfile(facts: TorchFacts, seconds: number): ProfileStage | undefined {
  const diagnosis = torchDiagnosis(facts);
  if (diagnosis === undefined) return undefined;
  const { dispatched, slowest } = facts;
  const { operators, kernels, deviceUs } = counts(facts);
  const top = Object.entries(dispatched.kernels).slice(0, 12);
  return {
    status: "ok",
    seconds,
    cached: false,
    artifacts: {},
    profiler: "pytorch",
    method: kernels > 0 ? "device timeline of one call" : "operators dispatched in one call",
    metrics: {
      torch_operators: operators,
      own_kernels: dispatched.own_kernels.length,
      kernel_launches: kernels,
      ...(deviceUs > 0 ? { device_us: deviceUs } : {}),
      ...(dispatched.share_own === null ? {} : { share_own: dispatched.share_own }),
      ...(deviceUs > 0 && slowest !== undefined
        ? { kernel_share_of_call: (deviceUs * 1000) / slowest.candidate.median_ns }
        : {}),
    },
    remarks: top.map(([name, { count, us }]) => `${name.slice(0, 120)}: ${us.toFixed(1)} µs in ${count}`),
    diagnosis,
  };
}
