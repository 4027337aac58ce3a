import type { Node } from "../domain/index.ts";

const SUBJECT = 100;

/** One line of plain text: no control characters, no runs of white space. */
function line(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
}

/** The first `limit` characters, never half of one. */
function shortened(text: string, limit: number): string {
  const characters = Array.from(text);
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}

/**
 * The commit message of a node: the rationale, then trailers. The rationale is untrusted text: its subject is one line, and
 * its body, when that does not hold all of it, is indented, so that none of its lines can pass for a trailer or a divider.
 */
export function commitMessage(node: Node): string {
  const whole = line(node.rationale);
  const subject = shortened(whole, SUBJECT) || `${node.operator} ${node.status}`;
  const body = node.rationale
    .split(/\r\n|[\n\r\u2028\u2029]/u)
    .map((text) => `    ${line(text)}`.trimEnd())
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/^\n+|\n+$/g, "");
  const trailers = [
    `Run: ${line(node.run)}`,
    `Node: ${line(node.id)}`,
    `Step: ${node.step}`,
    `Operator: ${node.operator}`,
    `Verdict: ${node.verdict}`,
    `Status: ${node.status}`,
    `Fitness: ${node.fitness.toFixed(6)}`,
  ];
  return `${[subject, ...(subject === node.rationale || body === "" ? [] : [body]), trailers.join("\n")].join("\n\n")}\n`;
}
