/** Lets many in together, or one alone, in the order of arrival: test runners may run laws concurrently. */
export class Gate {
  /** Settles when everybody who is in now has left. */
  #emptied: Promise<unknown> = Promise.resolve();
  /** Settles when the last one who was alone has left. */
  #reopened: Promise<unknown> = Promise.resolve();

  async pass<Result>(alone: boolean, visit: () => Promise<Result>): Promise<Result> {
    const turn = alone ? this.#emptied : this.#reopened;
    const visited = turn.then(visit);
    const left = visited.catch(() => {});
    this.#emptied = Promise.all([this.#emptied, left]);
    if (alone) this.#reopened = left;
    return visited;
  }
}
