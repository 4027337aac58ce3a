import { readFileSync, statSync } from "node:fs";
import type { z } from "zod";
import { errorMessage, KernelEvolveError, MAX_SOURCE_BYTES } from "../domain/index.ts";

const MAX_FILE = 8 * MAX_SOURCE_BYTES;

/** A file's text. @throws not_found or invalid_argument naming the file. */
export function readText(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new KernelEvolveError("not_found", `${file}: no such file`);
  if (!found.isFile()) throw new KernelEvolveError("invalid_argument", `${file}: not a file`);
  if (found.size > MAX_FILE)
    throw new KernelEvolveError("invalid_argument", `${file}: larger than ${MAX_FILE} bytes`);
  return readFileSync(file, "utf8");
}

/**
 * JSON text as a value. The key `__proto__` is refused: readers that build objects key by key would drop it unsaid.
 * @throws invalid_argument naming `where`.
 */
export function parseJsonText(text: string, where: string): unknown {
  let forbidden = false;
  try {
    const value: unknown = JSON.parse(text, (key, inner: unknown) => {
      if (key === "__proto__") forbidden = true;
      return inner;
    });
    if (!forbidden) return value;
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `${where}: not JSON (${errorMessage(error)})`);
  }
  throw new KernelEvolveError("invalid_argument", `${where}: "__proto__" is reserved and cannot be a name`);
}

/** The value as `schema` has it. @throws invalid_argument naming where (a file or an argument) and the field. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join(".") || "(root)"}: ${issue.message}`);
  throw new KernelEvolveError("invalid_argument", `${where}: ${issues.join("; ")}`);
}
