import type { ExportFile } from "./dispatch.ts";
import type { ReportModel, ReportNode } from "./model.ts";

/** The prompt that went out for a node; undefined for seeds and tuned nodes, which no prompt made. */
export type PromptOf = (entry: ReportNode) => string | undefined;

/** Ratios that differ less than this by their intervals make no pair. */
const CLEAR_MARGIN = 1;

function verdictOf(entry: ReportNode): object {
  const { node } = entry;
  return {
    node: node.id,
    step: node.step,
    verdict: node.verdict,
    status: node.status,
    fitness: node.fitness,
    ...(node.speedup === undefined
      ? {}
      : { speedup: { ratio: node.speedup.ratio, low: node.speedup.low, high: node.speedup.high } }),
  };
}

function chat(prompt: string, source: string): object[] {
  return [
    { role: "user", content: prompt },
    { role: "assistant", content: source },
  ];
}

/** Whether `a` is told better than `b`: passed against failed, or the intervals of their speedups apart. */
export function clearlyBetter(a: ReportNode, b: ReportNode): boolean {
  if (
    a.outcome === "void" ||
    b.outcome === "void" ||
    a.node.verdict === "flagged" ||
    b.node.verdict === "flagged"
  )
    return false;
  if (a.node.verdict !== "passed") return false;
  if (b.node.verdict !== "passed") return true;
  const [one, other] = [a.node.speedup, b.node.speedup];
  return one !== undefined && other !== undefined && one.low > other.high * CLEAR_MARGIN;
}

/**
 * Training data of a run, as JSON lines:
 * `sft.jsonl` chats along the best lineage, each step better than the one before; `preferences.jsonl` pairs of children of the same
 * parents where one is clearly better; `groups.jsonl` all children of the same parents with their rewards (the credited speedup).
 * Only nodes that a prompt made take part; flagged ones and failures of the machinery teach nothing and are left out.
 */
export function trainingFiles(model: ReportModel, promptOf: PromptOf): ExportFile[] {
  const prompted = model.nodes.flatMap((entry) => {
    const prompt = entry.outcome === "void" || entry.node.verdict === "flagged" ? undefined : promptOf(entry);
    return prompt === undefined || prompt === "" ? [] : [{ entry, prompt }];
  });
  if (prompted.length === 0) return [];
  const promptById = new Map(prompted.map((one) => [one.entry.node.id, one.prompt]));
  const sft = model.lineage.flatMap((entry) => {
    const prompt = promptById.get(entry.node.id);
    return prompt === undefined || entry.node.verdict !== "passed"
      ? []
      : [{ messages: chat(prompt, entry.source), ...verdictOf(entry) }];
  });
  const families = new Map<string, typeof prompted>();
  for (const one of prompted) {
    const key = one.entry.node.parents.join("+") || "draft";
    families.set(key, [...(families.get(key) ?? []), one]);
  }
  const preferences: object[] = [];
  const groups: object[] = [];
  for (const [parents, members] of families) {
    if (members.length < 2) continue;
    const [first] = members;
    if (first === undefined) continue;
    groups.push({
      parents,
      prompt: first.prompt,
      completions: members.map(({ entry }) => ({
        content: entry.source,
        reward: entry.node.fitness,
        ...verdictOf(entry),
      })),
    });
    for (const better of members)
      for (const worse of members)
        if (clearlyBetter(better.entry, worse.entry))
          preferences.push({
            prompt: better.prompt,
            chosen: better.entry.source,
            rejected: worse.entry.source,
            chosen_outcome: verdictOf(better.entry),
            rejected_outcome: verdictOf(worse.entry),
          });
  }
  const file = (name: string, what: string, rows: readonly object[]): ExportFile[] =>
    rows.length === 0
      ? []
      : [{ name: `training/${name}`, what, text: `${rows.map((row) => JSON.stringify(row)).join("\n")}\n` }];
  return [
    ...file("sft.jsonl", "training data: chats along the best lineage", sft),
    ...file("preferences.jsonl", "training data: pairs of which one is clearly better", preferences),
    ...file("groups.jsonl", "training data: children of the same parents with rewards", groups),
  ];
}
