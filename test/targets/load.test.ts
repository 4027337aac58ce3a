import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KernelEvolveError } from "../../src/domain/index.ts";
import { packageRoot } from "../../src/platform/paths.ts";
import { MAX_SPEC_BYTES } from "../../src/targets/document.ts";
import { loadTargets } from "../../src/targets/load.ts";
import { Targets } from "../../src/targets/service.ts";
import { Folder, RUN, spec } from "./folder.ts";

/** Loads one spec called `t` and answers what is wrong with it, the folder's path taken out. */
function fault(text: string | Uint8Array): string {
  using folder = new Folder();
  folder.write("good/target.yaml", spec("good"));
  folder.write("t/target.yaml", text);
  const { targets, problems } = loadTargets([folder.path]);
  // One bad target never hides the others.
  expect([...targets.keys()]).toEqual(["good"]);
  expect(problems).toHaveLength(1);
  return problems[0]?.message.replaceAll(`${folder.path}/`, "") ?? "";
}

describe("what ships", () => {
  it("loads without a problem", () => {
    const { targets, problems } = loadTargets([join(packageRoot, "hardware-docs")]);
    expect(problems).toEqual([]);
    expect(targets.get("cpu-x86-64")?.spec.run).toEqual({ harness: "native", metric: "wall_time" });
  });
});

describe("a spec with a fault", () => {
  it.each([
    [
      "an unknown field",
      spec("t", "dtype: [float32]\n"),
      /^t\/target\.yaml:7:1: dtype: is not a field; did you mean dtypes\?/,
    ],
    [
      "a nested unknown field",
      spec("t", "peaks: { sourc: none }\n"),
      /t\/target\.yaml:7:10: peaks\.sourc: is not a field; did you mean source\?/,
    ],
    ["a missing field", spec("t").replace("vendor: any\n", ""), /^t\/target\.yaml:1:1: vendor: is missing$/],
    ["a wrong type", spec("t").replace("[float32]", "float32"), /^t\/target\.yaml:6:9: dtypes: /],
    [
      "a bad element",
      spec("t").replace("[float32]", "[float32, float31]"),
      /^t\/target\.yaml:6:19: dtypes\[1\]: /,
    ],
    [
      "a regular expression that is none",
      spec("t", RUN.replace("-O[0-3]", "-O[0-3")),
      /allowed_flags\[0\]: is not a valid regular expression/,
    ],
    [
      "a flag that is not allowed",
      spec("t", RUN.replace("[-O2]", "[-O2, -fplugin=x]")),
      /default_flags\[1\]: -fplugin=x is not one of allowed_flags/,
    ],
    [
      "a command without its source",
      spec("t", RUN.replace(', "{source}"', "")),
      /abstractions\.c\.command: lacks \{source\}/,
    ],
    [
      "a command with an unknown placeholder",
      spec("t", RUN.replace('"{source}"', '"{source}", "{home}"')),
      /\{home\} is not a placeholder/,
    ],
    [
      "a program that nothing installs",
      spec("t", RUN.replace("  cc1x:\n    program: cc1x", "  other:\n    program: other")),
      /abstractions\.c\.program: "cc1x" is not one of programs/,
    ],
    [
      "a shell command as a package",
      spec("t", RUN.replace('"cc1x cc1x-dev"', '"cc1x; rm -rf /"')),
      /install\.apt: must be package names/,
    ],
    [
      "a version argument that does something",
      spec("t", RUN.replace("needed_for", "version_args: [-c]\n    needed_for")),
      /version_args\[0\]: must be --version/,
    ],
    [
      "declared peaks without their source",
      spec("t", "peaks: { source: declared, declared: { flops.float32.cuda: 1.0e+12 } }\n"),
      /peaks: source is declared, so `declared` and `from` are needed/,
    ],
    [
      "a limit without its source",
      spec("t", "limits:\n  warps: { value: 64, unit: warps }\n"),
      /^t\/target\.yaml:8:3: limits\.warps\.source: is missing/,
    ],
    [
      "two levels of one name",
      spec(
        "t",
        "memory:\n  - { name: L1, bytes: 1, scope: core }\n  - { name: L1, bytes: 2, scope: core }\n",
      ),
      /^t\/target\.yaml:9:\d+: memory\[1\]\.name: "L1" is named twice/,
    ],
    [
      "a run without an abstraction",
      spec("t", "run: { harness: native, metric: wall_time }\n"),
      /abstractions: must have at least one, because the target is run/,
    ],
    [
      "an id that is not its folder's",
      spec("u"),
      /^t\/target\.yaml:1:5: id: must be the name of its folder, "t"/,
    ],
    ["no YAML", "a: [1, 2", /^t\/target\.yaml:1:\d+: /],
    ["a repeated key", `${spec("t")}title: again\n`, /^t\/target\.yaml:7:1: .*unique/],
    ["an unknown tag", spec("t", "x: !!js/function 'f'\n"), /^t\/target\.yaml:7:\d+: /],
    ["a list", "- 1\n", /^t\/target\.yaml:1:1: must be a mapping, but is a list/],
    ["nothing", "", /must be a mapping, but is empty/],
    ["a text", "hello", /must be a mapping, but is a string/],
    ["bytes that are no text", Uint8Array.of(0x69, 0x64, 0x3a, 0xff, 0xfe), /cannot be read as UTF-8 text/],
    ["megabytes", `${spec("t")}# ${"x".repeat(MAX_SPEC_BYTES)}`, /larger than/],
    [
      "aliases that multiply",
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${"*a,".repeat(9)}]\nc: &c [${"*b,".repeat(9)}]\nd: [${"*c,".repeat(9)}]\nid: t\n`,
      /alias/i,
    ],
    ["a NUL character", spec("t", "limits: a\0b\n"), /^t\/target\.yaml:7:10: has a NUL character$/],
    ["two documents", spec("t", "---\nid: t\n"), /^t\/target\.yaml:7:1: /],
    ["a missing choice", spec("t").replace("kind: cpu\n", ""), /^t\/target\.yaml:1:1: kind: is missing$/],
    [
      "depth without end",
      `id: t\nx: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`,
      /^t\/target\.yaml.*: nested too deep$/,
    ],
  ])("%s", (_name, text, message) => {
    expect(fault(text)).toMatch(message);
  });

  it("lists at most ten faults, and says how many more there are", () => {
    const message = fault(
      spec(
        "t",
        "abcdefghijklmn"
          .split("")
          .map((name) => `${name}: 1\n`)
          .join(""),
      ),
    );
    expect(message.split("\n")).toHaveLength(11);
    expect(message).toContain("and 4 more");
  });

  it("is told when it is asked for by name", async () => {
    using folder = new Folder();
    folder.write("t/target.yaml", spec("t", "oops: 1\n"));
    const asked = new Targets({ folders: [folder.path] }).get("t");
    await expect(asked).rejects.toThrow(/t cannot be read: .*oops: is not a field/);
  });
});

describe("folders", () => {
  it("a folder called target.yaml, a dead link, a loop and a device are problems, not ends", () => {
    using folder = new Folder();
    folder.write("README.md", "not a target\n");
    folder.write("good/target.yaml", spec("good"));
    mkdirSync(join(folder.path, "a", "target.yaml"), { recursive: true });
    for (const [name, to] of [
      ["b", "/dev/zero"],
      ["c", "target.yaml"],
      ["d", "nowhere.yaml"],
    ] as const) {
      mkdirSync(join(folder.path, name));
      symlinkSync(to, join(folder.path, name, "target.yaml"));
    }
    const { targets, problems } = loadTargets([folder.path, join(folder.path, "nowhere")]);
    expect([...targets.keys()]).toEqual(["good"]);
    const messages = problems.map((one) => one.message.replaceAll(`${folder.path}/`, ""));
    expect(messages).toEqual([
      "a/target.yaml: is not a regular file",
      "b/target.yaml: is a link to a file outside of its folder",
      expect.stringMatching(/^c\/target\.yaml: cannot be read: ELOOP/),
      expect.stringMatching(/^d\/target\.yaml: cannot be read: ENOENT/),
    ]);
  });

  it("a link out of the folder is refused before it is read; one within it, or to the whole folder, is not", () => {
    using outside = new Folder();
    using folder = new Folder();
    outside.write("secret.yaml", "password: hunter2\n");
    outside.write("whole/target.yaml", spec("whole"));
    mkdirSync(join(folder.path, "t"));
    symlinkSync(join(outside.path, "secret.yaml"), join(folder.path, "t", "target.yaml"));
    folder.write("inner/versions/1.yaml", spec("inner"));
    symlinkSync("versions/1.yaml", join(folder.path, "inner", "target.yaml"));
    symlinkSync(join(outside.path, "whole"), join(folder.path, "whole"));
    const { targets, problems } = loadTargets([folder.path]);
    expect([...targets.keys()]).toEqual(["inner", "whole"]);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain("is a link to a file outside of its folder");
    expect(JSON.stringify(problems)).not.toContain("hunter2");
  });

  it("target.yml is told to be called target.yaml", () => {
    using folder = new Folder();
    folder.write("t/target.yml", spec("t"));
    expect(loadTargets([folder.path]).problems[0]?.message).toContain("must be called target.yaml");
  });

  it("the first folder keeps an id, the second is told", () => {
    using first = new Folder();
    using second = new Folder();
    first.write("t/target.yaml", spec("t"));
    second.write("t/target.yaml", spec("t").replace("for a test", "another"));
    const { targets, problems, folders } = loadTargets([first.path, second.path]);
    expect(targets.get("t")?.spec.description).toBe("for a test");
    expect(problems[0]?.message).toContain('there is a target "t" already');
    expect(folders.map((one) => one.targets)).toEqual([1, 0]);
  });

  it("an unknown target is told with the nearest", async () => {
    const asked = new Targets({ folders: [join(packageRoot, "hardware-docs")] }).get("cpu-x86");
    await expect(asked).rejects.toBeInstanceOf(KernelEvolveError);
    await expect(asked).rejects.toMatchObject({
      code: "not_found",
      fix: expect.stringMatching(/^did you mean cpu-x86-64\b/),
    });
  });
});
