import type { Harness } from "@dlock/conformance";

/** A provider with one defect. */
export interface Broken {
  readonly harness: () => Harness;
  /** The law meant for it. */
  readonly breaks: string;
  /** Other laws that it cannot but break, by reason. */
  readonly also?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Laws that it breaks or not, as it happens, by reason. */
  readonly sometimes?: Readonly<Record<string, readonly string[]>> | undefined;
}

export function brokenLaws({ breaks, also = {} }: Broken): readonly string[] {
  return [breaks, ...Object.values(also).flat()];
}

export function undecidedLaws({ sometimes = {} }: Broken): readonly string[] {
  return Object.values(sometimes).flat();
}
