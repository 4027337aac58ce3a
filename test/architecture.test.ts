import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../src/platform/paths.ts";

/** Lower numbers are lower layers; a file imports only from its own folder and from below. */
const LAYERS: Readonly<Record<string, number>> = {
  domain: 0,
  platform: 1,
  store: 2,
  targets: 2,
  jobs: 3,
  problems: 3,
  profiling: 3,
  evaluation: 4,
  knowledge: 4,
  evolution: 5,
  agent: 6,
  app: 7,
  mcp: 8,
  cli: 9,
};
/** Faces see services through the interfaces of domain/ only. */
const FACES: Readonly<Record<string, readonly string[]>> = { mcp: ["domain", "platform"] };

const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
  cwd: packageRoot,
  encoding: "utf8",
})
  .split("\0")
  .filter(
    (file) =>
      file !== "" && existsSync(join(packageRoot, file)) && statSync(join(packageRoot, file)).isFile(),
  );
const text = (file: string): string => readFileSync(join(packageRoot, file), "utf8");
const sources = tracked.filter((file) => file.startsWith("src/") && file.endsWith(".ts"));

function imports(file: string): string[] {
  const found = text(file).matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map((match) =>
    relative(packageRoot, resolve(packageRoot, dirname(file), match[1] ?? "")),
  );
}

describe("layers", () => {
  test("every folder of src has its place", () => {
    const folders = new Set(
      sources.filter((file) => file.split("/").length > 2).map((file) => file.split("/")[1] ?? ""),
    );
    expect([...folders].filter((folder) => !Object.hasOwn(LAYERS, folder))).toEqual([]);
  });

  test("a lower layer never imports a higher one", () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const own = file.split("/")[1] ?? "";
      const level = LAYERS[own];
      if (level === undefined) continue;
      for (const target of imports(file)) {
        const other = target.split("/")[1] ?? "";
        const reach = LAYERS[other];
        if (other === own || reach === undefined) continue;
        if (reach >= level || (FACES[own] !== undefined && !FACES[own].includes(other)))
          wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("imports exist", () => {
    expect(
      sources.flatMap((file) =>
        imports(file)
          .filter((target) => !existsSync(join(packageRoot, target)))
          .map((target) => `${file}: ${target}`),
      ),
    ).toEqual([]);
  });
});

describe("source", () => {
  test("stdout is the wire: only cli writes to it", () => {
    const wrong = sources.filter(
      (file) =>
        !file.startsWith("src/cli/") && /process\.stdout\.write|console\.(log|info|debug)/.test(text(file)),
    );
    expect(wrong).toEqual([]);
  });

  test("no casts that silence the compiler", () => {
    const wrong = sources.filter((file) =>
      /\bas any\b|\bas unknown as\b|@ts-ignore|@ts-expect-error|@ts-nocheck/.test(text(file)),
    );
    expect(wrong).toEqual([]);
  });

  test("files stay small: at most 400 lines, tests 500", () => {
    const code = tracked.filter((file) => /^(src|test|tools)\/.*\.(ts|c|h|mjs|py)$/.test(file));
    expect(
      code
        .map((file) => `${file}: ${text(file).split("\n").length}`)
        .filter((line) => Number(line.split(": ")[1]) > (line.startsWith("test/") ? 500 : 400)),
    ).toEqual([]);
  });

  test("no path of one machine in tracked files", () => {
    const own = ["", "root", ""].join("/");
    const wrong = tracked.filter(
      (file) =>
        !/\.(png|jpg)$/.test(file) &&
        !file.startsWith("test/") &&
        new RegExp(`(^|[\\s"'(])${own}\\w`, "m").test(text(file)),
    );
    expect(wrong).toEqual([]);
  });

  test("every tool is one file with its name", () => {
    for (const file of sources.filter(
      (one) => one.startsWith("src/mcp/tools/") && !one.endsWith("index.ts"),
    )) {
      const name = file.slice("src/mcp/tools/".length, -3).replaceAll("-", "_");
      expect(text(file), file).toContain(`name: "${name}"`);
    }
  });
});
