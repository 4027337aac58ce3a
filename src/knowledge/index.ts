export { chooseEmbedder } from "./dense/choose.ts";
export { conceptHash } from "./dense/concept-hash.ts";
export type { Embedder, EmbedderSource } from "./dense/embedder.ts";
export type { DocumentRoot } from "./index/sources.ts";
export { documentRoots } from "./roots.ts";
export { Knowledge, type KnowledgeOptions } from "./service.ts";
