/** Bytes of a frame: a listing of more than 100 000 nodes. A length beyond it is none. */
const limit = 16 * 1024 * 1024;

/** One connection's stream of bytes as frames, each with its length in front. */
export class Frames {
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 4;

  /** What is complete with this chunk. Throws when the stream cannot be one of frames. */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#wanted) return [];
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const frames: Buffer[] = [];
    while (rest.length >= (this.#wanted = sizeOf(rest))) {
      frames.push(rest.subarray(0, this.#wanted));
      rest = rest.subarray(this.#wanted);
    }
    this.#chunks = [rest];
    this.#size = rest.length;
    return frames;
  }
}

/** Of the first frame, or of its head as long as that is not there. */
function sizeOf(bytes: Buffer): number {
  if (bytes.length < 4) return 4;
  const length = bytes.readInt32BE(0);
  if (length < 0 || length > limit) throw new RangeError(`a frame of ${length} bytes`);
  return 4 + length;
}
