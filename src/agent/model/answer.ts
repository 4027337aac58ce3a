/** What a model's last message hands in. */
export interface Answer {
  readonly source: string;
  readonly rationale: string;
  readonly deferred: readonly string[];
}

/** What is wrong with a message that hands nothing in, told to the model. */
export interface NoAnswer {
  readonly problem: string;
}

const RATIONALE = 600;
const DEFERRED = { lines: 5, characters: 200 } as const;
const FENCE = /^[ \t]*(```+|~~~+)[^\n`]*\n([\s\S]*?)^[ \t]*\1[ \t]*$/gm;

/** `Name: text` at the start of a line, also in bold. */
function labelled(text: string, name: string): string[] {
  const pattern = new RegExp(`^[ \\t>*_-]*${name}[ \\t]*:[*_]*[ \\t]*(.+)$`, "gim");
  return [...text.matchAll(pattern)].map((match) => (match[1] ?? "").replace(/\s+/g, " ").trim());
}

/**
 * Reads a message: the longest fenced block is the kernel, `Rationale:` the rationale (else the first line of prose),
 * `Deferred:` lines ideas for later. Thoughts between think tags are no part of it.
 */
export function readAnswer(message: string): Answer | NoAnswer {
  const text = message.replaceAll("\r\n", "\n").replace(/<think>[\s\S]*?(<\/think>|$)/g, "");
  const blocks = [...text.matchAll(FENCE)].map((match) => match[2] ?? "");
  const source = blocks.reduce((longest, block) => (block.length > longest.length ? block : longest), "");
  if (source.trim() === "") {
    return {
      problem: /^[ \t]*(```|~~~)/m.test(text)
        ? "Your message opens a fenced code block and does not close it, or the block is empty."
        : "Your message has no fenced code block.",
    };
  }
  const prose = text.replace(FENCE, "");
  const first = prose.split("\n").find((line) => /\w/.test(line)) ?? "";
  const rationale = labelled(prose, "rationale")[0] ?? first.replace(/\s+/g, " ").trim();
  return {
    source,
    rationale: (rationale === "" ? "no rationale given" : rationale).slice(0, RATIONALE),
    deferred: labelled(prose, "deferred")
      .filter((line) => line !== "")
      .slice(0, DEFERRED.lines)
      .map((line) => line.slice(0, DEFERRED.characters)),
  };
}
