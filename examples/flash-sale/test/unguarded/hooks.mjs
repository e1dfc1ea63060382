/** Gives the demo, and only the demo, locks that exclude nobody. */
export function resolve(specifier, context, next) {
  const asked = specifier === "@dlock/core" && context.parentURL?.includes("/examples/flash-sale/dist/");
  return asked ? { url: new URL("core.mjs", import.meta.url).href, shortCircuit: true } : next(specifier, context);
}
