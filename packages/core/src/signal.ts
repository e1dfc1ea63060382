/** The platform's `AbortSignal` where its types are loaded (DOM or Node), else the part of it that dlock uses. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Platform } }
  ? Platform
  : MinimalSignal;

export interface MinimalSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean | undefined }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
