import type { EvaluationRecord } from "../domain/index.ts";

/** Where finished evaluations are kept; the store implements it. */
export interface EvaluationCache {
  get(id: string): EvaluationRecord | undefined;
  byKey(key: string): EvaluationRecord | undefined;
  put(record: EvaluationRecord, key: string | undefined): void;
}
