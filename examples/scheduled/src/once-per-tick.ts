import type { Locks } from "@dlock/core";
import { once, type OnceOptions } from "@dlock/core/recipes";

/**
 * For a method of a provider or controller that has `locks`: however many copies of the application call it at the same tick,
 * one runs it, and the others get `undefined`. With `@Cron`, this one comes first, so that the schedule sees the guarded method.
 */
export function OncePerTick(key: string, options: OnceOptions) {
  return <Args extends unknown[], Result>(
    _target: object,
    _name: string | symbol,
    descriptor: TypedPropertyDescriptor<(...args: Args) => Promise<Result | undefined>>,
  ): void => {
    const method = descriptor.value;
    if (method === undefined) throw new TypeError("@OncePerTick is for methods");
    descriptor.value = async function (this: { readonly locks: Locks }, ...args: Args): Promise<Result | undefined> {
      const ran = await once(this.locks, key, options, () => method.apply(this, args));
      return ran?.result;
    };
  };
}
