/** One remark of gcc's vectoriser, on a line of the candidate. */
export interface VectorRemark {
  readonly line: number;
  readonly vectorised: boolean;
  readonly text: string;
}

/**
 * Remarks of `-fopt-info-vec-optimized -fopt-info-vec-missed` about the candidate's own file: for each line whether a loop was
 * vectorised, else the most telling reason why not.
 */
export function parseRemarks(log: string, file: string): VectorRemark[] {
  const byLine = new Map<number, VectorRemark>();
  for (const text of log.split("\n")) {
    const match = /^(?:\.\/)?([^:\s]+):(\d+):\d+: (optimized|missed): +(.*)$/.exec(text);
    if (match === null || match[1] !== file) continue;
    const line = Number(match[2]);
    const message = match[4] ?? "";
    if (match[3] === "optimized") {
      if (/vectorized/.test(message)) byLine.set(line, { line, vectorised: true, text: message });
      continue;
    }
    // What is a vector already has no vector of vectors: nothing was missed.
    if (/no vectype for stmt/.test(message)) continue;
    const told = byLine.get(line);
    if (told?.vectorised === true) continue;
    const reason = /not vectorized: (.*)/.exec(message)?.[1];
    if (reason !== undefined || (told === undefined && /couldn't vectorize loop/.test(message))) {
      byLine.set(line, {
        line,
        vectorised: false,
        text: reason === undefined ? message : `not vectorised: ${reason}`,
      });
    }
  }
  return [...byLine.values()].sort((a, b) => a.line - b.line);
}

const REMARK = /^\S+:\d+:\d+: (?:optimized|missed): /;
/** How a message of the compiler itself begins: a place, a program or a chain of includes. */
const MESSAGE = /^(?:\S+:|In file included from|\s+from )/;

/** The compiler's log without the vectoriser's remarks and the lines that continue them: what it has to say about errors and warnings. */
export function withoutRemarks(log: string): string {
  let inRemark = false;
  return log
    .split("\n")
    .filter((line) => {
      if (REMARK.test(line)) inRemark = true;
      else if (MESSAGE.test(line)) inRemark = false;
      return !inRemark;
    })
    .join("\n")
    .trim();
}
