import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "../../platform/subprocess.ts";
import { which } from "../../platform/which.ts";
import { FenceTracker } from "../sections/blocks.ts";

/** A code fence of a document. */
export interface Snippet {
  readonly language: string;
  /** Marked as a whole translation unit that must compile. */
  readonly compile: boolean;
  readonly flags: readonly string[];
  readonly code: string;
  /** Line of the opening fence in the text, from 1, and of the closing one. */
  readonly line: number;
  readonly end: number;
}

/** Every code fence of a Markdown text. */
export function snippetsOf(text: string): Snippet[] {
  const found: Snippet[] = [];
  const fences = new FenceTracker();
  let open: { info: string; line: number; code: string[] } | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const was = fences.open;
    if (!fences.inside(line)) continue;
    if (!was) {
      open = { info: line.replace(/^\s*[`~]+/, "").trim(), line: index + 1, code: [] };
      continue;
    }
    if (fences.open) {
      open?.code.push(line);
      continue;
    }
    if (open !== undefined) found.push(snippet(open.info, open.code, open.line, index + 1));
    open = undefined;
  }
  return found;
}

function snippet(info: string, code: readonly string[], line: number, end: number): Snippet {
  const [language = "", ...words] = info.split(/\s+/);
  const flags = words.filter((word) => word.startsWith("flags=")).flatMap((word) => word.slice(6).split(","));
  return { language, compile: words.includes("compile"), flags, code: `${code.join("\n")}\n`, line, end };
}

export type SnippetAnswer = { ok: true } | { skipped: string } | { failed: string } | { invalid: string };

/** Only flags that choose language and instructions: a document cannot have a file written or a plugin loaded. */
const FLAG =
  /^(-m[a-z0-9.=_-]+|-f(openmp|no-math-errno|fast-math|opencilk|no-strict-aliasing|openmp-simd|unroll-loops|tree-vectorize)|-O[0-3s]|-Ofast|-ffast-math|-std=[a-z0-9+]+|-D[A-Za-z_]\w*(=\w+)?|-W[a-z-]+|-pthread)$/;

const COMPILERS: Readonly<Record<string, { program: string; file: string; args: readonly string[] }>> = {
  c: { program: "gcc", file: "snippet.c", args: ["-std=gnu17", "-march=native", "-fsyntax-only", "-w"] },
  cpp: {
    program: "g++",
    file: "snippet.cpp",
    args: ["-std=gnu++20", "-march=native", "-fsyntax-only", "-w"],
  },
  python: {
    program: "python3",
    file: "snippet.py",
    args: ["-I", "-c", "import ast,sys; ast.parse(open(sys.argv[1]).read())"],
  },
  cuda: { program: "nvcc", file: "snippet.cu", args: ["-std=c++17", "--cuda", "-o", "/dev/null"] },
  hip: { program: "hipcc", file: "snippet.hip", args: ["-fsyntax-only"] },
};
const NAMES: Readonly<Record<string, string>> = { "c++": "cpp", cc: "cpp", py: "python", cu: "cuda" };

const TIMEOUT_MS = 60_000;

/** Compiles snippets where the toolchain is present; nothing is run. */
export class SnippetCompiler {
  #folder: string | undefined;

  async check(one: Snippet, signal: AbortSignal): Promise<SnippetAnswer> {
    const compiler = COMPILERS[NAMES[one.language] ?? one.language];
    if (compiler === undefined) return { skipped: `no compiler is known for ${one.language}` };
    const bad = one.flags.find((flag) => !FLAG.test(flag));
    if (bad !== undefined) return { invalid: `the flag ${bad} is not one that a snippet may ask for` };
    const program = which(compiler.program);
    if (program === undefined) return { skipped: `${compiler.program} is not installed` };
    this.#folder ??= mkdtempSync(join(tmpdir(), "kernelevolve-lint-"));
    const file = join(this.#folder, compiler.file);
    writeFileSync(file, one.code);
    const { code, stderr, timedOut } = await runProcess({
      argv: [program, ...compiler.args, ...one.flags, file],
      cwd: this.#folder,
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    signal.throwIfAborted();
    if (timedOut) return { failed: `compiling takes longer than ${TIMEOUT_MS / 1000} s` };
    if (code === 0) return { ok: true };
    const lines = stderr
      .replaceAll(`${this.#folder}/`, "")
      .split("\n")
      .filter((line) => line.trim() !== "");
    const telling = lines.find((line) => /error|Error/.test(line)) ?? lines[0] ?? `exit code ${code}`;
    return { failed: `does not compile: ${telling.slice(0, 300)}` };
  }

  async close(): Promise<void> {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }
}
