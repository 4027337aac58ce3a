import type { DocumentBottleneck } from "../../domain/index.ts";

/** One kernel or function of a trace. */
export interface TraceRow {
  readonly name: string;
  /** Share of the measured time (or instructions), 0..1. */
  readonly share?: number | undefined;
  readonly calls?: number | undefined;
  readonly microseconds?: number | undefined;
  /** Further figures by name. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/** A profile reduced to what decides the next step. */
export interface TraceSummary {
  readonly profiler: string;
  readonly rows: readonly TraceRow[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly bottleneck: DocumentBottleneck | undefined;
  /** The figures that say so. */
  readonly evidence: string;
  readonly notes: readonly string[];
}
