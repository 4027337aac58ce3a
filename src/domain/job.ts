import { z } from "zod";

export const JOB_STATES = ["queued", "running", "done", "failed", "cancelled"] as const;
export const jobSchema = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.enum(JOB_STATES),
  /** 0..1 where known, else a count; never goes back. */
  progress: z.number(),
  total: z.number().optional(),
  message: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  result: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string(), fix: z.string().optional() }).optional(),
});
export type Job = z.infer<typeof jobSchema>;

/** What long work reports. */
export interface ProgressUpdate {
  readonly progress: number;
  readonly total?: number;
  readonly message: string;
}

/** Handed to everything that may take long. */
export interface WorkContext {
  readonly signal: AbortSignal;
  readonly report: (update: ProgressUpdate) => void;
}
