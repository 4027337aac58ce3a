import type { Tunable } from "../domain/candidate.ts";
import { type CandidateHeader, parseHeader } from "../evaluation/candidate/header.ts";
import { diffLines, unifiedDiff } from "./diff.ts";

/** Lines of a difference that a report shows. */
const SHOWN = 60;

/** What a child changed against its parent, in one line: lines, flags, values of tunables, techniques. */
export function changeSummary(before: string, after: string): string {
  if (before === after) return "nothing: the source is its parent's";
  const hunks = diffLines(before, after).filter((hunk) => hunk.kind !== "same");
  const count = (kind: "add" | "del"): number =>
    hunks.reduce((sum, hunk) => sum + (hunk.kind === kind ? hunk.lines.length : 0), 0);
  const parts = [`+${count("add")} −${count("del")} lines`];
  const [old, now] = [headerOf(before), headerOf(after)];
  if (old === undefined || now === undefined) return parts.join("; ");
  const flags = (header: CandidateHeader): string => header.flags?.join(" ") ?? "the defaults";
  if (flags(old) !== flags(now)) parts.push(`flags ${flags(old)} → ${flags(now)}`);
  const changed = tunables(old.tunables, now.tunables);
  if (changed.length > 0) parts.push(`tunables ${changed.join(", ")}`);
  const gained = now.techniques.filter((technique) => !old.techniques.includes(technique));
  const lost = old.techniques.filter((technique) => !now.techniques.includes(technique));
  if (gained.length > 0) parts.push(`techniques added: ${gained.join(", ")}`);
  if (lost.length > 0) parts.push(`techniques dropped: ${lost.join(", ")}`);
  return parts.join("; ").slice(0, 600);
}

/** The changed lines with a little around them, at most `SHOWN` of them. */
export function shortDiff(before: string, after: string): string {
  const lines = unifiedDiff(diffLines(before, after), 1).split("\n");
  return lines.length <= SHOWN
    ? lines.join("\n")
    : [...lines.slice(0, SHOWN), `[… ${lines.length - SHOWN} lines left out …]`].join("\n");
}

function headerOf(source: string): CandidateHeader | undefined {
  try {
    return parseHeader(source);
  } catch {
    // Malformed: the evaluation says so.
    return undefined;
  }
}

function tunables(before: readonly Tunable[], after: readonly Tunable[]): string[] {
  const old = new Map(before.map((tunable) => [tunable.name, tunable.value]));
  const now = new Map(after.map((tunable) => [tunable.name, tunable.value]));
  return [
    ...[...now].flatMap(([name, value]) => {
      const was = old.get(name);
      if (was === undefined) return [`${name} new (${value})`];
      return was === value ? [] : [`${name} ${was} → ${value}`];
    }),
    ...[...old.keys()].filter((name) => !now.has(name)).map((name) => `${name} gone`),
  ];
}
