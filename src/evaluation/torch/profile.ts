import type { CompiledKernel, Diagnosis, ProfileStage, WorkloadBenchmark } from "../../domain/index.ts";
import { plainText } from "../../platform/text.ts";
import {
  type DeviceFacts,
  diagnoseDevice,
  type Profiles,
  type ProfileTexts,
  profiledKernels,
  readProfiles,
} from "../../profiling/index.ts";
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

/** Outputs of the profilers, and what else is known of the same candidate. */
export interface ProfileInput {
  readonly facts: TorchFacts | undefined;
  readonly texts: ProfileTexts;
  /** Calls under the profilers that take a timeline. */
  readonly calls: number;
  readonly compiled: readonly CompiledKernel[];
  readonly missing: NonNullable<ProfileStage["not_measured"]>;
  /** Calls without a profiler, each on an idle device. */
  readonly plainNs: readonly number[];
  readonly tensorBytes: number;
  readonly bandwidth: number | undefined;
  readonly cold: boolean;
  readonly seconds: number;
  readonly artifacts: Readonly<Record<string, string>>;
}

const KERNELS_KEPT = 24;
const SHOWN = 8;
/** A call of which operators are less than this is mostly Python and dispatch. */
const OPERATORS = 0.5;

function middle(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function timelineMetrics(profiles: Profiles, plainUs: number | undefined): Record<string, number> {
  const { timeline } = profiles;
  const plain = plainUs === undefined ? {} : { idle_call_us: plainUs };
  if (timeline === undefined) return plain;
  if (!timeline.onDevice)
    return { ...plain, profiled_call_us: timeline.callUs, operator_us: timeline.operatorUs };
  return {
    ...plain,
    profiled_call_us: timeline.callUs,
    device_busy_us: timeline.busyUs,
    device_span_us: timeline.spanUs,
    gaps_us: timeline.spanUs - timeline.busyUs,
    first_kernel_us: timeline.firstUs,
    launches: timeline.launches,
    launch_us: timeline.launchUs,
    launch_latency_us: timeline.latencyUs,
  };
}

/** On the processor: whether a call is Python and dispatch, else what the untimed call and the timings say. */
function processorDiagnosis(profiles: Profiles, facts: TorchFacts | undefined): Diagnosis | undefined {
  const { timeline } = profiles;
  const known = facts === undefined ? undefined : torchDiagnosis(facts);
  if (timeline === undefined || timeline.operatorUs >= OPERATORS * timeline.callUs) return known;
  // Kernels of its own (Triton's through the interpreter, C++) are no operators.
  if (facts !== undefined && facts.dispatched.own_kernels.length > 0) return known;
  const share = timeline.operatorUs / timeline.callUs;
  return {
    bottleneck: "launch",
    evidence: `operators are ${(share * 100).toFixed(0)} % of a call of ${timeline.callUs.toFixed(1)} µs: the rest is Python and dispatch`,
    advice: ["do more in each operator: fuse, batch, avoid work in Python between operators"],
  };
}

/** The profile stage from every profiler's output: kernels joined by name, what limits the call, and what was not measured. */
export function joinedProfile(input: ProfileInput): ProfileStage | undefined {
  const { facts, texts } = input;
  const profiles = readProfiles(texts, input.calls);
  const { timeline, counters, proton } = profiles;
  const known = facts === undefined ? undefined : torchProfile(facts, input.seconds);
  const missing = [
    ...input.missing,
    ...profiles.unreadable.map((way) => ({
      profiler: way,
      reason: "its output has nothing that is read here",
    })),
  ];
  const plainNs = middle(input.plainNs);
  const plainUs = plainNs === undefined ? undefined : plainNs / 1000;
  const slowest = facts?.slowest;
  const share = slowest?.roofline;
  const device: DeviceFacts = {
    workload: slowest?.workload ?? "",
    medianUs: slowest === undefined ? undefined : slowest.candidate.median_ns / 1000,
    plainUs,
    timeline,
    counters,
    proton,
    compiled: input.compiled,
    roof: share === undefined || facts?.roof === undefined ? undefined : { share, bound: facts.roof.bound },
    tensorBytes: input.tensorBytes > 0 ? input.tensorBytes : undefined,
    bandwidth: input.bandwidth,
  };
  const onDevice = timeline?.onDevice === true || counters !== undefined || proton !== undefined;
  const kernels = onDevice ? profiledKernels(device) : [];
  const told = onDevice ? diagnoseDevice(device, kernels) : undefined;
  const diagnosis = told?.diagnosis ?? processorDiagnosis(profiles, facts) ?? known?.diagnosis;
  if (diagnosis === undefined) return undefined;
  const used = [
    ...(timeline === undefined ? [] : ["pytorch"]),
    ...(proton === undefined ? [] : ["proton"]),
    ...(counters === undefined ? [] : ["ncu"]),
    ...(input.compiled.length === 0 ? [] : ["compiler"]),
  ];
  const busy = timeline?.busyUs ?? 0;
  return {
    status: "ok",
    seconds: input.seconds,
    cached: false,
    artifacts: { ...input.artifacts },
    profiler: used.join(", ") || (known?.profiler ?? "none"),
    method: methodOf(profiles, input, known),
    metrics: {
      ...known?.metrics,
      ...timelineMetrics(profiles, plainUs),
      ...(onDevice && input.tensorBytes > 0 && busy > 0
        ? { tensor_bytes: input.tensorBytes, tensor_bytes_per_second: input.tensorBytes / (busy * 1e-6) }
        : {}),
    },
    remarks: remarksOf(profiles, known, missing),
    ...(kernels.length === 0
      ? {}
      : {
          kernels: kernels
            .slice(0, KERNELS_KEPT)
            .map((kernel) => ({ ...kernel, name: plainText(kernel.name, 200) })),
        }),
    ...(told?.reached === undefined ? {} : { reached: told.reached }),
    ...(missing.length === 0 ? {} : { not_measured: missing }),
    diagnosis: { ...diagnosis, evidence: plainText(diagnosis.evidence, 800) },
  };
}

function methodOf(profiles: Profiles, input: ProfileInput, known: ProfileStage | undefined): string {
  const { timeline, counters, proton } = profiles;
  const said = [
    ...(timeline === undefined
      ? []
      : [`${timeline.onDevice ? "device timeline" : "operators"} of ${timeline.calls} calls`]),
    ...(proton === undefined ? [] : [`kernels of ${input.calls} calls by Proton`]),
    ...(counters === undefined
      ? []
      : [
          `hardware counters of one call, clocks as they are, ${input.cold ? "caches emptied before every kernel" : "caches as they are"}`,
        ]),
  ];
  return said.join("; ") || (known?.method ?? "nothing was measured");
}

function remarksOf(
  { timeline, scopes }: Profiles,
  known: ProfileStage | undefined,
  missing: ProfileInput["missing"],
): string[] {
  const operators = timeline?.onDevice === false ? timeline.operators.slice(0, SHOWN) : [];
  return [
    ...(timeline?.onDevice === true ? [] : (known?.remarks ?? [])),
    ...operators.map(
      (one) => `${plainText(one.name, 120)}: ${one.microseconds.toFixed(1)} µs of its own in ${one.launches}`,
    ),
    ...scopes
      .slice(0, SHOWN)
      .map((one) => `${plainText(one.name, 120)}: ${((one.share ?? 0) * 100).toFixed(0)} % of the cycles`),
    ...missing.map(
      (one) =>
        `not measured by ${one.profiler}: ${one.reason}${one.fix === undefined ? "" : ` (${one.fix})`}`,
    ),
  ];
}
