import {
  KernelEvolveError,
  type Problem,
  type ProblemInput,
  type ProblemService,
  type ProblemSummary,
  type WorkContext,
} from "../domain/index.ts";
import { nearest } from "../platform/nearest.ts";
import { prototype } from "./abi.ts";
import { checkNativeDefinition } from "./check.ts";
import { type LoadedProblems, loadProblems } from "./load.ts";
import { makeOriginProblem, makeProblem } from "./make.ts";
import type { Describer, Grader, ProblemRecords } from "./ports.ts";
import { findSeeds } from "./seeds.ts";
import { torchPrototype } from "./torch-contract.ts";

/** `work`, or an error as soon as `signal` says so; the work itself goes on. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void =>
    reject(new KernelEvolveError("cancelled", "cancelled while waiting for the grading"));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Shipped and registered problems. */
export class Problems implements ProblemService {
  readonly #records: ProblemRecords;
  readonly #grade: Grader;
  readonly #describe: Describer;
  readonly #inherits: (target: string) => Promise<readonly string[]>;
  #loaded: LoadedProblems | undefined;
  readonly #grading = new Map<string, Promise<void>>();

  constructor(parts: {
    records: ProblemRecords;
    grade: Grader;
    describe: Describer;
    inherits: (target: string) => Promise<readonly string[]>;
  }) {
    this.#records = parts.records;
    this.#grade = parts.grade;
    this.#describe = parts.describe;
    this.#inherits = parts.inherits;
  }

  #shipped(): LoadedProblems {
    this.#loaded ??= loadProblems();
    return this.#loaded;
  }

  /** Problem folders that could not be read, and why. */
  faults(): readonly string[] {
    return this.#shipped().faults;
  }

  async list(): Promise<ProblemSummary[]> {
    const all = [...this.#shipped().problems.values(), ...this.#records.list()];
    return all.map((problem) => ({
      id: problem.id,
      name: problem.definition.name,
      op_type: problem.definition.op_type,
      description: problem.definition.description ?? "",
      workloads: problem.workloads.length,
      degenerate: problem.grading?.degenerate ?? null,
      source: problem.source,
    }));
  }

  async get(idOrName: string): Promise<Problem> {
    const shipped = this.#shipped().problems;
    const byName = shipped.get(idOrName) ?? this.#records.byName(idOrName);
    if (byName !== undefined) return byName;
    const byId =
      [...shipped.values()].find((problem) => problem.id === idOrName) ?? this.#records.get(idOrName);
    if (byId !== undefined) return byId;
    const known = [...shipped.keys(), ...this.#records.list().map((problem) => problem.definition.name)];
    const close = nearest(idOrName, known);
    const advice =
      close.length > 0
        ? `did you mean ${close.join(" or ")}? Or register it with problem_register`
        : `register it with problem_register; shipped: ${known.join(", ")}`;
    const unread = this.faults().map((fault) => `; not read: ${fault}`);
    throw new KernelEvolveError("not_found", `problem "${idOrName.slice(0, 100)}" is unknown`, {
      fix: `${advice}${unread.slice(0, 3).join("")}`,
    });
  }

  async register(input: ProblemInput, target: string, context: WorkContext): Promise<Problem> {
    const problem = await this.#made(input, context);
    const shipped = this.#shipped().problems.get(problem.definition.name);
    if (shipped?.content_hash === problem.content_hash) return await this.graded(shipped, target, context);
    if (shipped !== undefined) {
      throw new KernelEvolveError(
        "conflict",
        `definition.name: "${problem.definition.name}" is a shipped problem with other contents`,
        { fix: "choose another name" },
      );
    }
    const known = this.#records.get(problem.id);
    const graded = await this.graded(known ?? problem, target, context).catch((error: unknown) => {
      // Where nothing runs, candidates can still be compiled; grading comes with the first evaluation.
      if (error instanceof KernelEvolveError && error.code === "unsupported" && problem.origin !== undefined)
        return problem;
      throw error;
    });
    if (known === undefined) this.#records.put(graded);
    return graded;
  }

  async #made(input: ProblemInput, context: WorkContext): Promise<Problem> {
    const options = {
      ...(input.cache === undefined ? {} : { cache: input.cache }),
      ...(input.judging === undefined ? {} : { judging: input.judging }),
    };
    if ("origin" in input) {
      const described = await this.#describe(input.origin, input.name, context);
      return makeOriginProblem(input.origin, described, options);
    }
    const { definition, workloads } = input;
    // Without a C reference it is for targets that run Python.
    if (definition.reference === undefined || definition.reference_c !== undefined)
      checkNativeDefinition(definition);
    return makeProblem(definition, workloads, { source: "registered", ...options });
  }

  async graded(problem: Problem, target: string, context: WorkContext): Promise<Problem> {
    const key = `${problem.content_hash} ${target}`;
    for (;;) {
      const known = this.#records.grading(problem.content_hash, target);
      if (known !== undefined) return { ...problem, grading: known };
      // Two evaluations that start together grade once; when the first is cancelled, the second goes on alone.
      const running = this.#grading.get(key);
      if (running === undefined) {
        const own = this.#grade(problem, target, context)
          .then((grading) => this.#records.putGrading(problem.content_hash, target, grading))
          .finally(() => this.#grading.delete(key));
        this.#grading.set(key, own);
        await own;
      } else {
        await unlessAborted(running, context.signal).catch((error: unknown) => {
          const others = error instanceof KernelEvolveError && error.code === "cancelled";
          if (!others || context.signal.aborted) throw error;
        });
      }
    }
  }

  prototype(problem: Problem, abstraction: string, harness?: "native" | "torch"): string {
    return torchPrototype(problem, abstraction, harness) ?? prototype(problem.definition, abstraction);
  }

  async seeds(
    problem: Problem,
    target: string,
    abstraction: string,
  ): Promise<{ name: string; source: string; note: string }[]> {
    const shipped = findSeeds(problem, [target, ...(await this.#inherits(target))], abstraction);
    const plain = problem.definition.reference_c;
    if (plain === undefined || (abstraction !== "c" && abstraction !== "cpp")) return shipped;
    const header = [
      `// ke:problem ${problem.definition.name}`,
      "// ke:technique plain",
      "// ke:flags -O3 -march=native -ffast-math",
      "// ke:tunable-flags {-ffast-math,-funroll-loops,-ftree-loop-distribution,-floop-interchange,-fno-tree-vectorize}",
    ];
    return [
      ...shipped,
      {
        name: "reference",
        source: `${header.join("\n")}\n${plain}`,
        note: "the problem's own reference, built to be tuned",
      },
    ];
  }
}
