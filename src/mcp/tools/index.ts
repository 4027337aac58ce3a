import type { Tool } from "../define.ts";
import { artifactRead } from "./artifact-read.ts";
import { evolveExport } from "./evolve-export.ts";
import { evolveNext } from "./evolve-next.ts";
import { evolveRun } from "./evolve-run.ts";
import { evolveStart } from "./evolve-start.ts";
import { evolveStatus } from "./evolve-status.ts";
import { evolveSubmit } from "./evolve-submit.ts";
import { jobCancel } from "./job-cancel.ts";
import { jobWait } from "./job-wait.ts";
import { kernelBenchmark } from "./kernel-benchmark.ts";
import { kernelCompile } from "./kernel-compile.ts";
import { kernelEvaluate } from "./kernel-evaluate.ts";
import { kernelProfile } from "./kernel-profile.ts";
import { kernelVerify } from "./kernel-verify.ts";
import { knowledgeAdd } from "./knowledge-add.ts";
import { knowledgeRead } from "./knowledge-read.ts";
import { knowledgeSearch } from "./knowledge-search.ts";
import { problemDescribe } from "./problem-describe.ts";
import { problemRegister } from "./problem-register.ts";
import { targetDescribe } from "./target-describe.ts";
import { targetList } from "./target-list.ts";

/** Every tool, in the order of its name. */
export const tools: readonly Tool[] = [
  artifactRead,
  evolveExport,
  evolveNext,
  evolveRun,
  evolveStart,
  evolveStatus,
  evolveSubmit,
  jobCancel,
  jobWait,
  kernelBenchmark,
  kernelCompile,
  kernelEvaluate,
  kernelProfile,
  kernelVerify,
  knowledgeAdd,
  knowledgeRead,
  knowledgeSearch,
  problemDescribe,
  problemRegister,
  targetDescribe,
  targetList,
];
