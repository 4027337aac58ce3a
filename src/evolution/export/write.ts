import { rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { errorMessage, KernelEvolveError } from "../../domain/errors.ts";
import { makeFolder } from "../../platform/folder.ts";
import { dispatcher } from "./dispatch.ts";
import { pythonDispatcher } from "./dispatch-python.ts";
import { flashInferFiles } from "./flashinfer.ts";
import { reportMarkdown } from "./markdown.ts";
import type { ReportModel } from "./model.ts";
import { reportHtml } from "./page.ts";
import { distilledSkill } from "./skill.ts";
import { type PromptOf, trainingFiles } from "./training.ts";

/**
 * Writes what remains of a run into `directory` (made when missing): the best kernel, its evaluation record as proof, a
 * dispatcher over the kernels that won somewhere, the FlashInfer-Trace form, training data, what the run teaches, and the reports. Each
 * file appears whole or not at all. Without a credited node there is no kernel to write, only the reports and training data.
 * @throws infrastructure naming the file
 */
export async function writeExport(
  model: ReportModel,
  directory: string,
  promptOf: PromptOf,
): Promise<{ path: string; what: string }[]> {
  const folder = resolve(directory);
  const files: { name: string; what: string; text: string }[] = [];
  const { best } = model;
  if (best !== undefined) {
    const extension = model.target.abstractions[model.overview.run.abstraction]?.extension ?? ".txt";
    files.push({ name: `kernel${extension}`, what: "the best kernel", text: best.source });
    files.push({
      name: "evaluation.json",
      what: "its evaluation record: the proof of the speedup",
      text: `${JSON.stringify(best.record, null, 2)}\n`,
    });
  }
  files.push({
    name: "report.html",
    what: "the report, one file without external resources",
    text: reportHtml(model),
  });
  files.push({ name: "report.md", what: "the report as Markdown", text: reportMarkdown(model) });
  files.push(...dispatcher(model).files, ...pythonDispatcher(model), ...flashInferFiles(model));
  files.push(...trainingFiles(model, promptOf));
  const skill = distilledSkill(model);
  if (skill !== undefined) files.push(skill);
  const written: { path: string; what: string }[] = [];
  for (const { name, what, text } of files) {
    const path = join(folder, name);
    const part = `${path}.${process.pid}.part`;
    try {
      makeFolder(dirname(path));
      await writeFile(part, text);
      await rename(part, path);
    } catch (error) {
      throw new KernelEvolveError("infrastructure", `cannot write ${path}: ${errorMessage(error)}`, {
        fix: "Give a directory that can be written and has free space.",
        cause: error,
      });
    }
    written.push({ path, what });
  }
  return written;
}
