/** A client of ioredis 6, `Redis` or `Cluster`, as far as it is used: as the model of connections of our own. */
export interface RedisClient {
  readonly options: object;
  readonly status: string;
  duplicate(...overrides: never[]): unknown;
}
