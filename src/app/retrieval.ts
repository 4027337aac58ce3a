import {
  type Diagnosis,
  type DocumentBottleneck,
  type DocumentKind,
  errorMessage,
  type KnowledgeService,
  type OpFamily,
  opFamilySchema,
  type Problem,
  type WorkContext,
} from "../domain/index.ts";
import type { PriorKernel, Retrieve, RetrieveKernels } from "../evolution/index.ts";
import { log } from "../platform/log.ts";

const SECTIONS = 6;
const TOKENS = 3000;
/** Kernels that are looked at for one claim, and characters of one. */
const KERNELS = 8;
const KERNEL_LENGTH = 64_000;
const UNWATCHED: WorkContext = { signal: new AbortController().signal, report: () => undefined };
const KINDS: readonly DocumentKind[] = [
  "architecture",
  "memory",
  "isa",
  "language",
  "optimisation",
  "pitfalls",
  "example",
  "guidance",
  "constraints",
  "skill",
];

/** What a diagnosis calls a bottleneck, in the words of the documents, and how their authors speak of it. */
const BOTTLENECKS: Readonly<Record<Diagnosis["bottleneck"], { is?: DocumentBottleneck; said: string }>> = {
  memory: {
    is: "memory",
    said: "memory bandwidth bound: fewer bytes, reuse, cache blocking, streaming access",
  },
  compute: {
    is: "compute",
    said: "compute bound: multiply-add throughput, vector width, independent accumulators",
  },
  latency: {
    is: "latency",
    said: "latency bound: dependency chains, more independent work, unrolling, prefetch",
  },
  branch: { is: "divergence", said: "branch mispredictions and divergence: branchless code, masks" },
  launch: { is: "launch", said: "launch overhead: fewer, larger kernels, fusion" },
  occupancy: { is: "occupancy", said: "low occupancy: registers and shared memory a block, block size" },
  register: { is: "register", said: "register pressure and spills: smaller tiles, launch bounds, num_warps" },
  "bank-conflict": { is: "bank-conflict", said: "shared memory bank conflicts: padding, swizzling" },
  divergence: { is: "divergence", said: "warp divergence: uniform branches, masks" },
  tail: { is: "tail", said: "device not filled: split-K, persistent kernels, more and smaller blocks" },
  unvectorised: {
    is: "instruction",
    said: "the compiler did not vectorise the loop: aliasing, restrict, intrinsics",
  },
  unknown: { said: "optimisation guide" },
};

/** Operator families by words of an op type; the first that fits. */
const FAMILIES: readonly (readonly [RegExp, OpFamily])[] = [
  [/attention|sdpa/, "attention"],
  [/softmax/, "softmax"],
  [/norm/, "norm"],
  [/cumsum|scan|cumulative/, "scan"],
  [/conv/, "conv"],
  [/transpose|permute/, "transpose"],
  [/jagged|event|sequence|truncat/, "jagged"],
  [/bucket|map_?id|gather|index/, "gather"],
  [/embedding/, "embedding"],
  [/mat_?mul|gemm|bmm|factor|wukong|pffn|feed/, "matmul"],
  [/reduc|sum|mean|argmax|argmin|max|min/, "reduction"],
  [/gelu|relu|silu|element|add|mul|activation/, "elementwise"],
];

/** The operator family of a problem, by its op type and name; undefined where none fits. */
export function familyOf(problem: Problem): OpFamily | undefined {
  const words = `${problem.definition.op_type} ${problem.definition.name}`.toLowerCase().replaceAll("-", "_");
  const direct = opFamilySchema.safeParse(problem.definition.op_type);
  return direct.success ? direct.data : FAMILIES.find(([pattern]) => pattern.test(words))?.[1];
}

/** Sections for one expansion: what the diagnosis and the operator ask for, of the target's own and general documents. */
export function retrieval(knowledge: KnowledgeService): Retrieve {
  return async ({ target, abstraction, problem, diagnosis, lessons }) => {
    const cause = BOTTLENECKS[diagnosis?.bottleneck ?? "unknown"];
    const family = familyOf(problem);
    const what = `${problem.definition.op_type} ${problem.definition.name}`.replaceAll(/[_-]/g, " ");
    try {
      const { hits } = await knowledge.search(
        {
          query: `${what}: ${cause.said}`,
          alternatives: [
            `${abstraction} ${what} kernel ${target.title}`,
            ...(diagnosis?.advice ?? []).slice(0, 2),
          ],
          target: target.id,
          kinds: KINDS.filter((kind) => lessons || kind !== "skill"),
          ...(family === undefined ? {} : { op: family }),
          ...(cause.is === undefined ? {} : { bottleneck: cause.is }),
          limit: SECTIONS,
          token_budget: TOKENS,
        },
        UNWATCHED,
      );
      return hits.map((hit) => ({
        id: hit.id,
        title: hit.path.join(" › "),
        text: hit.passage,
        untrusted: hit.untrusted,
      }));
    } catch (error) {
      // A search goes on without documents, and its prompt says so.
      log.warn({ err: error }, "retrieval");
      return [{ id: "none", title: `documents could not be searched: ${errorMessage(error)}` }];
    }
  };
}

/**
 * Kernels for the same kind of operator and target: those that ship and those that runs left behind (see remember.ts). First
 * those of the same problem, then by how well names, sizes and data types fit; kernels in another language come last.
 */
export function kernelRetrieval(knowledge: KnowledgeService): RetrieveKernels {
  return async ({ target, abstraction, problem }) => {
    const family = familyOf(problem);
    const { definition } = problem;
    try {
      const filter = {
        target: target.id,
        kinds: ["kernel" as const],
        ...(family === undefined ? {} : { op: family }),
      };
      const known = await knowledge.list(filter, UNWATCHED);
      // A document that names no operator passes the filter; only what is about this one is shown.
      const about = new Map(
        known
          .filter((one) => family !== undefined && one.op.includes(family))
          .map((one) => [one.id, one] as const),
      );
      if (about.size === 0) return [];
      const { hits } = await knowledge.search(
        { query: questionOf(problem, abstraction), ...filter, limit: 50, token_budget: 20_000 },
        UNWATCHED,
      );
      const ranked = [...new Set(hits.map((hit) => hit.document))];
      const place = (id: string): number => (ranked.includes(id) ? ranked.indexOf(id) : ranked.length);
      const same = (text: string): number => (text.includes(definition.name) ? 0 : 1);
      const ordered = [...about.values()]
        .map((one) => ({
          one,
          rank: [
            one.abstractions.includes(abstraction) ? 0 : 1,
            same(`${one.title} ${one.topics.join(" ")}`),
            place(one.id),
          ],
        }))
        .sort((a, b) => compare(a.rank, b.rank) || (a.one.id < b.one.id ? -1 : 1))
        .slice(0, KERNELS);
      const kernels = await Promise.all(ordered.map(({ one }) => kernelOf(knowledge, one.id, one.title)));
      return kernels.flatMap((kernel) => kernel ?? []);
    } catch (error) {
      // A search goes on without them.
      log.warn({ err: error }, "retrieval of earlier kernels");
      return [];
    }
  };
}

function questionOf(problem: Problem, abstraction: string): string {
  const { definition } = problem;
  const tensors = [...Object.values(definition.inputs), ...Object.values(definition.outputs)];
  const sizes = problem.workloads
    .filter((workload) => workload.role === "timed")
    .slice(0, 4)
    .map(({ axes }) =>
      Object.entries(axes)
        .map(([axis, size]) => `${axis}=${size}`)
        .join(" "),
    );
  const dtypes = [...new Set(tensors.map((tensor) => tensor.dtype))];
  return [`${definition.op_type} ${definition.name} ${abstraction} kernel`, ...dtypes, ...sizes]
    .join(" ")
    .slice(0, 2000);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value - (b[index] ?? 0);
  return 0;
}

/** The source in a document: its fenced parts, in order. Undefined when it holds none, or is too long for any prompt. */
async function kernelOf(
  knowledge: KnowledgeService,
  id: string,
  title: string,
): Promise<PriorKernel | undefined> {
  const page = await knowledge.read(id, { limit: KERNEL_LENGTH }, UNWATCHED);
  if (page.next_offset !== null) return undefined;
  const parts = [...page.text.matchAll(/^(`{3,})[^\n`]*\n([\s\S]*?)\n\1[ \t]*$/gm)].flatMap(
    ([, , code]) => code ?? [],
  );
  return parts.length === 0 ? undefined : { id, title, source: parts.join("\n\n") };
}
