import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { type Embedder, type EmbedderSource, normalise, vectorFault } from "./embedder.ts";

type Call = (...args: unknown[]) => unknown;
const callSchema = z.custom<Call>((value) => typeof value === "function");
const moduleSchema = z.object({
  env: z.custom<{ allowRemoteModels: boolean; localModelPath: string }>(
    (value) => value !== null && typeof value === "object",
  ),
  pipeline: callSchema,
});
const answerSchema = z.object({
  dims: z.array(z.number()),
  data: z.custom<ArrayLike<number>>((value) => value instanceof Float32Array),
});

/** Not one of our dependencies: half a gigabyte, and its install fails without internet unless told otherwise. */
const LIBRARY = "@huggingface/transformers";
const BATCH = 16;

/** A sentence model in ONNX form from a local folder, run by @huggingface/transformers when that is installed. */
export function onnxEmbedder(folder: string): EmbedderSource {
  const place = resolve(folder);
  const name = `onnx:${place}`;
  return { name, fitted: false, fit: () => new Uint8Array(), open: () => open(name, place) };
}

async function open(name: string, folder: string): Promise<Embedder> {
  const lacking = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    join("onnx", "model.onnx"),
  ].filter((file) => !existsSync(join(folder, file)));
  if (lacking.length > 0) {
    throw new KernelEvolveError("not_found", `${folder} lacks ${lacking.join(", ")}`, {
      fix: "fetch a sentence model with an onnx folder, for example: hf download Xenova/all-MiniLM-L6-v2 --local-dir DIR",
    });
  }
  let loaded: unknown;
  try {
    loaded = await import(LIBRARY);
  } catch (error) {
    throw new KernelEvolveError(
      "missing_tool",
      `${LIBRARY} is not installed: ${errorMessage(error).split("\n")[0] ?? ""}`,
      {
        fix: `ONNXRUNTIME_NODE_INSTALL=skip npm install ${LIBRARY}`,
        cause: error,
      },
    );
  }
  const { env, pipeline } = moduleSchema.parse(loaded);
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder);
  const extract = callSchema.parse(await pipeline("feature-extraction", basename(folder), { dtype: "fp32" }));
  const ask = async (texts: readonly string[]): Promise<Float32Array[]> => {
    const answer = answerSchema.parse(await extract(texts, { pooling: "mean", normalize: true }));
    const dimension = answer.dims.at(-1) ?? 0;
    return texts.map((_, row) =>
      normalise(
        Float32Array.from(
          { length: dimension },
          (_unused, at) => answer.data[row * dimension + at] ?? Number.NaN,
        ),
      ),
    );
  };
  const dimension = (await ask(["dimension"]))[0]?.length ?? 0;
  return {
    id: `${name}:${dimension}`,
    dimension,
    embed: async (texts, _purpose, signal) => {
      const all: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += BATCH) {
        signal.throwIfAborted();
        all.push(...(await ask(texts.slice(from, from + BATCH))));
      }
      const fault = all.map((vector) => vectorFault(vector, dimension)).find((one) => one !== undefined);
      if (fault !== undefined)
        throw new KernelEvolveError("infrastructure", `embedder ${name}: a vector ${fault}`);
      return all;
    },
  };
}
