import { z } from "zod";
import type { Tool } from "./define.ts";
import { tools } from "./tools/index.ts";

interface JsonProperty {
  readonly type?: string | undefined;
  readonly description?: string | undefined;
  readonly default?: unknown;
  readonly enum?: readonly unknown[] | undefined;
}

const propertySchema = z.looseObject({
  type: z.string().optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
});
const inputSchema = z.looseObject({
  properties: z.record(z.string(), propertySchema).default({}),
  required: z.array(z.string()).default([]),
});

function argumentRow(name: string, property: JsonProperty, required: boolean): string {
  const type =
    property.enum === undefined
      ? (property.type ?? "object")
      : property.enum.map((value) => `\`${String(value)}\``).join(" \\| ");
  const standard =
    property.default === undefined ? (required ? "required" : "") : `\`${JSON.stringify(property.default)}\``;
  return `| \`${name}\` | ${type} | ${standard} | ${(property.description ?? "").replaceAll("|", "\\|")} |`;
}

function section(tool: Tool): string {
  const input = inputSchema.parse(z.toJSONSchema(tool.input, { io: "input" }));
  const rows = Object.entries(input.properties).map(([name, property]) =>
    argumentRow(name, property, input.required.includes(name)),
  );
  const table =
    rows.length === 0
      ? "No arguments."
      : ["| argument | type | default | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
  const { readOnlyHint, destructiveHint, idempotentHint } = tool.annotations;
  const hints = [
    readOnlyHint ? "reads only" : "writes",
    destructiveHint ? "destructive" : "",
    idempotentHint ? "repeatable" : "",
  ].filter((hint) => hint !== "");
  const answer = Object.keys(tool.output.shape)
    .map((name) => `\`${name}\``)
    .join(", ");
  return `## ${tool.name}\n\n${tool.title} (${hints.join(", ")}).\n\n${tool.description}\n\n${table}\n\nAnswers: ${answer}.\n`;
}

/** docs/tool-reference.md: every tool with its arguments, from the registry. */
export function toolReference(): string {
  return `# Tools\n\nGenerated from the tool registry by \`npm run gen\`; do not edit.\n\n${tools.map(section).join("\n")}`;
}

/** A description up to its first stop that is not within brackets. */
function firstSentence(text: string): string {
  return /^(?:\([^()]*\)|[^(.:;?]|[.:;?](?=\S))*/.exec(text)?.[0] ?? "";
}

/** The README's table of tools. */
export function toolTable(): string {
  const rows = tools.map(
    (tool) =>
      `| [\`${tool.name}\`](docs/tool-reference.md#${tool.name}) | ${firstSentence(tool.description).replaceAll("|", "\\|")} |`,
  );
  return ["| tool | what it does |", "| --- | --- |", ...rows].join("\n");
}
