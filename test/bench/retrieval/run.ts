/** Whether the right passage is found: our index beside LangChain's default pipeline, on a public manual and on our documents. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseEmbedder } from "../../../src/knowledge/dense/choose.ts";
import { Targets } from "../../../src/targets/index.ts";
import { printTable, saveResult } from "../table.ts";
import { llvmPages } from "./corpus-llvm.ts";
import { LangChainPipeline } from "./langchain.ts";
import { MEASURES, paired, type Scores, score, shown, signed, summary } from "./metrics.ts";
import { type Corpus, documentsOf, OurIndex, ownCorpus, writePages } from "./ours.ts";
import { type Chunk, type LabelledQuery, living, loadQueries, QUERY_KINDS } from "./queries.ts";

const LIMIT = 10;
/** The measure by characters takes as many chunks as fit. */
const MORE = 40;
const OURS = "ours: fused + alternatives";
const OURS_PLAIN = "ours: fused";
const THEIRS = "LangChain default + alternatives";
const THEIRS_PLAIN = "LangChain default";
const THEIRS_EXACT = "LangChain, every vector compared + alternatives";

/** LangChain takes one text: the alternatives are put behind the query. */
function joined(query: LabelledQuery): string {
  return [query.query, ...query.alternatives].join("\n");
}

interface Answered {
  readonly scores: Scores[];
  readonly characters: number;
}

type System = (query: LabelledQuery, limit: number) => Promise<Chunk[]>;

async function ask(system: System, queries: readonly LabelledQuery[]): Promise<Answered> {
  const scores: Scores[] = [];
  let characters = 0;
  for (const query of queries) {
    const chunks = await system(query, LIMIT);
    characters += chunks.reduce((sum, chunk) => sum + chunk.text.length, 0);
    scores.push(score(query, chunks, await system(query, MORE)));
  }
  return { scores, characters: Math.round(characters / queries.length) };
}

function groups(queries: readonly LabelledQuery[]): [string, (query: LabelledQuery) => boolean][] {
  const targets = [...new Set(queries.map((query) => query.target ?? "any"))].sort();
  return [
    ...QUERY_KINDS.map((kind): [string, (query: LabelledQuery) => boolean] => [
      `kind ${kind}`,
      (query) => query.kind === kind,
    ]),
    ...targets.map((target): [string, (query: LabelledQuery) => boolean] => [
      `target ${target}`,
      (query) => (query.target ?? "any") === target,
    ]),
  ];
}

async function measure(corpus: Corpus, all: readonly LabelledQuery[], home: string): Promise<unknown> {
  const documents = documentsOf(corpus);
  const { queries, dead } = living(all, documents);
  for (const label of dead) process.stderr.write(`left out, as no document has it: ${label}\n`);
  const ours = await OurIndex.of(corpus, join(home, corpus.name.replaceAll(" ", "-")));
  const theirs = await LangChainPipeline.of(documents, chooseEmbedder({}));
  const systems: [string, System][] = [
    ["ours: lexical", (query, limit) => ours.lexical(query, limit)],
    ["ours: dense", (query, limit) => ours.dense(query, limit)],
    [OURS_PLAIN, (query, limit) => ours.fused(query, limit)],
    ["ours: lexical + alternatives", (query, limit) => ours.lexicalWithAlternatives(query, limit)],
    [OURS, (query, limit) => ours.withAlternatives(query, limit)],
    ["ours: fused + alternatives + target", (query, limit) => ours.withTarget(query, limit)],
    [THEIRS_PLAIN, (query, limit) => theirs.search(query.query, limit)],
    [THEIRS, (query, limit) => theirs.search(joined(query), limit)],
    ["LangChain, every vector compared", (query, limit) => theirs.searchAll(query.query, limit)],
    [THEIRS_EXACT, (query, limit) => theirs.searchAll(joined(query), limit)],
  ];
  const answered = new Map<string, Answered>();
  for (const [name, system] of systems) answered.set(name, await ask(system, queries));
  await ours.close();

  const table = [...answered].map(([system, { scores, characters }]) => {
    const means = summary(scores);
    return {
      system,
      ...Object.fromEntries(MEASURES.map((one) => [one, shown(means[one])])),
      "characters in 10": characters,
    };
  });
  printTable(
    `${corpus.name}: ${documents.length} documents, ${ours.sections} sections of ours, ${theirs.size} chunks of LangChain, ${queries.length} queries`,
    table,
  );

  const scoresOf = (system: string): Scores[] => answered.get(system)?.scores ?? [];
  const pairs: [string, string, string][] = [
    ["with alternatives", OURS, THEIRS],
    ["with alternatives, LangChain comparing every vector", OURS, THEIRS_EXACT],
    ["one query", OURS_PLAIN, THEIRS_PLAIN],
    ["ours with alternatives, LangChain with one query", OURS, THEIRS_PLAIN],
    ["ours: fused over lexical", OURS_PLAIN, "ours: lexical"],
    ["ours: fused over lexical, with alternatives", OURS, "ours: lexical + alternatives"],
  ];
  const differences = pairs.map(([name, first, second]) => {
    const gain = paired(scoresOf(first), scoresOf(second));
    return { difference: name, ...Object.fromEntries(MEASURES.map((one) => [one, signed(gain[one])])) };
  });
  printTable(`${corpus.name}: paired differences, ours - LangChain where nothing else is said`, differences);

  const parts = groups(queries).map(([name, belongs]) => {
    const pick = (system: string): string => {
      const some = scoresOf(system).filter((_, at) => {
        const query = queries[at];
        return query !== undefined && belongs(query);
      });
      const mean = (one: "hit@5" | "recall@10" | "MRR"): string =>
        (some.reduce((sum, scores) => sum + scores[one], 0) / some.length).toFixed(2);
      return `${mean("hit@5")} / ${mean("recall@10")} / ${mean("MRR")}`;
    };
    return {
      part: name,
      queries: queries.filter(belongs).length,
      ...Object.fromEntries(systems.map(([system]) => [system, pick(system)])),
    };
  });
  printTable(`${corpus.name}: hit@5 / recall@10 / MRR by kind and target`, parts);

  return {
    documents: documents.length,
    sections: ours.sections,
    langchain_chunks: theirs.size,
    queries: queries.length,
    dead_labels: dead,
    systems: Object.fromEntries(
      [...answered].map(([name, { scores, characters }]) => [name, { ...summary(scores), characters }]),
    ),
    differences: Object.fromEntries(
      pairs.map(([name, first, second]) => [name, paired(scoresOf(first), scoresOf(second))]),
    ),
    parts,
    not_all_found: queries
      .map((query, at) => ({ id: query.id, query: query.query, ...scoresOf(OURS)[at] }))
      .filter((one) => (one["recall@10"] ?? 0) < 1),
  };
}

const home = mkdtempSync(join(tmpdir(), "kernelevolve-retrieval-"));
try {
  const pages = await llvmPages();
  const llvm: Corpus = {
    name: "LLVM manual",
    roots: [writePages(join(home, "documents"), pages)],
    specs: await new Targets().list(),
  };
  saveResult("retrieval", {
    llvm: await measure(llvm, loadQueries("queries-llvm.json"), home),
    own: await measure(await ownCorpus(), loadQueries("queries-own.json"), home),
  });
} finally {
  rmSync(home, { recursive: true, force: true });
}
