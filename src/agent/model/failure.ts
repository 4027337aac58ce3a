import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "../../domain/errors.ts";

/** A longer wait than this is not asked of anybody: the run goes on with other models or ends. */
const LONGEST_WAIT_MS = 120_000;
/** No such model or address, or a key that is refused: nothing that is asked of it will be answered. */
const MODEL = new Set([401, 403, 404, 405]);
/** This request is not taken; another may be (a shorter one). */
const REQUEST = new Set([400, 413, 422]);

/**
 * Why a model gave no answer: `model` cannot be asked at all, `request` was not taken, or it failed in `passing` (rate limit,
 * server error, timeout, cut stream) as often as was tried.
 */
export class ModelFailure extends Error {
  override readonly name = "ModelFailure";
  readonly reach: "model" | "request" | "passing";

  constructor(message: string, reach: ModelFailure["reach"], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reach = reach;
  }
}

/** An answer that ended before it was whole. */
export class CutAnswer extends Error {
  override readonly name = "CutAnswer";
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && name in value ? Reflect.get(value, name) : undefined;
}

/** The status of an HTTP answer, through whatever wraps the error. */
export function statusOf(error: unknown): number | undefined {
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < 5; depth += 1) {
    const status = property(at, "status");
    if (typeof status === "number") return status;
    at = property(at, "cause");
  }
  return undefined;
}

/** Milliseconds that the endpoint asks to wait (Retry-After: seconds or a date). */
export function retryAfterMs(error: unknown, now = Date.now()): number | undefined {
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < 5; depth += 1) {
    const headers = property(at, "headers");
    const value = headers instanceof Headers ? headers.get("retry-after") : property(headers, "retry-after");
    if (typeof value === "string" && value !== "") {
      const seconds = Number(value);
      const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - now;
      return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
    }
    at = property(at, "cause");
  }
  return undefined;
}

/** `404: no such model`, on one line, without what the library adds for its own users. */
function inWords(status: number | undefined, message: string): string {
  const text = message
    .replace(/Troubleshooting URL: \S+/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return (status === undefined || text.startsWith(`${status}`) ? text : `${status}: ${text}`).slice(0, 400);
}

/** The failure in what an agent throws, which wraps it. */
export function failureIn(error: unknown): ModelFailure | undefined {
  for (let at: unknown = error, depth = 0; depth < 6; depth += 1) {
    if (at instanceof ModelFailure) {
      const inner = failureIn(at.cause);
      return inner ?? at;
    }
    at = property(at, "cause");
  }
  return undefined;
}

export interface Retrying {
  readonly retries: number;
  readonly backoffMs: number;
  readonly signal: AbortSignal;
  /** Told before each wait. */
  readonly waiting: (why: string, ms: number) => void;
}

/**
 * Makes a request again while it fails in passing: exponential back-off with jitter, or what the endpoint asks for.
 * @throws ModelFailure; the signal's reason when it aborts
 */
export async function withRetries<T>(
  request: () => Promise<T>,
  { retries, backoffMs, signal, waiting }: Retrying,
): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    signal.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      signal.throwIfAborted();
      const status = statusOf(error);
      const why = inWords(status, errorMessage(error));
      if (status !== undefined && MODEL.has(status)) throw new ModelFailure(why, "model", error);
      if (status !== undefined && REQUEST.has(status)) throw new ModelFailure(why, "request", error);
      if (tried >= retries) throw new ModelFailure(`${why} (${tried + 1} times)`, "passing", error);
      const asked = retryAfterMs(error);
      if (asked !== undefined && asked > LONGEST_WAIT_MS)
        throw new ModelFailure(`${why}; it asks to wait ${Math.round(asked / 1000)} s`, "passing", error);
      const wait = asked ?? Math.min(60_000, backoffMs * 2 ** tried) * (0.5 + Math.random());
      waiting(why, wait);
      await sleep(wait, undefined, { signal });
    }
  }
}
