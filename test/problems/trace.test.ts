import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { importFlashInferTrace, loadProblems } from "../../src/problems/index.ts";
import { checkNativeDefinition } from "../../src/problems/native.ts";

/** A data set in the layout and the words of FlashInfer-Trace, nulls and all. */
const root = mkdtempSync(join(tmpdir(), "ke-trace-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const definition = {
  name: "paged_decode_h4_d64",
  description: null,
  op_type: "gqa_paged",
  tags: ["stage:decode", "status:verified", "model:some-model"],
  axes: {
    batch_size: { type: "var" },
    len_indptr: { type: "var", description: "batch plus one", parent: "indptr" },
    num_indices: { type: "var" },
    pages: { type: "var", description: null },
    heads: { type: "const", value: 4 },
    head_dim: { type: "const", value: 64 },
  },
  constraints: ["len_indptr == batch_size + 1", "num_indices == kv_indptr[-1].item()"],
  inputs: {
    q: { shape: ["batch_size", "heads", "head_dim"], dtype: "bfloat16", description: null },
    cache: { shape: ["pages", "heads", "head_dim"], dtype: "float4_e2m1" },
    kv_indptr: { shape: ["len_indptr"], dtype: "int32" },
    kv_indices: { shape: ["num_indices"], dtype: "int16" },
    scale: { shape: null, dtype: "float32" },
    causal: { shape: null, dtype: "bool" },
  },
  outputs: {
    output: { shape: ["batch_size", "heads", "head_dim"], dtype: "bfloat16" },
    lse: { shape: ["batch_size", "heads"], dtype: "float32" },
  },
  reference: "import torch\n\n\ndef run(q, cache, kv_indptr, kv_indices, scale, causal):\n    ...\n",
};

const trace = (uuid: string, name = definition.name, axes: Record<string, number> = {}): string =>
  JSON.stringify({
    definition: name,
    solution: null,
    workload: {
      uuid,
      axes: { batch_size: 3, len_indptr: 4, num_indices: 20, pages: 7, ...axes },
      inputs: {
        q: { type: "random" },
        cache: { type: "random" },
        kv_indptr: { type: "safetensors", path: "../../../etc/passwd", tensor_key: "kv_indptr" },
        kv_indices: { type: "safetensors", path: "blob/a.safetensors", tensor_key: "kv_indices" },
        scale: { type: "scalar", value: 0.125 },
        causal: { type: "scalar", value: true },
      },
    },
    evaluation: null,
  });

function write(file: string, text: string): string {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const file = write("set/definitions/gqa_paged/paged_decode_h4_d64.json", JSON.stringify(definition));
const other = trace("9a-other", "another");
write(
  "set/workloads/gqa_paged/paged_decode_h4_d64.jsonl",
  `${trace("1f-a")}\n${other}\n\n${trace("2f-b")}\n${trace("1f-a")}\n`,
);

describe("FlashInfer-Trace import", () => {
  it("takes a definition and its workloads as they are, from their usual places", () => {
    const problem = importFlashInferTrace(file);
    expect(problem.definition.name).toBe("paged_decode_h4_d64");
    expect(Object.keys(problem.definition.inputs)).toEqual(Object.keys(definition.inputs));
    expect(problem.definition.inputs["scale"]?.shape).toBeNull();
    expect(problem.definition.description).toBeUndefined();
    expect(problem.definition.reference).toBe(definition.reference);
    expect(problem.workloads.map((workload) => workload.uuid)).toEqual(["1f-a", "2f-b"]);
    expect(problem.workloads[0]?.inputs["causal"]).toEqual({ type: "scalar", value: true });
  });

  it("keeps a problem that native targets cannot run, and says why they cannot", () => {
    const problem = importFlashInferTrace(file);
    expect(() => checkNativeDefinition(problem.definition)).toThrow(
      "dtype bfloat16 is not supported on native",
    );
  });

  it("is read from a folder of KERNELEVOLVE_PROBLEMS", () => {
    const { problems, faults } = loadProblems([join(root, "set")]);
    expect(faults).toEqual([]);
    expect([...problems.keys()]).toEqual(["paged_decode_h4_d64"]);
  });

  it("checks workloads: a broken constraint, an axis not bound", () => {
    const workloads = write("a.jsonl", trace("x", definition.name, { len_indptr: 9 }));
    expect(() => importFlashInferTrace(file, workloads)).toThrow(
      'workload x: the constraint "len_indptr == batch_size + 1" does not hold',
    );
  });

  it.each([
    ["lines.jsonl", `${trace("a")}\n{`, "lines.jsonl:2: not JSON"],
    ["fields.jsonl", `\n${JSON.stringify({ definition: definition.name })}`, "fields.jsonl:2: workload: "],
    ["proto.jsonl", '{"__proto__": 1}', 'proto.jsonl:1: "__proto__" is reserved'],
    ["foreign.jsonl", other, "foreign.jsonl: no workload of paged_decode_h4_d64"],
  ])("%s: the error names file and line", (name, text, message) => {
    const workloads = write(name, text);
    expect(() => importFlashInferTrace(file, workloads)).toThrow(message);
  });

  it("needs to be told where the workloads are when the definition lies elsewhere", () => {
    const alone = write("alone.json", JSON.stringify(definition));
    expect(() => importFlashInferTrace(alone)).toThrow('not in a folder "definitions"');
    expect(() => importFlashInferTrace(alone, join(root, "none.jsonl"))).toThrow("none.jsonl: no such file");
  });
});
