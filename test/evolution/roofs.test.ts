import { expect, test } from "vitest";
import type { Problem } from "../../src/domain/problem.ts";
import type { Dtype } from "../../src/domain/scalar.ts";
import { targetSpecSchema } from "../../src/domain/target.ts";
import { roofsOf } from "../../src/evolution/export/roofs.ts";
import { Targets } from "../../src/targets/index.ts";
import { context, fakeTargets, problem, target, World } from "./fakes.ts";

const targets = new Targets();

/** The problem with tensors of another data type. */
function of(dtype: Dtype): Problem {
  const tensor = { shape: ["N"], dtype };
  return { ...problem, definition: { ...problem.definition, inputs: { x: tensor }, outputs: { y: tensor } } };
}

async function declared(id: string, dtype: Dtype, device: string) {
  const found = await roofsOf(targets, await targets.get(id), of(dtype), device, context);
  return "roofs" in found ? found.roofs : found.missing;
}

test("what a target declares bounds the problem's data types, with the document that says so", async () => {
  const spec = await targets.get("nvidia-h200");
  expect(await declared("nvidia-h200", "float32", "NVIDIA H200")).toEqual({
    flops: [
      { name: "tf32.tensor", value: spec.peaks.declared?.["flops.tf32.tensor"] },
      { name: "float32.cuda", value: spec.peaks.declared?.["flops.float32.cuda"] },
    ],
    bandwidth: [{ name: "dram", value: spec.peaks.declared?.["bandwidth.dram"] }],
    whose: "the vendor's peaks of one device",
    from: spec.peaks.from,
  });
  expect(await declared("nvidia-h200", "float16", "NVIDIA H200")).toMatchObject({
    flops: [{ name: "float16.tensor" }],
  });
  expect(await declared("nvidia-h200", "int64", "NVIDIA H200")).toContain("no rate for int64");
  expect(await declared("torch-cpu", "float32", "a processor")).toBe("target torch-cpu states no peaks");
});

test("of a target of several devices the one that was measured on counts, by its whole name", async () => {
  const spec = await targets.get("nvidia-ada");
  for (const [device, name] of [
    ["NVIDIA L4", "l4"],
    ["NVIDIA L40S", "l40s"],
    ["NVIDIA GeForce RTX 4090", "rtx4090"],
  ] as const) {
    expect(await declared("nvidia-ada", "bfloat16", device)).toMatchObject({
      flops: [{ name: "bfloat16.tensor", value: spec.peaks.declared?.[`flops.bfloat16.tensor_${name}`] }],
      bandwidth: [{ name: "dram", value: spec.peaks.declared?.[`bandwidth.dram_${name}`] }],
    });
  }
  expect(await declared("nvidia-ada", "bfloat16", "NVIDIA RTX 6000 Ada")).toContain("of other devices");
});

test("measured peaks are those of the data type that the judge measures it by, or it is said why there are none", async () => {
  const measured = async (dtype: Dtype) =>
    await roofsOf(fakeTargets, target, of(dtype), "test device", context);
  expect(await measured("float16")).toMatchObject({
    roofs: { flops: [{ name: "float32.avx2" }, { name: "float32.scalar" }], from: undefined },
  });
  expect(await measured("float64")).toMatchObject({
    missing: expect.stringContaining("no rate for float64"),
  });
  const broken = { ...fakeTargets, peaks: () => Promise.reject(new Error("no gcc here")) };
  expect(await roofsOf(broken, target, problem, "test device", context)).toEqual({
    missing: "the machine's peaks could not be measured (no gcc here)",
  });
});

test("the report draws declared roofs, and says why there is no plot where there is none", async () => {
  await using world = new World(() => ({ ratio: 2 }), [{ name: "seed", source: "int x;", note: "" }]);
  const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
  await world.evolution.prepare(run.id, context);
  const get = fakeTargets.get.bind(fakeTargets);
  const as = async (peaks: object): Promise<[string, string]> => {
    fakeTargets.get = async () => targetSpecSchema.parse({ ...target, peaks });
    try {
      return [
        await world.evolution.report(run.id, "html", context),
        await world.evolution.report(run.id, "markdown", context),
      ];
    } finally {
      fakeTargets.get = get;
    }
  };
  const figures = { "flops.float32.cuda": 6e13, "flops.float16.tensor": 9e14, "bandwidth.hbm": 4e12 };
  const [page] = await as({ source: "declared", declared: figures, from: "The data sheet" });
  expect(page).toContain("against the vendor&#39;s peaks of one device (The data sheet)");
  expect(page).toContain("hbm 4000 GB/s");
  expect(page).toContain("float32.cuda 60000 GFLOP/s");
  expect(page).not.toContain("float16.tensor");
  for (const text of await as({ source: "none" }))
    expect(text).toContain("No roofline plot: target cpu-test states no peaks");
});
