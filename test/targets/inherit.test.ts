import { describe, expect, it } from "vitest";
import { loadTargets } from "../../src/targets/load.ts";
import { Folder, RUN, spec } from "./folder.ts";

function load(files: Readonly<Record<string, string>>) {
  using folder = new Folder();
  for (const [id, text] of Object.entries(files)) folder.write(`${id}/target.yaml`, text);
  const { targets, problems } = loadTargets([folder.path]);
  return { targets, messages: problems.map((one) => one.message.replaceAll(`${folder.path}/`, "")) };
}

const inherits = (...ids: string[]): string => `inherits: [${ids.join(", ")}]\n`;

describe("inheritance", () => {
  it("gives what the farther says, and the nearest word wins", () => {
    const { targets, messages } = load({
      vendor: spec(
        "vendor",
        `family: true\nlimits:\n  a: { value: 1, unit: x, source: s }\n  b: { value: 2, unit: x, source: s }\n${RUN}`,
      ),
      family: spec(
        "family",
        `${inherits("vendor")}family: true\nlimits:\n  b: { value: 3, unit: x, source: s }\n`,
      ),
      device: spec("device", `${inherits("family")}limits:\n  c: { value: 4, unit: x, source: s }\n`),
    });
    expect(messages).toEqual([]);
    const device = targets.get("device")?.spec;
    expect(device?.inherits).toEqual(["family", "vendor"]);
    const limits = Object.entries(device?.limits ?? {}).map(([name, limit]) => [name, limit.value]);
    expect(Object.fromEntries(limits)).toEqual({ a: 1, b: 3, c: 4 });
    expect(Object.keys(device?.abstractions ?? {})).toEqual(["c"]);
    expect(device?.title).toBe("device");
  });

  it("null takes something away", () => {
    const { targets, messages } = load({
      base: spec(
        "base",
        `limits:\n  a: { value: 1, unit: x, source: s }\n  b: { value: 2, unit: x, source: s }\n`,
      ),
      own: spec("own", `${inherits("base")}limits:\n  a: null\n`),
    });
    expect(messages).toEqual([]);
    expect(Object.keys(targets.get("own")?.spec.limits ?? {})).toEqual(["b"]);
  });

  it("constraints of all of them hold, each once", () => {
    const { targets } = load({
      base: spec("base", "constraints: [one, two]\n"),
      own: spec("own", `${inherits("base")}constraints: [three, two]\n`),
    });
    expect(targets.get("own")?.spec.constraints).toEqual(["three", "two", "one"]);
  });

  it("a family is no device, and is no parent's word for its children", () => {
    const { targets } = load({
      base: spec("base", "family: true\n"),
      own: spec("own", inherits("base")),
    });
    expect(targets.get("base")?.spec.family).toBe(true);
    expect(targets.get("own")?.spec.family).toBe(false);
  });

  it("a circle is told with its way, and the others load", () => {
    const { targets, messages } = load({
      a: spec("a", inherits("b")),
      b: spec("b", inherits("c")),
      c: spec("c", inherits("a")),
      good: spec("good"),
    });
    expect([...targets.keys()]).toEqual(["good"]);
    expect(messages).toHaveLength(3);
    expect(messages.join("\n")).toContain("a circle: a inherits b inherits c inherits a");
  });

  it("an unknown parent is told with the nearest; one that is broken takes its children with it", () => {
    const { targets, messages } = load({
      base: spec("base", "oops: 1\n"),
      child: spec("child", inherits("base")),
      lost: spec("lost", inherits("chidl")),
    });
    expect([...targets.keys()]).toEqual([]);
    expect(messages.join("\n")).toContain('child/target.yaml:7:12: inherits[0]: "base" cannot be read');
    expect(messages.join("\n")).toContain('inherits[0]: there is no target "chidl"; did you mean child?');
  });

  it("a fault in what was inherited is told once, at the child that made it one", () => {
    const { messages } = load({
      base: spec("base", RUN),
      child: spec("child", `${inherits("base")}abstractions:\n  c: { default_flags: [-g] }\n`),
    });
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain("child/target.yaml:9:");
    expect(messages[0]).toContain("-g is not one of allowed_flags");
  });
});
