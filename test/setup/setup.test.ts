import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/platform/paths.ts";

const script = join(packageRoot, "tools", "setup", "setup.mjs");

test("with everything there it does nothing and says nothing", () => {
  const first = spawnSync(process.execPath, [script], { encoding: "utf8" });
  expect(first.status, first.stderr).toBe(0);
  const second = spawnSync(process.execPath, [script], { encoding: "utf8" });
  expect(second.status).toBe(0);
  expect(second.stderr).toBe("");
});

test("without a compiler and without root it names the command and fails", () => {
  const bin = mkdtempSync(join(tmpdir(), "kernelevolve-setup-"));
  try {
    mkdirSync(join(bin, "bin"));
    // A machine with apt-get and git, but without gcc, run by somebody who is not root.
    writeFileSync(join(bin, "bin", "apt-get"), "#!/bin/sh\nexit 1\n");
    chmodSync(join(bin, "bin", "apt-get"), 0o755);
    for (const program of ["git", "bwrap", "valgrind", "objdump"])
      symlinkSync("/bin/true", join(bin, "bin", program));
    const preload = join(bin, "notroot.cjs");
    writeFileSync(preload, "process.getuid = () => 1000;\n");
    const result = spawnSync(process.execPath, ["--require", preload, script], {
      encoding: "utf8",
      env: { PATH: join(bin, "bin"), HOME: bin },
    });
    expect(result.status).toBe(3);
    expect(result.stderr).toContain("gcc is missing");
    expect(result.stderr).toContain("sudo apt-get install -y --no-install-recommends gcc libc6-dev g++");
  } finally {
    rmSync(bin, { recursive: true, force: true });
  }
});
