import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { codeTokens } from "../../src/evolution/normalise.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import { embeddingOf, shapeKey, similarity, TWIN_SIMILARITY } from "../../src/evolution/similarity.ts";
import { packageRoot } from "../../src/platform/paths.ts";

const folder = join(packageRoot, "knowledge", "kernels", "cpu-x86-64");
const kernels = readdirSync(folder).flatMap((problem) =>
  readdirSync(join(folder, problem)).map((file) => ({
    name: `${problem}/${file}`,
    source: readFileSync(join(folder, problem, file), "utf8"),
  })),
);

/** Likeness as a twin is found by it: -1 where the shapes differ. */
function alike(a: string, b: string, abstraction = "c"): number {
  if (shapeKey(a, abstraction) !== shapeKey(b, abstraction)) return -1;
  return similarity(embeddingOf(a, abstraction), embeddingOf(b, abstraction));
}

/** Words that the shipped kernels give: after a type, or after a pointer's star. */
function ownNames(source: string): Set<string> {
  const code = source.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, "");
  const given =
    /\b(?:float|int|int64_t|vec|uvec|ivec|size_t|double|KE_RESTRICT|char)\s*\*?\s*(?:const\s+)?(?:KE_RESTRICT\s+)?([a-z]\w*)\b/g;
  const words = [...code.matchAll(given)].flatMap(([, name]) => name ?? []);
  return new Set(words.filter((name) => !/^(?:const|float|int|kernel|double|char|void)$|_t$/.test(name)));
}

function renamed(source: string): string {
  const own = ownNames(source);
  const line = (text: string): string =>
    text.includes("ke:") || /^\s*#\s*(?:include|error)/.test(text)
      ? text
      : text.replace(/\b[a-z]\w*\b/g, (word) => (own.has(word) ? `${word}_other` : word));
  return source.split("\n").map(line).join("\n");
}

function reformatted(source: string): string {
  const line = (text: string): string =>
    /^\s*(?:#|\/\/|\/?\*)/.test(text) || text.endsWith("\\")
      ? text
      : text.replace(/([;{}])\s*/g, "$1\n      ").replace(/ ([*+=<]) /g, "   $1\t");
  return source.split("\n").map(line).join("\n");
}

/** Sources with one small edit each that changes what is computed, in which order, or with which numbers. */
function* edits(source: string, count: number): Generator<string> {
  const random = randomFrom("edits", source.length);
  const tokens = codeTokens(source, "c");
  const header = source.split("\n").filter((line) => line.includes("ke:"));
  const places = (wanted: (token: string) => boolean): number[] =>
    tokens.flatMap((token, index) => (wanted(token) ? [index] : []));
  const own = ownNames(source);
  const kinds = [
    places((token) => own.has(token)),
    places((token) => /^[-+*<]$/.test(token)),
    places((token) => /^\d/.test(token)),
  ];
  const text = (edited: readonly string[]): string =>
    `${header.join("\n")}\n${edited
      .join(" ")
      .replace(/ ?\n ?/g, "\n")
      .replace(/#/g, "\n#")}`;
  for (let at = 0; at < count; at += 1) {
    const among = kinds[at % kinds.length] ?? [];
    const [a, b] = [random.pick(among), random.pick(among)];
    if (a === undefined || b === undefined || tokens[a] === tokens[b]) continue;
    const swapped = tokens.with(a, tokens[b] ?? "").with(b, tokens[a] ?? "");
    yield text(swapped);
    yield text(tokens.with(a, tokens[b] ?? ""));
  }
  const ends = places((token) => token === ";");
  for (let at = 0; at + 2 < ends.length; at += 1) {
    const [x, y, z] = [ends[at] ?? 0, ends[at + 1] ?? 0, ends[at + 2] ?? 0];
    const [first, second] = [tokens.slice(x + 1, y + 1), tokens.slice(y + 1, z + 1)];
    if ([...first, ...second].some((token) => /^[{}]$/.test(token)) || first.join() === second.join())
      continue;
    yield text([...tokens.slice(0, x + 1), ...second, ...first, ...tokens.slice(z + 1)]);
  }
}

describe("likeness of the shipped kernels", () => {
  it("is not changed by comments, names or formatting", () => {
    expect(kernels.length).toBeGreaterThan(15);
    for (const { name, source } of kernels) {
      expect(renamed(source), name).not.toBe(source);
      expect(alike(source, renamed(source)), name).toBeGreaterThan(TWIN_SIMILARITY);
      expect(alike(source, reformatted(source)), name).toBeGreaterThan(TWIN_SIMILARITY);
      expect(alike(source, `${renamed(reformatted(source))}\n/* more words */`), name).toBeGreaterThan(
        TWIN_SIMILARITY,
      );
    }
  });

  it("does not reach another tunable, flag or size", () => {
    for (const { name, source } of kernels) {
      expect(alike(source, source.replace("-O3", "-O2")), name).toBe(-1);
      const tuned = source.replace(
        /(ke:tunable \w+ int )(\d+) \{(\d+),(\d+)/,
        (_, head, value, a, b) => `${head}${value === a ? b : a} {${a},${b}`,
      );
      if (tuned !== source) expect(alike(source, tuned), name).toBe(-1);
      const size = source.replace(/([^\w.][1-9])(\d*\b[^.]*\}\s*)$/, "$17$2");
      if (size !== source) expect(alike(source, size), name).toBe(-1);
    }
  });

  it("stays clear of the threshold under every small edit that means something", () => {
    let highest = -1;
    let tried = 0;
    for (const { source } of kernels) {
      const [shape, embedding] = [shapeKey(source, "c"), embeddingOf(source, "c")];
      for (const edited of edits(source, 60)) {
        tried += 1;
        if (shapeKey(edited, "c") !== shape) continue;
        highest = Math.max(highest, similarity(embedding, embeddingOf(edited, "c")));
      }
    }
    expect(tried).toBeGreaterThan(1000);
    expect(highest).toBeGreaterThan(0.5);
    expect(highest).toBeLessThan(0.98);
  });

  it("tells all of them apart", () => {
    for (const [index, a] of kernels.entries())
      for (const b of kernels.slice(index + 1))
        expect(alike(a.source, b.source)).toBeLessThan(TWIN_SIMILARITY);
  });
});

describe("likeness", () => {
  it("does not see the order of functions, but which one is called, at any depth", () => {
    const low = "static float low(float a, float b) { return a < b ? a : b; }";
    const high = "static float high(float a, float b) { return b < a ? a : b; }";
    const outer = (name: string) => `static float outer(float a) { return ${name}(a, 0.0f); }`;
    const kernel = "void kernel(float *x, int64_t n) { for (int64_t i = 0; i < n; i++) x[i] = outer(x[i]); }";
    const base = [low, high, outer("low"), kernel].join("\n");
    expect(alike(base, [high, low, outer("low"), kernel].join("\n"))).toBeGreaterThan(TWIN_SIMILARITY);
    expect(alike(base, base.replaceAll("outer", "f1").replaceAll("low", "f2"))).toBeGreaterThan(
      TWIN_SIMILARITY,
    );
    expect(alike(base, [low, high, outer("high"), kernel].join("\n"))).toBeLessThan(0.98);
  });

  it("keeps the branches of the preprocessor apart", () => {
    const of = (a: number, b: number) =>
      `#if defined(__AVX512F__)\n#define VL ${a}\n#else\n#define VL ${b}\n#endif\nvoid kernel(float *x) { x[0] = VL; }`;
    expect(alike(of(16, 8), of(8, 16))).toBeLessThan(0.98);
  });

  it("of Python: names, comments and the width of indentation do not count, levels and calls do", () => {
    const base = `import triton.language as tl
# a kernel
@triton.jit
def add_kernel(x_ptr, n, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    offsets = pid * BLOCK + tl.arange(0, BLOCK)
    if n > 3:
        value = tl.load(x_ptr + offsets, mask=offsets < n)
        tl.store(x_ptr + offsets, value)
`;
    const other = base
      .replace("# a kernel\n", "")
      .replaceAll("offsets", "o")
      .replaceAll("    ", "  ")
      .replace("tl.load(", "tl.load(\n   ");
    expect(alike(base, other, "triton")).toBeGreaterThan(TWIN_SIMILARITY);
    const out = base.replace("        tl.store", "    tl.store");
    expect(alike(base, out, "triton")).toBeLessThan(0.98);
    expect(alike(base, base.replace("tl.load", "tl.full"), "triton")).toBe(-1);
    expect(alike(base, base.replace("n > 3", "n > 4"), "triton")).toBe(-1);
  });

  it("answers something for what is no program", () => {
    for (const text of ["", ";", "}}}}", "((((", '"', "#", "\u0000", "/*", "def", "\n\n\t"]) {
      for (const abstraction of ["c", "triton"])
        expect(alike(text, text, abstraction)).toBeGreaterThan(TWIN_SIMILARITY);
    }
  });
});
