import { errorMessage, KernelEvolveError } from "../domain/index.ts";

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

/** What went wrong and what to do, on stderr; as JSON on stdout too when asked. Sets the exit code. */
export function fail(error: unknown, json: boolean): void {
  const known = error instanceof KernelEvolveError;
  const code = known ? error.code : "infrastructure";
  process.stderr.write(
    `kernelevolve: ${errorMessage(error)}\n${known && error.fix !== undefined ? `  fix: ${error.fix}\n` : ""}`,
  );
  if (json)
    printJson({
      error: {
        code,
        message: errorMessage(error),
        ...(known && error.fix !== undefined ? { fix: error.fix } : {}),
      },
    });
  process.exitCode =
    code === "missing_tool"
      ? EXIT.missing
      : code === "invalid_argument" || code === "not_found"
        ? EXIT.usage
        : EXIT.failed;
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
