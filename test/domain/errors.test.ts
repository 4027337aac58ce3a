import { expect, test } from "vitest";
import { explained, KernelEvolveError } from "../../src/domain/index.ts";

test("an error in a record says what to do about it, where that is known", () => {
  expect(explained(new KernelEvolveError("infrastructure", "the cache is not writable"))).toBe(
    "the cache is not writable",
  );
  expect(
    explained(
      new KernelEvolveError("infrastructure", "the cache is not writable", { fix: "set KERNELEVOLVE_CACHE" }),
    ),
  ).toBe("the cache is not writable (set KERNELEVOLVE_CACHE)");
});
