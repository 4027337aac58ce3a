import type { Node } from "../../domain/run.ts";
import { type CandidateHeader, parseHeader } from "../../evaluation/candidate/header.ts";
import { sha256 } from "../../platform/hash.ts";
import { isPythonLike } from "../normalise.ts";

/**
 * What a MAP-Elites archive tells kernels apart by: few values each, so that a run of a hundred nodes fills cells more than
 * once. Read off the text, therefore rough: a wrong guess moves a node to a neighbour's cell, and nothing else.
 */
export interface Features {
  /** Widest arithmetic written down: `vector` by intrinsics, vector types or a tile language, `matrix` by matrix units. */
  readonly arithmetic: "scalar" | "vector" | "matrix";
  /** Block sizes that loops step by or tiles are made of, 3 for three and more. */
  readonly tiling: 0 | 1 | 2 | 3;
  /** Whether the work is split over threads, cores or groups in the source itself. */
  readonly threads: "one" | "many";
  /** Factor of the innermost unrolling that is asked for: 1, up to 4, or more. */
  readonly unrolling: "none" | "some" | "much";
  /** What limits it as the evaluation says. */
  readonly bound: "memory" | "compute" | "other" | "unknown";
}

const MATRIX =
  /\b(?:wmma|mma_sync|mma\.sync|wgmma|tcgen05|_tile_\w+|__builtin_amdgcn_mfma\w*|simdgroup_multiply\w*|joint_matrix\w*|tl\.dot|cute\.gemm|svmopa\w*)\b/;
const VECTOR =
  /\b(?:_mm(?:256|512)?_\w+|__m(?:128|256|512)[di]?|vector_size|__riscv_v\w+|sv(?:ld|st|add|mul|mla)\w*|v(?:ld|st|add|mul|fma|mla)\w*q?_[fsu]\d+|omp\s+simd|(?:float|half|double|u?int)(?:2|4|8|16)|vload\d+|vec[234]\s*<|tl\.(?:load|store|arange)|svcntw)\b/;
const THREADS =
  /\bomp\s+(?:target\s+)?(?:teams|parallel)|\b(?:pthread_create|thrd_create|std::j?thread|__global__|blockIdx|get_global_id|get_group_id|global_invocation_id|workgroup_id|thread_position_in\w*|nd_item|tl\.program_id|triton\.jit|cute\.kernel|parallel_for)\b/;
const UNROLL_PRAGMA = /(?:pragma\s+(?:GCC\s+|clang\s+loop\s+)?unroll\w*)[ \t]*\(?\s*(\w+)?/gi;
const STEP_C = /\bfor\s*\([^;{}]*;[^;{}]*;[^{};]*?\+=\s*([^,;{}]*?)\)/g;
const STEP_PYTHON =
  /\brange\([^()]*,[^()]*,\s*([A-Za-z_]\w*)\s*\)|\btl\.arange\(\s*0\s*,\s*([A-Za-z_]\w*)\s*\)/g;
/** A loop over the lanes of a vector is no tile. */
const LANES = /^(?:VL|VLEN|VEC\w*|LANES|WIDTH|SIMD\w*|W)$/i;
/** A step by a number is a tile from here on; below, it is an unrolled or vector loop. */
const LEAST_TILE = 32;

type Text = Pick<Features, "arithmetic" | "tiling" | "threads"> & { readonly unrolled: number };

/** Texts whose features are kept: configurations of one code share all but the header. */
const KEPT = 1000;

/** Reads features of sources of one abstraction; what follows from the code alone is read once for all its configurations. */
export class FeatureReader {
  readonly #python: boolean;
  readonly #texts = new Map<string, Text>();

  constructor(abstraction: string) {
    this.#python = isPythonLike(abstraction);
  }

  /** The features of a node from its source and its evaluation. Never throws. */
  read(source: string, node: Pick<Node, "diagnosis">): Features {
    const { unrolled, ...text } = this.#text(source);
    return { ...text, unrolling: unrollingOf(unrolled, headerOf(source)), bound: boundOf(node) };
  }

  #text(source: string): Text {
    const body = source.replace(/^[^\n]*\bke:[^\n]*$/gm, "");
    const key = sha256(body);
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const code = body.replace(this.#python ? /#[^\n]*/g : /\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, " ");
    const text: Text = {
      arithmetic: MATRIX.test(code) ? "matrix" : VECTOR.test(code) ? "vector" : "scalar",
      tiling: tilingOf(code, this.#python),
      threads: THREADS.test(code) ? "many" : "one",
      unrolled: unrolledIn(code),
    };
    const [oldest] = this.#texts.keys();
    if (this.#texts.size >= KEPT && oldest !== undefined) this.#texts.delete(oldest);
    this.#texts.set(key, text);
    return text;
  }
}

/** The MAP-Elites cell of these features: equal text, equal cell. */
export function cellOf({ arithmetic, tiling, threads, unrolling, bound }: Features): string {
  return `${arithmetic}/${tiling}/${threads}/${unrolling}/${bound}`;
}

function headerOf(source: string): CandidateHeader | undefined {
  try {
    return parseHeader(source);
  } catch {
    // Malformed: nothing can be read off it, and the evaluation has said so.
    return undefined;
  }
}

function tilingOf(code: string, python: boolean): Features["tiling"] {
  const sizes = new Set<string>();
  for (const [, step, other] of code.matchAll(python ? STEP_PYTHON : STEP_C)) {
    const size = (step ?? other ?? "").trim();
    const tile = /^\d+$/.test(size) ? Number(size) >= LEAST_TILE : /^[A-Za-z_]\w*$/.test(size);
    if (tile && !LANES.test(size)) sizes.add(size);
  }
  const depth = sizes.size;
  return depth === 0 ? 0 : depth === 1 ? 1 : depth === 2 ? 2 : 3;
}

/** The largest factor that the code itself names; 4 where the compiler chooses. Names are counted with their tunable. */
function unrolledIn(code: string): number {
  const factors = [1];
  for (const [, named] of code.matchAll(UNROLL_PRAGMA))
    factors.push(named === undefined ? 4 : /^\d+$/.test(named) ? Number(named) : 1);
  if (/\btl\.static_range\b/.test(code)) factors.push(4);
  return Math.max(...factors);
}

function unrollingOf(unrolled: number, header: CandidateHeader | undefined): Features["unrolling"] {
  const tuned = (header?.tunables ?? [])
    .filter(({ name }) => /unroll/i.test(name))
    .map(({ value }) => Number(value))
    .filter((factor) => Number.isFinite(factor));
  const flagged = header?.flags?.includes("-funroll-loops") === true ? 4 : 1;
  const most = Math.max(unrolled, flagged, ...tuned);
  return most <= 1 ? "none" : most <= 4 ? "some" : "much";
}

function boundOf({ diagnosis }: Pick<Node, "diagnosis">): Features["bound"] {
  switch (diagnosis?.bottleneck) {
    case "memory":
    case "latency":
      return "memory";
    case "compute":
    case "unvectorised":
      return "compute";
    case "branch":
    case "launch":
      return "other";
    default:
      return "unknown";
  }
}
