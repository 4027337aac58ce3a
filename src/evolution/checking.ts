import { candidateSourceSchema } from "../domain/candidate.ts";
import { KernelEvolveError } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { SubmitInput } from "../domain/services.ts";
import { applyTunables } from "../evaluation/candidate/header.ts";
import { codeTokens, isPythonLike } from "./normalise.ts";

const DEFERRED = { lines: 5, characters: 200 } as const;

/** What was handed in, with every part within its bounds and tunables written into the header. @throws invalid_argument */
export function checkedSubmission(run: Run, input: SubmitInput): SubmitInput {
  const parsed = candidateSourceSchema.safeParse(input.source);
  if (!parsed.success) throw refused(`source: ${parsed.error.issues[0]?.message ?? "malformed"}`);
  if (parsed.data.trim() === "") throw refused("source: it is blank", "hand in the whole kernel");
  checkLanguage(parsed.data, run);
  const source = input.tunables === undefined ? parsed.data : applyTunables(parsed.data, input.tunables);
  return {
    ...input,
    source,
    rationale: checkedText(input.rationale, "rationale", 2000),
    proposer: checkedText(input.proposer, "proposer", 200),
    ...(input.deferred === undefined ? {} : { deferred: checkedDeferred(input.deferred) }),
  };
}

function refused(message: string, fix?: string): KernelEvolveError {
  return new KernelEvolveError("invalid_argument", message, fix === undefined ? {} : { fix });
}

function checkedText(text: string, name: string, limit: number): string {
  if (text.length <= limit) return text;
  throw refused(`${name}: ${text.length} characters, at most ${limit} are allowed`);
}

/** Ideas for later: short lines, blank ones dropped. */
function checkedDeferred(ideas: readonly string[]): string[] {
  if (ideas.length > DEFERRED.lines)
    throw refused(`deferred: ${ideas.length} ideas, at most ${DEFERRED.lines} are allowed`, "keep the best");
  return ideas.flatMap((idea, index) => {
    const line = checkedText(idea, `deferred.${index}`, DEFERRED.characters).replace(/\s+/g, " ").trim();
    return line === "" ? [] : [line];
  });
}

/** Words that only sources of one language have, outside comments and strings. */
const MARKS: readonly { readonly language: string; readonly fits: RegExp; readonly token: RegExp }[] = [
  { language: "CUDA or HIP", fits: /^(?:cuda|hip)/, token: /^(?:__global__|blockIdx|threadIdx)$/ },
  { language: "OpenCL", fits: /^opencl/, token: /^(?:__kernel|__global|get_global_id)$/ },
  { language: "C++", fits: /^(?:cpp|cuda|hip|sycl|metal)/, token: /^(?:template|namespace|constexpr|std)$/ },
];

/** The language that a source is plainly in, when it is not the run's. */
function otherLanguage(source: string, abstraction: string): string | undefined {
  const lines = source.split("\n");
  const python = lines.some((line) => /^(?:import|from)\s+[A-Za-z_]|^def\s+\w+\s*\(|^@\w/.test(line));
  if (isPythonLike(abstraction)) {
    const c = lines.some((line) => /^\s*#\s*(?:include|define)\b|\)\s*\{\s*$/.test(line));
    return c && !python ? "C" : undefined;
  }
  const tokens = codeTokens(source, abstraction);
  // Python has neither semicolons at its ends nor braces around its bodies.
  if (python && !tokens.includes(";") && !tokens.includes("{")) return "Python";
  return MARKS.find(({ fits, token }) => !fits.test(abstraction) && tokens.some((one) => token.test(one)))
    ?.language;
}

/** A source in another language can only fail to compile: it is refused before it costs a node. */
function checkLanguage(source: string, run: Run): void {
  const language = otherLanguage(source, run.abstraction);
  if (language === undefined) return;
  throw refused(
    `source: it reads as ${language}, but run ${run.id} is in ${run.abstraction}`,
    `hand in ${run.abstraction} with the same claim (the prompt's output contract has the prototype), or open a run in the other language with evolve_start`,
  );
}
