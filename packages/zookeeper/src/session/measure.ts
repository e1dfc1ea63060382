import jute from "node-zookeeper-client/lib/jute/index.js";

/**
 * Where the record that starts at `offset` ends. Throws unless all of it is in the frame: the client would believe its
 * lengths, read elsewhere, reserve gigabytes or never come to an end.
 */
export function measure(record: string, frame: Buffer, offset: number): number {
  const { protocol, data } = jute;
  const Class = protocol[record] ?? data[record];
  if (Class === undefined) throw new TypeError(`no record ${record}`);
  for (const { type } of new Class().specification) offset = measureValue(type, frame, offset);
  return offset;
}

const sizes: { readonly [type: string]: number } = { int: 4, long: 8, boolean: 1 };

function measureValue(type: string, frame: Buffer, offset: number): number {
  const size = sizes[type];
  if (size !== undefined) return within(frame, offset + size);
  if (type.startsWith("data.")) return measure(type.slice("data.".length), frame, offset);
  // -1 stands for null.
  const length = Math.max(frame.readInt32BE(offset), -1);
  if (length !== frame.readInt32BE(offset)) throw new RangeError(`a negative length`);
  offset += 4;
  const element = /^vector<(.+)>$/.exec(type)?.[1];
  if (element === undefined) return within(frame, offset + Math.max(length, 0));
  for (let left = length; left > 0; left--) offset = measureValue(element, frame, offset);
  return offset;
}

function within(frame: Buffer, end: number): number {
  if (end > frame.length) throw new RangeError("a record that ends beyond its frame");
  return end;
}
