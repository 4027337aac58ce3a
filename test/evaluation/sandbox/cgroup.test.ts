import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inGroup, makeControlGroup } from "../../../src/evaluation/sandbox/cgroup.ts";
import { testFolder } from "../fixtures.ts";

const own = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
const folder = testFolder("cgroup");

/** A hierarchy as the kernel would show it; limits are plain files there. */
function hierarchy(name: string, files: Record<string, string>): string {
  const root = join(folder, name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(root, file, ".."), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return root;
}

describe("control groups", () => {
  it("of version 1 limit memory and processes, each in its hierarchy", () => {
    const root = hierarchy("v1", { "memory/cgroup.procs": "", "pids/cgroup.procs": "" });
    const group = makeControlGroup(1000, 7, root);
    const [name] = readdirSync(join(root, "memory")).filter((one) => one.startsWith("kernelevolve-"));
    expect(readFileSync(join(root, "memory", name ?? "", "memory.limit_in_bytes"), "utf8")).toBe("1000");
    expect(readFileSync(join(root, "pids", name ?? "", "pids.max"), "utf8")).toBe("7");
    expect(group.procs).toEqual([
      join(root, "memory", name ?? "", "cgroup.procs"),
      join(root, "pids", name ?? "", "cgroup.procs"),
    ]);
  });

  it("of version 2 are made below the nearest group that hands the controllers on", () => {
    const root = hierarchy("v2", {
      "cgroup.controllers": "memory pids",
      "cgroup.subtree_control": "memory pids",
    });
    mkdirSync(join(root, own), { recursive: true });
    const group = makeControlGroup(1000, 7, root);
    const made = group.procs[0]?.replace(/\/cgroup\.procs$/, "") ?? "";
    expect(join(made, "..")).toBe(root);
    expect(readFileSync(join(made, "memory.max"), "utf8")).toBe("1000");
    expect(readFileSync(join(made, "pids.max"), "utf8")).toBe("7");
  });

  it("are left out where there are none or the limits cannot be set", async () => {
    for (const root of [join(folder, "none"), hierarchy("bare", { "cgroup.controllers": "" })]) {
      const group = makeControlGroup(1000, 7, root);
      expect(group.procs).toEqual([]);
      await group.remove();
    }
    expect(existsSync(join(folder, "none"))).toBe(false);
  });

  it("are joined before the program begins, and gone when removed", async () => {
    const group = makeControlGroup(64 << 20, 8);
    const argv = inGroup(group.procs, ["cat", "/proc/self/cgroup"]);
    const text = execFileSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
    if (group.procs.length > 0) expect(text).toMatch(/kernelevolve-\d+-\d+/);
    else expect(argv).toEqual(["cat", "/proc/self/cgroup"]);
    await group.remove();
    for (const procs of group.procs) expect(existsSync(procs)).toBe(false);
  });

  it("keep a program out that cannot join", () => {
    const argv = inGroup(["/nonexistent/cgroup.procs"], ["echo", "ran"]);
    expect(() => execFileSync(argv[0] ?? "", argv.slice(1), { stdio: "pipe" })).toThrow();
  });
});
