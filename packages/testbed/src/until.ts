/** Asks again until the answer is yes, at most `patience` ms; `trouble` says what was waited for. */
export async function until(
  probe: () => boolean | Promise<boolean>,
  patience: number,
  trouble: () => string,
): Promise<void> {
  const end = performance.now() + patience;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`${trouble()} (waited ${patience} ms)`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** What `promise` gives, or an error after `patience` ms. */
export async function within<Value>(patience: number, promise: Promise<Value>, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${patience} ms`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
