import { mark } from "../layout.js";

/**
 * Lua: lets those in whose turn it is and who can be told. Comes after `value`, `fence` and `group`.
 *
 * A member of the queue is an owner; a trailing "~" says that it polls, because it cannot be told. The part of an owner up
 * to its first colon is the channel of its process. A message is "delay owner lock-key": ask again in so many ms.
 */
export const handOver: string = `
-- ms in which a grant has to be confirmed: told by a release, passed on by a waiter, granted to whoever is cut off, and
-- granted by a user who may not tell, so that the claim finds it when it asks of its own accord.
local claimWindow, passWindow, unheardWindow, untoldWindow = 1500, 250, 500, 5100

local function waiting(rank)
  return redis.call('ZRANGE', KEYS[2], rank, rank)[1]
end

local function ownerOf(member)
  return (string.gsub(member, '~$', ''))
end

-- How many were told; 0: its connection is gone; -1: this user has no right to tell.
local function tell(member, delay)
  if string.sub(member, -1) == '~' then return 1 end
  local channel = string.match(member, '^[^:]+')
  local told = redis.pcall('PUBLISH', channel, delay .. ' ' .. member .. ' ' .. KEYS[1])
  if failed(told) then return -1 end
  return told
end

-- Whether nobody listens for the owner any more; unknown to a user without the right to ask.
local function isGone(owner)
  local heard = redis.pcall('PUBSUB', 'NUMSUB', (string.match(owner, '^[^:]+')))
  return not failed(heard) and heard[2] == 0
end

-- Whether a claim of this kind may enter beside those who hold: readers beside readers, and as many as there are permits.
local function fits(kind, value)
  if not value then return true end
  if kind == '' or groupOf(value) ~= kind then return false end
  return kind == 's' or redis.call('ZCARD', holders) < tonumber(string.sub(kind, 2))
end

-- The token of a new hold, or nothing and the error: there is no memory for it.
local function enter(owner, now, ms, mark)
  local fence, problem = nextFence(now)
  if not fence then return nil, problem end
  local kind = kindOf(owner)
  if kind == '' then
    local reply = redis.pcall('SET', KEYS[1], owner .. '|' .. fence .. mark, 'PX', ms)
    if failed(reply) then return nil, reply end
    return fence
  end
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('DEL', holders, fences)
    local reply = redis.pcall('SET', KEYS[1], '${mark}|' .. kind, 'PX', ms)
    if failed(reply) then return nil, reply end
  end
  redis.call('HSET', fences, owner, fence .. mark)
  hold(owner, now + ms * 1000, now)
  return fence
end

-- Takes the first "count" out of the line after the last of them was let in.
local function grant(member, count, now, window)
  if not enter(ownerOf(member), now, window, '|g') then return false end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, count - 1)
  return true
end

-- Somebody has to look whether the grant is confirmed.
local function watch(window)
  for rank = 0, 7 do
    local watcher = waiting(rank)
    if not watcher or tell(watcher, window) ~= 0 then return end
  end
end

-- The first in line who can be told, if it fits beside those who hold, and how many before it cannot be told; whether this
-- user may not tell; whether somebody in line does not fit, but for writers who are gone: readers may go on for long. Telling
-- comes before writing: it may fail.
local function heir(me, value)
  local gone = 0
  while true do
    local member = waiting(gone)
    if not member then return nil, gone end
    local owner = ownerOf(member)
    if fits(kindOf(owner), value) then
      if owner == me then return member, gone end
      local told = tell(member, 0)
      if told < 0 then return nil, gone, true end
      if told > 0 then return member, gone end
    elseif owner == me or owner ~= member or groupOf(value) ~= 's' or not isGone(owner) then
      return nil, gone, false, true
    end
    gone = gone + 1
  end
end

-- Those behind who fit beside whoever was let in last: readers beside readers, while there are permits.
local function letInMore(now)
  while true do
    local value = redis.call('GET', KEYS[1])
    if not groupOf(value) then return end
    local member, gone = heir(nil, value)
    if not member or not grant(member, gone + 1, now, claimWindow) then return end
  end
end

-- For whoever makes room, by "leave"; "after" is the lock string without it. When nobody can be told, all of them may have lost
-- their connections at once: the first is let in for a moment and the others keep their places. After a DEL, Redis lets a
-- script write also when memory is full.
local function handOver(after, leave, now)
  local member, gone = heir(nil, after)
  local first = member or (gone > 0 and fits(kindOf(ownerOf(waiting(0))), after) and waiting(0))
  leave()
  if not first then return end
  local window = member and claimWindow or unheardWindow
  if not grant(first, member and gone + 1 or 1, now, window) then return end
  letInMore(now)
  watch(window)
end

-- Takes the owner's hold out of a group, and returns the lock string without it and what is left to do: the last one leaves when its
-- heir has been told.
local function without(owner, value, now)
  if redis.call('ZCARD', holders) == 1 then
    return false, function() redis.call('DEL', KEYS[1], holders, fences) end
  end
  redis.call('HDEL', fences, owner)
  redis.call('ZREM', holders, owner)
  local left = redis.call('PTTL', KEYS[1])
  lastAsHolds(now)
  local shorter = redis.call('PTTL', KEYS[1])
  -- Whoever is first in line reckons with the end of the last hold: that is sooner now.
  if shorter < left then watch(shorter) end
  return value, function() end
end
`;
