import { describe, expect, test } from "vitest";
import { splitKernel } from "../../src/knowledge/sections/kernel.ts";
import { headingsOf, pageMark, splitMarkdown } from "../../src/knowledge/sections/markdown.ts";
import { HARD_LIMIT } from "../../src/knowledge/sections/pack.ts";
import { Slugs } from "../../src/knowledge/sections/slugs.ts";

const lines = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join("\n");

describe("headings", () => {
  test("in code fences, longer fences, tildes and comments are none", () => {
    const text = [
      "# One",
      "````md",
      "```",
      "# not this",
      "```",
      "## nor this",
      "````",
      "~~~",
      "# nor that",
      "~~~",
      "<!-- # hidden",
      "# hidden too -->",
      "## Two",
      "`` ` `` inline",
      "```not `a` fence",
      "### Three ###",
    ].join("\n");
    expect(headingsOf(text).map((heading) => `${heading.level} ${heading.title}`)).toEqual([
      "0 ",
      "1 One",
      "2 Two",
      "3 Three",
    ]);
  });

  test("may be underlined, a rule or a table is none", () => {
    const text = "Title\n=====\n\nPart\n----\n\ntext\n\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |";
    expect(headingsOf(text).map((heading) => heading.title)).toEqual(["", "Title", "Part"]);
  });

  test("a fence that is never closed swallows only its own document", () => {
    expect(splitMarkdown("# A\n\n```\n# x\n", "A")).toHaveLength(1);
  });
});

describe("sections", () => {
  test("have the path of headings, unique slugs, and the line that they began on", () => {
    const text = "# Doc\n\nlead\n\n## Loads\n\na\n\n### Wide\n\nb\n\n## Stores\n\n### Wide\n\nc";
    const sections = splitMarkdown(text, "Doc");
    expect(sections.map((section) => [section.slug, section.path.join(" > ")])).toEqual([
      ["intro", "Doc"],
      ["loads", "Doc > Loads"],
      ["wide", "Doc > Loads > Wide"],
      ["wide-2", "Doc > Stores > Wide"],
    ]);
    for (const section of sections) expect(text.split("\n")[section.line - 1]).toBe(section.text);
  });

  test("are cut at blank lines, none over the hard limit, nothing lost", () => {
    const words = lines(60, (index) => `Paragraph ${index} ${"word ".repeat(30)}end${index}.\n`);
    const sections = splitMarkdown(`# D\n\n${words}`, "D");
    expect(sections.length).toBeGreaterThan(4);
    for (const section of sections) {
      expect(section.text.length).toBeLessThanOrEqual(HARD_LIMIT);
      expect(section.text).toMatch(/^Paragraph \d+ .*end\d+\.$/s);
      expect(section.heading).toBe("intro");
    }
    const all = sections.map((section) => section.text).join("\n");
    for (let index = 0; index < 60; index += 1) expect(all).toContain(`end${index}.`);
  });

  test("a long table keeps its header row in every part", () => {
    const table = `| op | cycles |\n|---|---|\n${lines(200, (index) => `| v_op_${index} | ${index} cycles of latency |`)}`;
    const sections = splitMarkdown(`# T\n\n${table}`, "T");
    expect(sections.length).toBeGreaterThan(2);
    for (const section of sections) {
      expect(section.text.startsWith("| op | cycles |\n|---|---|\n")).toBe(true);
      expect(section.text.length).toBeLessThanOrEqual(HARD_LIMIT);
    }
    const rows = sections.flatMap((section) => section.text.split("\n").slice(2));
    expect(rows).toHaveLength(200);
  });

  test("code stays whole up to the limit, and keeps its fence when it cannot", () => {
    const small = `\`\`\`c\n${lines(40, (index) => `int line${index};\n`)}\n\`\`\``;
    const whole = splitMarkdown(`# C\n\n${"text ".repeat(260)}\n\n${small}`, "C");
    expect(whole.filter((section) => section.text.includes("```c"))).toHaveLength(1);
    expect(whole.find((section) => section.text.includes("line0;"))?.text).toContain("line39;");
    const long = splitMarkdown(
      `# C\n\n\`\`\`cuda compile\n${lines(300, (index) => `int line_${index} = 0;`)}\n\`\`\``,
      "C",
    );
    expect(long.length).toBeGreaterThan(2);
    for (const section of long) {
      expect(section.text.startsWith("```cuda compile\n")).toBe(true);
      expect(section.text.endsWith("\n```")).toBe(true);
      expect(section.text.length).toBeLessThanOrEqual(HARD_LIMIT);
    }
    expect(long.flatMap((section) => section.text.split("\n").slice(1, -1))).toHaveLength(300);
  });

  test("one endless line is cut at words", () => {
    const sections = splitMarkdown(`# L\n\n${"lane ".repeat(3000).trimEnd()}`, "L");
    for (const section of sections) {
      expect(section.text.length).toBeLessThanOrEqual(HARD_LIMIT);
      expect(section.text).toMatch(/^lane( lane)*$/);
    }
    expect(sections.flatMap((section) => section.text.split(" "))).toHaveLength(3000);
  });

  test("know their page, and leave out licences and contents", () => {
    const text = `# M\n\n${pageMark(3)}\n\n## A\n\na\n\n${pageMark(4)}\n\n## B\n\nb\n\n## License\n\nx\n\n## Table of contents\n\ny`;
    expect(splitMarkdown(text, "M").map((section) => [section.slug, section.page])).toEqual([
      ["a", 3],
      ["b", 4],
    ]);
  });
});

test("slugs never repeat, whatever the titles", () => {
  const slugs = new Slugs();
  const all = ["a", "a", "a-2", "a", "", "", "§§", "wgmma.mma_async"].map((title) => slugs.next(title));
  expect(new Set(all).size).toBe(all.length);
  expect(all.at(-1)).toBe("wgmma.mma_async");
});

describe("kernels", () => {
  const filler = lines(14, (index) => `  x[${index}] = a * y[${index}] + ${index};`);
  test("C is split at functions, with the comment above as title", () => {
    const source = [
      "// A kernel of two loops. More.",
      "#include <stdio.h>",
      "",
      "/* Loads a tile: with `{` in the comment. */",
      "static void load(float *x, float *y, float a) {",
      "  const char *s = \"}{\"; char c = '{';",
      filler,
      "}",
      "",
      "// Multiplies the tiles.",
      "template <int N>",
      "void multiply(float *x, float *y, float a) {",
      filler,
      "  if (a > 0) {",
      "    x[0] = 1;",
      "  }",
      "}",
    ].join("\n");
    const sections = splitKernel(source, "matmul", "cpp");
    expect(sections.map((section) => section.path.at(-1))).toEqual([
      expect.stringContaining("load"),
      "multiply: Multiplies the tiles",
    ]);
    for (const section of sections) expect(section.text).toMatch(/^```cpp\n[\s\S]*\n```$/);
    expect(sections[1]?.text).toContain("template <int N>");
    expect(source.split("\n")[(sections[1]?.line ?? 0) - 1]).toBe("// Multiplies the tiles.");
  });

  test("Python is split at functions with their decorators; text in quotes is none", () => {
    const body = lines(
      12,
      (index) => `    value_${index} = tl.load(pointer + ${index}, mask=mask, other=0.0)`,
    );
    const source = `import triton\n\n@triton.jit\ndef first(pointer, mask):\n    """\ndef inside():\n    """\n${body}\n\n# Adds two vectors.\n@triton.jit\ndef second(pointer, mask):\n${body}\n`;
    const sections = splitKernel(source, "k", "python");
    expect(sections.map((section) => section.path.at(-1))).toEqual(["first", "second: Adds two vectors"]);
    expect(sections[0]?.text).toContain("@triton.jit\ndef first");
  });
});
