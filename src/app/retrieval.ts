import {
  type Diagnosis,
  type DocumentBottleneck,
  type DocumentKind,
  errorMessage,
  type KnowledgeService,
  type OpFamily,
  opFamilySchema,
  type Problem,
} from "../domain/index.ts";
import type { Retrieve } from "../evolution/index.ts";
import { log } from "../platform/log.ts";

const SECTIONS = 6;
const TOKENS = 3000;
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
  return async ({ target, abstraction, problem, diagnosis }) => {
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
          kinds: [...KINDS],
          ...(family === undefined ? {} : { op: family }),
          ...(cause.is === undefined ? {} : { bottleneck: cause.is }),
          limit: SECTIONS,
          token_budget: TOKENS,
        },
        { signal: new AbortController().signal, report: () => undefined },
      );
      return hits.map((hit) => ({ id: hit.id, title: hit.path.join(" › "), text: hit.passage }));
    } catch (error) {
      // A search goes on without documents, and its prompt says so.
      log.warn({ err: error }, "retrieval");
      return [{ id: "none", title: `documents could not be searched: ${errorMessage(error)}` }];
    }
  };
}
