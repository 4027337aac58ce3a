import { readTimeline, type Timeline } from "./timeline.ts";
import { ncuTrace } from "./traces/ncu.ts";
import { protonScopes, protonTrace } from "./traces/proton.ts";
import type { TraceRow } from "./traces/summary.ts";

/** What `ke_torch.profile` wrote of one candidate, by how it was profiled. */
export type ProfileTexts = Readonly<Partial<Record<ProfileWay, string>>>;
export const PROFILE_WAYS = ["pytorch", "proton", "scopes", "ncu"] as const;
export type ProfileWay = (typeof PROFILE_WAYS)[number];

export interface Profiles {
  readonly timeline: Timeline | undefined;
  /** Kernels of one call. */
  readonly proton: readonly TraceRow[] | undefined;
  readonly counters: readonly TraceRow[] | undefined;
  /** Named parts inside of kernels, by their share of the cycles. */
  readonly scopes: readonly TraceRow[];
  /** Outputs in which nothing was found that is read here. */
  readonly unreadable: readonly ProfileWay[];
}

function json(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads the outputs of one candidate's profilers; they come from the candidate's process, so nothing in them is trusted. */
export function readProfiles(texts: ProfileTexts, calls: number): Profiles {
  const timeline = readTimeline(json(texts.pytorch));
  const hatchet = json(texts.proton);
  const traced = hatchet === undefined ? undefined : protonTrace(hatchet, "ke_call");
  const counted = texts.ncu === undefined ? undefined : ncuTrace(texts.ncu);
  const scopes = protonScopes(json(texts.scopes));
  const found: Record<ProfileWay, boolean> = {
    pytorch: timeline !== undefined,
    proton: traced !== undefined,
    scopes: scopes.length > 0,
    ncu: counted !== undefined,
  };
  return {
    timeline,
    proton: traced?.rows.map((row) => ({
      ...row,
      calls: (row.calls ?? 0) / calls,
      microseconds: (row.microseconds ?? 0) / calls,
    })),
    counters: counted?.rows,
    scopes,
    unreadable: PROFILE_WAYS.filter((way) => texts[way] !== undefined && !found[way]),
  };
}
