import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Knowledge } from "../../src/knowledge/index.ts";
import { likeness, parseQuestion, termsOf } from "../../src/knowledge/search/question.ts";
import { identifierParts, isIdentifier, lightStem, runs, tokens } from "../../src/knowledge/text/tokens.ts";
import { document, specsOf, work } from "./library.ts";

describe("words and identifiers", () => {
  test("what is an identifier", () => {
    const yes = [
      "wgmma.mma_async.sp",
      "ds_bpermute_b32",
      "vfmacc.vv",
      "shared::cluster",
      "sm90",
      "cudaMemcpyAsync",
      "BLOCK_M",
    ];
    const no = ["warp", "Warp", "LDS", "12.5", "1024", "the"];
    expect(yes.filter((word) => !isIdentifier(word))).toEqual([]);
    expect(no.filter((word) => isIdentifier(word))).toEqual([]);
  });

  test("sentences are cut into runs, joints kept", () => {
    expect(runs("Use `cp.async.bulk`, then mbarrier::try_wait. And a->b; x.")).toEqual([
      "Use",
      "cp.async.bulk",
      "then",
      "mbarrier::try_wait",
      "And",
      "a->b",
      "x",
    ]);
  });

  test("parts are those at joints and changes of case", () => {
    expect(identifierParts("wgmma.mma_async.sp")).toEqual(["wgmma", "mma", "async", "sp"]);
    expect(identifierParts("cudaMemcpyAsync")).toEqual(["cuda", "memcpy", "async"]);
    expect(identifierParts("v_mfma_f32_32x32x8_f16")).toEqual(["mfma", "f32", "32x32x8", "f16"]);
  });

  test("plural and gerund meet", () => {
    for (const [a, b] of [
      ["conflicts", "conflict"],
      ["caches", "cache"],
      ["tiling", "tile"],
      ["spilled", "spilling"],
      ["matrices", "matrice"],
    ]) {
      expect(lightStem(a ?? ""), a).toBe(lightStem(b ?? ""));
    }
    expect(tokens("the of and to")).toEqual([]);
  });

  test("a question is taken apart, stop words out unless they are all there is", () => {
    const question = parseQuestion("How do I use cp.async.bulk with a Barrier?");
    expect(question.identifiers).toEqual(["cp.async.bulk"]);
    expect(question.words).toEqual(["barrier"]);
    expect(termsOf(question)).toEqual(["cp.async.bulk", "cp", "async", "bulk", "barrier"]);
    expect(parseQuestion("what is it").words).toEqual(["what", "is", "it"]);
  });

  test("likeness is that of spellings", () => {
    expect(likeness("ds_bpermute_b32", "ds_bpermute_b32")).toBe(1);
    expect(likeness("ds_bpermut_b32", "ds_bpermute_b32")).toBeGreaterThan(0.7);
    expect(likeness("warp", "cache")).toBe(0);
    // A slip in a short word breaks most of its trigrams: exchanged, left out, one too many, another one.
    for (const slip of ["ldmatirx", "ldmatix", "ldmattrix", "ldmatrox"]) {
      expect(likeness(slip, "ldmatrix")).toBeCloseTo(0.88, 1);
    }
    expect(likeness("rooflne", "roofline")).toBeCloseTo(0.88, 1);
    expect(likeness("swizle", "swap")).toBeLessThan(0.3);
    expect(likeness("lane", "line")).toBe(0.75);
    expect(likeness("cluster", "clipper")).toBeLessThan(0.4);
  });
});

describe("full text", () => {
  let home = "";
  let knowledge: Knowledge;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "kernelevolve-lexical-"));
    const put = (name: string, text: string): void => {
      const file = join(home, "docs", name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    };
    put(
      "amd/lane.md",
      document({
        title: "Lane exchange",
        target: "amd",
        body: "## ds_bpermute_b32\n\n`ds_bpermute_b32` pulls a value from another lane.\n\n## Permute forward\n\n`ds_permute_b32` pushes. A permute is not a swizzle.\n",
      }),
    );
    put(
      "nvidia/async.md",
      document({
        title: "Asynchronous matrix multiply",
        target: "nvidia",
        body: "## Sparse\n\n`wgmma.mma_async.sp` takes metadata.\n\n## Dense\n\n`wgmma.mma_async` without it. An mma of the older kind is synchronous; async copies are another thing.\n",
      }),
    );
    put(
      "nvidia/title.md",
      document({
        title: "Occupancy",
        target: "nvidia",
        body: "## Registers decide\n\nHow many warps fit.\n\n## Elsewhere\n\nOccupancy occupancy is a word of this text about something else entirely, and occupancy is not its heading.\n",
      }),
    );
    knowledge = new Knowledge({
      home: join(home, "data"),
      roots: [{ path: join(home, "docs"), layout: "targets", trusted: true }],
      targets: async () => specsOf({ amd: [], nvidia: [] }),
    });
  });
  afterAll(async () => {
    await knowledge.close();
    rmSync(home, { recursive: true, force: true });
  });
  const ids = async (query: string): Promise<string[]> =>
    (await knowledge.search({ query }, work())).hits.map((hit) => hit.id);

  test("a mnemonic finds its own section first, and its parts find the rest", async () => {
    const found = await ids("wgmma.mma_async.sp");
    expect(found[0]).toBe("hardware-docs/nvidia/async#sparse");
    expect(found[1]).toBe("hardware-docs/nvidia/async#dense");
  });

  test("a part of a mnemonic finds it", async () => {
    expect((await ids("ds_bpermute"))[0]).toBe("hardware-docs/amd/lane#ds_bpermute_b32");
  });

  test("a misspelt mnemonic is corrected, told, and found", async () => {
    const result = await knowledge.search({ query: "ds_bpermtue_b32" }, work());
    expect(result.did_you_mean[0]?.word).toBe("ds_bpermtue_b32");
    expect(result.did_you_mean[0]?.known[0]).toBe("ds_bpermute_b32");
    expect(result.hits[0]?.id).toBe("hardware-docs/amd/lane#ds_bpermute_b32");
    expect(result.hits[0]?.why.join()).toContain("near to the unknown");
  });

  test("a known one is not corrected", async () => {
    expect((await knowledge.search({ query: "ds_permute_b32 swizzle" }, work())).did_you_mean).toEqual([]);
  });

  test("characters of the query language mean nothing", async () => {
    for (const query of [
      '"',
      "a OR",
      "NEAR(x y)",
      "title:*",
      "(((",
      "-- ; DROP TABLE sections",
      "^x",
      "lane*",
      "\u0000",
    ]) {
      await expect(knowledge.search({ query }, work()), query).resolves.toBeDefined();
    }
    expect((await ids('"ds_bpermute_b32" AND NOT lane'))[0]).toBe("hardware-docs/amd/lane#ds_bpermute_b32");
  });
});
