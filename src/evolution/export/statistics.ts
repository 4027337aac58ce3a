import { parseHeader } from "../../evaluation/candidate/header.ts";
import { structureKey } from "../normalise.ts";
import type { TunableTrials } from "./charts/tunables.ts";
import type { Outcome, ReportModel, ReportNode } from "./model.ts";

/** Panels beyond this say little and fill the page. */
const MAX_PANELS = 12;

/** For each tunable of the best node's structure: the speedups of all measured nodes that share the structure. */
export function tunableTrials(model: ReportModel): { trials: TunableTrials[]; nodes: number } {
  const { best } = model;
  if (best === undefined) return { trials: [], nodes: 0 };
  const { abstraction } = model.overview.run;
  const structure = structureKey(best.source, abstraction);
  const family = model.nodes.flatMap((entry, index) =>
    entry.node.speedup !== undefined &&
    entry.node.verdict === "passed" &&
    structureKey(entry.source, abstraction) === structure
      ? [{ entry, index, settings: settingsOf(entry.source), ratio: entry.node.speedup.ratio }]
      : [],
  );
  if (family.length < 2) return { trials: [], nodes: family.length };
  const chosen = settingsOf(best.source);
  const trials = [...chosen].flatMap(([name, own]): TunableTrials[] => {
    const values = own.values;
    const tried = family.flatMap(({ entry, index, settings, ratio }) => {
      const value = settings.get(name)?.value;
      return value === undefined || !values.includes(value)
        ? []
        : [{ value, ratio, index, outcome: entry.outcome }];
    });
    // One value only: nothing to compare.
    if (new Set(tried.map((trial) => trial.value)).size < 2) return [];
    return [{ name, values, trials: tried, best: own.value }];
  });
  return { trials: trials.slice(0, MAX_PANELS), nodes: family.length };
}

/** Every setting of a source by name: its tunables, and each switchable flag as on or off. */
function settingsOf(source: string): Map<string, { value: string; values: readonly string[] }> {
  const header = parseHeader(source);
  const out = new Map<string, { value: string; values: readonly string[] }>();
  for (const tunable of header.tunables)
    out.set(tunable.name, { value: tunable.value, values: tunable.values });
  for (const flag of header.tunableFlags)
    out.set(flag, { value: header.flags?.includes(flag) === true ? "on" : "off", values: ["off", "on"] });
  return out;
}

export interface FailureGroup {
  readonly status: string;
  readonly code: string;
  readonly outcome: Outcome;
  readonly count: number;
  /** First example, and its place among the nodes shown, where it is one of them. */
  readonly step: number;
  readonly index: number | undefined;
  readonly message: string;
}

/** Nodes that did not pass, by status and first reason, the most frequent first. */
export function failureGroups(
  nodes: readonly Pick<ReportNode, "node" | "outcome">[],
  shown: ReadonlyMap<string, number>,
): FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  for (const { node, outcome } of nodes) {
    if (node.verdict === "passed") continue;
    const code = node.reasons[0]?.code ?? node.status;
    const key = `${node.verdict}|${node.status}|${code}`;
    const known = groups.get(key);
    if (known !== undefined) groups.set(key, { ...known, count: known.count + 1 });
    else {
      groups.set(key, {
        status: node.status === "ok" ? node.verdict : node.status,
        code,
        outcome,
        count: 1,
        step: node.step,
        index: shown.get(node.id),
        message: (node.reasons[0]?.message ?? "").slice(0, 300),
      });
    }
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}
