import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { exportFolder } from "../../src/mcp/paths.ts";

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "kernelevolve-paths-")));
  for (const name of ["work", "home", "extra", "outside"]) mkdirSync(join(base, name));
  vi.spyOn(process, "cwd").mockReturnValue(join(base, "work"));
  vi.stubEnv("KERNELEVOLVE_HOME", join(base, "home"));
  vi.stubEnv("KERNELEVOLVE_ALLOWED_PATHS", join(base, "extra"));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(base, { recursive: true, force: true });
});

test("the working directory, the data home and the named folders may be written, and below them", () => {
  expect(exportFolder(join(base, "work"))).toBe(join(base, "work"));
  expect(exportFolder(join(base, "work", "..new", "deep"))).toBe(join(base, "work", "..new", "deep"));
  expect(exportFolder(join(base, "home", "exports"))).toBe(join(base, "home", "exports"));
  expect(exportFolder(join(base, "extra", "x"))).toBe(join(base, "extra", "x"));
});

test("everything else is refused, links and neighbours with a like name included", () => {
  symlinkSync(join(base, "outside"), join(base, "work", "link"));
  symlinkSync(join(base, "nowhere"), join(base, "work", "dangling"));
  writeFileSync(join(base, "work", "file"), "");
  for (const path of [
    "/etc",
    "/",
    join(base, "outside"),
    join(base, "work", "..", "outside"),
    join(base, "work", "link", "x"),
    join(base, "work", "dangling"),
    join(base, "work", "file"),
    join(base, "work-2"),
  ]) {
    expect(() => exportFolder(path), path).toThrow(/^directory: /);
  }
});

test("a server started in / may not write everywhere", () => {
  vi.spyOn(process, "cwd").mockReturnValue("/");
  expect(() => exportFolder("/etc/kernelevolve")).toThrow(/outside the folders/);
  expect(exportFolder(join(base, "home", "x"))).toBe(join(base, "home", "x"));
});
