import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { loadProblems, makeProblem, problemFolders, readProblemFolder } from "../../src/problems/index.ts";
import { sample, workload } from "./definitions.ts";

const root = mkdtempSync(join(tmpdir(), "ke-load-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

function folder(name: string, files: Record<string, unknown>): string {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  for (const [file, content] of Object.entries(files))
    writeFileSync(join(path, file), typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const { reference_c, ...plain } = sample();

describe("a problem folder", () => {
  it("is read with its references beside it", () => {
    const path = folder("good/sample", {
      "definition.json": plain,
      "reference.c": reference_c,
      "reference.py": "def run(x, index, table, a):\n    return a * x + table[index]\n",
      "workloads.json": { cache: "warm", workloads: [workload()] },
    });
    const problem = readProblemFolder(path);
    expect(problem).toMatchObject({
      cache: "warm",
      source: "shipped",
      definition: { name: "sample", reference_c },
    });
    expect(problem.definition.reference).toContain("def run");
    expect(problem.id).toBe(`sample@${problem.content_hash.slice(0, 12)}`);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["no-workloads", { "definition.json": plain }, "workloads.json: no such file"],
    ["no-json", { "definition.json": "{,}" }, "definition.json: not JSON"],
    ["list", { "definition.json": "[]" }, "definition.json: (root): Invalid input"],
    [
      "field",
      { "definition.json": { ...plain, name: "Not A Slug" } },
      "definition.json: name: must be lower-case",
    ],
    [
      "nested",
      { "definition.json": { ...plain, inputs: { x: { shape: ["N"], dtype: "float31" } } } },
      "definition.json: inputs.x.dtype: Invalid option",
    ],
    ["proto", { "definition.json": '{"axes":{"__proto__":{"type":"var"}}}' }, '"__proto__" is reserved'],
    [
      "workload",
      { "definition.json": plain, "workloads.json": [{ uuid: "a b", axes: {} }] },
      "workloads.json: 0.uuid",
    ],
    [
      "axis",
      { "definition.json": plain, "reference.c": "", "workloads.json": [workload({ axes: { N: 1, Z: 1 } })] },
      "workload w: axes.Z is not an axis of sample",
    ],
    ["none", { "definition.json": plain, "workloads.json": [] }, "workloads: Too small"],
    [
      "twice",
      { "definition.json": plain, "workloads.json": [workload(), workload()] },
      "the uuid w stands twice",
    ],
    ["big", { "definition.json": " ".repeat(9_000_000) }, "definition.json: larger than"],
  ])("%s: the error names file and field", (name, files, message) => {
    const path = folder(`bad/${name}/it`, files);
    expect(() => readProblemFolder(path)).toThrow(message);
    const { problems, faults } = loadProblems([join(root, "bad", name), join(root, "good")]);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(path);
    expect(faults[0]).toContain(message);
    expect([...problems.keys()]).toEqual(["sample"]);
  });

  it("does not replace a problem of the same name", () => {
    folder("other/sample", { "definition.json": plain, "workloads.json": [workload()] });
    const { problems, faults } = loadProblems([join(root, "good"), join(root, "other")]);
    expect(problems.get("sample")?.cache).toBe("warm");
    expect(faults).toEqual([
      `${join(root, "other", "sample")}: the name "sample" is taken by another problem`,
    ]);
  });

  it("may stand in a folder that KERNELEVOLVE_PROBLEMS names; one that is missing is a fault", () => {
    vi.stubEnv("KERNELEVOLVE_PROBLEMS", `${join(root, "good")}:${join(root, "missing")}`);
    expect(problemFolders().slice(1)).toEqual([join(root, "good"), join(root, "missing")]);
    const { problems, faults } = loadProblems();
    expect(problems.has("sample")).toBe(true);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain("missing");
  });
});

describe("the content hash", () => {
  const hash = (definition = sample(), cache: "cold" | "warm" = "cold", workloads = [workload()]): string =>
    makeProblem(definition, workloads, { cache, source: "registered" }).content_hash;

  it("does not depend on the order of keys that mean nothing", () => {
    const { name, ...rest } = sample();
    expect(hash({ ...rest, name })).toBe(hash());
  });

  it("depends on the order of the arguments, for it is the interface", () => {
    const definition = sample();
    const { x, ...others } = definition.inputs;
    if (x === undefined) throw new Error("no x");
    expect(hash({ ...definition, inputs: { ...others, x } })).not.toBe(hash());
    const { N, T } = definition.axes;
    if (N === undefined || T === undefined) throw new Error("no axes");
    expect(hash({ ...definition, axes: { T, N } })).not.toBe(hash());
  });

  it("depends on contents, cache state and workloads", () => {
    const hashes = [
      hash(),
      hash(sample({ description: "other" })),
      hash(sample({ tolerance: { y: { rtol: 1e-3, atol_rms: 1e-3 } } })),
      hash(sample(), "warm"),
      hash(sample(), "cold", [workload({ axes: { N: 101 } })]),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});
