/**
 * Lua: a lock that several hold. `holders` has when each hold ends (server µs), `fences` its token, with "|g" behind it
 * until its owner confirms it; both, and the lock, last as long as the last of the holds. Comes after `value` and `fence`.
 */
export function group(holders: number, fences: number): string {
  return `
local holders, fences = KEYS[${holders}], KEYS[${fences}]

local function lastAsHolds(now)
  local last = redis.call('ZRANGE', holders, -1, -1, 'WITHSCORES')[2]
  local left = math.ceil((tonumber(last) - now) / 1000)
  for _, key in ipairs({KEYS[1], holders, fences}) do redis.call('PEXPIRE', key, left) end
end

local function hold(owner, ends, now)
  redis.call('ZADD', holders, string.format('%.0f', ends), owner)
  lastAsHolds(now)
end

-- Ends the holds whose time is over, each by itself; returns the lock string, if there still is one.
local function purge(value, now)
  if not groupOf(value) then return value end
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', string.format('%.0f', now))) do
    redis.call('HDEL', fences, owner)
    redis.call('ZREM', holders, owner)
  end
  if redis.call('EXISTS', holders) == 1 then return value end
  redis.call('DEL', KEYS[1])
  return false
end
`;
}
