import { describe, expect, it, vi } from "vitest";
import { type Grading, KernelEvolveError, type Problem, type WorkContext } from "../../src/domain/index.ts";
import { type Grader, type ProblemRecords, Problems } from "../../src/problems/index.ts";
import { sample, workload } from "./definitions.ts";

class Memory implements ProblemRecords {
  readonly problems: Problem[] = [];
  readonly gradings = new Map<string, Grading>();
  put(problem: Problem): void {
    this.problems.push(problem);
  }
  get(id: string): Problem | undefined {
    return this.problems.find((problem) => problem.id === id);
  }
  byName(name: string): Problem | undefined {
    return this.problems.findLast((problem) => problem.definition.name === name);
  }
  list(): Problem[] {
    return this.problems;
  }
  grading(contentHash: string, target: string): Grading | undefined {
    return this.gradings.get(`${contentHash} ${target}`);
  }
  putGrading(contentHash: string, target: string, grading: Grading): void {
    this.gradings.set(`${contentHash} ${target}`, grading);
  }
}

const GRADING: Grading = {
  degenerate: false,
  nulls: [{ candidate: "zeros", passed: false, workloads_passed: [] }],
  degenerate_workloads: [],
  graded_at: "2026-01-01T00:00:00.000Z",
};

function make(grade: Grader = async () => GRADING) {
  const records = new Memory();
  let graded = 0;
  const service = new Problems({
    records,
    grade: async (problem, target, context) => {
      graded += 1;
      return await grade(problem, target, context);
    },
    describe: async () => ({ name: "described", workloads: [{ uuid: "default", timed: true }] }),
    inherits: async (target) => (target === "cpu-special" ? ["cpu-x86-64"] : []),
  });
  return { service, records, graded: () => graded };
}

const quiet = (signal = new AbortController().signal): WorkContext => ({ signal, report: () => undefined });

describe("finding a problem", () => {
  it("by name and by id", async () => {
    const { service } = make();
    const matmul = await service.get("matmul");
    expect(matmul.source).toBe("shipped");
    expect(await service.get(matmul.id)).toBe(matmul);
  });

  it("names the nearest when there is none", async () => {
    const { service } = make();
    const error = await service.get("matmull").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KernelEvolveError);
    expect(error).toMatchObject({ code: "not_found", fix: expect.stringContaining("did you mean matmul") });
    for (const name of ["__proto__", "constructor", "../matmul", "\0", "x".repeat(100_000)])
      await expect(service.get(name)).rejects.toMatchObject({ code: "not_found" });
  });

  it("says which problem folders could not be read", async () => {
    vi.stubEnv("KERNELEVOLVE_PROBLEMS", "/nowhere/at/all");
    const { service } = make();
    await expect(service.get("mine")).rejects.toMatchObject({
      fix: expect.stringContaining("; not read: /nowhere/at/all: "),
    });
    vi.unstubAllEnvs();
  });

  it("lists shipped and registered ones", async () => {
    const { service } = make();
    await service.register({ definition: sample(), workloads: [workload()] }, "cpu-x86-64", quiet());
    const all = await service.list();
    expect(all.filter((one) => one.source === "shipped").length).toBeGreaterThanOrEqual(18);
    expect(all.find((one) => one.name === "sample")).toMatchObject({
      source: "registered",
      degenerate: false,
    });
  });
});

describe("registering", () => {
  it("grades, stores, and does both once", async () => {
    const { service, records, graded } = make();
    const input = { definition: sample(), workloads: [workload()] };
    const first = await service.register(input, "cpu-x86-64", quiet());
    expect(first).toMatchObject({ source: "registered", grading: GRADING, cache: "cold" });
    const second = await service.register(input, "cpu-x86-64", quiet());
    expect(second).toEqual(first);
    expect(graded()).toBe(1);
    expect(records.problems).toHaveLength(1);
    expect(await service.get("sample")).toEqual(first);
  });

  it("takes another version under the same name; the name then means the newest", async () => {
    const { service, records } = make();
    await service.register({ definition: sample(), workloads: [workload()] }, "cpu-x86-64", quiet());
    const warm = await service.register(
      { definition: sample(), workloads: [workload()], cache: "warm" },
      "cpu-x86-64",
      quiet(),
    );
    expect(records.problems).toHaveLength(2);
    expect((await service.get("sample")).id).toBe(warm.id);
  });

  it("a shipped problem unchanged is that problem; changed it needs a name of its own", async () => {
    const { service, records } = make();
    const { definition, workloads, id } = await service.get("softmax");
    expect((await service.register({ definition, workloads }, "cpu-x86-64", quiet())).id).toBe(id);
    await expect(
      service.register({ definition, workloads: workloads.slice(0, 1) }, "cpu-x86-64", quiet()),
    ).rejects.toMatchObject({ code: "conflict" });
    expect(records.problems).toEqual([]);
  });

  it("stores nothing that is malformed or could not be graded", async () => {
    const { service, records, graded } = make(async () => {
      throw new KernelEvolveError("invalid_argument", "reference_c does not compile");
    });
    await expect(
      service.register({ definition: sample({ outputs: {} }), workloads: [workload()] }, "t", quiet()),
    ).rejects.toThrow("outputs is empty");
    await expect(
      service.register({ definition: sample(), workloads: [workload({ axes: {} })] }, "t", quiet()),
    ).rejects.toThrow("axes.N is not bound");
    expect(graded()).toBe(0);
    await expect(
      service.register({ definition: sample(), workloads: [workload()] }, "t", quiet()),
    ).rejects.toThrow("does not compile");
    expect(records.problems).toEqual([]);
    expect(records.gradings.size).toBe(0);
  });
});

describe("grading", () => {
  it("happens once for two that ask together, and again for another target", async () => {
    const release = Promise.withResolvers<Grading>();
    const { service, graded } = make(() => release.promise);
    const problem = await service.get("matmul");
    const both = Promise.all([service.graded(problem, "a", quiet()), service.graded(problem, "a", quiet())]);
    release.resolve(GRADING);
    expect((await both).map((one) => one.grading)).toEqual([GRADING, GRADING]);
    await service.graded(problem, "a", quiet());
    expect(graded()).toBe(1);
    await service.graded(problem, "b", quiet());
    expect(graded()).toBe(2);
  });

  it("goes on for the second when the first is cancelled, and a cancelled waiter stops waiting", async () => {
    const { service, graded } = make(
      (_problem, _target, { signal }) =>
        new Promise((resolve, reject) => {
          if (graded() > 1) resolve(GRADING);
          signal.addEventListener("abort", () => reject(new KernelEvolveError("cancelled", "cancelled")));
        }),
    );
    const problem = await service.get("matmul");
    const [first, third] = [new AbortController(), new AbortController()];
    const one = service.graded(problem, "a", quiet(first.signal));
    const two = service.graded(problem, "a", quiet());
    const three = service.graded(problem, "a", quiet(third.signal));
    third.abort();
    await expect(three).rejects.toMatchObject({ code: "cancelled" });
    first.abort();
    await expect(one).rejects.toMatchObject({ code: "cancelled" });
    expect((await two).grading).toEqual(GRADING);
    expect(graded()).toBe(2);
  });

  it("hands a failure to everyone who waits, and tries again when asked again", async () => {
    let fail = true;
    const { service } = make(async () => {
      if (fail) throw new KernelEvolveError("missing_tool", "no gcc");
      return GRADING;
    });
    const problem = await service.get("matmul");
    const results = await Promise.allSettled([
      service.graded(problem, "a", quiet()),
      service.graded(problem, "a", quiet()),
    ]);
    expect(results.map((result) => result.status)).toEqual(["rejected", "rejected"]);
    fail = false;
    expect((await service.graded(problem, "a", quiet())).grading).toEqual(GRADING);
  });
});

describe("seeds", () => {
  it("are those of this very problem, with the plain reference last", async () => {
    const { service } = make();
    const matmul = await service.get("matmul");
    const seeds = await service.seeds(matmul, "cpu-x86-64", "c");
    expect(seeds.length).toBeGreaterThanOrEqual(4);
    for (const seed of seeds) expect(seed.source).toContain("// ke:problem matmul\n");
    expect(seeds.at(-1)).toMatchObject({
      name: "reference",
      source: expect.stringContaining("void kernel("),
    });
    for (const seed of seeds) expect(seed.note).not.toBe("");
  });

  it("are inherited", async () => {
    const { service } = make();
    const matmul = await service.get("matmul");
    expect(await service.seeds(matmul, "cpu-special", "c")).toEqual(
      await service.seeds(matmul, "cpu-x86-64", "c"),
    );
    expect(await service.seeds(matmul, "elsewhere", "c")).toHaveLength(1);
  });

  it("are not those of another problem of the same kind", async () => {
    const { service } = make();
    const f64 = await service.get("row-reduction-f64");
    expect((await service.seeds(f64, "cpu-x86-64", "c")).map((seed) => seed.name)).toEqual(["reference"]);
  });

  it("are none where the abstraction is unknown", async () => {
    const { service } = make();
    expect(await service.seeds(await service.get("matmul"), "cpu-x86-64", "triton")).toEqual([]);
  });
});
