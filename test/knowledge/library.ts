import { type TargetSpec, targetSpecSchema, type WorkContext } from "../../src/domain/index.ts";

/** Work that nobody waits for. */
export function work(signal = new AbortController().signal): WorkContext {
  return { signal, report: () => undefined };
}

/** Specs of targets by id, each with the whole chain that it inherits. */
export function specsOf(chains: Readonly<Record<string, readonly string[]>>): TargetSpec[] {
  return Object.entries(chains).map(([id, inherits]) =>
    targetSpecSchema.parse({
      id,
      inherits,
      title: id,
      vendor: "V",
      kind: "gpu",
      description: `The target ${id}.`,
      dtypes: ["float32"],
      limits: { registers_per_sm: { value: 65536, unit: "registers", source: "https://example.com/guide" } },
    }),
  );
}

/** Text of a document with front matter. */
export function document(about: {
  title: string;
  target: string;
  body: string;
  kind?: string;
  op?: string[];
  bottlenecks?: string[];
}): string {
  const { title, target, body, kind = "memory", op = [], bottlenecks = [] } = about;
  return `---\ntitle: ${JSON.stringify(title)}\ntarget: ${target}\nkind: ${kind}\ntopics: [test]\nop: [${op.join(", ")}]\nbottlenecks: [${bottlenecks.join(", ")}]\nsources:\n  - title: Guide\n    url: https://example.com/guide\n---\n\n# ${title}\n\n${body}\n`;
}
