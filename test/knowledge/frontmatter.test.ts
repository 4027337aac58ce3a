import { describe, expect, test } from "vitest";
import { KernelEvolveError, type TargetSpec, targetSpecSchema } from "../../src/domain/index.ts";
import { parseFrontMatter, readFrontMatter } from "../../src/knowledge/text/front-matter.ts";
import { fillReferences } from "../../src/knowledge/text/references.ts";
import { readableBytes, readableLimit, readableRate } from "../../src/knowledge/text/units.ts";

const GOOD = `---
title: Banks
target: nvidia
kind: memory
topics: [bank conflict]
bottlenecks: [bank-conflict]
sources:
  - title: Guide
    url: https://docs.nvidia.com/
    version: 12.4
---

# Banks

Text.
`;

describe("front matter", () => {
  test("is read, with the line on which the body begins", () => {
    const { matter, body, bodyLine } = readFrontMatter(GOOD, "a.md");
    expect(matter.target).toBe("nvidia");
    expect(matter.bottlenecks).toEqual(["bank-conflict"]);
    expect(matter.op).toEqual([]);
    expect(matter.sources[0]?.version).toBe("12.4");
    expect(GOOD.split("\n")[bodyLine - 1]).toBe("");
    expect(body.trim().startsWith("# Banks")).toBe(true);
  });

  test("an unknown field, a wrong value and a missing field are named with their lines", () => {
    const broken = GOOD.replace("kind: memory", "kind: memories").replace("title: Banks\n", "titel: Banks\n");
    const { issues } = parseFrontMatter(broken);
    expect(issues.find((issue) => issue.message.startsWith("titel: unknown field"))?.line).toBe(2);
    expect(issues.find((issue) => issue.message.startsWith("kind:"))?.line).toBe(4);
    expect(issues.some((issue) => issue.message === "title: is missing")).toBe(true);
  });

  test("what is no front matter, not closed or not YAML is an error with file and line", () => {
    for (const text of ["# Title\n", "---\ntitle: x\n", "---\ntitle: [a\n---\nx"]) {
      expect(() => readFrontMatter(text, "docs/b.md")).toThrow(KernelEvolveError);
      expect(() => readFrontMatter(text, "docs/b.md")).toThrow(/docs\/b\.md:\d+: /);
    }
  });
});

const spec = (value: Partial<Record<keyof TargetSpec, unknown>>): TargetSpec =>
  targetSpecSchema.parse({
    title: "T",
    vendor: "V",
    kind: "gpu",
    description: "",
    dtypes: ["float32"],
    ...value,
  });
const specs = new Map([
  [
    "nvidia-h100",
    spec({
      id: "nvidia-h100",
      memory: [
        { name: "L2", bytes: 52_428_800, scope: "device" },
        { name: "DRAM", bytes: "probe", scope: "device" },
      ],
      limits: {
        shared_memory_per_sm: { value: 233_472, unit: "bytes", source: "guide" },
        registers_per_sm: { value: 65_536, unit: "registers", source: "guide" },
      },
      peaks: {
        source: "declared",
        from: "sheet",
        declared: {
          "flops.bfloat16.tensor": 989.4e12,
          "flops.int8.tensor": 1978.9e12,
          "bandwidth.dram": 3.35e12,
        },
      },
    }),
  ],
]);

describe("references to numbers", () => {
  test("are filled with readable units", () => {
    const { text, dead, used } = fillReferences(
      "{{limits.shared_memory_per_sm}}, {{limits.registers_per_sm}}, {{peaks.flops.bfloat16.tensor}}, {{ peaks.flops.int8.tensor }}, {{peaks.bandwidth.dram}}, {{memory.L2.bytes}}",
      "nvidia-h100",
      specs,
    );
    expect(text).toBe("228 KiB, 65,536 registers, 989.4 TFLOP/s, 1979 TOP/s, 3.35 TB/s, 50 MiB");
    expect(dead).toEqual([]);
    expect(used).toContain("nvidia-h100:limits.shared_memory_per_sm");
  });

  test("reach other targets by name", () => {
    expect(fillReferences("{{nvidia-h100:limits.registers_per_sm}}", "any", specs).text).toBe(
      "65,536 registers",
    );
  });

  test("that name nothing stay and are reported with line and the nearest name", () => {
    const { text, dead } = fillReferences(
      "a\n{{limits.shared_memory_per_sn}}\n{{nvidia-h101:limits.x}} {{memory.DRAM.bytes}}",
      "nvidia-h100",
      specs,
    );
    expect(text).toContain("{{limits.shared_memory_per_sn}}");
    expect(dead.map((one) => one.line)).toEqual([2, 3, 3]);
    expect(dead[0]?.message).toContain("did you mean limits.shared_memory_per_sm");
    expect(dead[2]?.message).toContain("read from the machine");
  });

  test("what only looks like one is left alone", () => {
    const code = "{{ i }} {{limits}} %{{a.b}}";
    expect(fillReferences(code, "nvidia-h100", specs)).toEqual({ text: code, dead: [], used: [] });
  });
});

test("units are those that people write", () => {
  expect([227 * 1024, 1000, 192, 80e9, 2 ** 34].map(readableBytes)).toEqual([
    "227 KiB",
    "1000 bytes",
    "192 bytes",
    "74.51 GiB",
    "16 GiB",
  ]);
  expect(readableRate(4.8e12, "B/s")).toBe("4.8 TB/s");
  expect(readableRate(950, "B/s")).toBe("950 B/s");
  expect(readableLimit(1.5, "cycles")).toBe("1.5 cycles");
});
