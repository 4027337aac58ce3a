import { KernelEvolveError } from "../../domain/index.ts";
import { conceptHash } from "./concept-hash.ts";
import type { EmbedderSource } from "./embedder.ts";
import { model2VecEmbedder } from "./model2vec.ts";
import { onnxEmbedder } from "./onnx.ts";
import { openAiEmbedder } from "./openai.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const FORMS = "concept-hash, openai[:MODEL], model2vec:FOLDER or onnx:FOLDER";

/**
 * The embedder that KERNELEVOLVE_EMBEDDER names; the embedded one by default. A key in the environment alone changes nothing:
 * documents are sent to a service only when the user says so.
 * @throws invalid_argument for a name that means nothing.
 */
export function chooseEmbedder(environment: Environment = process.env): EmbedderSource {
  const choice = (environment["KERNELEVOLVE_EMBEDDER"] ?? "concept-hash").trim();
  const colon = choice.indexOf(":");
  const kind = colon < 0 ? choice : choice.slice(0, colon);
  const rest = colon < 0 ? "" : choice.slice(colon + 1);
  const invalid = (why: string): KernelEvolveError =>
    new KernelEvolveError("invalid_argument", `KERNELEVOLVE_EMBEDDER: ${why}`, { fix: `use ${FORMS}` });
  switch (kind) {
    case "":
    case "concept-hash":
      return conceptHash();
    case "openai":
      return openAiEmbedder({
        model: rest === "" ? "text-embedding-3-small" : rest,
        apiKey: environment["OPENAI_API_KEY"],
        baseUrl: environment["KERNELEVOLVE_EMBEDDER_URL"] ?? environment["OPENAI_BASE_URL"],
      });
    case "model2vec":
    case "onnx":
      if (rest === "") throw invalid(`${kind} needs a folder`);
      return kind === "onnx" ? onnxEmbedder(rest) : model2VecEmbedder(rest);
    default:
      throw invalid(`"${choice.slice(0, 80)}" is unknown`);
  }
}
