import { LockConfigError } from "../errors.js";

/** `backends.fast.url`, `routes["stock:*"]`, `quorum[2]`. */
export function child(path: string, name: string | number): string {
  if (typeof name === "number") return `${path}[${name}]`;
  const step = /^[\w$-]+$/.test(name) ? name : `[${JSON.stringify(name)}]`;
  return path === "" || step.startsWith("[") ? `${path}${step}` : `${path}.${step}`;
}

/** What is refused inside is refused with the place where it stands. */
export async function at<Result>(path: string, work: () => Result | PromiseLike<Result>): Promise<Result> {
  if (path === "") return work();
  try {
    return await work();
  } catch (error) {
    throw error instanceof LockConfigError ? error.within(path) : error;
  }
}
