import type { ArtifactService } from "../domain/index.ts";
import { log } from "../platform/log.ts";
import type { Answer } from "./define.ts";

/** An answer's size in bytes of JSON, and of its text: several of them fit a model's context beside its work. */
export const MAX_ANSWER_BYTES = 8_000;

/** Longest text and longest list, tried from mild to hard until the answer fits. */
const STEPS: readonly (readonly [characters: number, items: number])[] = [
  [4000, 64],
  [2400, 40],
  [1400, 24],
  [800, 16],
  [400, 10],
  [240, 6],
  [120, 3],
];

const bytes = (text: string): number => Buffer.byteLength(text);

function trimmed(value: unknown, characters: number, items: number): unknown {
  if (typeof value === "string") {
    return value.length <= characters
      ? value
      : `${value.slice(0, characters)} … (${value.length - characters} more characters)`;
  }
  if (Array.isArray(value)) return value.slice(0, items).map((item) => trimmed(item, characters, items));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, trimmed(inner, characters, items)]),
  );
}

/**
 * The answer within its size: what is larger goes whole into an artifact, and its longest texts and lists are cut, which
 * `full` and the text say.
 */
export async function cutToSize(
  tool: string,
  answer: { structured: Answer; text: string },
  artifacts: () => Promise<ArtifactService>,
): Promise<{ structured: Answer; text: string }> {
  const { structured, text } = answer;
  const whole = JSON.stringify(structured);
  if (bytes(whole) <= MAX_ANSWER_BYTES && bytes(text) <= MAX_ANSWER_BYTES) return answer;
  const full = await (await artifacts()).write(`${JSON.stringify(structured, null, 1)}\n`, {
    name: `${tool}.json`,
    media_type: "application/json",
  });
  const room = MAX_ANSWER_BYTES - 200;
  let small: Record<string, unknown> = structured;
  for (const [characters, items] of STEPS) {
    if (bytes(JSON.stringify(small)) <= room) break;
    small = Object.fromEntries(
      Object.entries(structured).map(([key, value]) => [key, trimmed(value, characters, items)]),
    );
  }
  const size = bytes(JSON.stringify(small));
  if (size > room) log.warn({ tool, size }, "an answer is too large even when cut");
  const said = `Cut to size; all of it: artifact_read with artifact ${full}`;
  const keep = Buffer.from(text)
    .subarray(0, room - bytes(said))
    .toString("utf8")
    .replace(/\uFFFD+$/, "");
  return {
    structured: { ...small, next: structured.next, full },
    text: bytes(text) <= room ? `${text}\n${said}` : `${keep} …\n${said}\nNext: ${structured.next}`,
  };
}
