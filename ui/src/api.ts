// The two interfaces that the page asks: the Prometheus API and /api/highwater/v1.

/** What keeps an answer from coming. */
export type Trouble = "gone" | "denied" | "absent" | "busy" | "wrong" | "broken";

export class Fault extends Error {
  constructor(
    readonly trouble: Trouble,
    text: string,
  ) {
    super(text);
  }
}

/** Longer than the server itself waits for an answer. */
const PATIENCE_MS = 35_000;

export interface Sample {
  labels: Record<string, string>;
  at: number;
  value: number;
}

export interface Curve {
  labels: Record<string, string>;
  /** Milliseconds and values, in order of time. */
  points: [number, number][];
}

export interface Answer<T> {
  all: T[];
  warnings: string[];
}

export async function get(path: string, signal?: AbortSignal): Promise<unknown> {
  const late = AbortSignal.timeout(PATIENCE_MS);
  const both = signal ? AbortSignal.any([signal, late]) : late;
  let response: Response;
  try {
    response = await fetch(path, { signal: both, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Fault("gone", late.aborted ? "no answer in time" : "no connection");
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) {
    if (body === null) throw new Fault("broken", "the answer is not JSON");
    return body;
  }
  throw new Fault(troubleOf(response.status), said(body) ?? `status ${response.status}`);
}

export function troubleOf(status: number): Trouble {
  if (status === 401 || status === 403 || status === 421) return "denied";
  if (status === 404) return "absent";
  if (status === 503) return "busy";
  if (status === 400 || status === 422) return "wrong";
  return "broken";
}

function said(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("error" in body)) return null;
  return typeof body.error === "string" ? body.error : null;
}

interface Reply<R> {
  data: { resultType: string; result: R };
  warnings?: string[];
}

type Metric = Record<string, string>;

/** A query's value at one moment. */
export async function query(expr: string, at: number | null, signal?: AbortSignal): Promise<Answer<Sample>> {
  const form = new URLSearchParams({ query: expr });
  if (at !== null) form.set("time", String(at / 1000));
  const reply = (await get(`/api/v1/query?${form}`, signal)) as Reply<unknown>;
  return { all: samples(reply.data.resultType, reply.data.result), warnings: reply.warnings ?? [] };
}

function samples(kind: string, result: unknown): Sample[] {
  if (kind === "scalar") {
    const [at, value] = result as [number, string];
    return [{ labels: {}, at: at * 1000, value: number(value) }];
  }
  if (kind !== "vector") return [];
  return (result as { metric: Metric; value: [number, string] }[]).map((one) => ({
    labels: one.metric,
    at: one.value[0] * 1000,
    value: number(one.value[1]),
  }));
}

/** A query's values over a span. */
export async function range(
  expr: string,
  span: { from: number; to: number },
  stepMs: number,
  signal?: AbortSignal,
): Promise<Answer<Curve>> {
  const from = Math.floor(span.from / stepMs) * stepMs;
  // Nothing is known of the future, and the last value would be drawn into it.
  const to = Math.max(from, Math.min(span.to, Date.now()));
  const form = new URLSearchParams({
    query: expr,
    start: String(from / 1000),
    end: String(to / 1000),
    step: String(stepMs / 1000),
  });
  const reply = (await get(`/api/v1/query_range?${form}`, signal)) as Reply<
    { metric: Metric; values: [number, string][] }[]
  >;
  const all = reply.data.result.map((one) => ({
    labels: one.metric,
    points: one.values.map(([at, value]): [number, number] => [at * 1000, number(value)]),
  }));
  return { all, warnings: reply.warnings ?? [] };
}

/** As the API writes numbers: `+Inf`, `-Inf` and `NaN` are text in JSON. */
export function number(text: string): number {
  if (text === "+Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  return Number(text);
}

/** The labels of the series that a selector matches within a span. */
export async function series(match: string, span: { from: number; to: number }, signal?: AbortSignal): Promise<Metric[]> {
  const form = new URLSearchParams({ "match[]": match, start: String(span.from / 1000), end: String(span.to / 1000) });
  return ((await get(`/api/v1/series?${form}`, signal)) as { data: Metric[] }).data;
}

export async function names(kind: "metrics" | "labels", signal?: AbortSignal): Promise<string[]> {
  const path = kind === "metrics" ? "/api/v1/label/__name__/values" : "/api/v1/labels";
  return ((await get(path, signal)) as { data: string[] }).data;
}

/** When the newest sample is, in milliseconds; null where there is none. */
export async function newest(signal?: AbortSignal): Promise<number | null> {
  const { data } = (await get("/api/v1/status/tsdb", signal)) as { data: { headStats: { maxTime: number } } };
  return data.headStats.maxTime > 0 ? data.headStats.maxTime : null;
}

/** A document of /api/highwater/v1. */
export async function document<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await get(`/api/highwater/v1/${path}`, signal)) as T;
}
