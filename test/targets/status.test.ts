import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { installCommand } from "../../src/platform/install.ts";
import { readMachine } from "../../src/targets/machine.ts";
import { explainCounters } from "../../src/targets/probe.ts";
import { Targets } from "../../src/targets/service.ts";
import { Folder, RUN, spec } from "./folder.ts";

/** A folder for PATH with programs that print what they are told. */
function programs(folder: Folder, scripts: Readonly<Record<string, string>>): string {
  const bin = join(folder.path, "bin");
  mkdirSync(bin);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}

const checkOf = (status: { checks: { name: string }[] }, name: string) =>
  status.checks.find((check) => check.name === name);

describe("what is missing, and how to get it", () => {
  it.each([
    ["apt-get", false, "", "sudo apt-get install -y cc1x cc1x-dev"],
    ["apt-get", true, "ID=debian\n", "apt-get install -y cc1x cc1x-dev"],
    ["apt-get", true, 'NAME="x"\nID="ubuntu"\n', "apt-get install -y cc1x-ubuntu"],
    ["dnf", false, "", "sudo dnf install -y cc1x"],
    ["brew", false, "", "brew install cc1x"],
  ])("%s", async (manager, root, osRelease, command) => {
    using folder = new Folder();
    folder.write("t/target.yaml", spec("t", RUN));
    const place = { path: programs(folder, { [manager]: "exit 0" }), root, osRelease };
    const targets = new Targets({ folders: [folder.path], place });
    const status = await targets.status("t");
    expect(checkOf(status, "cc1x")).toMatchObject({
      ok: false,
      detail: "cc1x is not installed (needed for compile)",
      fix: command,
    });
    expect(status.usable).toBe(false);
    expect(status.capabilities.compile).toBe(false);
  });

  it("a machine without a package manager gets no command that it does not have", async () => {
    using folder = new Folder();
    const place = { path: programs(folder, {}), root: true, osRelease: "" };
    expect(installCommand({ apt: "x", dnf: "x" }, place)).toBeUndefined();
    expect(installCommand({ apt: "x", note: "get it at example.org" }, place)).toBe("get it at example.org");
  });

  it("a program that is there and does not start is as good as none", async () => {
    using folder = new Folder();
    folder.write("t/target.yaml", spec("t", RUN));
    const place = {
      path: programs(folder, { cc1x: "echo libgmp.so.10 is missing >&2; exit 127", "apt-get": "exit 0" }),
      root: true,
      osRelease: "",
    };
    const status = await new Targets({ folders: [folder.path], place }).status("t");
    const check = checkOf(status, "cc1x");
    expect(check).toMatchObject({ ok: false });
    expect(JSON.stringify(check)).toContain("libgmp.so.10 is missing");
  });
});

describe("a target on this machine", () => {
  it("with documents only is not usable, and says that it is so by design", async () => {
    using folder = new Folder();
    folder.write("t/target.yaml", spec("t"));
    const status = await new Targets({ folders: [folder.path] }).status("t");
    expect(status.usable).toBe(false);
    expect(checkOf(status, "run")).toMatchObject({ ok: false });
    expect(JSON.stringify(checkOf(status, "run"))).toContain("documents only");
    expect(status.capabilities).toEqual({ compile: false, verify: false, benchmark: false, profile: false });
  });

  it("of another processor is not usable here, and says what it needs", async () => {
    using folder = new Folder();
    folder.write("t/target.yaml", spec("t", `${RUN}requires: { arch: [sparc64], os: [plan9] }\n`));
    const status = await new Targets({ folders: [folder.path] }).status("t");
    expect(checkOf(status, "machine")).toMatchObject({
      ok: false,
      detail: `needs sparc64 and plan9; this is ${process.arch} ${process.platform}`,
    });
    expect(status.usable).toBe(false);
  });

  it("whose headers are missing is told so by the compiler's own words", async () => {
    using folder = new Folder();
    const probed = RUN.replaceAll("cc1x", "gcc").replace(
      "    default_flags",
      "    probe: { source: '#include <no_such_header_x.h>' }\n    default_flags",
    );
    folder.write("t/target.yaml", spec("t", probed));
    // The last folder is that of the working directory, which is trusted less.
    const status = await new Targets({ folders: [folder.path, join(folder.path, "none")] }).status("t");
    expect(checkOf(status, "compiles c")).toMatchObject({ ok: false });
    expect(JSON.stringify(checkOf(status, "compiles c"))).toContain("no_such_header_x.h");
    expect(status.capabilities.compile).toBe(false);
  });

  it("is asked once, and anew when that is wanted", async () => {
    using folder = new Folder();
    folder.write("t/target.yaml", spec("t", RUN));
    const path = programs(folder, {});
    const targets = new Targets({ folders: [folder.path], place: { path, root: true, osRelease: "" } });
    expect(checkOf(await targets.status("t"), "cc1x")).toMatchObject({ ok: false });
    writeFileSync(join(path, "cc1x"), "#!/bin/sh\necho cc1x 1.0\n");
    chmodSync(join(path, "cc1x"), 0o755);
    expect(checkOf(await targets.status("t"), "cc1x")).toMatchObject({ ok: false });
    expect(checkOf(await targets.status("t", { fresh: true }), "cc1x")).toMatchObject({ ok: true });
  });
});

describe("doctor", () => {
  it("names folders, targets and what could not be read", async () => {
    using folder = new Folder();
    folder.write("good/target.yaml", spec("good"));
    folder.write("bad/target.yaml", spec("bad", "oops: 1\n"));
    const report = await new Targets({ folders: [folder.path] }).doctor();
    expect(report.folders).toEqual([{ path: folder.path, targets: 1 }]);
    expect(report.targets.map((target) => target.id)).toEqual(["good"]);
    expect(report.problems.map((one) => one.folder)).toEqual([join(folder.path, "bad")]);
    expect(report.machine.cores).toBeGreaterThan(0);
  });
});

describe("hardware counters", () => {
  const refused = { code: 255, stderr: "Error:\nNo permission to enable instructions:u event.\n" };
  it.each([
    [
      "are there",
      { code: 0, stderr: "1234,,instructions:u,100,100.00,,\n" },
      2,
      true,
      /reads hardware counters/,
    ],
    ["are forbidden", refused, 3, false, /perf_event_paranoid is 3/],
    [
      "are not passed on",
      { code: 0, stderr: "<not supported>,,instructions:u,0,100.00,,\n" },
      4,
      false,
      /not passed to this/,
    ],
    [
      "fail in another way",
      { code: 129, stderr: "event syntax error: 'instructions:u'\n" },
      2,
      false,
      /event syntax error/,
    ],
  ])("%s", (_name, result, level, ok, detail) => {
    const found = explainCounters(result, level, { root: true });
    expect(found.ok).toBe(ok);
    expect(found.detail).toMatch(detail);
    if (level === 3) expect(found.fix).toBe("sysctl -w kernel.perf_event_paranoid=2");
  });
});

describe("the machine", () => {
  const CPUINFO = `processor\t: 0
model name\t: Test 9000
microcode\t: 0x1
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 hypervisor

processor\t: 1
model name\t: Test 9000
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 hypervisor
`;

  it("is read from /proc and /sys", () => {
    using folder = new Folder();
    folder.write("proc/cpuinfo", CPUINFO);
    folder.write("proc/meminfo", "MemTotal:        1024 kB\n");
    const cache = "sys/devices/system/cpu/cpu0/cache";
    for (const [index, level, type, size, shared] of [
      [0, "1", "Data", "48K", "0"],
      [1, "1", "Instruction", "32K", "0"],
      [2, "2", "Unified", "2M", "0-1"],
    ] as const) {
      folder.write(`${cache}/index${index}/level`, `${level}\n`);
      folder.write(`${cache}/index${index}/type`, `${type}\n`);
      folder.write(`${cache}/index${index}/size`, `${size}\n`);
      folder.write(`${cache}/index${index}/shared_cpu_list`, `${shared}\n`);
    }
    const machine = readMachine({ root: folder.path, cores: 2, getconf: () => "" });
    expect(machine).toMatchObject({
      model: "Test 9000",
      cores: 2,
      physicalCores: 1,
      memory: { L1: 48 << 10, L2: 2 << 20, DRAM: 1 << 20 },
      virtual: true,
      hypervisor: "unknown",
    });
    expect(machine.caches.map((one) => one.sharers)).toEqual([1, 2]);
  });

  it("that shows nothing is not guessed at; getconf tells caches where /sys does not", () => {
    using folder = new Folder();
    const getconf = (): string =>
      "LEVEL1_DCACHE_SIZE                 32768\nLEVEL2_CACHE_SIZE 0\nLEVEL3_CACHE_SIZE 1048576\n";
    const machine = readMachine({ root: folder.path, cores: 3, getconf });
    expect(machine.memory).toMatchObject({ L1: 32_768, L3: 1_048_576 });
    expect(machine.memory).not.toHaveProperty("L2");
    expect(machine.physicalCores).toBeUndefined();
    expect([...machine.flags]).toEqual([]);
  });
});
