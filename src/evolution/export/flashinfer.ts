import type { EvaluationRecord, Status } from "../../domain/evaluation.ts";
import type { ExportFile } from "./dispatch.ts";
import type { ReportModel, ReportNode } from "./model.ts";

/**
 * The run's kernels in the FlashInfer-Trace form (https://bench.flashinfer.ai/docs/flashinfer-trace): a Solution, and one Trace for
 * each workload that was judged. For problems whose definition is in that schema; others have no such form.
 */

const LANGUAGES: Readonly<Record<string, string>> = {
  c: "cpp",
  cpp: "cpp",
  cuda: "cuda",
  triton: "triton",
  pytorch: "python",
};

function solutionName(model: ReportModel, entry: ReportNode): string {
  return `${model.problem.definition.name}_${entry.node.id}`;
}

function solution(model: ReportModel, entry: ReportNode): object {
  const { run } = model.overview;
  const language = LANGUAGES[run.abstraction] ?? "python";
  const python = language === "python" || language === "triton";
  const path = `kernel${model.target.abstractions[run.abstraction]?.extension ?? ".txt"}`;
  const note = python
    ? ""
    : " Plain C interface: void kernel(inputs, outputs, axes as int64_t); a binding has to be put around it.";
  return {
    name: solutionName(model, entry),
    definition: model.problem.definition.name,
    author: `kernelevolve (${entry.node.proposer})`,
    spec: {
      language,
      target_hardware: [run.target],
      entry_point: `${path}::${python ? "run" : "kernel"}`,
      dependencies: [],
      destination_passing_style: !python,
    },
    sources: [{ path, content: entry.source }],
    description: `${entry.node.rationale}${note}`,
  };
}

/** Their status for ours. What they have no word for (tampered, too noisy) is never called passed. */
function statusFor(record: EvaluationRecord, verified: boolean, shape: boolean, dtype: boolean): string {
  const byStatus: Partial<Record<Status, string>> = {
    compile_error: "COMPILE_ERROR",
    timeout: "TIMEOUT",
    runtime_error: "RUNTIME_ERROR",
    tampered: "RUNTIME_ERROR",
  };
  if (record.verdict === "passed" && verified) return "PASSED";
  if (record.status === "wrong_answer")
    return shape ? "INCORRECT_SHAPE" : dtype ? "INCORRECT_DTYPE" : "INCORRECT_NUMERICAL";
  return byStatus[record.status] ?? "RUNTIME_ERROR";
}

/** One Trace a judged workload. A passed one without a measurement has none of its performance to tell, so it is left out. */
function traces(model: ReportModel, entry: ReportNode): object[] {
  const { record } = entry;
  const { baseline } = model.overview.run;
  return (record.stages.verify?.workloads ?? []).flatMap((verified) => {
    const workload = model.problem.workloads.find((one) => one.uuid === verified.workload);
    if (workload === undefined) return [];
    const measured = record.stages.benchmark?.workloads.find((one) => one.workload === workload.uuid);
    const speedup = measured?.speedups.find((one) => one.baseline === baseline);
    const codes = new Set(verified.failures.map((one) => one.code));
    const status = statusFor(record, verified.passed, codes.has("wrong_shape"), codes.has("wrong_dtype"));
    const reference = measured?.baselines[baseline];
    if (status === "PASSED" && (measured === undefined || reference === undefined || speedup === undefined))
      return [];
    // They ask for errors that are not measured here: NaN, in the form that their reader takes, and what was measured beside it.
    const correctness = {
      max_relative_error: "NaN",
      max_absolute_error: "NaN",
      extra: {
        error_over_tolerance: verified.worst_error ?? null,
        baseline_error_over_tolerance: verified.baseline_error ?? null,
        trials: verified.trials,
      },
    };
    const { uuid, axes, inputs } = workload;
    return [
      {
        definition: model.problem.definition.name,
        workload: { uuid, axes, inputs },
        solution: solutionName(model, entry),
        evaluation: {
          status,
          environment: { hardware: record.device, libs: record.versions },
          timestamp: record.created_at,
          log: verified.failures.map((one) => `${one.code}: ${one.message}`).join("\n"),
          ...(status === "PASSED" || status === "INCORRECT_NUMERICAL" ? { correctness } : {}),
          ...(status === "PASSED" &&
          measured !== undefined &&
          reference !== undefined &&
          speedup !== undefined
            ? {
                performance: {
                  latency_ms: measured.candidate.median_ns / 1e6,
                  reference_latency_ms: reference.median_ns / 1e6,
                  speedup_factor: speedup.ratio,
                },
              }
            : {}),
        },
      },
    ];
  });
}

/** `flashinfer-trace/`: definition, solution and traces of the best node, laid out as their data sets are. */
export function flashInferFiles(model: ReportModel): ExportFile[] {
  const { best, problem } = model;
  if (best === undefined || problem.origin !== undefined) return [];
  const { definition } = problem;
  // Without a Python reference their reader refuses the definition; solution and traces stand on their own.
  const { reference_c: _c, cost: _cost, tolerance: _tolerance, ...theirs } = definition;
  const place = `${definition.op_type}/${definition.name}`;
  const lines = traces(model, best).map((one) => JSON.stringify(one));
  return [
    ...(definition.reference === undefined
      ? []
      : [
          {
            name: `flashinfer-trace/definitions/${place}.json`,
            what: "the definition in the FlashInfer-Trace schema",
            text: `${JSON.stringify(theirs, null, 2)}\n`,
          },
        ]),
    {
      name: `flashinfer-trace/solutions/${place}/${solutionName(model, best)}.json`,
      what: "the best kernel as a FlashInfer-Trace solution",
      text: `${JSON.stringify(solution(model, best), null, 2)}\n`,
    },
    {
      name: `flashinfer-trace/traces/${place}.jsonl`,
      what: "its evaluation as FlashInfer-Trace traces, one a workload",
      text: lines.length === 0 ? "" : `${lines.join("\n")}\n`,
    },
  ];
}
