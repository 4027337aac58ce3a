import type { Reason, Status } from "../../domain/index.ts";
import { plainText } from "../../platform/text.ts";
import type { TorchEvent, TorchEventOf } from "./events.ts";

/** What a finding does to the record. */
export interface Finding {
  readonly status: Status;
  readonly reason: Reason;
}

const FAILURES: Readonly<Record<string, { status: Status; text: string }>> = {
  exception: { status: "runtime_error", text: "raised an exception" },
  load_failed: { status: "compile_error", text: "does not load" },
  out_of_memory: { status: "runtime_error", text: "ran out of memory" },
  device_fault: { status: "runtime_error", text: "caused a device fault (illegal access or launch)" },
  compile_timeout: { status: "timeout", text: "was not compiled within the time limit" },
  call_timeout: { status: "timeout", text: "did not return within the time limit of one call" },
  load_timeout: { status: "timeout", text: "did not finish loading" },
  cpu_time_exceeded: { status: "timeout", text: "used up its processor time" },
  exited_early: { status: "runtime_error", text: "ended its process instead of returning" },
  forbidden_syscall: { status: "tampered", text: "made a system call that kernels may not make" },
  segfault: { status: "runtime_error", text: "segmentation fault" },
  aborted: { status: "runtime_error", text: "aborted" },
  killed: { status: "runtime_error", text: "was killed, most likely for exceeding the memory limit" },
  protocol_violation: { status: "tampered", text: "broke the protocol between judge and host" },
  host_setup_failed: { status: "infrastructure_error", text: "the host could not be set up" },
};

/** Wrong answers that only code which works against the judge gives. */
const TAMPERED: ReadonlySet<string> = new Set([
  "deferred_work",
  "timed_output_wrong",
  "protocol_violation",
  "tensor_subclass",
]);

const WRONG: Readonly<Record<string, string>> = {
  wrong_shape: "the answer has another shape",
  wrong_dtype: "the answer has another dtype",
  wrong_device: "the answer lies on another device",
  wrong_layout: "the answer has another memory layout",
  wrong_structure: "the answer is another structure of tensors",
  tensor_subclass: "the answer is a subclass of Tensor, which may compute later or compare as it likes",
  aliases_input: "the answer shares memory with an input",
  input_written: "an input was written to",
  deferred_work: "work went on after the call had returned: it is done outside the time that is measured",
  timed_output_wrong:
    "a timed call answered wrongly although verification passed; the candidate behaves differently when timed, or keeps results",
  no_own_kernel: "the problem asks for a kernel of the candidate's own, and none was launched",
  protocol_violation: "the host's answer breaks the protocol",
};

/** The last line of a Python traceback that says what happened, and the candidate's own line. */
export function tracebackText(text: string): string {
  const lines = plainText(text, 4000)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const last = lines.at(-1) ?? "";
  const at = lines.findLast((line) => /^File ".*candidate\.py"|^File ".*(main|submission)\.py"/.test(line));
  const where = at === undefined ? "" : (/line \d+/.exec(at)?.[0] ?? "");
  return `${last}${where === "" ? "" : ` (${where})`}`.slice(0, 400);
}

export function failureFinding(event: TorchEventOf<"host_failure">): Finding {
  const known = FAILURES[event.code] ?? { status: "runtime_error" as const, text: event.code };
  const said = tracebackText(event.message === "" ? event.text : event.message);
  const workload =
    event.workload === undefined || event.workload === null ? {} : { workload: event.workload };
  if (event.role === "candidate") {
    const message = `the candidate ${known.text}${said === "" ? "" : `: ${said}`}`;
    return { status: known.status, reason: { code: event.code, message, ...workload } };
  }
  const who = event.role === "reference" ? "the problem's reference" : `the ${event.role} ${event.name}`;
  const message = `${who} ${known.text}${said === "" ? "" : `: ${said}`}`;
  return {
    status: "infrastructure_error",
    reason: { code: `${event.role}_${event.code}`, message, ...workload },
  };
}

export function wrongFinding(event: TorchEventOf<"wrong">): Finding {
  const { workload, code, trial } = event;
  const status: Status = TAMPERED.has(code) ? "tampered" : "wrong_answer";
  const place =
    event.output === undefined || event.output === null
      ? ""
      : `output ${event.output}${event.index === undefined || event.index === null ? "" : `[${String(event.index)}]`}`;
  const values =
    event.got_text === "" && event.expected_text === ""
      ? ""
      : `${place} is ${event.got_text}, expected ${event.expected_text}`;
  const count =
    event.wrong_elements === undefined || event.wrong_elements === null || event.wrong_elements === 0
      ? ""
      : `${event.wrong_elements} of ${event.elements ?? "?"} elements wrong`;
  const parts = [
    WRONG[code],
    event.message ?? undefined,
    values,
    count,
    trial === "" ? "" : `trial: ${trial}`,
  ];
  const message = parts.filter((part) => part !== undefined && part !== "").join("; ");
  return { status, reason: { code, message: plainText(message, 600) || code, workload } };
}

const CONDUCT: Readonly<Record<string, { status: Status; text: string }>> = {
  patched_runtime: {
    status: "tampered",
    text: "functions of torch, the clock or the interpreter are not those that were there before the candidate was loaded",
  },
  extra_threads: { status: "ok", text: "threads of the candidate's own outlive its call" },
};

export function conductFinding(event: TorchEventOf<"conduct">): Finding {
  const known = CONDUCT[event.code] ?? { status: "tampered" as const, text: event.code };
  const message = `${known.text}: ${plainText(event.message, 300)}`;
  return { status: known.status, reason: { code: event.code, message, workload: event.workload } };
}

/** Flags of a measurement, in words. A flag that is not listed stands by its code. */
const FLAGS: Readonly<Record<string, string>> = {
  late_collect: "its answer is ready much later than its clock says: it may compute after the clock stops",
  late_start:
    "its process stands ready much later than the baseline's: it may compute before the clock starts",
  unjoined: "device work goes on after its last event: a stream of its own is not joined",
  clock_disagreement: "the device's clock and the judge's do not see the same gain",
  extra_threads: "threads of the candidate's own outlive its call",
};

export function flagReasons(event: TorchEventOf<"benchmarked">): Reason[] {
  return event.flags.map((code) => ({
    code,
    message: FLAGS[code] ?? `the measurement is marked ${code}`,
    workload: event.workload,
  }));
}

/** Everything in the events that speaks against the candidate, or against us. */
export function findingsOf(events: readonly TorchEvent[]): Finding[] {
  // A compiled baseline that cannot be had is left out, and said so: the others stand.
  const left = new Set(events.flatMap((event) => (event.event === "missing" ? [event.what] : [])));
  return events.flatMap((event) => {
    if (event.event === "host_failure")
      return event.role === "baseline" && left.has(`baseline ${event.name}`) ? [] : [failureFinding(event)];
    if (event.event === "wrong") return [wrongFinding(event)];
    if (event.event === "conduct") return [conductFinding(event)];
    return [];
  });
}
