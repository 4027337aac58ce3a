import { z } from "zod";

/** The range that `ke_torch.profile` puts around each call. */
export const CALL_RANGE = "ke_call";

const argsSchema = z.looseObject({
  correlation: z.number().optional(),
  block: z.array(z.number()).optional(),
  "registers per thread": z.number().optional(),
  "shared memory": z.number().optional(),
  "blocks per SM": z.number().optional(),
  "est. achieved occupancy %": z.number().optional(),
});
const eventSchema = z.object({
  name: z.string(),
  cat: z.string(),
  ph: z.literal("X"),
  ts: z.number(),
  dur: z.number(),
  pid: z.union([z.number(), z.string()]).optional(),
  tid: z.union([z.number(), z.string()]).optional(),
  args: argsSchema.optional(),
});
type Event = z.infer<typeof eventSchema>;
const traceSchema = z.object({ traceEvents: z.array(z.unknown()) });

const DEVICE = new Set(["kernel", "gpu_memcpy", "gpu_memset", "hip_kernel"]);
const RUNTIME = new Set(["cuda_runtime", "cuda_driver", "hip_runtime"]);
const LAUNCH = /launch|memcpy|memset/i;

/** One kernel (or operator of the processor) in one call. */
export interface TimelineKernel {
  readonly name: string;
  readonly launches: number;
  readonly microseconds: number;
  readonly registers?: number | undefined;
  readonly sharedBytes?: number | undefined;
  readonly threads?: number | undefined;
  /** Blocks of the grid for each multiprocessor: below 1 the device is not filled. */
  readonly blocksPerSm?: number | undefined;
  /** 0..1, estimated from the launch. */
  readonly occupancy?: number | undefined;
}

/** PyTorch's timeline of one call: medians over the calls that were recorded, microseconds. */
export interface Timeline {
  readonly calls: number;
  /** From its begin until all its work was done. */
  readonly callUs: number;
  readonly onDevice: boolean;
  /** In which at least one kernel ran, and from the first one's begin to the last one's end. */
  readonly busyUs: number;
  readonly spanUs: number;
  /** From the call's begin to the first kernel's. */
  readonly firstUs: number;
  readonly launches: number;
  /** The processor's time in the driver's launch functions, for each launch; and from there to the kernel's begin. */
  readonly launchUs: number;
  readonly latencyUs: number;
  /** Most time first. */
  readonly kernels: readonly TimelineKernel[];
  /** Operators of the processor by their own time, without that of those they call. */
  readonly operators: readonly TimelineKernel[];
  /** Time in any operator; the rest of a call is Python and dispatch. */
  readonly operatorUs: number;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Time in which at least one of the spans is open. */
function busyTime(events: readonly Event[]): number {
  let busy = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { ts, dur } of events.toSorted((a, b) => a.ts - b.ts)) {
    if (ts + dur <= until) continue;
    busy += ts + dur - Math.max(ts, until);
    until = ts + dur;
  }
  return busy;
}

/** Own times of nested events, each thread by itself, and the time of the outermost ones. */
function ownTimes(events: readonly Event[]): { own: Map<Event, number>; outer: number } {
  const own = new Map<Event, number>();
  let outer = 0;
  const threads = Map.groupBy(events, (event) => `${event.pid ?? ""}/${event.tid ?? ""}`);
  for (const thread of threads.values()) {
    const open: Event[] = [];
    for (const event of thread.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
      let above = open.at(-1);
      while (above !== undefined && above.ts + above.dur <= event.ts) {
        open.pop();
        above = open.at(-1);
      }
      own.set(event, event.dur);
      if (above === undefined) outer += event.dur;
      else own.set(above, Math.max(0, (own.get(above) ?? 0) - event.dur));
      open.push(event);
    }
  }
  return { own, outer };
}

function rows(events: readonly Event[], calls: number, time: (event: Event) => number): TimelineKernel[] {
  const byName = Map.groupBy(events, (event) => event.name);
  return [...byName]
    .map(([name, all]): TimelineKernel => {
      const args = all[0]?.args;
      const occupancy = args?.["est. achieved occupancy %"];
      return {
        name,
        launches: all.length / calls,
        microseconds: all.reduce((sum, event) => sum + time(event), 0) / calls,
        registers: args?.["registers per thread"],
        sharedBytes: args?.["shared memory"],
        threads: args?.block?.reduce((product, size) => product * size, 1),
        blocksPerSm: args?.["blocks per SM"],
        occupancy: occupancy === undefined ? undefined : occupancy / 100,
      };
    })
    .sort((a, b) => b.microseconds - a.microseconds);
}

/** Reads the trace that `ke_torch.profile` wrote; undefined for one that has no call in it. */
export function readTimeline(json: unknown): Timeline | undefined {
  const parsed = traceSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const events = parsed.data.traceEvents.flatMap((one): Event[] => {
    const event = eventSchema.safeParse(one);
    return event.success ? [event.data] : [];
  });
  const ranges = events
    .filter((event) => event.name === CALL_RANGE && event.cat === "user_annotation")
    .sort((a, b) => a.ts - b.ts);
  if (ranges.length === 0) return undefined;
  const indexOf = (at: number): number => ranges.findIndex(({ ts, dur }) => at >= ts && at < ts + dur);
  // A kernel belongs to the call that launched it: the device's clock may be some microseconds off.
  const launched = new Map<number, Event>();
  for (const event of events)
    if (RUNTIME.has(event.cat) && LAUNCH.test(event.name) && event.args?.correlation !== undefined)
      launched.set(event.args.correlation, event);
  const launchOf = (event: Event): Event | undefined => launched.get(event.args?.correlation ?? -1);
  const onDevice = events.filter((event) => DEVICE.has(event.cat));
  const inCalls = onDevice.filter((event) => indexOf(launchOf(event)?.ts ?? event.ts) >= 0);
  const operators = events.filter((event) => event.cat === "cpu_op" && indexOf(event.ts) >= 0);
  const perCall = ranges.map((range, index) => {
    const kernels = inCalls.filter((event) => indexOf(launchOf(event)?.ts ?? event.ts) === index);
    const first = Math.min(...kernels.map((event) => event.ts));
    const last = Math.max(...kernels.map((event) => event.ts + event.dur));
    const launches = new Set(kernels.flatMap((event) => launchOf(event) ?? []));
    const device = kernels.length > 0;
    return {
      call: device ? last - range.ts : range.dur,
      busy: busyTime(kernels),
      span: device ? last - first : 0,
      first: device ? first - range.ts : 0,
      launches: device ? launches.size || kernels.length : 0,
      launch: [...launches].map((event) => event.dur),
      latency: kernels.flatMap((event) => {
        const launch = launchOf(event);
        return launch === undefined ? [] : [event.ts - launch.ts - launch.dur];
      }),
    };
  });
  const { own, outer } = ownTimes(operators);
  const calls = ranges.length;
  return {
    calls,
    callUs: median(perCall.map((one) => one.call)),
    onDevice: inCalls.length > 0,
    busyUs: median(perCall.map((one) => one.busy)),
    spanUs: median(perCall.map((one) => one.span)),
    firstUs: median(perCall.map((one) => one.first)),
    launches: median(perCall.map((one) => one.launches)),
    launchUs: median(perCall.flatMap((one) => one.launch)),
    latencyUs: median(perCall.flatMap((one) => one.latency)),
    kernels: rows(inCalls, calls, (event) => event.dur),
    operators: rows(operators, calls, (event) => own.get(event) ?? 0),
    operatorUs: outer / calls,
  };
}
