/** Codes a user can act on. One class, so that every face (MCP, CLI, jobs) renders errors alike. */
export const ERROR_CODES = [
  "invalid_argument",
  "not_found",
  "unsupported",
  "missing_tool",
  "conflict",
  "expired",
  "cancelled",
  "budget_spent",
  "infrastructure",
  "corrupt",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * An error with a code, a cause in words, and what to do next.
 * `message` names the argument or file at fault; `fix` is an instruction, a command where there is one.
 */
export class KernelEvolveError extends Error {
  override readonly name = "KernelEvolveError";
  readonly code: ErrorCode;
  readonly fix: string | undefined;

  constructor(code: ErrorCode, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fix = options.fix;
  }
}

/** What went wrong with what to do about it, in one line: for records, which have no field for the second. */
export function explained(error: KernelEvolveError): string {
  return error.fix === undefined ? error.message : `${error.message} (${error.fix})`;
}

/** Text for people from anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
