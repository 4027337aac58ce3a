import { type McpServer, ResourceTemplate, type ServerContext } from "@modelcontextprotocol/server";
import type { DocumentSummary, KnowledgePage, Services, WorkContext } from "../domain/index.ts";
import { quotation } from "../domain/quotation.ts";

/** A resource is read whole; longer documents end with the way to read on. */
const MAX_CHARS = 200_000;
const MOST_COMPLETED = 100;

/** Id of a document (`hardware-docs/nvidia/tma`, `knowledge/guidance/x`, `user/acme/manual`) and its address. */
export function uriOf(document: string): string {
  const [root = "", ...rest] = document.split("/");
  if (root === "hardware-docs") return `hardware://${rest.join("/")}`;
  return `knowledge://${root === "knowledge" ? "" : `${root}/`}${rest.join("/")}`;
}

/** The document's id; undefined for what is no address of ours. */
export function documentOf(uri: string): string | undefined {
  const [, scheme, path] = /^(hardware|knowledge):\/\/([\w./~-]+)$/.exec(decodeURIComponent(uri)) ?? [];
  if (path === undefined) return undefined;
  if (scheme === "hardware") return `hardware-docs/${path}`;
  return path.startsWith("user/") ? path : `knowledge/${path}`;
}

/** Text of a document as a resource has it: where it comes from stands below it. */
export function resourceText({ document, text, next_offset, total }: KnowledgePage): string {
  const sources = document.sources.map(({ title, url }) => `- ${title}${url === undefined ? "" : ` ${url}`}`);
  return [
    document.untrusted ? quotation(text) : text,
    ...(next_offset === null
      ? []
      : [
          "",
          `(cut: ${next_offset} of ${total} characters; knowledge_read with id ${document.id}, offset ${next_offset} goes on)`,
        ]),
    ...(sources.length === 0 ? [] : ["", "Sources:", ...sources]),
  ].join("\n");
}

/** Documents as resources: `hardware://<target>/<document>` and `knowledge://<folder>/<document>`, listed and completed. */
export function registerDocuments(server: McpServer, services: () => Promise<Services>): void {
  const workOf = (context: ServerContext): WorkContext => ({
    signal: context.mcpReq.signal,
    report: () => undefined,
  });
  const quiet: WorkContext = { signal: new AbortController().signal, report: () => undefined };
  const documents = async (scheme: string, work: WorkContext): Promise<DocumentSummary[]> => {
    const all = await (await services()).knowledge.list({}, work);
    return all.filter(({ id }) => uriOf(id).startsWith(`${scheme}://`));
  };
  const paths = async (scheme: string): Promise<string[]> =>
    (await documents(scheme, quiet)).map(({ id }) => uriOf(id).slice(scheme.length + 3));
  const completed = (values: readonly string[], typed: string): string[] =>
    [...new Set(values)]
      .filter((value) => value.toLowerCase().includes(typed.toLowerCase()))
      .sort((a, b) => Number(b.startsWith(typed)) - Number(a.startsWith(typed)) || a.localeCompare(b))
      .slice(0, MOST_COMPLETED);
  const list = (scheme: string) => async (context: ServerContext) => ({
    resources: (await documents(scheme, workOf(context))).map((one) => ({
      uri: uriOf(one.id),
      name: one.id,
      title: one.title,
      description: `${one.kind} of ${one.target}${one.topics.length === 0 ? "" : `: ${one.topics.join(", ")}`}`,
      mimeType: "text/markdown",
    })),
  });
  const read = async (uri: URL, _variables: unknown, context: ServerContext) => {
    const { KernelEvolveError } = await import("../domain/index.ts");
    const id = documentOf(uri.href);
    if (id === undefined)
      throw new KernelEvolveError("not_found", `there is no document ${uri.href.slice(0, 200)}`);
    const page = await (await services()).knowledge.read(id, { limit: MAX_CHARS }, workOf(context));
    return { contents: [{ uri: uri.href, mimeType: "text/markdown", text: resourceText(page) }] };
  };
  server.registerResource(
    "hardware-document",
    new ResourceTemplate("hardware://{target}/{+document}", {
      list: list("hardware"),
      complete: {
        target: async (typed) =>
          completed(
            (await paths("hardware")).map((path) => path.split("/")[0] ?? ""),
            typed,
          ),
        document: async (typed, context) => {
          const target = context?.arguments?.["target"];
          const below = (await paths("hardware")).flatMap((path) => {
            const [first, ...rest] = path.split("/");
            return target === undefined || first === target ? [rest.join("/")] : [];
          });
          return completed(below, typed);
        },
      },
    }),
    {
      title: "Hardware document",
      description: "A document of a target or family: ISA, memory, tuning, pitfalls, numbers",
      mimeType: "text/markdown",
    },
    read,
  );
  server.registerResource(
    "knowledge-document",
    new ResourceTemplate("knowledge://{+document}", {
      list: list("knowledge"),
      complete: { document: async (typed) => completed(await paths("knowledge"), typed) },
    }),
    {
      title: "Knowledge document",
      description: "Guidance, constraints, kernels, traces, skills, and documents that were added",
      mimeType: "text/markdown",
    },
    read,
  );
}
