import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { staticScan } from "../../../src/evaluation/candidate/scan.ts";
import { packageRoot } from "../../../src/platform/paths.ts";

describe("texts that flag a source", () => {
  it.each([
    ["a raw system call", "long r = syscall (1, 2);"],
    ["assembly that makes one", '__asm__ volatile("mov $1, %eax; syscall" ::: "memory");'],
    ["dynamic loading", 'void *p = dlsym(0, "clock_gettime");'],
    ["a file of the system", 'fopen("/proc/self/maps", "r");'],
    ["a file in the code", '__asm__(".incbin \\"x\\"");'],
    ["a clock of its own", "int clock_gettime(int id, struct timespec *t) { return 0; }"],
    ["a name split over lines", "long r = sys\\\ncall(1);"],
    ["a call behind slashes in a string", 'char *u = "http://x"; syscall(1);'],
    ["a call behind a quote in a character", "char q = '\"'; syscall(1); char r = '\"';"],
  ])("%s", (_what, source) => {
    expect(staticScan(source).map((reason) => reason.code)).toEqual(["suspicious_source"]);
  });

  it.each([
    ["comments", "// uses syscall(1) and /proc/cpuinfo\n/* dlopen */ int x;"],
    ["divisions and pointers", "int y = a / b; int z = a /*c*/ / *p;"],
    ["reading a clock", "clock_gettime(CLOCK_MONOTONIC, &t);"],
    ["words that contain them", "int my_syscalls = 1; float assembly = 2;"],
  ])("not %s", (_what, source) => {
    expect(staticScan(source)).toEqual([]);
  });

  it("passes every shipped seed kernel", () => {
    const folder = join(packageRoot, "knowledge", "kernels");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
      /\.(c|cpp)$/.test(file),
    );
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) expect(staticScan(readFileSync(join(folder, file), "utf8")), file).toEqual([]);
  });
});
