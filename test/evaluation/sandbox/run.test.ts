import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import {
  readOutput,
  runSandboxed,
  type SandboxedRun,
  withJobFolder,
} from "../../../src/evaluation/sandbox/run.ts";
import { probeSandbox, type SandboxProbe } from "../../../src/platform/sandbox-probe.ts";
import type { ProcessResult } from "../../../src/platform/subprocess.ts";
import { testFolder } from "../fixtures.ts";

const LIMITS = {
  cpuSeconds: 5,
  addressSpaceBytes: 1 << 30,
  memoryBytes: 512 << 20,
  fileBytes: 1 << 20,
  processes: 40,
};

let full: SandboxProbe;
let limited: SandboxProbe;
beforeAll(async () => {
  full = await probeSandbox();
  limited = { ...full, kind: "limited", bwrap: undefined };
});

type More = Partial<Omit<SandboxedRun, "argv" | "jobFolder" | "uid">>;

/** Runs a shell script in a sandbox of the given kind; also answers the job folder that was. */
async function shell(
  script: string,
  probe: SandboxProbe,
  more: More = {},
): Promise<ProcessResult & { folder: string }> {
  return await withJobFolder(async (folder, uid) => {
    const run = {
      argv: ["/bin/sh", "-c", script],
      jobFolder: folder,
      uid,
      limits: LIMITS,
      timeoutMs: 20_000,
      ...more,
    };
    return { ...(await runSandboxed(run, probe)), folder };
  });
}

/** Processes whose command line holds `mark`. */
function running(mark: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        Number(pid) !== process.pid &&
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark) &&
        !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
      );
    } catch {
      return false;
    }
  });
}

async function nothingRuns(mark: string): Promise<void> {
  for (let attempt = 0; attempt < 40 && running(mark).length > 0; attempt += 1) await sleep(25);
  expect(running(mark)).toEqual([]);
}

for (const kind of ["full", "limited"] as const) {
  describe(`a ${kind} sandbox`, () => {
    const probe = (): SandboxProbe => (kind === "full" ? full : limited);

    it("is what this machine gives, or the tests of the full one mean nothing", () => {
      expect(full.kind).toBe("full");
    });

    it("runs a program and answers what it says", async () => {
      const result = await shell("echo out; echo err >&2; exit 3", probe());
      expect(result).toMatchObject({ code: 3, stdout: "out\n", stderr: "err\n", timedOut: false });
      expect(existsSync(result.folder)).toBe(false);
    });

    it("hands no variables of ours on", async () => {
      process.env["KE_TEST_SECRET"] = "s3cret";
      const result = await shell("env", probe(), { env: { OMP_NUM_THREADS: "1" } });
      delete process.env["KE_TEST_SECRET"];
      expect(result.stdout).toContain("OMP_NUM_THREADS=1");
      expect(result.stdout).not.toContain("s3cret");
    });

    it("is not root", async () => {
      const result = await shell("id -u; chown 0 . 2>&1 && echo owned", probe());
      expect(result.stdout.split("\n")[0]).not.toBe("0");
      expect(result.stdout).not.toContain("owned");
    });

    it("keeps a bounded part of endless output, and ends by its time", async () => {
      const result = await shell("yes 0123456789", probe(), { timeoutMs: 700, cap: 1000 });
      expect(result.timedOut).toBe(true);
      expect(result.truncated).toBe(true);
      expect(result.stdout.length).toBe(1000);
    });

    it("ends a program that ignores SIGTERM, in a session of its own, and what that started", async () => {
      const mark = `86${kind.length}01.5`;
      const script = `trap '' TERM HUP INT; setsid sh -c "trap '' TERM; sleep ${mark} & sleep ${mark}" & sleep ${mark}`;
      const result = await shell(script, probe(), { timeoutMs: 500 });
      expect(result.timedOut).toBe(true);
      await nothingRuns(mark);
    });

    it("does not wait for what a program left behind, and ends it", async () => {
      const mark = `86${kind.length}02.5`;
      const result = await shell(`setsid sleep ${mark} & echo done`, probe());
      expect(result).toMatchObject({ code: 0, stdout: "done\n", timedOut: false });
      expect(result.seconds).toBeLessThan(15);
      await nothingRuns(mark);
    });

    it("ends at once when it is cancelled", async () => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 100);
      const mark = `86${kind.length}03.5`;
      const result = await shell(`sleep ${mark}`, probe(), { signal: abort.signal });
      expect(result.code).not.toBe(0);
      await nothingRuns(mark);
    });

    it("holds a fork bomb", async () => {
      const bomb =
        "f() { f | f & }; i=0; while [ $i -lt 200 ]; do (sleep 1; sleep 1) & i=$((i+1)); done; wait";
      const result = await shell(bomb, probe(), { timeoutMs: 4000 });
      expect(result.stderr).toMatch(/Cannot fork|Resource temporarily unavailable|fork: retry/i);
    });

    it("limits a file's size, the memory and the processor time", async () => {
      const big = await shell(
        "dd if=/dev/zero of=big bs=1M count=3 2>&1; ls -l big | cut -d' ' -f5",
        probe(),
      );
      expect(big.stdout).not.toMatch(/^3145728$/m);
      const memory = await shell("head -c 1500000000 /dev/zero | tail -c 1400000000 | wc -c", probe());
      expect(memory.stdout.trim()).not.toBe("1400000000");
      const loop = await shell("while :; do :; done", probe(), { limits: { ...LIMITS, cpuSeconds: 1 } });
      expect(loop.timedOut).toBe(false);
      expect(loop.code).not.toBe(0);
    });
  });
}

describe("only a full sandbox", () => {
  it("shows no home, no other temporary files, no network and few processes", async () => {
    const result = await shell(
      "ls /home /root /etc 2>&1; ls /tmp | wc -l; cat /proc/net/dev | wc -l; ls /proc | grep -c '^[0-9]'; cat /etc/passwd",
      full,
    );
    expect(result.stdout).not.toMatch(/passwd$|shadow/m);
    expect(result.stdout).not.toContain("root:");
    const numbers = result.stdout
      .split("\n")
      .filter((line) => /^\d+$/.test(line))
      .map(Number);
    expect(numbers[0]).toBe(0);
    expect(numbers[1]).toBe(3); // two lines of heading, and the loop-back device
    expect(numbers[2]).toBeLessThan(12);
  });

  it("writes nowhere but in its own folder and its private scratch space", async () => {
    const result = await shell(
      "for d in / /usr /dev /proc/sys/kernel; do echo x > $d/x && echo $d; done 2>/dev/null; echo x > here && echo ok",
      full,
    );
    expect(result.stdout).toBe("ok\n");
  });

  it("writes only the named files of its folder where some are named", async () => {
    await withJobFolder(async (folder, uid) => {
      for (const name of ["in", "out"]) writeFileSync(join(folder, name), "", { mode: 0o666 });
      const run = { jobFolder: folder, uid, limits: LIMITS, timeoutMs: 10_000, writable: ["out"] };
      const script = "echo a > out; echo b > in; echo c > other";
      await runSandboxed({ ...run, argv: ["/bin/sh", "-c", script] }, full);
      expect(readdirSync(folder).sort()).toEqual(["in", "out"]);
      expect(readFileSync(join(folder, "in"), "utf8")).toBe("");
    });
  });

  it("tells its own failure apart from the program's", async () => {
    await withJobFolder(async (folder, uid) => {
      const run = { argv: ["/bin/true"], jobFolder: folder, uid, limits: LIMITS, timeoutMs: 10_000 };
      const readOnly = [{ from: join(folder, "missing"), to: "/x" }];
      await expect(runSandboxed({ ...run, readOnly }, full)).rejects.toMatchObject({
        code: "infrastructure",
      });
    });
  });
});

describe("what untrusted work leaves", () => {
  const folder = testFolder("output");

  it("is read when it is a plain file of bounded size", () => {
    writeFileSync(join(folder, "file"), "12345");
    expect(readOutput(join(folder, "file"), 5)?.toString()).toBe("12345");
    expect(readOutput(join(folder, "file"), 4)).toBeUndefined();
    expect(readOutput(join(folder, "none"), 4)).toBeUndefined();
  });

  it("is never followed through a link, nor taken from a folder or a pipe", () => {
    symlinkSync("/etc/passwd", join(folder, "link"));
    mkdirSync(join(folder, "folder"));
    expect(readOutput(join(folder, "link"), 1 << 20)).toBeUndefined();
    expect(readOutput(join(folder, "folder"), 1 << 20)).toBeUndefined();
  });
});

describe("a job folder", () => {
  it("is closed to listing by others and gone afterwards, also when the work fails", async () => {
    let seen = "";
    const failing = withJobFolder(async (folder) => {
      seen = folder;
      expect(statSync(folder).mode & 0o777).toBe(0o711);
      throw new Error("broken");
    });
    await expect(failing).rejects.toThrow("broken");
    expect(seen.startsWith(tmpdir())).toBe(true);
    expect(existsSync(seen)).toBe(false);
  });
});
