/** One critical section, as the process that ran it saw it. ns, by the clock that all processes of a host share. */
export interface Section {
  readonly key: string;
  readonly token: bigint;
  readonly from: bigint;
  readonly to: bigint;
}

export interface Findings {
  readonly sections: number;
  /** Pairs that were inside at the same time. */
  readonly overlaps: number;
  /** Sections whose token is not larger than that of the section before. */
  readonly regressions: number;
}

/** Looks at all sections of each key in the order in which they began. */
export function examine(sections: readonly Section[]): Findings {
  const findings = { sections: sections.length, overlaps: 0, regressions: 0 };
  const last = new Map<string, { to: bigint; token: bigint }>();
  for (const { key, token, from, to } of sections.toSorted((one, other) => (one.from < other.from ? -1 : 1))) {
    const before = last.get(key) ?? { to: 0n, token: 0n };
    if (from < before.to) findings.overlaps++;
    if (token <= before.token) findings.regressions++;
    last.set(key, { to: to > before.to ? to : before.to, token: token > before.token ? token : before.token });
  }
  return findings;
}
