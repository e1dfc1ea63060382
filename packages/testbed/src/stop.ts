/** Stops all, even when stopping one of them fails. */
export async function stopAll(servers: readonly { stop(): Promise<void> }[]): Promise<void> {
  const ends = await Promise.allSettled(servers.map((server) => server.stop()));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
