import type { Benchmarked, HostFailure, WrongAnswer } from "../../../src/evaluation/native/events.ts";

/** Events as the judge writes them, with everything that a test does not care about filled in. */
export function failure(code: string, change: Partial<HostFailure> = {}): HostFailure {
  return {
    event: "host_failure",
    workload: "a",
    role: "candidate",
    name: "candidate",
    code,
    signal: 0,
    syscall: -1,
    tensor: "",
    place: "",
    exit: -1,
    load_error: "",
    text: "",
    text_bytes: 0,
    ...change,
  };
}

export function wrong(code: string, change: Partial<WrongAnswer> = {}): WrongAnswer {
  return {
    event: "wrong",
    workload: "a",
    code,
    output: "y",
    index: 3,
    got: 1,
    expected: 2,
    got_text: "",
    expected_text: "",
    wrong_elements: 1,
    elements: 10,
    error_over_tolerance: 2,
    trial: "plain",
    ...change,
  };
}

const timing = { median_ns: 1e6, p10_ns: 9e5, p90_ns: 1.1e6, samples: 100 };

export function measured(change: Partial<Benchmarked>): Benchmarked {
  return {
    event: "benchmarked",
    workload: "a",
    candidate: timing,
    baselines: [{ name: "reference", timing, ratio: 2, low: 1.95, high: 2.05 }],
    control_bias: 0.001,
    control_half_width: 0.002,
    arming_candidate_ns: 5000,
    arming_baseline_ns: 5000,
    pairs: 100,
    rejected: 0,
    dirty_candidate: 0,
    dirty_baseline: 0,
    generations: 8,
    rounds: 100,
    checked: 8,
    handshake: "spin",
    resolved: true,
    seconds: 2,
    ...change,
  };
}
