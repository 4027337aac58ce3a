import { describe, expect, it } from "vitest";
import { diffLines, unifiedDiff } from "../../src/evolution/diff.ts";
import { randomFrom } from "../../src/evolution/random.ts";

function rebuilt(before: string, after: string): { before: string; after: string; changed: number } {
  const hunks = diffLines(before, after);
  const take = (...kinds: string[]): string =>
    hunks
      .filter((hunk) => kinds.includes(hunk.kind))
      .flatMap((hunk) => hunk.lines)
      .join("\n");
  const changed = hunks
    .filter((hunk) => hunk.kind !== "same")
    .reduce((sum, hunk) => sum + hunk.lines.length, 0);
  return { before: take("same", "del"), after: take("same", "add"), changed };
}

describe("diffLines", () => {
  it("rebuilds both texts, on 300 random pairs", () => {
    const random = randomFrom("diff");
    for (let round = 0; round < 300; round += 1) {
      const text = (): string =>
        Array.from({ length: random.integer(30) + 1 }, () => "abcd"[random.integer(4)] ?? "").join("\n");
      const a = text();
      const b = text();
      expect(rebuilt(a, b)).toMatchObject({ before: a, after: b });
    }
  });

  it("finds the least change", () => {
    expect(rebuilt("a\nb\nc\nd", "a\nc\nd").changed).toBe(1);
    expect(rebuilt("a\nb\nc\nd", "a\nx\nc\nd").changed).toBe(2);
    expect(rebuilt("same", "same").changed).toBe(0);
    expect(rebuilt("1\n2\n3\n4\n5", "0\n1\n3\n4\n9\n5").changed).toBe(3);
  });

  it("stays cheap on long texts that share nothing", () => {
    const a = Array.from({ length: 20_000 }, (_, index) => `a${index}`).join("\n");
    const b = Array.from({ length: 20_000 }, (_, index) => `b${index}`).join("\n");
    expect(rebuilt(a, b)).toMatchObject({ before: a, after: b, changed: 40_000 });
  });
});

describe("unifiedDiff", () => {
  it("shows changes with context and leaves out the equal middle", () => {
    const before = Array.from({ length: 12 }, (_, index) => `line ${index}`).join("\n");
    const text = unifiedDiff(diffLines(before, before.replace("line 5", "LINE 5")));
    expect(text).toContain("-line 5\n+LINE 5");
    expect(text).not.toContain("line 1\n");
    expect(unifiedDiff(diffLines(before, before))).toBe("");
  });
});
