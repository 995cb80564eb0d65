// The documents of /api/highwater/v1, as far as the page shows them. docs/manual/json.md has all.

export interface Evidence {
  source: string;
  line: number | null;
  text: string;
}

export interface Claim {
  text: string;
  evidence: Evidence[];
}

export type Severity = "ok" | "unknown" | "warning" | "critical";

export interface Stall {
  avg10_percent: number;
  avg60_percent: number;
  avg300_percent: number;
}

export interface Holder {
  owner: string;
  cgroup: string;
  usage_bytes: number | null;
  anon_bytes: number;
  limit_bytes: number | null;
}

export interface Process {
  pid: number;
  comm: string;
  anon_bytes: number;
  resident_bytes: number;
  swap_bytes: number | null;
  owner: string | null;
}

export interface Growing {
  owner: { kind: string; id: string; name: string };
  resource: string;
  unit: string;
  verdict: string;
  rate_bytes_per_hour: number | null;
  limit_bytes: number | null;
  seconds_to_limit: number | null;
}

/** What a finding speaks of; docs/manual/json.md says which values go with each subject. */
export interface Values {
  owner: string | null;
  limit_owner: string | null;
  bytes: number | null;
  of_bytes: number | null;
  count: number | null;
  of_count: number | null;
  percent: number | null;
  seconds: number | null;
  names: string[];
}

export interface Finding extends Claim {
  severity: Severity;
  subject?: string;
  values?: Values;
}

export interface Now {
  time: string;
  up_seconds: number;
  severity: Severity;
  urgent: Finding[];
  memory: {
    total_bytes: number | null;
    available_bytes: number | null;
    swap_total_bytes: number | null;
    swap_free_bytes: number | null;
    low_watermark_bytes: number | null;
    min_watermark_bytes: number | null;
  };
  pressure: { some: Stall | null; full: Stall | null };
  owners: Holder[];
  processes: Process[];
  process_count: number;
  kills_since_boot: number | null;
  growth: { items: Growing[] } | null;
  ends: { by_cause: { cause: string; count: number }[] };
  recorder: { newest: string | null; used_bytes: number; trouble: string | null } | null;
  notes: string[];
}

export interface DeathRow {
  id: string;
  time: string;
  name: string | null;
  pid: number | null;
  owner: string | null;
  cause: string;
  confidence: string | null;
  signal: string | null;
  held_bytes: number | null;
  first?: boolean | null;
  limit_of?: string | null;
  limit_owner?: string | null;
  limit_bytes?: number | null;
  sender?: { comm: string | null; pid: number | null } | null;
  summary: string;
}

export interface DeathList {
  deaths: DeathRow[];
  notes: string[];
}

/** Of the document of `restarts`: who, all its lives, and what they add up to. */
export interface RestartStory {
  owner: { kind: string; id: string; uid?: number; namespace?: string; container?: string };
  lives: {
    started: string | null;
    ended: string | null;
    cause: string | null;
    summary: string | null;
    cgroup: string | null;
    memory: { peak_bytes: number | null };
  }[];
  claims: Claim[];
}

export interface Death {
  time: string | null;
  cause: string;
  confidence: string;
  summary: string;
  signal?: string | null;
  status?: { code: number | null } | null;
  victim: { pid: number | null; comm: string | null; uid: number | null; anon_rss_bytes: number | null; rss_bytes: number | null };
  owner?: { kind: string; id: string; uid?: number; namespace?: string; container?: string } | null;
  first?: boolean | null;
  limit_of?: string | null;
  child?: number | null;
  memcg: { limit_owner: string | null; task: string | null; limit_bytes: number | null } | null;
  makeup: { of: string; total_bytes: number; parts: { kind: string; bytes: number }[] } | null;
  tasks: Task[];
  claims: Claim[];
  reasons: (Claim & { reason?: string })[];
  contradictions?: Claim[];
  ruled_out?: Claim[];
  missing?: { witness: string; why: string }[];
  witnesses?: string[];
  advice: string[];
  command?: string | null;
  sender?: { pid: number | null; comm: string | null; command: string | null; owner: Death["owner"] } | null;
  recorded: { points: number; from: string | null; to: string | null };
}

export interface Task {
  pid: number;
  comm: string | null;
  rss_bytes: number | null;
  badness: number | null;
  rank: number | null;
}

export interface Mark {
  at: string;
  kind: "death" | "growth" | "restart" | "boot" | "recorder";
  text: string;
  id: string | null;
  owner?: string | null;
  what?: string | null;
}

export interface Grower {
  owner: { kind: string; id: string; name: string };
  resource: string;
  unit: string;
  verdict: string;
  root_cause: string | null;
  rate_bytes_per_hour: number | null;
  rate_low: number | null;
  rate_high: number | null;
  confidence: number;
  since: string | null;
  current_bytes: number | null;
  limit_bytes: number | null;
  seconds_to_limit: number | null;
  seconds_low: number | null;
  seconds_high: number | null;
  claims: (Claim & { speaks: "for" | "against" })[];
  root_causes: { cause: string; holds: boolean; for: Claim[]; against: Claim[] }[];
}

export interface Growth {
  at: string;
  since: string;
  items: Grower[];
  notes: string[];
}
