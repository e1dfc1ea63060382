import { fence } from "./fence.js";
import { group } from "./group.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { otherLimit, value } from "./value.js";

/** Refusals say so by bits. */
export const foreign = 1;
export const unconfirmed = 2;
export const silent = 4;
export const otherLayout = 8;
export const rejoined = 16;

/**
 * Takes the lock if it is free and this claim's turn, confirms a grant, and else takes a place in line if asked to.
 *
 * KEYS  lock, queue, fence, holders, fences
 * ARGV  1 owner
 *       2 ttl, ms
 *       3 deadline, µs of the server's clock: a request that was delayed beyond it does nothing
 *       4 "once": no place in line · "join" · "barge": a place only where others wait in line
 *       5 ticket: µs of the server's clock at which this claim first joined, or ""
 *       6 "1": this process cannot be told
 * Reply the fence, as a string: held, for the full ttl from now or for longer
 *       {now}: came too late, nothing was done
 *       {now, ms until a place may come free by itself or a negative pttl, rank in line or -1, ticket, flags}: not now
 *       an error DLOCK_LIMIT n: the key is in use with that limit
 *       an error DLOCK_TYPE t, as of every script: the lock's name has a value of that type, which is nobody's lock
 */
export const tryScript: Script = new Script(`${value}${fence}${group(4, 5)}
local owner, ttl, mode, ticket, cannotBeTold = ARGV[1], tonumber(ARGV[2]), ARGV[4], ARGV[5], ARGV[6] == '1'
local now = serverMicros()
if now > tonumber(ARGV[3]) then return {now} end

local value, problem = lockString()
if problem then return problem end
value = purge(value, now)
local fence = fenceOf(value, owner)
if fence then
  local granted = string.sub(value, -2) == '|g'
  -- What comes late must not shorten what was extended meanwhile.
  if granted or redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
  if granted then redis.call('SET', KEYS[1], owner .. '|' .. fence, 'KEEPTTL') end
  return fence
end
if groupOf(value) then
  local mine = redis.call('HGET', fences, owner)
  if mine then
    fence = string.match(mine, '^%d+')
    redis.call('HSET', fences, owner, fence)
    local ends = now + ttl * 1000
    if mine == fence then ends = math.max(ends, tonumber(redis.call('ZSCORE', holders, owner))) end
    hold(owner, ends, now)
    return fence
  end
end

local kind = kindOf(owner)
local function limitOf(kind) return tonumber(string.sub(kind, 2)) or 1 end
local function otherLimit(value)
  if not value or not isOurs(value) then return nil end
  local inUse = limitOf(groupOf(value) or '')
  if inUse ~= limitOf(kind) then return redis.error_reply('${otherLimit} ' .. inUse) end
end
local other = otherLimit(value)
if other then return other end

${handOver}
local function take()
  local fence, problem = enter(owner, now, ttl, '')
  return fence or problem
end

local head = waiting(0)
if not head and fits(kind, value) then return take() end
local member, rejoined = owner, false
if mode == 'join' or (mode == 'barge' and head) then
  if cannotBeTold or not redis.call('ZSCORE', KEYS[2], owner) then
    cannotBeTold = cannotBeTold or isGone(owner)
    if ticket == '' then
      ticket = redis.call('ZSCORE', KEYS[2], owner) or redis.call('ZSCORE', KEYS[2], owner .. '~')
      -- Behind everybody, also when the clock was set back.
      local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
      if not ticket then ticket = math.max(now, (tonumber(last) or 0) + 1) end
      ticket = string.format('%.0f', ticket)
    end
    local former = owner .. '~'
    if cannotBeTold then member, former = former, owner end
    local added = redis.call('ZADD', KEYS[2], 'NX', ticket, member)
    local moved = redis.call('ZREM', KEYS[2], former)
    rejoined = ARGV[5] ~= '' and added > moved
  end
  if ticket == '' then ticket = string.format('%.0f', redis.call('ZSCORE', KEYS[2], member)) end
  redis.call('PEXPIRE', KEYS[2], 60000)
end

-- Those who stand before the caller enter first, as many as fit.
while true do
  local first, gone, mute, full = heir(owner, value)
  -- It may be dead, and must not be waited for for ever.
  if mute then first = waiting(gone) end
  if first and ownerOf(first) ~= owner then
    local window = mute and untoldWindow or passWindow
    if not grant(first, gone + 1, now, window) then return redis.error_reply('OOM the lock could not be handed over') end
    watch(window)
    value = redis.call('GET', KEYS[1])
  elseif full or not fits(kind, value) then
    break
  else
    -- The caller is alive by definition, and whoever stands before it is gone.
    local taken = take()
    if failed(taken) then return taken end
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, first and gone or -1)
    letInMore(now)
    return taken
  end
end
other = otherLimit(value)
if other then
  redis.call('ZREM', KEYS[2], member)
  return other
end

local flags = 0
if value and not isOurs(value) then
  flags = ${foreign}
  if string.match(value, '^dlock%d+%.') then flags = flags + ${otherLayout} end
elseif value and string.sub(value, -2) == '|g' then
  flags = ${unconfirmed}
end
if member ~= owner then flags = flags + ${silent} end
if rejoined then flags = flags + ${rejoined} end
local wait = redis.call('PTTL', KEYS[1])
if string.sub(groupOf(value) or '', 1, 1) == 'p' then
  wait = math.ceil((tonumber(redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')[2]) - now) / 1000)
end
return {now, wait, redis.call('ZRANK', KEYS[2], member) or -1, tonumber(ticket) or 0, flags}
`);
