import { KernelEvolveError } from "../../domain/errors.ts";
import { type PriceTable, readPrices } from "./prices.ts";

/** How models are asked. */
export interface ModelSettings {
  /** At least one; several are an ensemble. */
  readonly models: readonly string[];
  /** Of an endpoint with OpenAI's protocol; undefined is OpenAI's own. */
  readonly baseUrl: string | undefined;
  readonly apiKey: string;
  /** Children asked for at once. */
  readonly proposers: number;
  readonly prices: PriceTable | undefined;
  /** Seconds for one answer of the endpoint. */
  readonly requestSeconds: number;
  /** Requests made again after one that failed in passing. */
  readonly retries: number;
  /** Tokens of one answer at most. */
  readonly maxTokens: number;
  readonly temperature: number | undefined;
  /** Calls of tools for one child at most; 0: models that know no tools. */
  readonly toolCalls: number;
  /** First wait before a request is made again, ms; it doubles. */
  readonly backoffMs: number;
}

/** What a caller may choose; the rest has defaults. */
export type ModelChoice = Partial<Omit<ModelSettings, "prices" | "apiKey">> & {
  readonly pricesFile?: string;
};

const OPENAI = "api.openai.com";

/**
 * Settings from a choice and the environment: OPENAI_API_KEY, OPENAI_BASE_URL, and where the choice is silent KERNELEVOLVE_MODEL
 * (names, by commas), KERNELEVOLVE_PROPOSERS, KERNELEVOLVE_PRICES.
 * @throws invalid_argument, missing_tool where OpenAI itself is asked without a key
 */
export function modelSettings(choice: ModelChoice, env: NodeJS.ProcessEnv): ModelSettings {
  const named = choice.models ?? env.KERNELEVOLVE_MODEL?.split(",") ?? [];
  const models = [...new Set(named.map((name) => name.trim()).filter((name) => name !== ""))];
  if (models.length === 0) {
    throw new KernelEvolveError("invalid_argument", "no model is named", {
      fix: "evolve --model NAME (repeat it for an ensemble), or set KERNELEVOLVE_MODEL",
    });
  }
  const long = models.find((name) => name.length > 120);
  if (long !== undefined)
    throw new KernelEvolveError(
      "invalid_argument",
      `model: ${long.slice(0, 40)}… is longer than 120 characters`,
    );
  const given = choice.baseUrl ?? env.OPENAI_BASE_URL;
  const baseUrl = given === undefined || given === "" ? undefined : checkedUrl(given);
  const proposers = choice.proposers ?? wholeFromEnvironment(env, "KERNELEVOLVE_PROPOSERS") ?? 1;
  const pricesFile = choice.pricesFile ?? env.KERNELEVOLVE_PRICES;
  return {
    models,
    baseUrl,
    apiKey: keyFor(baseUrl, env),
    proposers,
    prices: pricesFile === undefined || pricesFile === "" ? undefined : readPrices(pricesFile),
    requestSeconds: choice.requestSeconds ?? 600,
    retries: choice.retries ?? 5,
    maxTokens: choice.maxTokens ?? 16_384,
    temperature: choice.temperature,
    toolCalls: choice.toolCalls ?? 8,
    backoffMs: choice.backoffMs ?? 1000,
  };
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === "http:" || url.protocol === "https:")) return text;
  throw new KernelEvolveError(
    "invalid_argument",
    `OPENAI_BASE_URL: ${text.slice(0, 100)} is no http(s) address`,
    {
      fix: "for example http://127.0.0.1:11434/v1 (Ollama), :8000/v1 (vLLM), :8080/v1 (llama.cpp)",
    },
  );
}

/** Servers of one's own ask for no key; the client wants one all the same. */
function keyFor(baseUrl: string | undefined, env: NodeJS.ProcessEnv): string {
  const key = env.OPENAI_API_KEY;
  if (key !== undefined && key !== "") return key;
  if (baseUrl !== undefined && new URL(baseUrl).hostname !== OPENAI) return "none";
  throw new KernelEvolveError("missing_tool", "OPENAI_API_KEY is not set", {
    fix: "set it, or set OPENAI_BASE_URL to a server of your own (vLLM, Ollama, llama.cpp), which needs none",
  });
}

function wholeFromEnvironment(env: NodeJS.ProcessEnv, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 64) return value;
  throw new KernelEvolveError(
    "invalid_argument",
    `${name}: ${text.slice(0, 40)} is no whole number from 1 to 64`,
  );
}
