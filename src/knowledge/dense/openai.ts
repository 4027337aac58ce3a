import { errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { type Embedder, type EmbedderSource, normalise, vectorFault } from "./embedder.ts";

export interface OpenAiOptions {
  readonly model: string;
  readonly apiKey?: string | undefined;
  /** Any service that speaks the same protocol. */
  readonly baseUrl?: string | undefined;
  readonly timeoutMs?: number;
  readonly retries?: number;
}

const BATCH = 64;

/** Embeddings of OpenAI, or of any service with the same protocol, through @langchain/openai. */
export function openAiEmbedder(options: OpenAiOptions): EmbedderSource {
  const place = options.baseUrl ?? "https://api.openai.com/v1";
  const name = `openai:${options.model}@${place}`;
  return {
    name,
    fitted: false,
    fit: () => new Uint8Array(),
    open: async (_state, signal) => {
      if (options.apiKey === undefined && options.baseUrl === undefined) {
        throw new KernelEvolveError("missing_tool", `embedder ${name}: OPENAI_API_KEY is not set`, {
          fix: "set OPENAI_API_KEY, or KERNELEVOLVE_EMBEDDER_URL to a compatible service, or leave KERNELEVOLVE_EMBEDDER unset for the embedded one",
        });
      }
      const ask = await client(options);
      // The dimension is known only by asking; a dead service is found out here, before anything is built.
      const [probe] = await answered(name, () => ask(["dimension"]), signal);
      const dimension = probe?.length ?? 0;
      if (probe === undefined || dimension === 0) throw silent(name, "answered no vector");
      return service(name, dimension, ask);
    },
  };
}

type Ask = (texts: string[]) => Promise<number[][]>;

async function client(options: OpenAiOptions): Promise<Ask> {
  let module: typeof import("@langchain/openai");
  try {
    module = await import("@langchain/openai");
  } catch (error) {
    throw new KernelEvolveError(
      "missing_tool",
      `@langchain/openai cannot be loaded: ${errorMessage(error)}`,
      {
        fix: "npm install @langchain/openai",
        cause: error,
      },
    );
  }
  const embeddings = new module.OpenAIEmbeddings({
    model: options.model,
    // A local service may want none, the library does.
    apiKey: options.apiKey ?? "none",
    batchSize: BATCH,
    maxRetries: options.retries ?? 1,
    timeout: options.timeoutMs ?? 20_000,
    // Without a choice the library asks for base64, which not every compatible service speaks.
    encodingFormat: "float",
    ...(options.baseUrl === undefined ? {} : { configuration: { baseURL: options.baseUrl } }),
  });
  return (texts) => embeddings.embedDocuments(texts);
}

function service(name: string, dimension: number, ask: Ask): Embedder {
  return {
    id: `${name}:${dimension}`,
    dimension,
    embed: async (texts, _purpose, signal) => {
      const all: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += BATCH) {
        const batch = texts.slice(from, from + BATCH);
        const vectors = await answered(name, () => ask(batch), signal);
        if (vectors.length !== batch.length)
          throw silent(name, `answered ${vectors.length} vectors for ${batch.length} texts`);
        for (const vector of vectors) {
          const fault = vectorFault(vector, dimension);
          if (fault !== undefined) throw silent(name, `answered a vector that ${fault}`);
          all.push(normalise(Float32Array.from(vector)));
        }
      }
      return all;
    },
  };
}

function silent(name: string, why: string, cause?: unknown): KernelEvolveError {
  return new KernelEvolveError("infrastructure", `embedder ${name}: ${why}`, {
    fix: "check the key and the address; without KERNELEVOLVE_EMBEDDER the embedded one is used",
    ...(cause === undefined ? {} : { cause }),
  });
}

async function answered<T>(name: string, ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  try {
    return await ask();
  } catch (error) {
    // The key itself never stands in a message of ours.
    throw silent(
      name,
      errorMessage(error)
        .split("\n")[0]
        ?.replace(/sk-[\w-]{6,}/g, "sk-…")
        .slice(0, 200) ?? "",
      error,
    );
  }
}
