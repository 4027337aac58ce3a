import { type Command, Option } from "commander";
import type { z } from "zod";
import {
  DOCUMENT_BOTTLENECKS,
  DOCUMENT_KINDS,
  headingLine,
  INGEST_FORMATS,
  KernelEvolveError,
  type KnowledgeAdd,
  knowledgeAddSchema,
  knowledgeQuerySchema,
  OP_FAMILIES,
  quotation,
} from "../../domain/index.ts";
import { counted } from "../../platform/text.ts";
import { withServices } from "../context.ts";
import { wholeFrom } from "../numbers.ts";
import { EXIT, print, printJson } from "../output.ts";

interface Filter {
  target?: string;
  kind?: string[];
  op?: string;
  bottleneck?: string;
  json?: boolean;
}

function filtered(command: Command): Command {
  return command
    .option("-t, --target <id>", "a target: its documents, those it inherits, and general ones")
    .addOption(new Option("-k, --kind <kinds...>", "kinds of document").choices([...DOCUMENT_KINDS]))
    .addOption(new Option("--op <family>", "operator family").choices([...OP_FAMILIES]))
    .addOption(new Option("--bottleneck <name>", "what it helps against").choices([...DOCUMENT_BOTTLENECKS]))
    .option("--json", "one JSON document on stdout");
}

function filterOf({ target, kind, op, bottleneck }: Filter): Record<string, unknown> {
  return {
    ...(target === undefined ? {} : { target }),
    ...(kind === undefined ? {} : { kinds: kind }),
    ...(op === undefined ? {} : { op }),
    ...(bottleneck === undefined ? {} : { bottleneck }),
  };
}

const filterSchema = knowledgeQuerySchema.pick({ target: true, kinds: true, op: true, bottleneck: true });

/** @throws invalid_argument naming the first fault */
function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const empty = issue?.code === "too_small" && issue.origin === "string" && issue.minimum === 1;
  throw new KernelEvolveError(
    "invalid_argument",
    `${issue?.path.join(".") ?? "arguments"}: ${empty ? "is empty" : (issue?.message ?? "not usable")}`,
    { fix: "kernelevolve docs --help shows examples" },
  );
}

export function docs(program: Command): void {
  const group = program
    .command("docs")
    .description("The hardware documents and the index over them")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve docs search "swizzle shared memory" -a "XOR bank conflict" -t nvidia-h100
  kernelevolve docs list -t cpu-x86-64 -k isa
  kernelevolve docs read hardware-docs/cpu-x86-64/index
  kernelevolve docs add manual.pdf -t nvidia-h100 --title "Tuning guide of the cluster"
  kernelevolve docs lint
  KERNELEVOLVE_EMBEDDER=openai kernelevolve docs rebuild`,
    );
  search(group);
  list(group);
  read(group);
  add(group);
  remove(group);
  rebuild(group);
  lint(group);
}

function search(group: Command): void {
  filtered(group.command("search").argument("<query>"))
    .description("Find passages by words, identifiers and meaning")
    .option("-a, --alternative <phrasing...>", "the same question in other words, up to five")
    .option("-n, --limit <n>", "most passages", wholeFrom(1), 5)
    .option("--tokens <n>", "of all passages together", wholeFrom(1), 2500)
    .action(
      async (query: string, options: Filter & { alternative?: string[]; limit: number; tokens: number }) =>
        withServices(options.json === true, async ({ services, work, progress }) => {
          const asked = checked(knowledgeQuerySchema, {
            query,
            ...(options.alternative === undefined ? {} : { alternatives: options.alternative }),
            ...filterOf(options),
            limit: options.limit,
            token_budget: options.tokens,
          });
          const result = await services.knowledge.search(asked, work);
          progress.end();
          if (options.json === true) {
            printJson(result);
            return;
          }
          for (const hit of result.hits) {
            print(`${headingLine(hit.path, hit.untrusted)}  [${hit.target}, ${hit.kind}]`);
            print(`  ${hit.id}\n  ${hit.why.join("; ")}\n`);
            const passage = hit.untrusted ? quotation(hit.passage) : hit.passage;
            print(`${passage.replaceAll(/^/gm, "  ")}\n`);
          }
          if (result.hits.length === 0) print(`nothing found in ${result.searched_sections} sections`);
          for (const { word, known } of result.did_you_mean)
            print(`no document has "${word}"; did you mean ${known.join(", ")}?`);
          for (const note of result.notes) print(note);
        }),
    );
}

function list(group: Command): void {
  filtered(group.command("list"))
    .description("The documents there are")
    .action(async (options: Filter) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const { target, kinds, op, bottleneck } = checked(filterSchema, filterOf(options));
        const all = await services.knowledge.list(
          {
            ...(target === undefined ? {} : { target }),
            ...(kinds === undefined ? {} : { kinds }),
            ...(op === undefined ? {} : { op }),
            ...(bottleneck === undefined ? {} : { bottleneck }),
          },
          work,
        );
        progress.end();
        if (options.json === true) printJson(all);
        else
          for (const one of all)
            print(`${one.id}  ${one.title}  [${one.kind}, ${counted(one.sections, "section")}]`);
      }),
    );
}

function read(group: Command): void {
  group
    .command("read")
    .argument("<id>", "a document, or document#section")
    .description("Read a section or a document")
    .option("--neighbours <n>", "sections before and after", wholeFrom(0), 0)
    .option("--offset <n>", "first character of a document", wholeFrom(0), 0)
    .option("--json", "one JSON document on stdout")
    .action(async (id: string, options: { neighbours: number; offset: number; json?: boolean }) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const { neighbours, offset } = options;
        const page = await services.knowledge.read(id, { neighbours, offset, limit: 1_000_000 }, work);
        progress.end();
        if (options.json === true) {
          printJson(page);
          return;
        }
        print(page.document.untrusted ? quotation(page.text) : page.text);
        for (const { title, url } of page.document.sources) print(`source: ${title} ${url ?? ""}`.trimEnd());
      }),
    );
}

function add(group: Command): void {
  group
    .command("add")
    .argument("<file>", "Markdown, HTML, PDF, AsciiDoc, reST, text, kernel source, or a trace")
    .description("Add a manual, kernel or trace to your own documents of a target")
    .requiredOption("-t, --target <id>", "a target or family, or any")
    .addOption(
      new Option("--format <format>", "told from the file when left out").choices([...INGEST_FORMATS]),
    )
    .option("--title <text>")
    .addOption(new Option("--kind <kind>").choices([...DOCUMENT_KINDS]))
    .option("--topic <topics...>")
    .addOption(new Option("--op <families...>").choices([...OP_FAMILIES]))
    .option("--source-url <url>", "where the original is")
    .option("--json", "one JSON document on stdout")
    .action(
      async (
        file: string,
        options: {
          target: string;
          format?: string;
          title?: string;
          kind?: string;
          topic?: string[];
          op?: string[];
          sourceUrl?: string;
          json?: boolean;
        },
      ) =>
        withServices(options.json === true, async ({ services, work, progress }) => {
          const input: KnowledgeAdd = checked(knowledgeAddSchema, {
            path: file,
            target: options.target,
            ...(options.format === undefined ? {} : { format: options.format }),
            ...(options.title === undefined ? {} : { title: options.title }),
            ...(options.kind === undefined ? {} : { kind: options.kind }),
            ...(options.topic === undefined ? {} : { topics: options.topic }),
            ...(options.op === undefined ? {} : { op: options.op }),
            ...(options.sourceUrl === undefined
              ? {}
              : { source: { title: options.title ?? file, url: options.sourceUrl } }),
          });
          const added = await services.knowledge.add(input, work);
          progress.end();
          if (options.json === true) {
            printJson(added);
            return;
          }
          print(
            added.unchanged
              ? "already there"
              : `added ${counted(added.documents.length, "document")}, ${counted(added.sections, "section")}`,
          );
          for (const id of added.documents) print(`  ${id}`);
          if (added.bottleneck !== undefined) print(`bottleneck: ${added.bottleneck}`);
          for (const note of added.notes) print(note);
        }),
    );
}

function remove(group: Command): void {
  group
    .command("remove")
    .argument("<document>", "id of a document that was added")
    .description("Take an added document away again")
    .option("--json", "one JSON document on stdout")
    .action(async (document: string, options: { json?: boolean }) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const result = await services.knowledge.remove(document, work);
        progress.end();
        if (options.json === true) printJson(result);
        else print(`removed ${result.removed.join(", ")}`);
      }),
    );
}

function rebuild(group: Command): void {
  group
    .command("rebuild")
    .description("Bring the index up to date, or make it anew")
    .option("--full", "make it anew")
    .option("--json", "one JSON document on stdout")
    .action(async (options: { full?: boolean; json?: boolean }) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const status = await services.knowledge.rebuild({ full: options.full === true }, work);
        progress.end();
        if (options.json === true) {
          printJson(status);
          return;
        }
        print(
          `${counted(status.documents, "document")}, ${counted(status.sections, "section")}, ${(status.bytes / 2 ** 20).toFixed(1)} MiB, ${status.build_seconds.toFixed(1)} s; embedder ${status.embedder}, vectors ${status.vectors}`,
        );
        for (const { file, message } of status.problems) print(`${file}: ${message}`);
        for (const note of status.notes) print(note);
      }),
    );
}

function lint(group: Command): void {
  group
    .command("lint")
    .argument("[folders...]", "folders of documents; all that ship and that were added when left out")
    .description(
      "Check front matter, sources, links, references, duplicates, and that marked snippets compile",
    )
    .option("--no-compile", "leave the snippets out")
    .option("--json", "one JSON document on stdout")
    .action(async (folders: string[], options: { compile: boolean; json?: boolean }) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const report = await services.knowledge.lint(
          { ...(folders.length === 0 ? {} : { folders }), compile: options.compile },
          work,
        );
        progress.end();
        const errors = report.issues.filter((issue) => issue.level === "error").length;
        if (options.json === true) printJson(report);
        else {
          for (const { file, line, level, rule, message } of report.issues)
            print(`${file}:${line}: ${level}: ${message} (${rule})`);
          print(
            `${report.documents} documents, ${report.snippets.compiled} snippets compiled, ${report.snippets.skipped} left out; ${errors} errors, ${report.issues.length - errors} warnings`,
          );
        }
        if (errors > 0) process.exitCode = EXIT.failed;
      }),
    );
}
