/** Lua: the server's clock, and the next fencing token of the slot. */
export const fence: string = `
local function serverMicros()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function failed(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- Follows the clock, so that it grows also when it is lost. INCR counts where Lua's numbers are not exact any more.
local function nextFence(now)
  local last = redis.call('GET', KEYS[3])
  local reply
  if not last or (tonumber(last) or 0) < now then
    last = string.format('%.0f', now)
    reply = redis.pcall('SET', KEYS[3], last)
  else
    reply = redis.pcall('INCR', KEYS[3])
    last = redis.call('GET', KEYS[3])
  end
  if failed(reply) then return nil, reply end
  return last
end
`;
