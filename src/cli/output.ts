import { errorMessage, KernelEvolveError } from "../domain/index.ts";
import { forCommandLine } from "./command-names.ts";

/** Exit codes, told by --help. */
export const EXIT = { ok: 0, failed: 1, usage: 2, missing: 3 } as const;

/** One line (or document) on stdout. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** One JSON document on stdout. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

function exitCodeOf(error: unknown): number {
  if (!(error instanceof KernelEvolveError)) return EXIT.failed;
  if (error.code === "missing_tool") return EXIT.missing;
  return error.code === "invalid_argument" || error.code === "not_found" ? EXIT.usage : EXIT.failed;
}

/** What went wrong and what to do, on stderr; as the JSON document on stdout too when asked. Sets the exit code. */
export function fail(error: unknown, json: boolean): void {
  const known = error instanceof KernelEvolveError ? error : undefined;
  const fix = known?.fix === undefined ? undefined : forCommandLine(known.fix);
  process.stderr.write(`kernelevolve: ${errorMessage(error)}\n${fix === undefined ? "" : `  fix: ${fix}\n`}`);
  if (json) {
    printJson({
      error: {
        code: known?.code ?? "infrastructure",
        message: errorMessage(error),
        ...(fix === undefined ? {} : { fix }),
      },
    });
  }
  process.exitCode = exitCodeOf(error);
}

/** A line that renews itself on a terminal, and plain lines (at most one in two seconds) elsewhere. On stderr. */
export class ProgressLine {
  readonly #live = process.stderr.isTTY === true;
  #last = "";
  #at = 0;

  show(text: string): void {
    if (text === this.#last) return;
    this.#last = text;
    if (this.#live) {
      const width = Math.max(20, (process.stderr.columns ?? 80) - 1);
      process.stderr.write(`\r\u001b[2K${text.length > width ? `${text.slice(0, width - 1)}…` : text}`);
      return;
    }
    const now = Date.now();
    if (now - this.#at < 2000) return;
    this.#at = now;
    process.stderr.write(`${text}\n`);
  }

  end(): void {
    if (this.#live && this.#last !== "") process.stderr.write("\r\u001b[2K");
    this.#last = "";
  }
}
