import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KernelEvolveError } from "../../domain/index.ts";
import { sha256 } from "../../platform/hash.ts";
import { type Embedder, type EmbedderSource, normalise } from "./embedder.ts";
import { readSafetensors } from "./safetensors.ts";
import { WordPiece } from "./wordpiece.ts";

const NEEDED = ["tokenizer.json", "model.safetensors"];

/** A static model of the Model2Vec kind (one vector a token, averaged) from a local folder. Nothing is fetched. */
export function model2VecEmbedder(folder: string): EmbedderSource {
  const name = `model2vec:${folder}`;
  return {
    name,
    fitted: false,
    fit: () => new Uint8Array(),
    open: async () => open(folder),
  };
}

function open(folder: string): Embedder {
  const lacking = NEEDED.filter((file) => !existsSync(join(folder, file)));
  if (lacking.length > 0) {
    throw new KernelEvolveError("not_found", `${folder} lacks ${lacking.join(" and ")}`, {
      fix: "put a Model2Vec model there, for example: hf download minishlab/potion-base-8M --local-dir DIR",
    });
  }
  const tokenizer = new WordPiece(join(folder, "tokenizer.json"));
  const file = join(folder, "model.safetensors");
  const tensors = readSafetensors(file);
  const table = tensors.get("embeddings") ?? tensors.get("embedding.weight");
  const [rows, dimension] = table?.shape ?? [];
  if (table === undefined || rows === undefined || dimension === undefined || dimension === 0) {
    throw new KernelEvolveError("unsupported", `${file} has no table "embeddings"`, {
      fix: "choose a model that Model2Vec wrote",
    });
  }
  const weights = tensors.get("weights")?.values;
  const mapping = tensors.get("mapping")?.values;
  const embedOne = (text: string): Float32Array => {
    const sum = new Float32Array(dimension);
    for (const id of tokenizer.ids(text)) {
      const row = mapping?.[id] ?? id;
      if (row < 0 || row >= rows) continue;
      const weight = weights?.[id] ?? 1;
      for (let at = 0; at < dimension; at += 1) {
        sum[at] = (sum[at] ?? 0) + weight * (table.values[row * dimension + at] ?? 0);
      }
    }
    return normalise(sum);
  };
  return {
    id: `model2vec:${sha256(readFileSync(file)).slice(0, 16)}:${dimension}`,
    dimension,
    embed: async (texts) => texts.map(embedOne),
  };
}
